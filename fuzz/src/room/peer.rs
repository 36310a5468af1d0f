//! Owns one client of the world: its document, its session, what it waits for.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use roundtable::ids::{OpId, SessionId, Version};
use roundtable::room::index::StateVector;
use roundtable::room::operation::Operation;
use roundtable::room::{Event, Listen, Ticket};

use super::super::author::Author;
use super::presence::check;
use super::setting::parse;

/// One client.
pub struct Peer {
    /// Its document.
    pub author: Author,
    /// Its session, if it is there.
    pub session: Option<SessionId>,
    /// What it wants to hear.
    pub listen: Listen,
    /// What it sent, to be sent again.
    pub sent: Vec<Bytes>,
    /// What it is to send what is beyond.
    pub asked: Option<StateVector>,
    /// It is to ask for what it lacks.
    pub wants_diff: bool,
    /// It asked, and takes the next diff into its document.
    pub awaits_diff: bool,
    /// What is not answered yet.
    pub waiting: BTreeMap<Ticket, Waiting>,
    /// Pushes that are not answered yet.
    pub pushes: BTreeMap<Ticket, Push>,
}

/// Operations that are to be answered together.
pub struct Push {
    /// In their order.
    pub operations: Vec<Operation>,
    /// The store is being asked about them.
    pub is_asked: bool,
    /// The head of the log when they were judged, if they are.
    pub judged_at: Option<Version>,
    /// Those whose results were kept when the store was asked.
    pub repeats: BTreeSet<OpId>,
}

impl Push {
    /// A push that waits.
    pub fn new(operations: Vec<Operation>) -> Self {
        Self {
            operations,
            is_asked: false,
            judged_at: None,
            repeats: BTreeSet::new(),
        }
    }
}

/// A submission that is to be answered.
pub struct Waiting {
    /// What was sent.
    pub update: Bytes,
    /// Whether it comes back with the answer.
    pub comes_back: bool,
    /// How it waits.
    pub for_what: For,
}

/// What a submission waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// An answer that is already here, or comes with its own append.
    Append,
    /// What was known before is to be kept.
    Others,
    /// Nothing: it left a gap.
    Nothing,
}

impl Peer {
    /// A client that is not there.
    pub fn new(id: u64) -> Self {
        Self {
            author: Author::new(id),
            session: None,
            listen: Listen::Live,
            sent: Vec::new(),
            asked: None,
            wants_diff: false,
            awaits_diff: false,
            waiting: BTreeMap::new(),
            pushes: BTreeMap::new(),
        }
    }

    /// Its session is over; nothing is answered any more.
    pub fn leave(&mut self) {
        self.session = None;
        self.asked = None;
        self.wants_diff = false;
        self.awaits_diff = false;
        self.waiting.clear();
        self.pushes.clear();
    }

    /// Takes in what the room says to it alone. Answers whether its session is over.
    pub fn hear(&mut self, event: &Event) -> bool {
        match event {
            Event::Diff { chunks, since, .. } => {
                if std::mem::take(&mut self.awaits_diff) {
                    chunks
                        .iter()
                        .chain(since)
                        .for_each(|update| self.author.take(update));
                }
                false
            }
            Event::Missing { state_vector } => {
                self.asked = Some(parse(state_vector));
                false
            }
            Event::Presence(shown) => {
                check(shown);
                false
            }
            Event::Kept { .. } | Event::Pushed { .. } | Event::Refused { .. } => false,
            Event::Ended(_) => true,
        }
    }
}
