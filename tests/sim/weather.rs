//! Owns what happens to a world: the store, the time, the power, and whoever writes beside.

use roundtable::ids::{AppendId, Epoch, Millis, UnixMillis, Version};
use roundtable::room::{Access, Departure, End, Input};
use roundtable::store::{Append, Appended, Row};
use roundtable::wire::stored;
use uuid::Uuid;

use crate::document::Copy;
use crate::errand::{Errand, Kind};
use crate::link::Peer;
use crate::store::Verdict;
use crate::world::{Place, World};

impl World {
    /// A call to the store ends, well or badly; now and then all appends end together.
    pub fn store_acts(&mut self) {
        if self.errands.is_empty() {
            return;
        }
        let verdict = match self.dice.below(if self.is_calm { 1 } else { 10 }) {
            0..7 => Verdict::Done,
            7 | 8 => Verdict::FailedBefore,
            _ => Verdict::FailedAfter,
        };
        if self.dice.one_in(3) {
            let mut at = 0;
            while at < self.errands.len() {
                let is_append = self.errands[at].kind == Kind::Append;
                let is_going_on = !is_append || !self.allow(at, verdict);
                at += usize::from(is_going_on);
            }
            return;
        }
        let at = self.dice.below(self.errands.len());
        self.allow(at, verdict);
    }

    /// One errand goes on by a call; whether it ended.
    pub fn allow(&mut self, at: usize, verdict: Verdict) -> bool {
        let errand = &mut self.errands[at];
        let (room, opening, kind) = (errand.room, errand.opening, errand.kind);
        let done = errand.allow(&self.store, verdict);
        self.trace(|| format!("store: {kind:?} of room {room} {verdict:?}"));
        let is_live = matches!(&self.places[room], Place::Live(host) if host.opening == opening);
        if kind == Kind::Append && !is_live {
            self.model.race(room);
            self.tally.raced += 1;
        }
        if kind == Kind::Erase {
            self.tally.deletions += 1;
        }
        self.model.observe(room, &self.store, kind == Kind::Erase);
        let Some(done) = done else {
            return false;
        };
        self.errands.swap_remove(at);
        self.done(room, opening, done);
        true
    }

    /// A room is told how an errand ended.
    pub fn answer(&mut self) {
        if self.answers.is_empty() {
            return;
        }
        let at = self.dice.below(self.answers.len());
        let (room, opening, input) = self.answers.remove(at).expect("it is there");
        if matches!(&self.places[room], Place::Live(host) if host.opening == opening) {
            self.tell(room, vec![input]);
        }
    }

    /// Somebody beside the server writes an entry, in a root of their own.
    pub fn write_beside(&mut self, room: usize) {
        // Nobody can hear of it whose room is being erased.
        let is_erasing = |errand: &Errand| errand.room == room && errand.kind == Kind::Erase;
        let Some(history) = self.model.current(room) else {
            return;
        };
        if self.errands.iter().any(is_erasing) {
            return;
        }
        self.outsider += 1;
        let copy = Copy::new(self.outsider);
        for update in history.entries.iter().flat_map(|entry| &entry.updates) {
            assert!(copy.take(update), "the log leaves no gap");
        }
        let (epoch, expected) = (history.epoch, history.head());
        let update = copy.edit_alone(&mut self.dice);
        let row = Row {
            version: expected.next(),
            at: self.now.wall,
            actors: "[]".into(),
            ops: "[]".into(),
            update: stored::pack(&[update]),
            events: "[]".into(),
        };
        let kept = self.append_beside(room, epoch, expected, row);
        assert_eq!(kept, Appended::Kept);
        self.trace(|| format!("somebody writes {}", expected.next()));
        self.model.observe(room, &self.store, false);
    }

    pub fn append_beside(
        &mut self,
        room: usize,
        epoch: Epoch,
        expected: Version,
        row: Row,
    ) -> Appended {
        let id = AppendId(Uuid::from_u128(u128::from(self.dice.next())));
        self.store.write_beside(Append {
            room: self.names[room].clone(),
            epoch,
            id,
            expected,
            rows: vec![row],
            ops: Vec::new(),
            conflicts: Vec::new(),
        })
    }

    /// Time passes; rooms are told when they want to be.
    pub fn wait(&mut self) {
        let ms = *self.dice.pick(&[1, 40, 1_000, 6_000, 40_000]);
        self.pass(ms);
    }

    /// So much time passes.
    pub fn pass(&mut self, ms: u64) {
        self.trace(|| format!("{ms} ms pass"));
        let until = self.now.mono.plus(ms);
        loop {
            let live = self.places.iter().enumerate();
            let due = live.filter_map(|(room, place)| match place {
                Place::Live(host) => host.room.deadline().map(|due| (due, room)),
                Place::Closed | Place::Opening(_) => None,
            });
            let Some((due, room)) = due.min().filter(|(due, _)| *due <= until) else {
                break;
            };
            self.pass_to(due);
            self.tell(room, vec![Input::Tick]);
        }
        self.pass_to(until);
    }

    pub fn pass_to(&mut self, mono: Millis) {
        self.now.wall = UnixMillis(self.now.wall.0 + (mono.0 - self.now.mono.0) as i64);
        self.now.mono = mono;
    }

    /// The process ends without a word. What the store was told, it may still do.
    pub fn lose_power(&mut self) {
        self.trace(|| "the power goes".into());
        self.tally.power_losses += 1;
        for place in &mut self.places {
            if let Place::Live(host) = place {
                self.tally.live += host.room.live_count();
            }
            *place = Place::Closed;
        }
        self.answers.clear();
        self.orphans.clear();
        for at in 0..self.clients.len() {
            self.clients[at].lose();
        }
        for reader in &mut self.readers {
            reader.lose();
            reader.is_waiting = false;
        }
        let dice = &mut self.dice;
        // A deletion that nobody waits for ends at once or never; a read is of no use any more.
        self.errands.retain(|errand| match errand.kind {
            Kind::Append | Kind::Compact => dice.one_in(3),
            Kind::Open | Kind::Recall | Kind::Fetch | Kind::Read | Kind::Erase => false,
        });
        self.store.lose_power(&self.names);
        // Nothing starts in no time.
        self.pass(1_000);
    }

    /// One room fails, and is opened anew by whoever comes next.
    pub fn close_room(&mut self, room: usize, end: &End) {
        if self.host(room).is_some() {
            self.trace(|| format!("room {room} fails"));
            // A deletion that nobody waits for would end what was written since.
            self.errands
                .retain(|errand| errand.room != room || errand.kind != Kind::Erase);
            self.close(room, end);
        }
    }

    /// An administrator deletes a room.
    pub fn delete(&mut self, room: usize) {
        if self.host(room).is_some() {
            let session = self.attach(room, Peer::Reader(usize::MAX), "admin", Access::Admin);
            self.tell(room, vec![Input::Delete { session }]);
            self.detach(room, session, Departure::Clean);
        }
    }
}
