//! Owns a world: rooms, their clients, the store and the time; performs what rooms want done.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use roundtable::hub::compactor::Keep;
use roundtable::hub::loader::Opened;
use roundtable::ids::{Epoch, Millis, Now, Position, RoomId, SessionId, UnixMillis};
use roundtable::limits::Limits;
use roundtable::room::index::StateVector;
use roundtable::room::{
    Access, Departure, Effect, End, Event, Grant, Holdings, Identity, Input, Listen, Occasion,
    Reason, Room,
};
use uuid::Uuid;

use crate::caller::Caller;
use crate::client::{Client, Reaction, includes};
use crate::dice::Dice;
use crate::document::Copy;
use crate::errand::{self, Done, Errand, Kind};
use crate::faults::Fault;
use crate::link::{Link, Peer, Said};
use crate::model::{self, Model, OUTSIDERS_MAX};
use crate::reader::Reader;
use crate::run::Tally;
use crate::server::{self, Host};
use crate::store::{Shared, SlowStore};

const ROOMS: usize = 2;
const CLIENTS: usize = 5;
const READERS: usize = 2;
/// How long the log is kept, and with it what operations came to.
pub const RETENTION_MS: u64 = 1_500;
const CALLERS: usize = 4;
const STEPS: usize = 200;

/// The most that one batch of a mailbox adds to a backlog, here.
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// Where a room is.
pub enum Place {
    Closed,
    /// It is being loaded by this opening.
    Opening(u64),
    Live(Box<Host>),
}

/// Everything there is.
pub struct World {
    pub dice: Dice,
    pub now: Now,
    pub names: Vec<RoomId>,
    pub places: Vec<Place>,
    pub clients: Vec<Client>,
    pub readers: Vec<Reader>,
    pub callers: Vec<Caller>,
    /// Connections whose room is gone: what was said last is still read.
    pub orphans: Vec<Link>,
    pub store: Shared,
    pub errands: Vec<Errand>,
    /// Ends of errands that their rooms were not told yet.
    pub answers: VecDeque<(usize, u64, Input)>,
    pub model: Model,
    pub outsider: u64,
    pub is_calm: bool,
    pub tally: Tally,
    pub limits: Arc<Limits>,
    fault: Option<Fault>,
    counted: u64,
    is_traced: bool,
}

fn limits() -> Limits {
    Limits {
        update_bytes_max: 64 * 1024,
        backlog_bytes_max: 30_000,
        entry_bytes_max: 300,
        snapshot_every_entries: 5,
        log_retention_ms: RETENTION_MS,
        recent_entries_max: 6,
        sync_chunk_bytes: 500,
        ring_bytes_max: 1_500,
        outbox_events_max: 64,
        ..Limits::default()
    }
}

impl World {
    pub fn new(seed: u64, fault: Option<Fault>, is_traced: bool) -> Self {
        let name = |room| RoomId::parse(&format!("room {room}")).expect("a name");
        let names: Vec<_> = (0..ROOMS).map(name).collect();
        let mut world = Self {
            dice: Dice::new(seed),
            now: Now {
                mono: Millis(1_000),
                wall: UnixMillis(1_700_000_000_000),
            },
            places: names.iter().map(|_| Place::Closed).collect(),
            clients: Vec::new(),
            readers: Vec::new(),
            callers: (0..CALLERS)
                .map(|index| Caller::new(index % ROOMS))
                .collect(),
            orphans: Vec::new(),
            store: Arc::new(SlowStore::new(fault)),
            errands: Vec::new(),
            answers: VecDeque::new(),
            model: Model::new(&names),
            outsider: 50,
            is_calm: false,
            tally: Tally::default(),
            limits: Arc::new(limits()),
            fault,
            counted: OUTSIDERS_MAX,
            is_traced,
            names,
        };
        for index in 0..CLIENTS {
            let id = world.count();
            let client = Client::new(index % ROOMS, index, id, Copy::new(id));
            world.clients.push(client);
        }
        for index in 0..READERS {
            let id = world.count();
            world
                .readers
                .push(Reader::new(index % ROOMS, Copy::new(id)));
        }
        world
    }

    /// Lives through all that happens, and the calm after it.
    pub fn live(mut self) -> Tally {
        for step in 0..STEPS {
            self.trace(|| format!("-- {step}"));
            self.step();
            self.check();
        }
        self.trace(|| "-- calm".into());
        self.settle();
        self.judge();
        for place in &self.places {
            if let Place::Live(host) = place {
                self.tally.live += host.room.live_count();
            }
        }
        self.tally
    }

    pub fn trace(&self, what: impl FnOnce() -> String) {
        if self.is_traced {
            println!("{} {}", self.now.mono.0, what());
        }
    }

    /// A number that nobody else has.
    pub fn count(&mut self) -> u64 {
        self.counted += 1;
        self.counted
    }

    pub fn host(&mut self, room: usize) -> Option<&mut Host> {
        match &mut self.places[room] {
            Place::Live(host) => Some(host),
            Place::Closed | Place::Opening(_) => None,
        }
    }

    /// A connection, also one whose room is gone.
    pub fn link(&mut self, room: usize, session: SessionId) -> Option<&mut Link> {
        if let Place::Live(host) = &mut self.places[room]
            && let Some(link) = host.links.get_mut(&session)
        {
            return Some(link);
        }
        let mut orphans = self.orphans.iter_mut();
        orphans.find(|link| link.session == session)
    }

    /// What holds after every step.
    fn check(&self) {
        for (room, place) in self.places.iter().enumerate() {
            let Place::Live(host) = place else {
                continue;
            };
            let position = host.room.position();
            self.model.stands(room, position.epoch, position.version);
            let limits = &self.limits;
            let most = Holdings {
                backlog_bytes: limits.backlog_bytes_max + BATCH_BYTES_MAX,
                attending: limits.answers_waiting_max,
                held: host.room.holdings().sessions,
                recent_entries: limits.recent_entries_max,
                recent_bytes: limits.recent_bytes_max,
                present: CLIENTS * 2,
                gone: 1_024,
                sessions: limits.sessions_per_room_max,
            };
            let ring_bytes_max = 2 * (limits.ring_bytes_max + BATCH_BYTES_MAX);
            model::check_bounds(
                &host.room.holdings(),
                host.ring_bytes(),
                &most,
                ring_bytes_max,
            );
        }
    }

    /// Tells a room; nothing, when it is gone.
    pub fn tell(&mut self, room: usize, inputs: Vec<Input>) {
        let now = self.now;
        self.trace(|| format!("room {room} is told {inputs:?}"));
        let Place::Live(host) = &mut self.places[room] else {
            return;
        };
        let effects = host.tell(inputs, now, &mut self.dice);
        for effect in effects {
            self.perform(room, effect);
        }
    }

    fn perform(&mut self, room: usize, effect: Effect) {
        self.trace(|| format!("room {room} wants {effect:?}"));
        let Place::Live(host) = &mut self.places[room] else {
            return;
        };
        let (opening, epoch) = (host.opening, host.room.epoch());
        let on_behalf = errand::Client {
            store: self.store.clone(),
            name: self.names[room].clone(),
            epoch,
        };
        let errand = match effect {
            Effect::Append {
                id,
                expected,
                entries,
                done,
            } => {
                let append = on_behalf.append(id, expected, entries, done);
                Errand::new(room, opening, Kind::Append, append)
            }
            Effect::Recall {
                through,
                operations,
                places,
            } => {
                let recall = on_behalf.recall(through, operations, places);
                Errand::new(room, opening, Kind::Recall, recall)
            }
            Effect::Fetch { after } => {
                let page = 1 + self.dice.below(3);
                Errand::new(room, opening, Kind::Fetch, on_behalf.fetch(after, page))
            }
            Effect::Compact { through } => {
                let wall = self.now.wall.0;
                let keep = Keep {
                    before: UnixMillis(wall - self.limits.log_retention_ms as i64),
                    versions_max: self.limits.log_versions_max,
                };
                let compact = on_behalf.compact(through, keep);
                Errand::new(room, opening, Kind::Compact, compact)
            }
            Effect::Erase { former } => {
                Errand::new(room, opening, Kind::Erase, on_behalf.erase(former))
            }
            Effect::Release { entries } => {
                self.tally.entries += entries.len() as u64;
                return self.model.released(room, epoch, &entries);
            }
            Effect::Tell { session, event } => return self.note(room, epoch, session, &event),
            Effect::Live { .. } | Effect::Stir(_) => return,
            Effect::Quarantine { reason, .. } => panic!("the CRDT failed: {reason}"),
            Effect::Rest => return self.rest(room),
            Effect::Abandon { end } => return self.close(room, &end),
        };
        self.errands.push(errand);
    }

    /// What is said to a session has to be true.
    fn note(&mut self, room: usize, epoch: Epoch, session: SessionId, event: &Event) {
        if let Event::Pushed {
            results, position, ..
        } = event
        {
            return self.note_pushed(room, results, *position);
        }
        let Event::Kept {
            tickets, version, ..
        } = event
        else {
            return;
        };
        for ticket in tickets {
            self.tally.acks += 1;
            let link = self.link(room, session);
            if let Some(update) = link.and_then(|link| link.submitted.remove(ticket)) {
                self.model.acked(room, epoch, &update, *version);
            }
        }
    }

    /// A room leaves memory, unless somebody is at its door.
    fn rest(&mut self, room: usize) {
        if self.dice.one_in(4) && !self.is_calm {
            return;
        }
        let host = self.host(room).expect("it just spoke");
        assert!(host.links.is_empty(), "nobody is thrown out by a rest");
        assert_eq!(host.room.backlog_bytes(), 0, "nothing is owed at rest");
        self.places[room] = Place::Closed;
    }

    /// A room said its last word: everyone hears how it ended.
    pub fn close(&mut self, room: usize, end: &End) {
        let place = std::mem::replace(&mut self.places[room], Place::Closed);
        let Place::Live(host) = place else {
            panic!("a room that ends was there");
        };
        self.tally.live += host.room.live_count();
        if *end == End::Unavailable && host.room.backlog_bytes() == 0 {
            self.check_drained(room, &host);
        }
        for (_, mut link) in host.links {
            if !link.is_cut {
                link.end(end.clone());
                self.orphans.push(link);
            }
        }
    }

    /// A room that drained leaves nothing behind.
    fn check_drained(&self, room: usize, host: &Host) {
        let durable = self.model.history(room, host.room.epoch());
        let clocks = durable.map_or_else(StateVector::default, |history| history.clocks());
        let is_kept = includes(&clocks, &server::clocks(&host.room));
        assert!(is_kept, "SE8: a drained room is durable");
    }

    /// Begins to load a room, unless it is there.
    pub fn open(&mut self, room: usize) {
        if !matches!(self.places[room], Place::Closed) {
            return;
        }
        // Who is sent away comes back after a moment, and not at once.
        self.pass(100);
        let opening = self.count();
        let epoch = Epoch(Uuid::from_u128(u128::from(self.dice.next())));
        let on_behalf = errand::Client {
            store: self.store.clone(),
            name: self.names[room].clone(),
            epoch,
        };
        // Far from the ids of clients.
        let client = 1_000_000 + opening as u32;
        let errand = Errand::new(room, opening, Kind::Open, on_behalf.open(client));
        self.errands.push(errand);
        self.places[room] = Place::Opening(opening);
    }

    /// A room was loaded, or could not be.
    pub fn opened(&mut self, room: usize, opening: u64, opened: Option<Opened>) {
        let is_awaited = matches!(self.places[room], Place::Opening(awaited) if awaited == opening);
        if !is_awaited {
            return;
        }
        let Some(opened) = opened else {
            self.places[room] = Place::Closed;
            return;
        };
        self.model.opened(room, &opened);
        let (epoch, head) = (opened.standing.epoch, opened.standing.head);
        self.model.knows(room, epoch, head);
        self.tally.openings += 1;
        let seed = u128::from(self.dice.next()) << 32;
        let core = Room::open(&opened.standing, opened.document, seed, self.limits.clone());
        let host = Host::new(opening, core, self.limits.clone(), self.fault);
        self.places[room] = Place::Live(Box::new(host));
    }

    /// An errand ended.
    pub fn done(&mut self, room: usize, opening: u64, done: Done) {
        match done {
            Done::Told(input) => self.answers.push_back((room, opening, input)),
            Done::Opened(opened) => self.opened(room, opening, opened.ok()),
            Done::Rows(reader, head, rows) => {
                let read = rows.map(|rows| self.readers[reader].read(head, &rows, &self.model));
                self.readers[reader].is_waiting = false;
                if read == Ok(false) {
                    self.trace(|| format!("reader {reader} finds nothing"));
                    self.whole_state(reader, head, Reason::Pruned);
                }
            }
            Done::State(reader, reason, opened) => {
                self.readers[reader].is_waiting = false;
                if let Ok(opened) = opened {
                    self.trace(|| format!("reader {reader} starts anew: {reason:?}"));
                    self.tally.snapshots += 1;
                    self.readers[reader].restart(&opened, &self.model);
                }
            }
        }
    }

    /// A reader is given the whole state as it is stored.
    pub fn whole_state(&mut self, reader: usize, head: Position, reason: Reason) {
        let room = self.readers[reader].room;
        let on_behalf = errand::Client {
            store: self.store.clone(),
            name: self.names[room].clone(),
            epoch: head.epoch,
        };
        self.readers[reader].is_waiting = true;
        let state = on_behalf.state(reader, reason, head.version);
        self.errands.push(Errand::new(room, 0, Kind::Read, state));
    }

    /// A session begins; the room has to be there.
    pub fn attach(&mut self, room: usize, peer: Peer, user: &str, access: Access) -> SessionId {
        let session = SessionId(self.count());
        let events_max = self.limits.outbox_events_max;
        let host = self.host(room).expect("the room is there");
        let is_live = matches!(peer, Peer::Client(_));
        let cursor = is_live.then(|| host.cursor());
        let at = host.room.live_count();
        let link = Link::new(session, peer, cursor, at, events_max);
        host.links.insert(session, link);
        let listen = if is_live {
            Listen::Live
        } else {
            Listen::Answers
        };
        let grant = grant(user, access);
        let client = "tab".into();
        self.tell(
            room,
            vec![Input::Attach {
                session,
                grant,
                client,
                listen,
            }],
        );
        session
    }

    /// The server learns that a session is over.
    pub fn detach(&mut self, room: usize, session: SessionId, departure: Departure) {
        if let Some(host) = self.host(room) {
            host.links.remove(&session);
            self.tell(room, vec![Input::Detach { session, departure }]);
        }
    }

    /// A client does what it does after it heard something.
    pub fn react(&mut self, at: usize, reactions: Vec<Reaction>) {
        for reaction in reactions {
            self.trace(|| format!("client {at}: {reaction:?}"));
            match reaction {
                Reaction::Submit(occasion, update) => self.submit(at, occasion, update),
                Reaction::Present(states) => self.say(at, Said::Present(states)),
                Reaction::Leave => self.part(at),
                Reaction::Forget => {
                    self.part(at);
                    let id = self.count();
                    self.clients[at].copy = Copy::new(id);
                    self.clients[at].sent_before.clear();
                }
            }
        }
    }

    pub fn submit(&mut self, at: usize, occasion: Occasion, update: Bytes) {
        let client = &self.clients[at];
        let (room, session) = (client.room, client.session);
        let Some(session) = session else {
            return;
        };
        if let Some(link) = self.link(room, session) {
            let ticket = link.submit(occasion, update.clone());
            self.clients[at].unanswered.insert(ticket);
            self.clients[at].sent_before.push(update);
        }
    }

    pub fn say(&mut self, at: usize, said: Said) {
        let client = &self.clients[at];
        let (room, session) = (client.room, client.session);
        if let Some(session) = session
            && let Some(link) = self.link(room, session)
        {
            link.inbound.push_back(said);
        }
    }

    /// A client ends its connection without a word; the server sees that.
    pub fn part(&mut self, at: usize) {
        let room = self.clients[at].room;
        if let Some(session) = self.clients[at].session {
            self.clients[at].lose();
            self.orphans.retain(|link| link.session != session);
            self.detach(room, session, Departure::Lost);
        }
    }
}

fn grant(user: &str, access: Access) -> Grant {
    Grant {
        identity: Arc::new(Identity {
            user: user.into(),
            name: None,
            color: Some("#123456".into()),
            avatar: None,
            is_guest: false,
        }),
        access,
        expires_at: None,
    }
}
