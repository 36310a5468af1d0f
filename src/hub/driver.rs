//! Owns one room's task: mailbox, then the core, then its effects. One task, one room, one owner of
//! the document.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::Shared;
use super::attachment::{Attachment, Place};
use super::errands::Errands;
use super::lanes::{Hears, Lanes};
use super::outbox::Outbox;
use super::quarantine::{self, Offence, said, update_in};
use super::registry::{Registry, RoomHandle};
use crate::ids::{Millis, Now, Position, RoomId, SessionId};
use crate::room::{Departure, Effect, End, Event, Grant, Input, Room};

/// As many inputs are taken as one batch: what waits together travels together.
const BATCH_INPUTS_MAX: usize = 512;

/// Asked of a room, between two batches.
type Question = Box<dyn FnOnce(&mut Room, Now) + Send>;

/// What arrives in a room's mailbox.
pub enum Mail {
    /// A session at the door; it is given its place in the ring of its dialect.
    Attach(Box<Arrival>),
    /// Something for the core, and the room it takes in the mailbox.
    Input(Input, OwnedSemaphorePermit),
    /// A question, answered between two batches.
    Ask(Question),
}

/// A session at the door.
pub struct Arrival {
    /// The session.
    pub session: SessionId,
    /// What it may do.
    pub grant: Grant,
    /// Its device or tab.
    pub client: Arc<str>,
    /// What it hears besides answers.
    pub hears: Hears,
    /// Where it is told.
    pub outbox: Arc<Outbox>,
    /// Says that it is in. Who does not wait for that any more drops it, and so departs.
    pub reply: oneshot::Sender<Attachment>,
}

/// The receiving ends of a room's mailbox.
pub struct Mailbox {
    /// Bounded: who writes to a busy room waits.
    pub mail: mpsc::Receiver<Mail>,
    /// Departures are never refused; there is at most one per session.
    pub departures: mpsc::UnboundedReceiver<(SessionId, Departure)>,
}

/// One room's task.
pub struct Driver {
    room: Room,
    name: RoomId,
    shared: Arc<Shared>,
    registry: Arc<Registry>,
    handle: Arc<RoomHandle>,
    mailbox: Mailbox,
    head: watch::Sender<Position>,
    lanes: Lanes,
    pending: FuturesUnordered<BoxFuture<'static, Input>>,
    effects: Vec<Effect>,
    /// What is to be held before the room is opened anew.
    offence: Option<Offence>,
    /// How many encodings of the room were counted.
    encodings: u64,
    is_over: bool,
}

impl Driver {
    /// A driver for a room that was opened.
    pub fn new(
        room: Room,
        name: RoomId,
        shared: Arc<Shared>,
        registry: Arc<Registry>,
        handle: Arc<RoomHandle>,
        mailbox: Mailbox,
        head: watch::Sender<Position>,
    ) -> Self {
        Self {
            room,
            lanes: Lanes::new(name.clone(), shared.limits.clone()),
            name,
            shared,
            registry,
            handle,
            mailbox,
            head,
            pending: FuturesUnordered::new(),
            effects: Vec::new(),
            offence: None,
            encodings: 0,
            is_over: false,
        }
    }

    /// Drives the room until it rests, is abandoned, or panics.
    pub async fn run(mut self) {
        let mut mail = Vec::with_capacity(16);
        let drain = self.shared.drain.clone();
        let mut is_draining = false;
        while !self.is_over {
            let deadline = self.room.deadline();
            tokio::select! {
                biased;
                // A busy mailbox is always ready: what must not wait for it stands before it.
                () = drain.cancelled(), if !is_draining => {
                    is_draining = true;
                    self.feed(Input::Drain);
                }
                Some((session, departure)) = self.mailbox.departures.recv() => {
                    self.lanes.leave(session);
                    self.feed(Input::Detach { session, departure });
                }
                Some(input) = self.pending.next(), if !self.pending.is_empty() => {
                    let _noted = self.shared.crash.input(&self.name, &self.room, &input);
                    self.feed(input);
                }
                // A store that is behind is waited for, by whoever writes, too.
                count = self.mailbox.mail.recv_many(&mut mail, BATCH_INPUTS_MAX),
                    if !self.room.is_full() =>
                {
                    if count == 0 {
                        break;
                    }
                    let _noted = self.shared.crash.mail(&self.name, &self.room, &mail);
                    for mail in mail.drain(..) {
                        self.open(mail);
                    }
                }
                () = sleep_until(&self.shared, deadline) => self.feed(Input::Tick),
            }
            self.settle();
        }
        if let Some(offence) = self.offence.take() {
            quarantine::hold_update(&self.shared, &self.name, offence).await;
        }
        self.registry.remove(&self.name, &self.handle);
        self.shared.meter.backlog(&self.handle.backlog, 0);
    }

    fn open(&mut self, mail: Mail) {
        if self.is_over {
            // Whoever waits for an answer sees it dropped, and opens the room anew.
            return;
        }
        match mail {
            Mail::Input(input, _room) => self.feed(input),
            Mail::Attach(arrival) => self.arrive(*arrival),
            Mail::Ask(question) => {
                let now = self.shared.clock.now();
                let room = &mut self.room;
                if catch_unwind(AssertUnwindSafe(|| question(room, now))).is_err() {
                    self.fail(None);
                }
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        let Arrival {
            session,
            grant,
            client,
            hears,
            outbox,
            reply,
        } = arrival;
        let place = match hears {
            Hears::Live(dialect) => Place::Live(self.lanes.live_cursor(dialect, &self.room)),
            Hears::Told => Place::Told(self.lanes.told_cursor()),
            Hears::Answers => Place::None,
        };
        let attachment = Attachment::new(self.handle.clone(), session, outbox.clone(), place);
        if reply.send(attachment).is_err() {
            // The connection ended while it waited at the door.
            return;
        }
        self.lanes.enter(session, hears, outbox);
        self.feed(Input::Attach {
            session,
            grant,
            client,
            listen: hears.listen(),
        });
    }

    /// Tells the core; a panic in it ends this room alone, and whoever sent the input that it died
    /// of.
    fn feed(&mut self, input: Input) {
        if self.is_over {
            return;
        }
        let now = self.shared.clock.now();
        let sender = input.sender();
        let update = update_in(&input);
        let (room, effects) = (&mut self.room, &mut self.effects);
        let done = catch_unwind(AssertUnwindSafe(|| room.handle(input, now, effects)));
        if let Err(panic) = done {
            if let Some(update) = update {
                self.accuse(update, said(&*panic));
            }
            return self.fail(sender);
        }
        self.perform();
    }

    fn settle(&mut self) {
        if self.is_over {
            return;
        }
        let now = self.shared.clock.now();
        let (room, effects) = (&mut self.room, &mut self.effects);
        if catch_unwind(AssertUnwindSafe(|| room.settle(now, effects))).is_err() {
            return self.fail(None);
        }
        self.perform();
        self.lanes.publish(&self.room);
        let encodings = self.room.encodings();
        self.shared.meter.encodings(encodings - self.encodings);
        self.encodings = encodings;
        self.shared
            .meter
            .backlog(&self.handle.backlog, self.room.backlog_bytes());
    }

    fn perform(&mut self) {
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Live { except, event } => {
                    self.shared.meter.live(&event, self.lanes.len());
                    self.lanes.add(except, &event);
                }
                Effect::Stir(stir) => self.lanes.stir(&stir),
                Effect::Tell { session, event } => self.tell(session, event),
                Effect::Append {
                    id,
                    expected,
                    entries,
                    done,
                } => self.send(|errands| errands.append(id, expected, entries, done)),
                Effect::Recall {
                    through,
                    operations,
                    places,
                } => self.send(|errands| errands.recall(through, operations, places)),
                Effect::Release { entries } => {
                    self.shared.meter.entries(entries.len());
                    let epoch = self.room.epoch();
                    self.shared.projector.mark(&self.name, epoch, &entries);
                    self.lanes.release(epoch, &entries);
                    self.head.send_replace(self.room.position());
                }
                Effect::Fetch { after } => self.send(|errands| errands.fetch(after)),
                Effect::Compact { through } => self.send(|errands| errands.compact(through)),
                Effect::Erase { former } => self.send(|errands| errands.erase(former)),
                Effect::Quarantine { update, reason } => self.accuse(update, &reason),
                Effect::Rest => self.is_over = self.registry.release(&self.name, &self.handle),
                Effect::Abandon { end } => self.end(&end),
            }
        }
        self.effects = Vec::new();
    }

    fn tell(&mut self, session: SessionId, event: Event) {
        // What is told alone may build on what was told to all: a diff is counted in live events.
        if matches!(event, Event::Diff { .. }) {
            self.lanes.publish(&self.room);
        }
        if let Event::Refused { refusal, .. } = &event {
            self.shared.meter.refusal(refusal);
        }
        if self.lanes.tell(session, event).is_err() {
            self.lanes.leave(session);
            // An error would mean that this task is gone.
            let _ = self.handle.departures.send((session, Departure::Lost));
        }
    }

    fn send<F>(&mut self, errand: impl FnOnce(Errands) -> F)
    where
        F: Future<Output = Input> + Send + 'static,
    {
        let errands = Errands {
            shared: self.shared.clone(),
            name: self.name.clone(),
            epoch: self.room.epoch(),
        };
        self.pending.push(Box::pin(errand(errands)));
    }

    /// The core panicked: the room ends and is opened anew by whoever comes next.
    fn fail(&mut self, offender: Option<SessionId>) {
        self.shared.meter.panic(&self.name);
        if let Some(outbox) = offender.and_then(|session| self.lanes.leave(session)) {
            let _ = outbox.push(Event::Ended(End::Malformed("update")));
        }
        self.end(&End::Internal);
    }

    /// The document broke on an update, and what it held before is still known.
    fn accuse(&mut self, update: Bytes, reason: &str) {
        let room = &self.room;
        let marks = catch_unwind(AssertUnwindSafe(|| room.marks(&update).encode()));
        self.offence = Some(Offence {
            marks: marks.unwrap_or_default(),
            update,
            reason: format!("the document broke on it: {reason:.200}"),
        });
    }

    fn end(&mut self, end: &End) {
        self.lanes.publish(&self.room);
        self.lanes.end(end);
        self.is_over = true;
    }
}

async fn sleep_until(shared: &Shared, deadline: Option<Millis>) {
    let Some(deadline) = deadline else {
        return std::future::pending().await;
    };
    let now = shared.clock.now().mono;
    if deadline > now {
        tokio::time::sleep(Duration::from_millis(deadline.0 - now.0)).await;
    }
}
