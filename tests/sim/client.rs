//! Owns a client of the live lane: a document, presence as `y-protocols` keeps it, and what it does
//! with what it is told.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use roundtable::ids::SessionId;
use roundtable::room::index::StateVector;
use roundtable::room::message::Presented;
use roundtable::room::{End, Occasion, Refusal, Ticket};
use serde_json::Value as JsonValue;

use crate::document::Copy;
use crate::link::{Packet, Seen};

/// One of a client's own presence states.
pub struct Own {
    pub id: u64,
    pub clock: u32,
    /// What the client says now; `None` when it said goodbye. `y-protocols` takes an older state of
    /// its own back when it is told of it under a higher clock.
    pub says: Option<String>,
}

/// A client of the live lane.
pub struct Client {
    pub room: usize,
    pub user: String,
    /// Its token lets it read and be present, and nothing else.
    pub is_reader: bool,
    pub copy: Copy,
    pub own: Vec<Own>,
    pub session: Option<SessionId>,
    /// It does not come back at the end.
    pub leaves: bool,
    /// It has had a diff on this connection.
    pub is_synced: bool,
    /// Others, as `y-protocols` keeps them: clocks outlive states.
    pub others: BTreeMap<u64, (u32, Option<String>)>,
    /// Submissions that were not answered.
    pub unanswered: BTreeSet<Ticket>,
    /// Submissions that may stay without an answer: what they held was asked for again.
    pub superseded: BTreeSet<Ticket>,
    pub sent_before: Vec<Bytes>,
    /// On this connection it sent something that no correct client sends.
    pub has_erred: bool,
}

/// What a client does after it heard something.
#[derive(Debug)]
pub enum Reaction {
    Submit(Occasion, Bytes),
    Present(Vec<Presented>),
    /// The connection is over.
    Leave,
    /// The connection is over, and what it holds belongs to another epoch.
    Forget,
}

impl Client {
    pub fn new(room: usize, index: usize, id: u64, copy: Copy) -> Self {
        let ids = if index.is_multiple_of(3) { 2 } else { 1 };
        let own = (0..ids).map(|nth| Own {
            id: id * 10 + nth,
            clock: 0,
            says: Some("here".into()),
        });
        Self {
            room,
            user: format!("user {index}"),
            is_reader: index == 4,
            copy,
            own: own.collect(),
            session: None,
            leaves: false,
            is_synced: false,
            others: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            superseded: BTreeSet::new(),
            sent_before: Vec::new(),
            has_erred: false,
        }
    }

    /// The connection is gone: states of others are dropped, their clocks are not.
    pub fn lose(&mut self) {
        self.session = None;
        self.is_synced = false;
        self.has_erred = false;
        self.unanswered.clear();
        self.superseded.clear();
        self.others.values_mut().for_each(|(_, says)| *says = None);
    }

    /// What it says of itself.
    pub fn present(&self) -> Vec<Presented> {
        let own = self.own.iter();
        own.map(|own| presented(own.id, own.clock, own.says.as_deref()))
            .collect()
    }

    pub fn hear(&mut self, packet: Packet) -> Vec<Reaction> {
        match packet {
            Packet::Update(update) => {
                // What comes before the first diff is in it.
                if self.is_synced {
                    assert!(self.copy.take(&update), "G3: {} has a gap", self.user);
                }
                Vec::new()
            }
            Packet::Diff(updates, mark) => {
                for update in &updates {
                    assert!(self.copy.take(update), "G3: {} has a gap", self.user);
                }
                let has = self.copy.clocks();
                assert!(includes(&has, &mark), "G3: {}: a diff lacks", self.user);
                self.is_synced = true;
                Vec::new()
            }
            Packet::Presence(seen) => self.see(seen),
            Packet::Missing(clocks) => {
                self.superseded.append(&mut self.unanswered);
                let update = self.copy.beyond(&clocks);
                vec![Reaction::Submit(Occasion::Answer, update)]
            }
            Packet::Kept(tickets) => {
                for ticket in tickets {
                    let is_due = self.unanswered.remove(&ticket) || self.superseded.remove(&ticket);
                    assert!(is_due, "G1: {}: {ticket:?} is acked twice", self.user);
                }
                Vec::new()
            }
            Packet::Refused(ticket, refusal) => {
                let is_due = self.unanswered.remove(&ticket) || self.superseded.remove(&ticket);
                assert!(is_due, "{}: {ticket:?} is answered twice", self.user);
                match refusal {
                    Refusal::Unavailable | Refusal::RoomDeleted => vec![Reaction::Leave],
                    Refusal::Malformed(_) if self.has_erred => vec![Reaction::Leave],
                    Refusal::EpochChanged => vec![Reaction::Forget],
                    Refusal::Forbidden if self.is_reader => Vec::new(),
                    Refusal::Malformed(_)
                    | Refusal::Forbidden
                    | Refusal::Expired
                    | Refusal::Incomplete { .. }
                    | Refusal::Quarantined
                    | Refusal::TooLarge => panic!("{} is refused: {refusal:?}", self.user),
                }
            }
            Packet::Pushed(..) => panic!("{} operates on nothing", self.user),
            Packet::Ended(end) => match end {
                End::EpochChanged => vec![Reaction::Forget],
                End::RoomDeleted | End::Internal | End::Unavailable | End::Idle => {
                    vec![Reaction::Leave]
                }
                End::Malformed(_)
                | End::Expired
                | End::Forbidden
                | End::TooLarge
                | End::TooFast => panic!("{} is ended: {end:?}", self.user),
            },
        }
    }

    /// Takes presence in as `applyAwarenessUpdate` of `y-protocols` does.
    fn see(&mut self, all: Vec<Seen>) -> Vec<Reaction> {
        let mut reactions = Vec::new();
        for (client, clock, state) in all {
            let says = state.as_deref().map(says);
            if let Some(own) = self.own.iter_mut().find(|own| own.id == client) {
                let is_news = own.clock < clock || (own.clock == clock && says.is_none());
                if !is_news {
                    continue;
                }
                own.clock = clock;
                match (&own.says, says) {
                    // Nobody else ends it: it says so.
                    (Some(now), None) => {
                        own.clock += 1;
                        let again = presented(own.id, own.clock, Some(now));
                        reactions.push(Reaction::Present(vec![again]));
                    }
                    (_, says) => own.says = says,
                }
                continue;
            }
            let known = self.others.entry(client).or_insert((0, None));
            let is_news = known.0 < clock || (known.0 == clock && says.is_none());
            if is_news {
                *known = (clock, says);
            }
        }
        reactions
    }
}

/// Whether a state vector has all of another.
pub fn includes(has: &StateVector, wanted: &StateVector) -> bool {
    wanted
        .iter()
        .all(|(client, clock)| has.clock(client) >= clock)
}

pub fn presented(client: u64, clock: u32, says: Option<&str>) -> Presented {
    let state = says.map(|says| serde_json::json!({ "says": says }).to_string().into());
    Presented {
        client,
        clock,
        state,
    }
}

fn says(state: &str) -> String {
    let state: JsonValue = serde_json::from_str(state).expect("a room says JSON");
    let said = state["says"].as_str();
    said.expect("what was said is in it").to_owned()
}
