//! Owns one connection: what the client said and the room has not read, what the room said and the
//! client has not read, and the server's half of the socket between them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use roundtable::hub::Gathered;
use roundtable::hub::outbox::Outbox;
use roundtable::hub::ring::LiveCursor;
use roundtable::ids::{Position, SessionId};
use roundtable::room::index::StateVector;
use roundtable::room::message::{Presented, Shown};
use roundtable::room::operation::{OpResult, Operation};
use roundtable::room::{End, Event, Input, LiveEvent, Occasion, Refusal, Ticket};
use roundtable::wire::{Request, yjs};

/// What a socket takes before it waits for its peer.
const READY_PACKETS: usize = 6;
const READY_BYTES: usize = 2_000;

/// What a client says.
#[derive(Debug)]
pub enum Said {
    Sync(StateVector),
    Submit(Ticket, Occasion, Bytes),
    Operate(Vec<Operation>),
    Present(Vec<Presented>),
    AskPresence,
    Goodbye,
}

/// What is on its way to a client.
#[derive(Debug)]
pub enum Packet {
    Update(Bytes),
    /// What the client lacks, and what it has to have then.
    Diff(Vec<Bytes>, StateVector),
    Presence(Vec<Seen>),
    Missing(StateVector),
    Kept(Vec<Ticket>),
    Pushed(Vec<OpResult>, Position),
    Refused(Ticket, Refusal),
    Ended(End),
}

/// One presence state as a client is told it.
pub type Seen = (u64, u32, Option<String>);

/// A live event as the room said it.
pub struct Live {
    pub except: Option<SessionId>,
    /// `None` is presence.
    pub update: Option<Bytes>,
}

/// Who holds the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Client(usize),
    Reader(usize),
    Caller(usize),
}

/// One connection.
pub struct Link {
    pub session: SessionId,
    pub peer: Peer,
    /// The client is gone, and the server does not know.
    pub is_cut: bool,
    pub inbound: VecDeque<Said>,
    pub wire: VecDeque<Packet>,
    /// What was submitted, for the model.
    pub submitted: BTreeMap<Ticket, Bytes>,
    outbox: Arc<Outbox>,
    /// How much is in the outbox.
    untaken: usize,
    /// What the room had when it made each diff that is in the outbox.
    marks: VecDeque<StateVector>,
    cursor: Option<LiveCursor>,
    awaited_diffs: usize,
    behind: Option<Bytes>,
    /// How many live events it was given, or had in a diff.
    at: usize,
    tickets: u64,
}

impl Link {
    pub fn new(
        session: SessionId,
        peer: Peer,
        cursor: Option<LiveCursor>,
        at: u64,
        events_max: usize,
    ) -> Self {
        Self {
            session,
            peer,
            is_cut: false,
            inbound: VecDeque::new(),
            wire: VecDeque::new(),
            submitted: BTreeMap::new(),
            outbox: Arc::new(Outbox::new(events_max)),
            untaken: 0,
            marks: VecDeque::new(),
            cursor,
            awaited_diffs: 0,
            behind: None,
            at: at as usize,
            tickets: 0,
        }
    }

    pub fn submit(&mut self, occasion: Occasion, update: Bytes) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.submitted.insert(ticket, update.clone());
        self.inbound
            .push_back(Said::Submit(ticket, occasion, update));
        ticket
    }

    /// The room says something to this session; whether that is still possible.
    pub fn tell(&mut self, event: Event, state_vector: impl FnOnce() -> StateVector) -> bool {
        if matches!(event, Event::Diff { .. }) {
            self.marks.push_back(state_vector());
        }
        let pushed = self.outbox.push(event).is_ok();
        self.untaken = if pushed { self.untaken + 1 } else { 1 };
        pushed
    }

    /// The next thing that the socket hands to the room, as inputs; `Err` is a goodbye.
    pub fn read(&mut self) -> Option<Result<Input, ()>> {
        if self.awaited_diffs > 0 {
            return None;
        }
        let session = self.session;
        Some(Ok(match self.inbound.pop_front()? {
            Said::Goodbye => return Some(Err(())),
            Said::Sync(clocks) => self.sync(clocks.encode()),
            Said::Submit(ticket, occasion, update) => Input::Submit {
                session,
                ticket,
                occasion,
                update,
            },
            Said::Operate(operations) => Input::Operate {
                session,
                ticket: Ticket(0),
                client: None,
                operations,
            },
            Said::Present(states) => Input::Present { session, states },
            Said::AskPresence => Input::AskPresence { session },
        }))
    }

    fn sync(&mut self, state_vector: Bytes) -> Input {
        self.awaited_diffs += 1;
        Input::Sync {
            session: self.session,
            state_vector,
        }
    }

    /// Puts on its way what the peer takes; what the socket itself asks of the room then.
    ///
    /// What is gathered has to be exactly what was said since, but what the peer said itself.
    pub fn refill(&mut self, told: &[Live]) -> Vec<Input> {
        while self.wire.len() < READY_PACKETS {
            let Some(event) = self.outbox.pop() else {
                break;
            };
            self.take(event);
        }
        let may_gather = self.behind.is_none() && self.awaited_diffs == 0;
        if self.wire.len() < READY_PACKETS && may_gather {
            self.gather(told);
        }
        match self.behind.take() {
            Some(state_vector) if self.wire.is_empty() => {
                vec![self.sync(state_vector)]
            }
            behind => {
                self.behind = behind;
                Vec::new()
            }
        }
    }

    fn take(&mut self, event: Event) {
        self.untaken -= 1;
        let packet = match event {
            Event::Pushed {
                results, position, ..
            } => Packet::Pushed(results, position),
            Event::Diff {
                chunks,
                since,
                as_of,
            } => {
                self.awaited_diffs = self.awaited_diffs.saturating_sub(1);
                if let Some(cursor) = &mut self.cursor {
                    cursor.jump(as_of);
                }
                self.at = self.at.max(as_of as usize);
                let updates = chunks.iter().cloned().chain(since).collect();
                let mark = self.marks.pop_front().expect("each diff has its mark");
                Packet::Diff(updates, mark)
            }
            Event::Presence(shown) => Packet::Presence(shown.iter().map(seen).collect()),
            Event::Missing { state_vector } => {
                let clocks = StateVector::parse(&state_vector);
                Packet::Missing(clocks.expect("a room says a state vector"))
            }
            Event::Kept { tickets, .. } => Packet::Kept(tickets),
            Event::Refused { ticket, refusal } => Packet::Refused(ticket, refusal),
            Event::Ended(end) => Packet::Ended(end),
        };
        self.wire.push_back(packet);
    }

    fn gather(&mut self, told: &[Live]) {
        let Some(cursor) = &mut self.cursor else {
            return;
        };
        let mut frames = VecDeque::new();
        match cursor.gather(self.session, READY_BYTES, &mut frames) {
            Gathered::Frames => {}
            Gathered::Behind(state_vector) => {
                self.behind = Some(state_vector);
                return;
            }
        }
        for frames in frames {
            let mut frames = &frames[..];
            while !frames.is_empty() {
                let (packet, rest) = unframe(frames);
                let expected = self.next_of(told);
                let same = match (&packet, expected) {
                    (Packet::Update(got), Some(said)) => said.update.as_ref() == Some(got),
                    (_, Some(said)) => said.update.is_none(),
                    (_, None) => false,
                };
                assert!(
                    same,
                    "G3: live event {} came next to {:?}",
                    self.at, self.peer
                );
                self.wire.push_back(packet);
                frames = rest;
            }
        }
    }

    fn next_of<'a>(&mut self, told: &'a [Live]) -> Option<&'a Live> {
        loop {
            let live = told.get(self.at)?;
            self.at += 1;
            if live.except != Some(self.session) {
                return Some(live);
            }
        }
    }

    /// Whether nothing is on its way in either direction.
    pub fn is_quiet(&self) -> bool {
        let is_current = self.cursor.as_ref().is_none_or(LiveCursor::is_current);
        self.inbound.is_empty()
            && self.wire.is_empty()
            && self.awaited_diffs == 0
            && self.behind.is_none()
            && self.untaken == 0
            && is_current
    }

    /// The room said its last word: all that was said to this session is on its way, and the end.
    pub fn end(&mut self, end: End) {
        while let Some(event) = self.outbox.pop() {
            self.take(event);
        }
        self.inbound.clear();
        self.wire.push_back(Packet::Ended(end));
    }
}

fn seen(shown: &Shown) -> Seen {
    (
        shown.client,
        shown.clock,
        shown.state.as_deref().map(str::to_owned),
    )
}

/// The first WebSocket frame and the rest.
fn unframe(bytes: &[u8]) -> (Packet, &[u8]) {
    let (length, header) = match bytes[1] {
        126 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
        127 => panic!("no frame here is so long"),
        short => (usize::from(short), 2),
    };
    let (payload, rest) = bytes[header..].split_at(length);
    let message = yjs::receive(payload, usize::MAX).expect("servers and clients write alike");
    let packet = match message {
        Request::Submit { update, .. } => Packet::Update(update),
        Request::Present(states) => Packet::Presence(states.into_iter().map(told).collect()),
        other => panic!("not said live: {other:?}"),
    };
    (packet, rest)
}

fn told(presented: Presented) -> Seen {
    let state = presented.state.map(|state| {
        let text = std::str::from_utf8(&state).expect("a room says text");
        text.to_owned()
    });
    (presented.client, presented.clock, state)
}

/// What is said live, as the model remembers it.
pub fn live(except: Option<SessionId>, event: &LiveEvent) -> Live {
    let update = match event {
        LiveEvent::Update(update) => Some(update.clone()),
        LiveEvent::Presence(_) | LiveEvent::Said(_) => None,
    };
    Live { except, update }
}
