//! Owns one client of the world: its document, its session, what it waits for.

use std::collections::BTreeMap;

use bytes::Bytes;
use roundtable::ids::SessionId;
use roundtable::room::index::StateVector;
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
    /// It takes the next diff into its document.
    pub wants_diff: bool,
    /// What is not answered yet.
    pub waiting: BTreeMap<Ticket, Waiting>,
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
            waiting: BTreeMap::new(),
        }
    }

    /// Its session is over; nothing is answered any more.
    pub fn leave(&mut self) {
        self.session = None;
        self.asked = None;
        self.wants_diff = false;
        self.waiting.clear();
    }

    /// Takes in what the room says to it alone. Answers whether its session is over.
    pub fn hear(&mut self, event: &Event) -> bool {
        match event {
            Event::Diff { chunks, since, .. } => {
                if std::mem::take(&mut self.wants_diff) {
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
