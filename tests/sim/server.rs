//! Owns one opening of a room, as its task holds it: core, ring, connections; what it wants done
//! goes to the world.

use std::collections::BTreeMap;
use std::sync::Arc;

use roundtable::hub::ring::{Batch, LiveCursor, Ring};
use roundtable::ids::{Now, RoomId, SessionId};
use roundtable::limits::Limits;
use roundtable::room::index::StateVector;
use roundtable::room::{Departure, Effect, Event, Input, LiveEvent, Outcome, Room};
use roundtable::wire::Dialect;

use crate::dice::Dice;
use crate::faults::Fault;
use crate::link::{self, Link, Live};

/// One opening of a room.
pub struct Host {
    pub opening: u64,
    pub room: Room,
    pub links: BTreeMap<SessionId, Link>,
    /// All live events of this opening.
    pub told: Vec<Live>,
    pub limits: Arc<Limits>,
    name: RoomId,
    ring: Arc<Ring>,
    batch: Batch,
    fault: Option<Fault>,
}

impl Host {
    pub fn new(opening: u64, room: Room, limits: Arc<Limits>, fault: Option<Fault>) -> Self {
        let ring = Ring::new(Dialect::Yjs, room.live_count(), room.state_vector());
        Self {
            opening,
            room,
            links: BTreeMap::new(),
            told: Vec::new(),
            limits,
            name: RoomId::parse("room").expect("a name"),
            ring: Arc::new(ring),
            batch: Batch::default(),
            fault,
        }
    }

    /// Tells the room several things at once, as its mailbox does; what is left for the world.
    pub fn tell(&mut self, inputs: Vec<Input>, now: Now, dice: &mut Dice) -> Vec<Effect> {
        let mut left = Vec::new();
        for input in inputs {
            let mut effects = Vec::new();
            self.room.handle(input, now, &mut effects);
            self.perform(effects, now, dice, &mut left);
        }
        let mut effects = Vec::new();
        self.room.settle(now, &mut effects);
        self.perform(effects, now, dice, &mut left);
        self.publish();
        if let Some(deadline) = self.room.deadline() {
            assert!(deadline > now.mono, "a past deadline makes the task spin");
        }
        left
    }

    fn perform(&mut self, effects: Vec<Effect>, now: Now, dice: &mut Dice, left: &mut Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Live { except, event } => self.say(except, event, dice),
                Effect::Tell { session, event } => {
                    if matches!(event, Event::Kept { .. })
                        && self.fault == Some(Fault::AckLost)
                        && dice.one_in(10)
                    {
                        continue;
                    }
                    left.push(Effect::Tell {
                        session,
                        event: event.clone(),
                    });
                    self.tell_one(session, event, now, dice, left);
                }
                Effect::Append { id, .. } if self.fault == Some(Fault::AckBeforeAppend) => {
                    left.push(effect);
                    let mut effects = Vec::new();
                    let outcome = Outcome::Kept;
                    let input = Input::Appended { id, outcome };
                    self.room.handle(input, now, &mut effects);
                    self.perform(effects, now, dice, left);
                }
                Effect::Append { .. }
                | Effect::Recall { .. }
                | Effect::Fetch { .. }
                | Effect::Compact { .. }
                | Effect::Release { .. }
                | Effect::Stir(_)
                | Effect::Erase { .. }
                | Effect::Quarantine { .. }
                | Effect::Rest
                | Effect::Abandon { .. } => left.push(effect),
            }
        }
    }

    fn say(&mut self, except: Option<SessionId>, mut event: LiveEvent, dice: &mut Dice) {
        if let (LiveEvent::Presence(shown), Some(Fault::PresenceGhost)) = (&event, self.fault) {
            let here = shown.iter().filter(|shown| shown.state.is_some());
            event = LiveEvent::Presence(here.cloned().collect());
        }
        self.told.push(link::live(except, &event));
        let is_update = matches!(event, LiveEvent::Update(_));
        if is_update && self.fault == Some(Fault::UpdateDropped) && dice.one_in(10) {
            event = LiveEvent::Presence([].into());
        }
        self.batch.add(Dialect::Yjs, &self.name, except, &event);
    }

    fn tell_one(
        &mut self,
        session: SessionId,
        mut event: Event,
        now: Now,
        dice: &mut Dice,
        left: &mut Vec<Effect>,
    ) {
        if matches!(event, Event::Diff { .. }) {
            self.publish();
        }
        if let Event::Diff { chunks, .. } = &mut event
            && self.fault == Some(Fault::ChunkDropped)
            && chunks.len() > 1
        {
            *chunks = chunks[1..].into();
        }
        let Some(link) = self.links.get_mut(&session) else {
            return;
        };
        if link.tell(event, || clocks(&self.room)) {
            return;
        }
        // A reader that took nothing: what it left is dropped, and it is told the end.
        let departure = Departure::Lost;
        let mut effects = Vec::new();
        let input = Input::Detach { session, departure };
        self.room.handle(input, now, &mut effects);
        self.perform(effects, now, dice, left);
    }

    fn publish(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        if self.ring.publish(batch) > self.limits.ring_bytes_max {
            self.ring.turn(self.room.state_vector());
        }
    }

    /// A connection gets its place in the ring.
    pub fn cursor(&mut self) -> LiveCursor {
        self.publish();
        self.ring.cursor()
    }

    /// Puts on its way what one connection takes; what its socket asks then.
    pub fn refill(&mut self, session: SessionId) -> Vec<Input> {
        let link = self.links.get_mut(&session);
        link.map_or_else(Vec::new, |link| link.refill(&self.told))
    }

    /// How many bytes of frames it holds for those who are behind.
    pub fn ring_bytes(&self) -> usize {
        self.ring.bytes()
    }
}

/// What a room has.
pub fn clocks(room: &Room) -> StateVector {
    StateVector::parse(&room.state_vector()).expect("a room says a state vector")
}
