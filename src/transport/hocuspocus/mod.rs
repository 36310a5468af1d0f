//! Owns the pump of Hocuspocus: many documents on one connection, each with its own session. Who is
//! let in is in [`entrance`], what clients ask for in [`service`], what they hear in [`speech`].
//!
//! A document that waits for its token or its room holds up no other. Only one that asks to be
//! synced twice does: until it has its diff, nothing more is read.

mod documents;
mod entrance;
mod ledger;
mod outside;
mod service;
mod speech;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::WaitForCancellationFutureOwned;

use self::documents::{Documents, Done, Stage};
use super::App;
use super::door::Witness;
use super::jsonws::Budget;
use super::line::{Line, Moved, READY_BYTES, Stop, UNTAKEN_BYTES_MAX};
use crate::auth::{Bearer, Denied};
use crate::hub::census::Seat;
use crate::hub::{Attachment, Gathered};
use crate::ids::Millis;
use crate::room::{End, Event};
use crate::wire::Request;
use crate::wire::hocuspocus::{self, Address, Ask, Envelope};
use crate::wire::websocket::Message;

/// What a client is told that is done with a document, as by its own server.
const PROVIDER_INITIATED: &str = "provider_initiated";

/// One connection of the Hocuspocus dialect.
pub struct HocuspocusSocket<S> {
    line: Line<S>,
    app: App,
    /// Whose token came with the upgrade: it serves where a document brings none.
    presented: Result<Bearer, Denied>,
    witness: Witness,
    documents: Documents,
    budget: Budget,
    /// It counts as a connection of the first user who was let in.
    seat: Option<Seat>,
    /// By then somebody is.
    entrance_until: Millis,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    is_draining: bool,
}

/// What woke the pump.
enum Step {
    Moved(Moved),
    Done(usize, Done),
    Woken,
    Draining,
}

impl<S: AsyncRead + AsyncWrite + Unpin> HocuspocusSocket<S> {
    /// A socket whose handshake is done. `early` is what the peer sent along with it.
    pub fn new(
        io: S,
        app: App,
        presented: Result<Bearer, Denied>,
        witness: Witness,
        early: BytesMut,
    ) -> Self {
        let line = Line::new(io, app.hub.clone(), None, early);
        let line = line.beating(hocuspocus::heartbeat().into()).passing_over();
        let now = line.now().mono;
        let limits = app.hub.limits();
        Self {
            budget: Budget::new(now, limits),
            entrance_until: now.plus(limits.idle_ms_max),
            draining: Box::pin(app.hub.draining().clone().cancelled_owned()),
            line,
            app,
            presented,
            witness,
            documents: Documents::default(),
            seat: None,
            is_draining: false,
        }
    }

    /// Moves bytes until the peer leaves or breaks the protocol, or the process drains. Returns the
    /// close code, if we closed.
    pub async fn run(&mut self) -> Option<u16> {
        let Err(stop) = self.pump().await;
        if matches!(stop, Stop::Goodbye) {
            for (_, inside) in self.documents.insides() {
                inside.attachment.say_goodbye();
            }
        }
        self.documents = Documents::default();
        self.seat = None;
        self.line.end(stop).await
    }

    async fn pump(&mut self) -> Result<std::convert::Infallible, Stop> {
        loop {
            self.messages().await?;
            self.refill().await?;
            let is_empty = self.documents.insides().next().is_none();
            if self.is_draining && is_empty {
                return Err(Stop::End(End::Unavailable));
            }
            let late = self.catch_up();
            let until = self.watch_terms()?.into_iter().chain(late).min();
            let until = match self.seat {
                Some(_) => until,
                None if self.entrance_until <= self.line.now().mono => {
                    return Err(Stop::End(End::Idle));
                }
                None => until.into_iter().chain([self.entrance_until]).min(),
            };
            let may_take = self.may_take();
            self.line.wind(may_take, until).map_err(Stop::End)?;
            let step = self.step().await?;
            self.line.tick();
            match step {
                Step::Moved(moved) => self.line.note(&moved)?,
                Step::Done(place, done) => self.done(place, done).await?,
                Step::Woken => {}
                Step::Draining => self.is_draining = true,
            }
        }
    }

    fn may_take(&self) -> bool {
        self.line.takes()
            && !self.documents.is_held()
            && self.documents.waiting_bytes() < UNTAKEN_BYTES_MAX
    }

    /// Does what whole messages ask for, one after the other.
    async fn messages(&mut self) -> Result<(), Stop> {
        while self.may_take() {
            let bytes = match self.line.next()? {
                None => break,
                Some(Message::Binary(bytes)) => bytes,
                Some(Message::TooLarge(beginning)) => {
                    self.refuse_large(&beginning)?;
                    continue;
                }
                Some(_) => return Err(Stop::End(End::Malformed("text message"))),
            };
            let envelope = hocuspocus::open(&bytes);
            match envelope.map_err(|violation| Stop::End(violation.into()))? {
                Envelope::Ping => self.line.push(hocuspocus::pong().into()),
                Envelope::Pong => {}
                Envelope::To { address, body } => self.take(address, body).await?,
            }
            // A busy room may have kept it waiting.
            self.line.tick();
        }
        Ok(())
    }

    /// A provider would come back with the same: its document ends, and the socket stays.
    fn refuse_large(&mut self, beginning: &[u8]) -> Result<(), Stop> {
        let Ok(Envelope::To { address, .. }) = hocuspocus::open(beginning) else {
            return Err(Stop::End(End::TooLarge));
        };
        match self.documents.find(address) {
            Some(place) => self.end(place, &End::TooLarge),
            None => {
                self.close(address, &End::TooLarge);
                Ok(())
            }
        }
    }

    /// Takes a message about a document. What cannot be read ends that document alone.
    async fn take(&mut self, address: &str, body: &[u8]) -> Result<(), Stop> {
        let limits = self.app.hub.limits();
        let read = hocuspocus::receive(body, limits.awareness_bytes_max);
        let is_free = matches!(read, Ok(Ask::Room(_)));
        if !is_free && !self.budget.take(self.line.now().mono, limits) {
            return Err(Stop::End(End::TooFast));
        }
        let ask = match (read, self.documents.find(address)) {
            (Ok(ask), _) => ask,
            (Err(violation), Some(place)) => return self.end(place, &violation.into()),
            (Err(violation), None) => {
                self.close(address, &violation.into());
                return Ok(());
            }
        };
        if ask == Ask::Unknown {
            return Ok(());
        }
        if ask == Ask::Close {
            if let Some(place) = self.documents.find(address) {
                self.leave(place);
            }
            self.say(|out| hocuspocus::write_close(out, address, PROVIDER_INITIATED));
            return Ok(());
        }
        match (ask, self.place(address)) {
            (Ask::Token(token), Some(place)) => {
                self.knock(place, token);
                Ok(())
            }
            (Ask::Token(_), None) => {
                let reason = "too_many_requests: this socket has as many documents as it may have";
                self.say(|out| hocuspocus::write_denied(out, address, reason));
                Ok(())
            }
            // It is told so when its token comes.
            (_, None) => Ok(()),
            (ask, Some(place)) => self.serve(place, ask).await,
        }
    }

    /// The place of a document, which is made unless there are too many.
    fn place(&mut self, address: &str) -> Option<usize> {
        let found = self.documents.find(address);
        let has_room = self.documents.len() < self.app.hub.limits().rooms_per_socket_max;
        found.or_else(|| has_room.then(|| self.documents.add(Address::new(address))))
    }

    /// The client is done with a document.
    fn leave(&mut self, place: usize) {
        if let Stage::Inside(mut inside) = self.documents.remove(place).stage {
            inside.attachment.say_goodbye();
        }
    }

    /// The room is gone: it has said how before.
    fn last_words(&mut self, place: usize) -> Result<(), Stop> {
        while let Some(event) = self.next_event(place) {
            self.tell(place, event)?;
        }
        match self.documents.inside(place) {
            Some(_) => Err(Stop::End(End::Internal)),
            None => Ok(()),
        }
    }

    fn next_event(&mut self, place: usize) -> Option<Event> {
        let inside = self.documents.inside(place)?;
        inside.attachment.next_event()
    }

    /// Makes ready what the peer is to be told next, as far as it takes it.
    async fn refill(&mut self) -> Result<(), Stop> {
        while self.line.wants() > 0
            && let Some(place) = self.documents.next_woken()
        {
            while self.line.wants() > 0
                && let Some(event) = self.next_event(place)
            {
                self.tell(place, event)?;
            }
            let has_more = self.line.wants() == 0 || self.gather(place);
            self.documents.at(place).is_woken |= has_more;
            self.serve_held(place).await?;
        }
        // A reader that fell behind catches up once it has taken all it was sent before.
        if self.line.is_drained() {
            let mut insides = self.documents.insides();
            let behind = insides.find_map(|(place, it)| Some((place, it.behind.take()?)));
            drop(insides);
            if let Some((place, state_vector)) = behind {
                self.request(place, Request::Sync { state_vector }).await?;
            }
        }
        Ok(())
    }

    /// Takes live frames of a document; whether there were any.
    fn gather(&mut self, place: usize) -> bool {
        let Some(inside) = self.documents.inside(place) else {
            return false;
        };
        // What comes before an awaited diff would rest on what the peer does not have yet.
        if inside.behind.is_some() || inside.awaits_diff {
            return false;
        }
        let attachment: &mut Attachment = &mut inside.attachment;
        let mut has_frames = false;
        let gathered = self.line.fill(|frames| {
            let before = frames.len();
            let gathered = attachment.gather(READY_BYTES, frames);
            has_frames = frames.len() > before;
            gathered
        });
        if let Gathered::Behind(state_vector) = gathered {
            inside.behind = Some(state_vector);
        }
        has_frames
    }

    /// Adds what is written, if anything is.
    fn say(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut frame = Vec::new();
        write(&mut frame);
        if !frame.is_empty() {
            self.line
                .fill(|frames| frames.push_back(Bytes::from(frame)));
        }
    }

    async fn step(&mut self) -> Result<Step, Stop> {
        let may_take = self.may_take();
        let step = poll_fn(|cx| {
            if let Poll::Ready((place, done)) = self.documents.poll_done(cx) {
                return Poll::Ready(Ok(Step::Done(place, done)));
            }
            if let Poll::Ready(moved) = self.line.poll_move(may_take, cx) {
                return Poll::Ready(moved.map(Step::Moved));
            }
            if self.documents.poll_woken(cx).is_ready() {
                return Poll::Ready(Ok(Step::Woken));
            }
            if !self.is_draining && self.draining.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(Step::Draining));
            }
            self.line.poll_rung(cx).map(|rung| Ok(Step::Moved(rung)))
        });
        Ok(step.await?)
    }
}
