//! Owns the callers: clients without Yjs, who operate on records one call at a time and call again
//! until they have an answer.

use std::collections::{BTreeMap, BTreeSet};

use roundtable::ids::{Epoch, Now, OpId, Position, SessionId, UnixMillis, Version};
use roundtable::room::entry::Json;
use roundtable::room::operation::{Action, Condition, OpResult, Operation, Place, Status};
use roundtable::room::{Access, Departure, Refusal};

use crate::dice::Dice;
use crate::link::{Packet, Peer, Said};
use crate::world::{RETENTION_MS, World};

/// Where they count: one record per room, which some make and some take away.
const COLLECTION: &str = "counts";
const RECORD: &str = "c";
const FIELD: &str = "n";

/// Whether an operation is one that counts.
pub fn counts(op: &OpId) -> bool {
    op.as_str().starts_with("add")
}

/// Whether it makes the record that is counted in anew.
pub fn begins(op: &OpId) -> bool {
    op.as_str().starts_with("make")
}

/// What the record holds in a document's JSON.
pub fn counted(json: &str) -> Option<u64> {
    let json: serde_json::Value = serde_json::from_str(json).expect("a document is JSON");
    json[COLLECTION][RECORD][FIELD].as_u64()
}

/// A client without Yjs.
pub struct Caller {
    pub room: usize,
    session: Option<SessionId>,
    /// What it has no answer to.
    pending: Option<Operation>,
    /// First results, by the epoch that they were told of: a deletion forgets them.
    told: BTreeMap<(Epoch, OpId), (OpResult, UnixMillis)>,
    sent: Vec<Operation>,
}

impl Caller {
    pub fn new(room: usize) -> Self {
        Self {
            room,
            session: None,
            pending: None,
            told: BTreeMap::new(),
            sent: Vec::new(),
        }
    }

    fn next(&mut self, number: u64, dice: &mut Dice) -> Operation {
        if !self.sent.is_empty() && dice.one_in(4) {
            return dice.pick(&self.sent).clone();
        }
        let (name, action, value) = match dice.below(8) {
            0 => ("make", Action::Create, Some("0")),
            1 if dice.one_in(3) => ("take", Action::Delete, None),
            _ => ("add", Action::Increment, Some("1")),
        };
        let operation = Operation {
            id: OpId::parse(&format!("{name} {number}")).expect("a name"),
            action,
            place: Place {
                collection: COLLECTION.into(),
                record: RECORD.into(),
            },
            fields: value
                .map(|it| (FIELD.into(), Json(it.into())))
                .into_iter()
                .collect(),
            unset: BTreeSet::new(),
            condition: Condition::Always,
            wants_record: false,
        };
        self.sent.push(operation.clone());
        operation
    }

    /// A result has to be the first one, if there was one.
    ///
    /// `made_at` is when the entry was made that it is of.
    fn hear(&mut self, result: OpResult, position: Position, made_at: UnixMillis, now: Now) {
        // Of a room that nobody wrote nothing is kept, not even that there was nothing to do.
        if result.version == Version::ZERO {
            return;
        }
        let key = (position.epoch, result.id.clone());
        let kept = self.told.get(&key);
        // It is forgotten with the log.
        let kept = kept.filter(|(_, at)| now.wall.0 - at.0 <= RETENTION_MS as i64);
        if let Some((first, _)) = kept {
            assert_eq!(result.status, Status::Duplicate, "G5: {:?}", result.id);
            let again = (result.version, &result.record);
            assert_eq!(again, (first.version, &first.record), "G5: {:?}", result.id);
        } else if !matches!(result.status, Status::Conflict | Status::Rejected) {
            self.told.insert(key, (result, made_at));
        }
    }
}

impl World {
    /// A caller does its next step.
    pub fn caller_acts(&mut self) {
        let at = self.dice.below(self.callers.len());
        let room = self.callers[at].room;
        let session = self.callers[at].session;
        match session {
            Some(session) => self.caller_hears(at, session),
            None if self.host(room).is_none() => self.open(room),
            None => self.call(at),
        }
    }

    /// It calls with what it has no answer to, or with something new.
    pub fn call(&mut self, at: usize) {
        let room = self.callers[at].room;
        if self.callers[at].pending.is_none() {
            let number = self.count();
            let operation = self.callers[at].next(number, &mut self.dice);
            self.callers[at].pending = Some(operation);
        }
        let session = self.attach(room, Peer::Caller(at), "caller", Access::Write);
        let operation = self.callers[at].pending.clone().expect("just chosen");
        self.trace(|| format!("caller {at} calls {:?}", operation.id));
        self.callers[at].session = Some(session);
        if let Some(link) = self.link(room, session) {
            link.inbound.push_back(Said::Operate(vec![operation]));
        }
    }

    /// It waits for its answer, and hangs up; sometimes before there is one.
    pub fn caller_hears(&mut self, at: usize, session: SessionId) {
        let room = self.callers[at].room;
        if let Some(host) = self.host(room) {
            assert!(host.refill(session).is_empty());
        }
        let gives_up = !self.is_calm && self.dice.one_in(12);
        let packet = match self.link(room, session) {
            None => None,
            Some(link) => match link.wire.pop_front() {
                None if gives_up => None,
                None => return,
                packet => packet,
            },
        };
        self.trace(|| format!("caller {at} hears {packet:?}"));
        match packet {
            // The line is dead, or the room is: it calls again.
            None | Some(Packet::Ended(_)) => {}
            Some(Packet::Pushed(results, position)) => {
                self.callers[at].pending = None;
                for result in results {
                    self.tally.operations += 1;
                    let history = self.model.history(room, position.epoch);
                    let entry = history.and_then(|history| history.at(result.version));
                    let made_at = entry.map_or(self.now.wall, |entry| entry.at);
                    self.callers[at].hear(result, position, made_at, self.now);
                }
            }
            Some(Packet::Refused(_, Refusal::Unavailable | Refusal::RoomDeleted)) => {}
            Some(other) => panic!("caller {at} hears {other:?}"),
        }
        self.callers[at].session = None;
        self.orphans.retain(|link| link.session != session);
        self.detach(room, session, Departure::Lost);
    }

    /// Whoever waits for an answer gets one; whether anybody waited.
    pub fn callers_go_on(&mut self) -> bool {
        let mut is_busy = false;
        for at in 0..self.callers.len() {
            let room = self.callers[at].room;
            let session = self.callers[at].session;
            match session {
                Some(session) => {
                    is_busy = true;
                    self.caller_hears(at, session);
                }
                None if self.callers[at].pending.is_none() => {}
                None => {
                    is_busy = true;
                    match self.host(room).is_none() {
                        true => self.open(room),
                        false => self.call(at),
                    }
                }
            }
        }
        is_busy
    }

    /// What was said of operations has to be in the log.
    pub fn note_pushed(&self, room: usize, results: &[OpResult], position: Position) {
        for result in results {
            let is_applied = !matches!(result.status, Status::Conflict | Status::Rejected);
            if is_applied && counts(&result.id) && result.version > Version::ZERO {
                let history = self.model.history(room, position.epoch);
                let entry = history.and_then(|history| history.at(result.version));
                let op = entry.and_then(|entry| entry.op.as_ref());
                assert_eq!(op, Some(&result.id), "G1: {result:?} is told");
            }
        }
    }
}
