//! Owns one connection's hold on one room. Dropping it ends the session.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::census::{Census, Seat, Subscription};
use super::driver::Mail;
use super::lanes::Hears;
use super::outbox::Outbox;
use super::registry::{MAILBOX_KIB, RoomHandle};
use super::ring::{Gathered, LiveCursor};
use super::told::{Heard, Known, ToldCursor};
use crate::ids::SessionId;
use crate::room::message::Utterance;
use crate::room::operation::Operation;
use crate::room::presence::Appearance;
use crate::room::{Departure, Event, Grant, Input, Occasion, Ticket};
use crate::wire::hocuspocus::Address;
use crate::wire::notice::Notice;
use crate::wire::{Dialect, Request};

/// The room's task is gone: whoever attaches next opens the room anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// Where a session stands in what the room tells many.
pub(super) enum Place {
    /// In a ring of live frames.
    Live(LiveCursor),
    /// In what JSON readers hear.
    Told(ToldCursor),
    /// Nowhere.
    None,
}

/// One connection's hold on one room.
pub struct Attachment {
    room: Arc<RoomHandle>,
    session: SessionId,
    outbox: Arc<Outbox>,
    place: Place,
    tickets: u64,
    departure: Departure,
    /// Who only asks is neither counted as a connection nor as following the room.
    _counts: (Option<Seat>, Option<Subscription>),
}

impl Attachment {
    pub(super) fn new(
        room: Arc<RoomHandle>,
        session: SessionId,
        outbox: Arc<Outbox>,
        place: Place,
    ) -> Self {
        Self {
            room,
            session,
            outbox,
            place,
            tickets: 0,
            departure: Departure::Lost,
            _counts: (None, None),
        }
    }

    /// The same, counted: whoever listens follows the room, and a Yjs socket is a connection of its
    /// own.
    pub(super) fn counted(mut self, census: &Arc<Census>, user: &Arc<str>, hears: Hears) -> Self {
        let is_connection = hears == Hears::Live(Dialect::Yjs);
        let seat = is_connection.then(|| census.seat(user));
        let follows = hears != Hears::Answers;
        self._counts = (seat, follows.then(|| census.subscription()));
        self
    }

    /// The peer calls the document by another address than the room's name.
    pub fn readdress(&mut self, address: Address) {
        if let Place::Live(live) = &mut self.place {
            live.readdress(address);
        }
    }

    /// Tells the room what the peer wants; waits while the room is busy.
    pub async fn request(&mut self, request: Request) -> Result<Ticket, Gone> {
        let session = self.session;
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let input = match request {
            Request::Sync { state_vector } => Input::Sync {
                session,
                state_vector,
            },
            Request::Submit { occasion, update } => Input::Submit {
                session,
                ticket,
                occasion,
                update,
            },
            Request::Present(states) => Input::Present { session, states },
            Request::AskPresence => Input::AskPresence { session },
        };
        self.send(input).await?;
        Ok(ticket)
    }

    /// Submits an update.
    pub async fn submit(&mut self, update: Bytes) -> Result<Ticket, Gone> {
        self.request(Request::Submit {
            occasion: Occasion::Edit,
            update,
        })
        .await
    }

    /// Operates on records; the answer is an event.
    pub async fn operate(
        &mut self,
        client: Option<Arc<str>>,
        operations: Vec<Operation>,
    ) -> Result<Ticket, Gone> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.send(Input::Operate {
            session: self.session,
            ticket,
            client,
            operations,
        })
        .await?;
        Ok(ticket)
    }

    /// Says who and how the peer is; only a refusal is answered.
    pub async fn appear(&mut self, appearance: Appearance) -> Result<Ticket, Gone> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.send(Input::Appear {
            session: self.session,
            ticket,
            appearance,
        })
        .await?;
        Ok(ticket)
    }

    /// Sends a message to everyone else; only a refusal is answered.
    pub async fn say(&mut self, utterance: Utterance) -> Result<Ticket, Gone> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.send(Input::Say {
            session: self.session,
            ticket,
            utterance,
        })
        .await?;
        Ok(ticket)
    }

    /// Gives the session a fresh grant.
    pub async fn renew(&self, grant: Grant) -> Result<(), Gone> {
        self.send(Input::Renew {
            session: self.session,
            grant,
        })
        .await
    }

    /// Deletes the room; the answer is an event.
    pub async fn delete(&self) -> Result<(), Gone> {
        self.send(Input::Delete {
            session: self.session,
        })
        .await
    }

    async fn send(&self, input: Input) -> Result<(), Gone> {
        let bytes = match &input {
            Input::Submit { update, .. } => update.len(),
            Input::Operate { operations, .. } => {
                operations.iter().map(Operation::weight).sum::<usize>()
            }
            Input::Say { utterance, .. } => utterance.payload.0.len(),
            _ => 0,
        };
        let kib = (bytes / 1024 + 1).min(MAILBOX_KIB) as u32;
        let space = self.room.space.clone().acquire_many_owned(kib).await;
        let mail = Mail::Input(input, space.map_err(|_| Gone)?);
        self.room.mail.send(mail).await.map_err(|_| Gone)
    }

    /// The peer said goodbye: its presence goes at once when this is dropped.
    pub fn say_goodbye(&mut self) {
        self.departure = Departure::Clean;
    }

    /// Takes the next event for this session alone.
    #[must_use]
    pub fn next_event(&self) -> Option<Event> {
        self.outbox.pop()
    }

    /// About how many bytes its events take that were not taken yet.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.outbox.bytes()
    }

    /// Ready once after there may be a new event or new frames.
    pub fn poll_woken(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.outbox.poll_woken(cx)
    }

    /// Waits for the next event for this session alone.
    pub async fn event(&self) -> Event {
        loop {
            if let Some(event) = self.next_event() {
                return event;
            }
            std::future::poll_fn(|cx| self.poll_woken(cx)).await;
        }
    }

    /// Goes on after a diff that includes so many live events.
    pub fn jump(&mut self, as_of: u64) {
        if let Place::Live(live) = &mut self.place {
            live.jump(as_of);
        }
    }

    /// Takes the live frames that come next: whole batches, until there are `bytes_max` or more.
    pub fn gather(&mut self, bytes_max: usize, out: &mut VecDeque<Bytes>) -> Gathered {
        match &mut self.place {
            Place::Live(live) => live.gather(self.session, bytes_max, out),
            Place::Told(_) | Place::None => Gathered::Frames,
        }
    }

    /// Takes the messages that come next for a JSON reader and are not `known` to it.
    pub(super) fn hear(
        &mut self,
        known: &mut Known,
        bytes_max: usize,
        out: &mut Vec<Notice>,
    ) -> Heard {
        match &mut self.place {
            Place::Told(told) => told.gather(self.session, known, bytes_max, out),
            Place::Live(_) | Place::None => Heard::Notices,
        }
    }

    /// Goes to the end of what JSON readers hear.
    pub(super) fn skip(&mut self) {
        if let Place::Told(told) = &mut self.place {
            told.skip();
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // An error means that the room is gone, and the session with it.
        let _ = self.room.departures.send((self.session, self.departure));
    }
}
