//! Owns the end of a world: the weather clears, everyone comes to rest, and all is compared.

use std::collections::BTreeMap;

use roundtable::ids::SessionId;
use roundtable::room::Departure;

use crate::caller::counted;
use crate::client::{Client, includes};
use crate::server;
use crate::store::Verdict;
use crate::world::{Place, World};

/// So many rounds of hearing everything and waiting are enough for anybody.
const ROUNDS_MAX: usize = 120;

impl World {
    /// Everything that is on its way arrives, calls end well, and most clients are here.
    pub fn settle(&mut self) {
        self.is_calm = true;
        for at in 0..self.clients.len() {
            self.clients[at].leaves = self.dice.one_in(6);
            if self.clients[at].leaves && self.dice.one_in(2) {
                self.part(at);
            }
        }
        let mut quiet = 0;
        let mut has_spoken = false;
        for _ in 0..ROUNDS_MAX {
            let is_busy = self.calm_round();
            quiet = if is_busy { 0 } else { quiet + 1 };
            if quiet == 3 && has_spoken {
                return;
            }
            if quiet == 3 {
                // A room hears of what was written beside it when it next writes itself.
                (0..self.places.len()).for_each(|room| self.speak_last(room));
                (has_spoken, quiet) = (true, 0);
            }
        }
        panic!("the world does not come to rest");
    }

    /// One of those who are in a room edits once more.
    fn speak_last(&mut self, room: usize) {
        let mut clients = self.clients.iter();
        let speaks = clients.position(|client| {
            client.room == room && client.session.is_some() && !client.is_reader
        });
        if let Some(at) = speaks {
            self.edit(at);
        }
    }

    /// One round; whether anything happened.
    fn calm_round(&mut self) -> bool {
        let mut is_busy = false;
        for at in 0..self.clients.len() {
            let client = &self.clients[at];
            match (client.session, client.leaves) {
                (None, false) => {
                    is_busy = true;
                    self.come(at);
                }
                (Some(_), true) => {
                    is_busy = true;
                    self.part(at);
                }
                (None, true) | (Some(_), false) => {}
            }
        }
        is_busy |= self.notice_all();
        for room in 0..self.places.len() {
            is_busy |= self.room_reads_all(room);
        }
        while !self.errands.is_empty() || !self.answers.is_empty() {
            is_busy = true;
            if !self.errands.is_empty() {
                self.allow(0, Verdict::Done);
            }
            self.answer();
        }
        for at in 0..self.clients.len() {
            is_busy |= self.client_hears_all(at);
        }
        for at in 0..self.readers.len() {
            is_busy |= self.reader_goes_on(at);
        }
        is_busy |= self.callers_go_on();
        self.pass(6_000);
        is_busy || !self.errands.is_empty()
    }

    fn notice_all(&mut self) -> bool {
        let mut cut: Vec<(usize, SessionId)> = Vec::new();
        for (room, place) in self.places.iter().enumerate() {
            if let Place::Live(host) = place {
                let links = host.links.values().filter(|link| link.is_cut);
                cut.extend(links.map(|link| (room, link.session)));
            }
        }
        for (room, session) in &cut {
            self.detach(*room, *session, Departure::Lost);
        }
        !cut.is_empty()
    }

    fn room_reads_all(&mut self, room: usize) -> bool {
        let mut is_busy = false;
        for _ in 0..200 {
            let waits = |place: &Place| match place {
                Place::Live(host) => host.links.values().any(|link| !link.inbound.is_empty()),
                Place::Closed | Place::Opening(_) => false,
            };
            if !waits(&self.places[room]) {
                break;
            }
            is_busy = true;
            self.room_reads(room);
        }
        is_busy
    }

    fn client_hears_all(&mut self, at: usize) -> bool {
        let mut is_busy = false;
        while let Some(session) = self.clients[at].session {
            let room = self.clients[at].room;
            let is_quiet = match self.link(room, session) {
                Some(link) => link.is_quiet(),
                None => panic!("client {at} has a connection that is not there"),
            };
            if is_quiet {
                break;
            }
            let before = self.link(room, session).map(|link| link.inbound.len());
            let had = self.link(room, session).map(|link| link.wire.len());
            is_busy = true;
            self.client_hears(at);
            let after = self.link(room, session).map(|link| link.inbound.len());
            let has = self.link(room, session).map(|link| link.wire.len());
            // What is left waits for the room.
            if has == Some(0) && had == Some(0) && before == after {
                break;
            }
        }
        is_busy
    }

    fn reader_goes_on(&mut self, at: usize) -> bool {
        let room = self.readers[at].room;
        if let Some(session) = self.readers[at].session {
            self.reader_hears(at, session);
            return true;
        }
        if self.readers[at].is_waiting {
            return true;
        }
        if self.host(room).is_none() {
            // Only who wants something opens a room.
            let is_behind = self.model.current(room).is_some_and(|history| {
                self.readers[at].position != Some((history.epoch, history.head()))
            });
            if is_behind {
                self.open(room);
            }
            return is_behind;
        }
        let before = self.readers[at].position;
        let stored = self.model.current(room);
        let has_all = stored.is_some_and(|history| before == Some((history.epoch, history.head())));
        if has_all && self.is_unaware(room) {
            return false;
        }
        self.reader_asks(at);
        self.readers[at].is_waiting || self.readers[at].position != before
    }

    /// Whether a room was opened as new, and somebody else made it since.
    fn is_unaware(&self, room: usize) -> bool {
        match (&self.places[room], self.model.current(room)) {
            (Place::Live(host), Some(history)) => host.room.epoch() != history.epoch,
            _ => false,
        }
    }

    /// Everything is compared with everything.
    pub fn judge(&self) {
        assert!(self.errands.is_empty() && self.answers.is_empty());
        for room in 0..self.places.len() {
            self.judge_room(room);
        }
        for (at, client) in self.clients.iter().enumerate() {
            let is_answered = client.unanswered.is_empty();
            assert!(is_answered, "G1: client {at} waits for an ack");
        }
    }

    fn judge_room(&self, room: usize) {
        let is_unaware = self.is_unaware(room);
        let writes = |client: &&Client| client.room == room && !client.leaves && !client.is_reader;
        if is_unaware {
            // Who writes there is told so, and comes back.
            assert_eq!(
                self.clients.iter().filter(writes).count(),
                0,
                "G4: one epoch"
            );
            return;
        }
        let stands = match &self.places[room] {
            Place::Live(host) => Some(host.room.position().version),
            Place::Closed | Place::Opening(_) => None,
        };
        let durable = match self.model.current(room) {
            Some(history) => {
                history.check_records();
                let counted = counted(&history.json_at(history.head()));
                // Two servers that wrote at once merged, in another order than the log's.
                let is_same = history.is_raced || counted == history.counted;
                assert!(is_same, "G5: each add counts once");
                // What was written beside the room it hears of when it next writes itself.
                let at = stands.unwrap_or(history.head());
                let mut beyond = history.entries[at.0 as usize..].iter();
                let is_beside = history.is_raced || beyond.all(|entry| entry.actors.is_empty());
                assert!(is_beside, "G1: the room knows all that it wrote");
                for reader in self.readers.iter().filter(|reader| reader.room == room) {
                    reader.judge(history, at);
                }
                history.json_at(at)
            }
            None => "{}".into(),
        };
        let here = |client: &&Client| client.room == room && !client.leaves;
        let here: Vec<_> = self.clients.iter().filter(here).collect();
        if let Place::Live(host) = &self.places[room] {
            assert_eq!(host.room.json(), durable, "G4: room and log");
            assert_eq!(host.room.backlog_bytes(), 0, "G1: everything is durable");
        } else {
            assert!(here.is_empty(), "a room with clients is there");
        }
        let mut present = BTreeMap::new();
        for own in here.iter().flat_map(|client| &client.own) {
            present.insert(own.id, own.says.clone());
        }
        present.retain(|_, says| says.is_some());
        for client in here {
            // A reader may hold what was never durable, and whose author did not come back: nobody
            // takes it from it.
            let is_equal = client.is_reader || client.copy.json() == durable;
            assert!(is_equal, "G4: {} and the log", client.user);
            if let Place::Live(host) = &self.places[room] {
                let has_all = includes(&client.copy.clocks(), &server::clocks(&host.room));
                assert!(has_all, "G3: {} lacks something", client.user);
            }
            let mut seen: BTreeMap<_, _> = client
                .others
                .iter()
                .filter(|(_, (_, says))| says.is_some())
                .map(|(id, (_, says))| (*id, says.clone()))
                .collect();
            for own in &client.own {
                seen.extend(own.says.is_some().then(|| (own.id, own.says.clone())));
            }
            assert_eq!(seen, present, "PR5: {} sees who is here", client.user);
        }
    }
}
