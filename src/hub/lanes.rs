//! Owns what a room tells many: the rings of live frames, the messages of JSON readers, and whom to
//! wake for them.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::outbox::{Outbox, Stuck};
use super::ring::{Batch, LiveCursor, Ring};
use super::told::{Told, ToldCursor};
use crate::ids::{Epoch, RoomId, SessionId};
use crate::limits::Limits;
use crate::room::message::Said;
use crate::room::presence::Stir;
use crate::room::{End, Entry, Event, Listen, LiveEvent, Room};
use crate::wire::{Dialect, present};

/// What a session hears besides answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hears {
    /// Live frames of a dialect.
    Live(Dialect),
    /// Messages for JSON readers.
    Told,
    /// Nothing.
    Answers,
}

impl Hears {
    /// In the room's words.
    #[must_use]
    pub fn listen(self) -> Listen {
        match self {
            Self::Live(Dialect::Yjs) => Listen::Live,
            // Its clients count what is saved by the questions that they are asked.
            Self::Live(Dialect::Hocuspocus) => Listen::InTurn,
            Self::Told | Self::Answers => Listen::Answers,
        }
    }
}

#[derive(Debug)]
struct Listener {
    hears: Hears,
    outbox: Arc<Outbox>,
}

/// Everyone who listens to a room, and what they share.
pub struct Lanes {
    room: RoomId,
    listeners: FxHashMap<SessionId, Listener>,
    rings: Vec<(Arc<Ring>, Batch)>,
    told: Option<Arc<Told>>,
    limits: Arc<Limits>,
}

impl Lanes {
    /// Nobody listens yet.
    #[must_use]
    pub fn new(room: RoomId, limits: Arc<Limits>) -> Self {
        Self {
            room,
            listeners: FxHashMap::default(),
            rings: Vec::new(),
            told: None,
            limits,
        }
    }

    /// A session comes.
    pub fn enter(&mut self, session: SessionId, hears: Hears, outbox: Arc<Outbox>) {
        self.listeners.insert(session, Listener { hears, outbox });
    }

    /// A session goes; its outbox, if it was there.
    pub fn leave(&mut self, session: SessionId) -> Option<Arc<Outbox>> {
        let left = self.listeners.remove(&session);
        left.map(|listener| listener.outbox)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.listeners.len()
    }

    /// A place at the end of a dialect's ring, which is made if need be.
    pub fn live_cursor(&mut self, dialect: Dialect, room: &Room) -> LiveCursor {
        let is_it = |(ring, _): &&(Arc<Ring>, Batch)| ring.dialect() == dialect;
        if let Some((ring, _)) = self.rings.iter().find(is_it) {
            return ring.cursor();
        }
        self.publish(room);
        let ring = Arc::new(Ring::new(dialect, room.live_count(), room.state_vector()));
        let cursor = ring.cursor();
        self.rings.push((ring, Batch::default()));
        cursor
    }

    /// A place at the end of what JSON readers hear.
    pub fn told_cursor(&mut self) -> ToldCursor {
        let make = || Arc::new(Told::new(self.limits.told_bytes_max));
        self.told.get_or_insert_with(make).cursor()
    }

    /// Encodes a live event for everyone but its sender; [`Lanes::publish`] tells it.
    pub fn add(&mut self, except: Option<SessionId>, event: &LiveEvent) {
        if let LiveEvent::Said(said) = event {
            self.say(except, said);
        }
        for (ring, batch) in &mut self.rings {
            batch.add(ring.dialect(), &self.room, except, event);
        }
    }

    /// Puts what gathered into the rings and wakes who hears them.
    pub fn publish(&mut self, room: &Room) {
        let mut has_news = false;
        for (ring, batch) in &mut self.rings {
            if batch.is_empty() {
                continue;
            }
            has_news = true;
            if ring.publish(std::mem::take(batch)) > self.limits.ring_bytes_max {
                ring.turn(room.state_vector());
            }
        }
        if has_news {
            self.wake(|hears| matches!(hears, Hears::Live(_)));
        }
    }

    /// Tells JSON readers, if there are any, of entries that are durable.
    pub fn release(&mut self, epoch: Epoch, entries: &[Arc<Entry>]) {
        self.told.take_if(|told| !told.is_heard());
        if let Some(told) = &self.told {
            told.release(&self.room, epoch, entries);
            self.wake(|hears| hears == Hears::Told);
        }
    }

    /// Tells JSON readers who joined, changed and left.
    pub fn stir(&mut self, stir: &Stir) {
        if let Some(told) = self.told.as_ref().filter(|told| told.is_heard()) {
            told.stir(&self.room, stir);
            self.wake(|hears| hears == Hears::Told);
        }
    }

    /// Tells JSON readers a message.
    fn say(&mut self, from: Option<SessionId>, said: &Said) {
        if let Some(told) = self.told.as_ref().filter(|told| told.is_heard()) {
            let Said {
                actor,
                at,
                utterance,
            } = said;
            told.say(from, present::message(&self.room, actor, *at, utterance));
            self.wake(|hears| hears == Hears::Told);
        }
    }

    /// Tells one session; one that takes nothing is told the end.
    pub fn tell(&mut self, session: SessionId, event: Event) -> Result<(), Stuck> {
        match self.listeners.get(&session) {
            Some(listener) => listener.outbox.push(event),
            None => Ok(()),
        }
    }

    /// Tells everyone the end.
    pub fn end(&self, end: &End) {
        for listener in self.listeners.values() {
            // One that is stuck is told the end in any case.
            let _ = listener.outbox.push(Event::Ended(end.clone()));
        }
    }

    fn wake(&self, who: impl Fn(Hears) -> bool) {
        let listeners = self.listeners.values();
        for listener in listeners.filter(|listener| who(listener.hears)) {
            listener.outbox.wake();
        }
    }
}
