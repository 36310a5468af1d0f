//! Owns the store of the world: what it keeps, and how it answers what the room asks for.

use std::sync::Arc;

use bytes::Bytes;
use roundtable::ids::{AppendId, Epoch, RoomId, Version};
use roundtable::limits::Limits;
use roundtable::room::document::Applied;
use roundtable::room::entry::{Actor, ChangeEvent};
use roundtable::room::operation::Done;
use roundtable::room::{Effect, Entry, Input, Outcome, Room, Standing, Tail};
use roundtable::wire::{json, stored};
use uuid::Uuid;

use super::super::author::Author;
use super::super::log::{SERVER, fold, fold_under};
use super::super::script::Script;
use super::ledger::Ledger;
use super::peer::Peer;
use super::world::World;

impl World {
    pub(super) fn ask_append(
        &mut self,
        id: AppendId,
        expected: Version,
        entries: Arc<[Arc<Entry>]>,
        done: Arc<[Done]>,
    ) {
        let is_append = |asked: &Effect| matches!(asked, Effect::Append { .. });
        assert!(!self.asked.iter().any(is_append), "one append is in flight");
        assert!(!entries.is_empty() || !done.is_empty());
        let mut version = expected;
        for entry in entries.iter() {
            version = version.next();
            assert_eq!(entry.version, version, "versions are dense");
            assert!(!entry.updates.is_empty() && !entry.actors.is_empty());
            let mut results = done
                .iter()
                .map(|done| (&done.result.id, done.result.version));
            let has_result = |op| results.any(|result| result == (op, entry.version));
            assert!(entry.op.as_ref().is_none_or(has_result), "OP8: {entry:?}");
        }
        let tried = (entries.clone(), done.clone());
        let before = self.tried.entry(id).or_insert_with(|| tried.clone());
        assert_eq!(*before, tried, "a retry is the same");
        self.asked.push_back(Effect::Append {
            id,
            expected,
            entries,
            done,
        });
    }

    /// What is released is kept, and each entry once and in order.
    pub(super) fn release(&mut self, entries: &[Arc<Entry>]) {
        for entry in entries {
            assert_eq!(
                self.log.get(self.released),
                Some(entry),
                "only what is kept is released"
            );
            self.released += 1;
            let updates = stored::unpack(&stored::pack(&entry.updates));
            assert_eq!(updates.as_ref(), Ok(&entry.updates));
            let events = json::decode_events(&json::encode_events(entry));
            assert_eq!(events.expect("what is stored can be read"), entry.events);
            let actors = json::decode_actors(&json::encode_actors(entry));
            assert_eq!(actors.expect("what is stored can be read"), entry.actors);
            let room = RoomId::parse("room").expect("a name");
            assert_eq!(
                json::change_events(&room, self.epoch, entry).len(),
                entry.events.len()
            );
        }
    }

    /// The store does one thing that the room asked for.
    pub fn answer(&mut self, luck: u8) {
        let Some(asked) = self.asked.pop_front() else {
            return;
        };
        let is_lost = luck % 4 == 3;
        let input = match asked {
            Effect::Append {
                id,
                expected,
                entries,
                done,
            } => {
                let outcome = match luck % 8 {
                    3 => Outcome::Unclear,
                    7 => {
                        self.append(id, expected, &entries, &done);
                        Outcome::Unclear
                    }
                    _ => self.append(id, expected, &entries, &done),
                };
                Input::Appended { id, outcome }
            }
            Effect::Recall {
                through,
                operations,
                places,
            } => match self.read(luck, through, &operations, &places) {
                Some(input) => input,
                None => {
                    return self.asked.push_back(Effect::Recall {
                        through,
                        operations,
                        places,
                    });
                }
            },
            Effect::Fetch { after } => {
                let page = 1 + usize::from(luck / 4 % 3);
                let entries = self.log.iter().skip(after.0 as usize).take(page);
                let entries = (!is_lost).then(|| entries.cloned().collect());
                self.is_fetching = true;
                Input::Fetched { entries }
            }
            Effect::Compact { through } => {
                if !is_lost {
                    self.snapshot_at(through.0 as usize);
                }
                let oldest = Version(1 + through.0 * u64::from(luck / 4 % 3) / 2);
                let kept = (!is_lost).then_some((through, oldest));
                Input::Compacted { kept }
            }
            Effect::Erase { former } => {
                if !is_lost {
                    self.erase(former);
                }
                Input::Erased { is_done: !is_lost }
            }
            other => panic!("the store is not asked for {other:?}"),
        };
        self.tell(input);
        self.is_fetching = false;
    }

    fn append(
        &mut self,
        id: AppendId,
        expected: Version,
        entries: &[Arc<Entry>],
        done: &[Done],
    ) -> Outcome {
        let head = Version(self.log.len() as u64);
        if head != expected {
            let is_ours = self.written.get(&expected.next()) == Some(&id);
            return match is_ours {
                true => Outcome::Kept,
                false => Outcome::Moved(Some((self.epoch, head))),
            };
        }
        // A room that nobody wrote is not kept, and nothing of it.
        if self.log.is_empty() && entries.is_empty() {
            self.ledger.pass_over(done);
        } else {
            self.ledger.keep(done);
        }
        for entry in entries {
            let is_same = |before: &Arc<Entry>| before.op.is_some() && before.op == entry.op;
            assert!(!self.log.iter().any(is_same), "G5: {:?} twice", entry.op);
            self.log.push(entry.clone());
            self.written.insert(entry.version, id);
        }
        Outcome::Kept
    }

    fn erase(&mut self, former: Bytes) {
        self.former = former;
        self.epoch = Epoch(Uuid::from_u128(self.epoch.0.as_u128() + 1));
        self.log.clear();
        self.snapshot = Snapshot::default();
        self.written.clear();
        self.acked.clear();
        self.theirs.clear();
        self.ledger = Ledger::default();
        // Clients in order begin anew with what the next epoch has.
        (0..self.peers.len()).for_each(|peer| self.renew_author(peer));
    }

    /// Another server keeps an edit of a client that is nobody else.
    pub fn others_write(&mut self, script: &mut Script<'_>) {
        self.others += 1;
        let author = Author::new((1 << 40) + self.others);
        let updates = self.kept_updates();
        updates.iter().for_each(|update| author.take(update));
        let update = author.edit(script);
        let mut there = fold(&self.former, updates.iter().map(|update| &**update));
        let Ok(Applied::Changed(changes)) = there.apply(&update) else {
            return;
        };
        let actor = Actor {
            user: "another".into(),
            client: "there".into(),
        };
        let events = changes.into_iter().map(|change| ChangeEvent {
            change,
            actor: actor.clone(),
        });
        let version = Version(self.log.len() as u64 + 1);
        self.theirs.insert(version);
        self.log.push(Arc::new(Entry {
            version,
            at: self.now.wall,
            actors: vec![actor.clone()],
            updates: vec![update],
            op: None,
            events: events.collect(),
        }));
    }

    /// What a server reads that opens the room: the newest snapshot, and the log after it.
    pub(super) fn kept_updates(&self) -> Vec<Bytes> {
        self.snapshot.with(&self.log)
    }

    /// The compactor makes a snapshot out of the one before and the log after that.
    fn snapshot_at(&mut self, through: usize) {
        let through = through.max(self.snapshot.covered);
        let updates = self.snapshot.with(&self.log[..through]);
        let mut document = fold(&self.former, updates.iter().map(|update| &**update));
        self.snapshot = Snapshot {
            covered: through,
            state: Some(document.state()),
        };
    }

    /// The room is gone from memory, in order or not, and is opened from what was kept, perhaps
    /// with a snapshot that another server made meanwhile.
    pub fn reopen(&mut self, is_newer: bool) {
        if is_newer {
            self.snapshot_at((self.snapshot.covered + self.log.len()).div_ceil(2));
        }
        self.asked.clear();
        self.ledger.underway = None;
        self.tried.clear();
        self.is_moved = false;
        self.openings += 1;
        self.released = self.log.len();
        self.room = open(
            &self.limits,
            self.epoch,
            &self.former,
            &self.log,
            &self.snapshot,
            self.openings,
        );
        let updates = self.kept_updates();
        self.heard = fold(&self.former, updates.iter().map(|update| &**update));
        self.peers.iter_mut().for_each(Peer::leave);
    }
}

/// The newest snapshot.
#[derive(Default)]
pub struct Snapshot {
    covered: usize,
    state: Option<Bytes>,
}

impl Snapshot {
    /// Its state, and what a log has after it.
    fn with(&self, log: &[Arc<Entry>]) -> Vec<Bytes> {
        let tail = log[self.covered..].iter();
        let tail = tail.flat_map(|entry| entry.updates.iter().cloned());
        self.state.iter().cloned().chain(tail).collect()
    }
}

/// Each opening writes under an id of its own.
pub(super) fn server(openings: u64) -> u32 {
    match openings {
        0 => SERVER,
        openings => (1 << 30) + openings as u32,
    }
}

pub(super) fn open(
    limits: &Arc<Limits>,
    epoch: Epoch,
    former: &[u8],
    log: &[Arc<Entry>],
    snapshot: &Snapshot,
    openings: u64,
) -> Room {
    let tail = log[snapshot.covered..].iter();
    let sizes = tail.flat_map(|entry| entry.updates.iter().map(Bytes::len));
    let standing = Standing {
        room: RoomId::parse("room").expect("a name"),
        epoch,
        head: Version(log.len() as u64),
        oldest: Version(1),
        snapshot: Version(snapshot.covered as u64),
        tail: Tail {
            updates: sizes.clone().count() as u64,
            bytes: sizes.map(|size| size as u64).sum(),
        },
    };
    let updates = snapshot.with(log);
    let updates = updates.iter().map(|update| &**update);
    let document = fold_under(server(openings), former, updates);
    // Append ids of two openings never meet.
    let seed = u128::from(openings) << 64;
    Room::open(&standing, document, seed, limits.clone())
}
