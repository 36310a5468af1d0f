//! Owns what happens in a world: one step at a time, drawn by lot.

use bytes::Bytes;
use roundtable::ids::{AppendId, Epoch, UnixMillis, Version};
use roundtable::room::index::StateVector;
use roundtable::room::{Access, CatchUp, Departure, End, Input, Occasion};
use roundtable::store::{Append, Appended, Row};
use roundtable::wire::stored;
use uuid::Uuid;

use crate::client::{self, includes, presented};
use crate::document::Copy;
use crate::errand::{self, Errand, Kind};
use crate::link::{Packet, Peer, Said};
use crate::server;
use crate::store::Verdict;
use crate::world::{Place, World};

impl World {
    /// One thing happens.
    pub fn step(&mut self) {
        let at = self.dice.below(self.clients.len());
        let room = self.dice.below(self.places.len());
        match self.dice.below(1_000) {
            0..190 => self.edit(at),
            190..330 => self.room_reads(room),
            330..510 => self.client_hears(at),
            510..650 => self.store_acts(),
            650..730 => self.answer(),
            730..770 => self.present(at),
            770..785 => self.echo(at),
            785..860 => self.come_or_go(at),
            860..880 => self.notice(),
            880..895 => self.repeat(at),
            895..940 => self.reader_acts(),
            940..950 => self.write_beside(room),
            950..984 => self.wait(),
            984..988 => self.lose_power(),
            988..991 => self.close_room(room, &End::Internal),
            991..993 => self.tell(room, vec![Input::Drain]),
            993..997 => self.delete(room),
            _ => self.send_garbage(at),
        }
    }

    fn edit(&mut self, at: usize) {
        if self.clients[at].is_reader {
            return;
        }
        let update = self.clients[at].copy.edit(&mut self.dice);
        self.trace(|| format!("client {at} edits"));
        self.submit(at, Occasion::Edit, update);
    }

    fn repeat(&mut self, at: usize) {
        let before = &self.clients[at].sent_before;
        if !before.is_empty() {
            let update = before[self.dice.below(before.len())].clone();
            self.trace(|| format!("client {at} repeats"));
            self.submit(at, Occasion::Edit, update);
        }
    }

    fn send_garbage(&mut self, at: usize) {
        let Some(update) = self.clients[at].sent_before.last() else {
            return;
        };
        let update = update.slice(..update.len() - 1 - self.dice.below(update.len() - 1));
        self.trace(|| format!("client {at} sends garbage"));
        self.clients[at].has_erred = true;
        let before = self.clients[at].sent_before.len();
        self.submit(at, Occasion::Edit, update);
        self.clients[at].sent_before.truncate(before);
    }

    fn present(&mut self, at: usize) {
        let says = self.dice.text();
        let nth = self.dice.below(self.clients[at].own.len());
        let is_goodbye = self.dice.one_in(8);
        let own = &mut self.clients[at].own[nth];
        own.clock += 1;
        own.says = (!is_goodbye).then_some(says);
        let states = vec![presented(own.id, own.clock, own.says.as_deref())];
        self.trace(|| format!("client {at} presents {states:?}"));
        self.say(at, Said::Present(states));
    }

    /// A client says on what it heard of others, or says its own under an old clock.
    fn echo(&mut self, at: usize) {
        let client = &self.clients[at];
        let mut states: Vec<_> = client
            .others
            .iter()
            .map(|(id, (clock, says))| presented(*id, *clock, says.as_deref()))
            .collect();
        let own = &client.own[0];
        states.push(presented(
            own.id,
            own.clock.saturating_sub(1),
            own.says.as_deref(),
        ));
        self.trace(|| format!("client {at} echoes {states:?}"));
        self.say(at, Said::Present(states));
    }

    /// The room takes some of what waits, of any mixture of connections.
    pub fn room_reads(&mut self, room: usize) {
        let batch = 1 + self.dice.below(6);
        let dice = &mut self.dice;
        let Place::Live(host) = &mut self.places[room] else {
            return;
        };
        // A store that is behind is waited for.
        if host.room.is_full() || host.links.is_empty() {
            return;
        }
        let mut inputs = Vec::new();
        let mut goodbyes = Vec::new();
        let sessions: Vec<_> = host.links.keys().copied().collect();
        for _ in 0..batch {
            let session = *dice.pick(&sessions);
            let link = host.links.get_mut(&session).expect("it was listed");
            match link.read() {
                Some(Ok(input)) => inputs.push(input),
                Some(Err(())) => goodbyes.push(session),
                None => {}
            }
        }
        if !inputs.is_empty() {
            self.tell(room, inputs);
        }
        for session in goodbyes {
            self.detach(room, session, Departure::Clean);
        }
    }

    /// The socket writes, and the client reads some of it.
    pub fn client_hears(&mut self, at: usize) {
        let (room, session) = (self.clients[at].room, self.clients[at].session);
        let Some(session) = session else {
            return;
        };
        if let Some(host) = self.host(room) {
            let asked = host.refill(session);
            if !asked.is_empty() {
                self.tell(room, asked);
            }
        }
        for _ in 0..=self.dice.below(8) {
            if self.clients[at].session != Some(session) {
                return;
            }
            let link = self.link(room, session).expect("it is connected");
            let Some(packet) = link.wire.pop_front() else {
                break;
            };
            self.trace(|| format!("client {at} hears {packet:?}"));
            let reactions = self.clients[at].hear(packet);
            self.react(at, reactions);
        }
        self.check_quiet(at);
    }

    /// Who has everything has what the room has.
    fn check_quiet(&mut self, at: usize) {
        let client = &self.clients[at];
        let (room, is_synced) = (client.room, client.is_synced);
        if let Some(session) = client.session
            && is_synced
            && let Place::Live(host) = &self.places[room]
            && host.links.get(&session).is_some_and(|link| link.is_quiet())
        {
            let has = self.clients[at].copy.clocks();
            let wanted = server::clocks(&host.room);
            assert!(includes(&has, &wanted), "G3: client {at} lacks something");
        }
    }

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

    fn come_or_go(&mut self, at: usize) {
        match self.clients[at].session {
            None => self.come(at),
            Some(_) => self.go(at),
        }
    }

    /// A client connects; the room is opened for it if need be.
    pub fn come(&mut self, at: usize) {
        let room = self.clients[at].room;
        if self.host(room).is_none() {
            return self.open(room);
        }
        let user = self.clients[at].user.clone();
        let access = match self.clients[at].is_reader {
            true => Access::Read,
            false => Access::Write,
        };
        let session = self.attach(room, Peer::Client(at), &user, access);
        self.trace(|| format!("client {at} comes as {session:?}"));
        self.clients[at].session = Some(session);
        self.say(at, Said::Sync(self.clients[at].copy.clocks()));
        self.say(at, Said::Present(self.clients[at].present()));
        if self.dice.one_in(4) {
            self.say(at, Said::AskPresence);
        }
    }

    fn go(&mut self, at: usize) {
        let room = self.clients[at].room;
        let session = self.clients[at].session.expect("it is connected");
        let kind = self.dice.below(3);
        self.trace(|| format!("client {at} goes in manner {kind}"));
        if kind == 0 {
            return self.part(at);
        }
        if kind == 1 && self.dice.one_in(2) {
            let mut states = self.clients[at].present();
            states.iter_mut().for_each(|state| state.state = None);
            self.say(at, Said::Present(states));
        }
        let arrives = self.dice.below(4);
        if let Some(link) = self.link(room, session) {
            link.is_cut = true;
            link.wire.clear();
            if kind == 1 {
                link.inbound.push_back(Said::Goodbye);
            } else {
                // The line is cut: some of what was sent arrives still.
                link.inbound.truncate(arrives);
            }
        }
        self.orphans.retain(|link| link.session != session);
        self.clients[at].lose();
    }

    /// The server sees that a connection is gone.
    fn notice(&mut self) {
        let room = self.dice.below(self.places.len());
        if let Some(host) = self.host(room) {
            let cut = host.links.values().find(|link| link.is_cut);
            if let Some(session) = cut.map(|link| link.session) {
                self.trace(|| format!("room {room} misses {session:?}"));
                self.detach(room, session, Departure::Lost);
            }
        }
    }

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
                let oldest = crate::reader::oldest(&self.store, &self.names[room]);
                self.readers[at].check_reason(reason, head.epoch, oldest, &self.model);
                self.whole_state(at, head, reason);
            }
        }
        self.trace(|| format!("reader {at} is at {:?}", self.readers[at].position));
    }

    /// It edits its document and submits what the room lacks, as far as it knows.
    fn reader_submits(&mut self, at: usize) {
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
    pub fn reader_hears(&mut self, at: usize, session: roundtable::ids::SessionId) {
        let room = self.readers[at].room;
        if let Some(host) = self.host(room) {
            assert!(host.refill(session).is_empty());
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
                roundtable::room::Refusal::Incomplete { state_vector } => {
                    let clocks = StateVector::parse(&state_vector);
                    self.readers[at].room_has = clocks.expect("a room says a state vector");
                }
                roundtable::room::Refusal::EpochChanged => self.reader_forgets(at),
                roundtable::room::Refusal::Unavailable | roundtable::room::Refusal::RoomDeleted => {
                }
                other => panic!("reader {at} is refused: {other:?}"),
            },
            Packet::Ended(_) => {}
            other => panic!("reader {at} hears {other:?}"),
        }
        self.readers[at].lose();
        self.orphans.retain(|link| link.session != session);
        self.detach(room, session, Departure::Clean);
    }

    fn reader_takes(&mut self, at: usize, update: &Bytes, mark: StateVector) {
        let reader = &mut self.readers[at];
        assert!(reader.copy.take(update), "G3: a diff leaves a gap");
        let has = reader.copy.clocks();
        assert!(client::includes(&has, &mark), "G3: a diff lacks something");
        reader.room_has = mark;
    }

    fn reader_forgets(&mut self, at: usize) {
        let id = self.count();
        self.readers[at].copy = Copy::new(id);
        self.readers[at].room_has = StateVector::default();
    }

    /// Somebody beside the server writes an entry, in a root of their own.
    fn write_beside(&mut self, room: usize) {
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

    fn append_beside(
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

    fn pass_to(&mut self, mono: roundtable::ids::Millis) {
        self.now.wall = UnixMillis(self.now.wall.0 + (mono.0 - self.now.mono.0) as i64);
        self.now.mono = mono;
    }

    /// The process ends without a word. What the store was told, it may still do.
    fn lose_power(&mut self) {
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
            Kind::Open | Kind::Fetch | Kind::Read | Kind::Erase => false,
        });
        self.store.lose_power(&self.names);
        // Nothing starts in no time.
        self.pass(1_000);
    }

    /// One room fails, and is opened anew by whoever comes next.
    fn close_room(&mut self, room: usize, end: &End) {
        if self.host(room).is_some() {
            self.trace(|| format!("room {room} fails"));
            self.close(room, end);
        }
    }

    /// An administrator deletes a room.
    fn delete(&mut self, room: usize) {
        if self.host(room).is_some() {
            let session = self.attach(room, Peer::Reader(usize::MAX), "admin", Access::Admin);
            self.tell(room, vec![Input::Delete { session }]);
            self.detach(room, session, Departure::Clean);
        }
    }
}
