//! Owns how the events of Socket.IO clients become JSON messages, and JSON messages their events:
//! one table of names and shapes, in `docs/PROTOCOLS.md`. Knows no socket.
//!
//! A [`Dialogue`] is one client's. It hears events and asks for what they mean; it is told what the
//! room says to JSON readers, and says it in the client's words.

mod change;
mod events;
mod follow;
mod hear;
mod outcomes;
mod people;
mod shapes;
mod tell;

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use self::people::{Own, People};
use crate::ids::RoomId;
use crate::room::Identity;

/// Changes that a table's subscriber is told of at first.
const RECENT_EVENTS: usize = 50;

/// Missed events are told in one message, or in messages of this size when there are many.
const GATHERED_BYTES_MAX: usize = 4 << 20;

/// What a client is sent.
#[derive(Debug)]
pub enum Out<A> {
    /// An event and its one argument, if it has one.
    Emit(Cow<'static, str>, Option<Box<RawValue>>),
    /// The answer to an event that asked for one.
    Ack(A, Box<RawValue>),
}

impl<A> Out<A> {
    /// About how much it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let body = match self {
            Self::Emit(_, body) => body.as_deref(),
            Self::Ack(_, body) => Some(&**body),
        };
        64 + body.map_or(0, |body| body.get().len())
    }
}

/// What a client wants passed on with a change, and nobody keeps.
#[derive(Debug, Clone)]
pub struct Luggage {
    /// Its base.
    pub base: Option<Box<RawValue>>,
    /// Its metadata: an object.
    pub metadata: Option<Box<RawValue>>,
}

/// Finds the luggage of an operation.
pub trait Rack {
    /// What goes with the operation of this name in a room.
    fn find(&self, room: &str, op: &str) -> Option<Arc<Luggage>>;
}

/// What a room is in the client's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A table, with presence.
    Table,
    /// A project, with operations alone.
    Project,
}

impl Kind {
    /// The room of a table or project.
    fn room(self, name: &str) -> Result<RoomId, Unfit> {
        let (prefix, reason) = match self {
            Self::Table => ("table", "tableId is no name of a table"),
            Self::Project => ("project", "projectId is no name of a project"),
        };
        if name.is_empty() {
            return Err(Unfit(reason));
        }
        RoomId::parse(&format!("{prefix}:{name}")).map_err(|_| Unfit(reason))
    }

    /// What a room is, and its name there.
    fn of(room: &str) -> Option<(Self, &str)> {
        let (prefix, name) = room.split_once(':')?;
        match prefix {
            "table" => Some((Self::Table, name)),
            "project" => Some((Self::Project, name)),
            _ => None,
        }
    }
}

/// An event that does not say anything that can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unfit(&'static str);

/// A room that the client follows, or is about to.
#[derive(Debug)]
struct Followed<A> {
    own: Own,
    people: People,
    gathering: Option<Gathering<A>>,
}

/// Events that are told at once, in one list.
#[derive(Debug)]
struct Gathering<A> {
    purpose: Purpose,
    /// It is complete with this version.
    until: u64,
    events: VecDeque<Box<RawValue>>,
    bytes: usize,
    /// How many were told before.
    told: usize,
    ack: Option<A>,
}

/// Why a client follows a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// It comes.
    Come,
    /// It comes back.
    Recover,
}

/// What was asked for with a message.
#[derive(Debug)]
enum Asked<A> {
    /// To follow a room.
    Follow {
        room: RoomId,
        purpose: Purpose,
        ack: Option<A>,
    },
    /// One change; whether the record was to be given an id.
    Change {
        room: RoomId,
        names_record: bool,
        ack: Option<A>,
    },
    /// Some of the changes that were made offline.
    Offline { batch: u64 },
    /// Something that is done or not.
    Act { ack: Option<A> },
    /// What goes along with another message: its refusal says it all.
    Along,
}

/// Changes that were made offline, sent to some rooms.
#[derive(Debug)]
struct Batch<A> {
    waiting: usize,
    is_ok: bool,
    version: u64,
    ack: Option<A>,
}

/// One client's side of the conversation.
#[derive(Debug)]
pub struct Dialogue<A> {
    identity: Arc<Identity>,
    device: Arc<str>,
    /// Operations without a name get one that begins so.
    prefix: String,
    count: u64,
    asked: HashMap<u64, Asked<A>>,
    batches: HashMap<u64, Batch<A>>,
    followed: HashMap<Box<str>, Followed<A>>,
    asks: VecDeque<String>,
    outs: VecDeque<Out<A>>,
    luggage: Vec<(RoomId, String, Luggage)>,
}

impl<A> Dialogue<A> {
    /// A conversation that begins. `prefix` is unique.
    #[must_use]
    pub fn new(identity: Arc<Identity>, device: Arc<str>, prefix: String) -> Self {
        Self {
            identity,
            device,
            prefix,
            count: 0,
            asked: HashMap::new(),
            batches: HashMap::new(),
            followed: HashMap::new(),
            asks: VecDeque::new(),
            outs: VecDeque::new(),
            luggage: Vec::new(),
        }
    }

    /// The next JSON message that it asks with.
    pub fn next_ask(&mut self) -> Option<String> {
        self.asks.pop_front()
    }

    /// What the client is to be sent next.
    pub fn next_out(&mut self) -> Option<Out<A>> {
        self.outs.pop_front()
    }

    /// What goes with operations that were asked for.
    pub fn luggage(&mut self) -> impl Iterator<Item = (RoomId, String, Luggage)> {
        self.luggage.drain(..)
    }

    fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Asks with a message whose answer is known by its number.
    fn ask(&mut self, asked: Asked<A>, write: impl FnOnce(u64) -> String) {
        let id = self.number();
        self.asked.insert(id, asked);
        self.asks.push_back(write(id));
    }

    fn emit(&mut self, event: &'static str, body: &impl Serialize) {
        self.outs
            .push_back(Out::Emit(event.into(), Some(raw(body))));
    }

    fn acknowledge(&mut self, ack: Option<A>, body: &impl Serialize) {
        if let Some(ack) = ack {
            self.outs.push_back(Out::Ack(ack, raw(body)));
        }
    }
}

fn raw(body: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(body).expect("it is made of strings, numbers and JSON")
}

#[cfg(test)]
mod tests;
