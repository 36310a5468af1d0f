//! Owns the pump of JSON messages: many rooms on one connection, whatever carries it. What messages
//! ask for is in [`super::requests`].
//!
//! One thing is waited for at a time (entering a room, catching up, checking a token); until it is
//! there nothing more is read, and everything else is told on.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::BoxFuture;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::App;
use super::carrier::Carrier;
use super::holds::{Hold, Holds, Waiting};
use super::letters::Ear;
use super::line::{Moved, Stop, UNTAKEN_BYTES_MAX, retry_after_ms};
use crate::auth::{Bearer, Denied};
use crate::hub::Denial;
use crate::hub::reader::{CaughtUp, Reader, Since};
use crate::ids::{Millis, RoomId};
use crate::limits::Limits;
use crate::room::operation::Operation;
use crate::room::{End, Event};
use crate::wire::notice::{MessageId, Notice};
use crate::wire::{Code, ask};

/// One connection of JSON messages.
pub struct JsonSocket<C> {
    pub(super) line: C,
    pub(super) app: App,
    pub(super) bearer: Option<Bearer>,
    pub(super) holds: Holds,
    pub(super) ear: Ear,
    errand: Option<BoxFuture<'static, Done>>,
    budget: Budget,
    /// By then a good token is there.
    handshake_until: Millis,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    is_draining: bool,
}

/// What is done in a room once it was entered.
pub(super) enum Then {
    /// It is followed.
    Subscribe { id: Option<MessageId>, since: Since },
    /// Operations are sent.
    Push {
        client: Option<Arc<str>>,
        operations: Vec<Operation>,
        waiting: Waiting,
    },
}

/// What was waited for.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time per socket"
)]
pub(super) enum Done {
    /// A room was entered, or not.
    Entered {
        room: RoomId,
        client: Option<Arc<str>>,
        then: Then,
        reader: Result<Reader, Denial>,
    },
    /// A reader caught up, or not.
    CaughtUp(RoomId, Result<CaughtUp, Denial>),
    /// A token was checked.
    Checked(Option<MessageId>, Box<Result<Bearer, Denied>>),
}

/// What woke the pump.
enum Step {
    Moved(Moved),
    Done(Box<Done>),
    Woken,
    Draining,
}

/// How many messages may come: a burst, and a rate in the long run.
#[derive(Debug)]
pub(super) struct Budget {
    /// Thousandths of a message.
    left: u64,
    at: Millis,
}

impl Budget {
    pub(super) fn new(now: Millis, limits: &Limits) -> Self {
        Self {
            left: u64::from(limits.messages_burst_max) * 1_000,
            at: now,
        }
    }

    /// Takes one message; whether there was one.
    pub(super) fn take(&mut self, now: Millis, limits: &Limits) -> bool {
        let gained = (now.0 - self.at.0).saturating_mul(limits.messages_per_second_max.into());
        let most = u64::from(limits.messages_burst_max) * 1_000;
        self.left = self.left.saturating_add(gained).min(most);
        self.at = now;
        match self.left.checked_sub(1_000) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

impl<C: Carrier> JsonSocket<C> {
    /// A connection whose handshake is done. It has been listening since before the peer knew.
    pub fn new(mut line: C, app: App, bearer: Option<Bearer>, ear: Ear) -> Self {
        line.expires_at(bearer.as_ref().and_then(|bearer| bearer.expires_at));
        let now = line.now().mono;
        let limits = app.hub.limits();
        Self {
            budget: Budget::new(now, limits),
            handshake_until: now.plus(limits.handshake_ms_max),
            draining: Box::pin(app.hub.draining().clone().cancelled_owned()),
            line,
            app,
            bearer,
            holds: Holds::default(),
            ear,
            errand: None,
            is_draining: false,
        }
    }

    /// Moves bytes until the peer leaves, breaks the protocol, or has no good token any more, or
    /// the process drains. Returns the close code, if we closed.
    pub async fn run(&mut self) -> Option<u16> {
        let Err(stop) = self.pump().await;
        if matches!(stop, Stop::Goodbye) {
            for hold in self.holds.iter_mut() {
                hold.reader.say_goodbye();
            }
        }
        self.holds = Holds::default();
        self.errand = None;
        self.line.end(stop).await
    }

    async fn pump(&mut self) -> Result<std::convert::Infallible, Stop> {
        loop {
            self.messages().await?;
            self.refill()?;
            if self.is_draining && self.holds.is_empty() && self.errand.is_none() {
                return Err(Stop::End(End::Unavailable));
            }
            let until = self.bearer.is_none().then_some(self.handshake_until);
            if until.is_some_and(|until| until <= self.line.now().mono) {
                return Err(Stop::End(End::Expired));
            }
            let may_take = self.may_take();
            self.line.wind(may_take, until).map_err(Stop::End)?;
            let step = self.step().await?;
            self.line.tick();
            match step {
                Step::Moved(moved) => self.line.note(&moved)?,
                Step::Done(done) => self.done(*done).await?,
                Step::Woken => {}
                Step::Draining => {
                    self.is_draining = true;
                    let wait_ms = retry_after_ms(&self.app.hub);
                    self.say(&Notice::drain(wait_ms));
                }
            }
        }
    }

    fn may_take(&self) -> bool {
        let limits = self.app.hub.limits();
        self.errand.is_none()
            && self.line.takes()
            && !self.holds.are_entering()
            && self.holds.pushes() < limits.pushes_waiting_max
            && self.holds.waiting_bytes() < UNTAKEN_BYTES_MAX
    }

    /// Does what whole messages ask for, one after the other.
    async fn messages(&mut self) -> Result<(), Stop> {
        while self.may_take() {
            let Some(bytes) = self.line.next()? else {
                break;
            };
            let now = self.line.now().mono;
            if !self.budget.take(now, self.app.hub.limits()) {
                return Err(Stop::End(End::TooFast));
            }
            let read = ask::read(&bytes);
            let (id, ask) = read.map_err(|violation| Stop::End(violation.into()))?;
            match ask {
                Ok(ask) => self.answer(id, ask).await?,
                Err(unfit) => self.refuse(id.as_deref(), None, unfit.code, unfit.reason),
            }
            self.line.tick();
        }
        Ok(())
    }

    /// Waits for something while everything else is told on.
    pub(super) fn begin(&mut self, errand: impl Future<Output = Done> + Send + 'static) {
        self.errand = Some(Box::pin(errand));
    }

    /// Adds a message.
    pub(super) fn say(&mut self, notice: &Notice) {
        self.line.tell(notice);
    }

    /// Makes ready what the peer is to be told next, as far as it takes it.
    fn refill(&mut self) -> Result<(), Stop> {
        let mut heard = Vec::new();
        while self.line.wants() > 0
            && let Some(place) = self.holds.next_woken()
        {
            let hold = self.holds.at(place);
            hold.reader.hear(self.line.wants(), &mut heard);
            hold.is_woken = !heard.is_empty();
            for notice in heard.drain(..) {
                self.say(&notice);
            }
            let mut is_there = true;
            while is_there
                && self.line.takes()
                && let Some(event) = self.holds.at(place).reader.next_event()
            {
                is_there = self.tell(place, event)?;
            }
            // What the peer does not take yet has its turn again.
            if is_there && !self.line.takes() {
                self.holds.at(place).is_woken = true;
            }
        }
        self.hear();
        self.catch_up();
        Ok(())
    }

    /// Lets somebody catch up who has to, once the peer has taken what it was sent.
    fn catch_up(&mut self) {
        if self.errand.is_some() || !self.line.is_drained() {
            return;
        }
        let (bearer, hub) = (&self.bearer, &self.app.hub);
        let Some(place) = self.holds.next_behind() else {
            return;
        };
        let hold = self.holds.at(place);
        let room = hold.room.clone();
        let Some(Ok(grant)) = bearer.as_ref().map(|bearer| bearer.grant(&room)) else {
            return;
        };
        let caught_up = hold.reader.catch_up(hub, grant);
        self.begin(async move { Done::CaughtUp(room, caught_up.await) });
    }

    /// Tells the peer of an event of a room; whether the room is still there.
    fn tell(&mut self, place: usize, event: Event) -> Result<bool, Stop> {
        let hold = self.holds.at(place);
        let room = hold.room.clone();
        match event {
            Event::Pushed {
                ticket,
                results,
                position,
            } => {
                if let Some(Waiting { id, misfits }) = hold.pushes.remove(&ticket) {
                    let results = misfits.between(&results);
                    self.say(&Notice::pushed(&room, id.as_deref(), position, &results));
                }
            }
            Event::Refused { ticket, refusal } => {
                // Presence and messages are refused without an id: they were answered.
                let id = hold.pushes.remove(&ticket).and_then(|waiting| waiting.id);
                let message = refusal.to_string();
                self.refuse(id.as_deref(), Some(&room), refusal.code(), &message);
            }
            Event::Ended(end) => {
                self.over(place, &end)?;
                return Ok(false);
            }
            // What only Yjs clients are told.
            Event::Diff { .. }
            | Event::Presence(_)
            | Event::Missing { .. }
            | Event::Kept { .. } => {}
        }
        Ok(!self.let_go(place))
    }

    /// Lets go of a room that is neither followed nor waited for.
    pub(super) fn let_go(&mut self, place: usize) -> bool {
        let hold = self.holds.at(place);
        let is_over = !hold.reader.is_subscribed() && hold.pushes.is_empty();
        if is_over {
            self.holds.remove(place);
        }
        is_over
    }

    /// A room ended: who waits for it is told, and who follows it, too.
    fn over(&mut self, place: usize, end: &End) -> Result<(), Stop> {
        let mut hold = self.holds.remove(place);
        let code = end.code();
        for notice in hold.unanswered(code, "the room ended", is_retryable(code)) {
            self.say(&notice);
        }
        if !hold.reader.is_subscribed() {
            return Ok(());
        }
        match end {
            End::RoomDeleted | End::EpochChanged => self.say(&Notice::reset(&hold.room, code)),
            // It is opened anew, from what is durable: nothing that was told is taken back.
            End::Internal => self.enter_anew(&hold),
            End::Unavailable if self.is_draining || self.app.hub.draining().is_cancelled() => {}
            End::Expired => return Err(Stop::End(End::Expired)),
            End::Idle => return Err(Stop::End(End::Idle)),
            End::Unavailable
            | End::Malformed(_)
            | End::Forbidden
            | End::TooLarge
            | End::TooFast => {
                let message = "the room cannot be followed";
                self.refuse(None, Some(&hold.room), code, message);
            }
        }
        Ok(())
    }

    fn enter_anew(&mut self, hold: &Hold) {
        let grant = self.bearer.as_ref().map(|it| it.grant(&hold.room));
        if let (None, Some(Ok(grant)), Some(since)) = (&self.errand, grant, hold.reader.position())
        {
            let then = Then::Subscribe {
                id: None,
                since: Since::Seen(Some(since.epoch), since.version),
            };
            self.enter(hold.room.clone(), grant, hold.client.clone(), then);
        } else {
            let message = "the room failed; subscribe again";
            self.refuse(None, Some(&hold.room), "internal", message);
        }
    }

    /// Says that something is not done, and why.
    pub(super) fn refuse(
        &mut self,
        id: Option<&serde_json::value::RawValue>,
        room: Option<&RoomId>,
        code: &str,
        message: &str,
    ) {
        self.say(&Notice::error(id, room, code, message, is_retryable(code)));
    }

    async fn step(&mut self) -> Result<Step, Stop> {
        let may_take = self.may_take();
        let step = poll_fn(|cx| {
            if let Some(errand) = &mut self.errand
                && let Poll::Ready(done) = errand.as_mut().poll(cx)
            {
                self.errand = None;
                return Poll::Ready(Ok(Step::Done(Box::new(done))));
            }
            if let Poll::Ready(moved) = self.line.poll_move(may_take, cx) {
                return Poll::Ready(moved.map(Step::Moved));
            }
            if self.holds.poll_woken(cx).is_ready() || self.ear.poll_woken(cx).is_ready() {
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

/// Whether the same is worth another try later.
pub(super) fn is_retryable(code: &str) -> bool {
    matches!(code, "unavailable" | "internal" | "too_many_requests")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jw24_a_burst_of_messages_passes_and_a_flood_does_not() {
        let limits = Limits::default();
        let mut budget = Budget::new(Millis(0), &limits);
        let took = (0..10_000)
            .filter(|_| budget.take(Millis(0), &limits))
            .count();
        assert_eq!(took, 4_000);
        let later = Millis(2_000);
        let took = (0..10_000).filter(|_| budget.take(later, &limits)).count();
        assert_eq!(took, 1_000);
    }
}
