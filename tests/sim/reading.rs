//! Owns the steps of clients of the kept lane.

use bytes::Bytes;
use roundtable::ids::SessionId;
use roundtable::room::index::StateVector;
use roundtable::room::{Access, CatchUp, Departure, Occasion, Refusal};

use crate::client::includes;
use crate::document::Copy;
use crate::errand::{self, Errand, Kind};
use crate::link::{Packet, Peer};
use crate::server;
use crate::world::{Place, World};

impl World {
    /// A client of the kept lane does its next step.
    pub fn reader_acts(&mut self) {
        let at = self.dice.below(self.readers.len());
        let room = self.readers[at].room;
        if let Some(session) = self.readers[at].session {
            return self.reader_hears(at, session);
        }
        if self.host(room).is_none() {
            return self.open(room);
        }
        if self.dice.one_in(3) {
            return self.reader_submits(at);
        }
        if !self.readers[at].is_waiting {
            self.reader_asks(at);
        }
    }

    /// It asks for what comes after its position.
    pub fn reader_asks(&mut self, at: usize) {
        let reader = &mut self.readers[at];
        let room = reader.room;
        let Place::Live(host) = &self.places[room] else {
            return;
        };
        let head = host.room.position();
        let since = reader
            .position
            .map(|(epoch, version)| (Some(epoch), version));
        let plan = host.room.since(since);
        match plan {
            CatchUp::Current => {}
            CatchUp::Replay(entries) => {
                let entries = entries.iter().map(|entry| &**entry);
                reader.replay(head.epoch, entries, &self.model);
                assert_eq!(reader.position, Some((head.epoch, head.version)));
                self.tally.replayed += 1;
            }
            CatchUp::Log(after) => {
                reader.is_waiting = true;
                let page = 1 + self.dice.below(6);
                let on_behalf = errand::Client {
                    store: self.store.clone(),
                    name: self.names[room].clone(),
                    epoch: head.epoch,
                };
                let rows = on_behalf.rows(at, head, after, page);
                self.errands.push(Errand::new(room, 0, Kind::Read, rows));
                self.tally.replayed += 1;
            }
            CatchUp::Snapshot(reason) => {
                let oldest = crate::reader::oldest(&self.store, &self.names[room], head.epoch);
                self.readers[at].check_reason(reason, head.epoch, oldest, &self.model);
                self.whole_state(at, head, reason);
            }
        }
        self.trace(|| format!("reader {at} is at {:?}", self.readers[at].position));
    }

    /// It edits its document and submits what the room lacks, as far as it knows.
    pub fn reader_submits(&mut self, at: usize) {
        let room = self.readers[at].room;
        if self.dice.one_in(2) {
            drop(self.readers[at].copy.edit(&mut self.dice));
        }
        let session = self.attach(room, Peer::Reader(at), "reader", Access::Write);
        let reader = &mut self.readers[at];
        reader.session = Some(session);
        let update = reader.copy.beyond(&reader.room_has);
        // The room may have ended while it came.
        if let Some(link) = self.link(room, session) {
            let ticket = link.submit(Occasion::Edit, update);
            self.readers[at].ticket = Some(ticket);
        }
    }

    /// It waits for its answer, then takes what it lacks and goes.
    pub fn reader_hears(&mut self, at: usize, session: SessionId) {
        let room = self.readers[at].room;
        if let Some(host) = self.host(room) {
            assert!(host.refill(session).is_empty());
        }
        // Who is given a state waits until all of it may be told.
        if self.host(room).is_some_and(|host| host.room.has_untold()) {
            return;
        }
        let Some(link) = self.link(room, session) else {
            return self.readers[at].lose();
        };
        let Some(packet) = link.wire.pop_front() else {
            return;
        };
        self.trace(|| format!("reader {at} hears {packet:?}"));
        match packet {
            Packet::Kept(tickets) => {
                assert_eq!(Some(tickets[0]), self.readers[at].ticket, "its own ack");
                let has = self.readers[at].copy.clocks();
                if let Some(host) = self.host(room) {
                    let mark = server::clocks(&host.room);
                    match host.room.diff(&has.encode()) {
                        Ok((update, _)) => self.reader_takes(at, &update, mark),
                        Err(_) => self.reader_forgets(at),
                    }
                }
            }
            Packet::Refused(_, refusal) => match refusal {
                Refusal::Incomplete { state_vector } => {
                    let clocks = StateVector::parse(&state_vector);
                    self.readers[at].room_has = clocks.expect("a room says a state vector");
                }
                Refusal::EpochChanged => self.reader_forgets(at),
                Refusal::Unavailable | Refusal::RoomDeleted => {}
                other => panic!("reader {at} is refused: {other:?}"),
            },
            Packet::Ended(_) => {}
            other => panic!("reader {at} hears {other:?}"),
        }
        self.readers[at].lose();
        self.orphans.retain(|link| link.session != session);
        self.detach(room, session, Departure::Clean);
    }

    pub fn reader_takes(&mut self, at: usize, update: &Bytes, mark: StateVector) {
        let reader = &mut self.readers[at];
        assert!(reader.copy.take(update), "G3: a diff leaves a gap");
        let has = reader.copy.clocks();
        assert!(includes(&has, &mark), "G3: a diff lacks something");
        reader.room_has = mark;
    }

    pub fn reader_forgets(&mut self, at: usize) {
        let id = self.count();
        self.readers[at].copy = Copy::new(id);
        self.readers[at].room_has = StateVector::default();
    }
}
