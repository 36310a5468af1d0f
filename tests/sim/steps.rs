//! Owns what happens in a world, one step at a time, drawn by lot; and the steps of clients of the
//! live lane.

use roundtable::room::{Access, Departure, End, Input, Occasion};

use crate::client::{includes, presented};
use crate::link::{Peer, Said};
use crate::server;
use crate::world::{Place, World};

impl World {
    /// One thing happens.
    pub fn step(&mut self) {
        let at = self.dice.below(self.clients.len());
        let room = self.dice.below(self.places.len());
        match self.dice.below(1_000) {
            0..170 => self.edit(at),
            170..190 => self.caller_acts(),
            190..330 => self.room_reads(room),
            330..510 => self.client_hears(at),
            510..650 => self.store_acts(),
            650..730 => self.answer(),
            730..770 => self.present(at),
            770..785 => self.echo(at),
            785..860 => self.come_or_go(at),
            860..880 => self.notice(),
            880..895 => self.repeat(at),
            895..920 => self.reader_acts(),
            920..940 => self.caller_acts(),
            940..950 => self.write_beside(room),
            950..984 => self.wait(),
            984..988 => self.lose_power(),
            988..991 => self.close_room(room, &End::Internal),
            991..993 => self.tell(room, vec![Input::Drain]),
            993..997 => self.delete(room),
            _ => self.send_garbage(at),
        }
    }

    pub fn edit(&mut self, at: usize) {
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
            && !host.room.has_untold()
        {
            let has = self.clients[at].copy.clocks();
            let wanted = server::clocks(&host.room);
            assert!(includes(&has, &wanted), "G3: client {at} lacks something");
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
}
