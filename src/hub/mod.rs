//! Owns the engine room: tasks live here. [`Hub`] and [`Attachment`] are the handles that
//! transports hold.

mod asking;
pub mod attachment;
pub mod audit;
pub mod census;
mod changes;
pub mod check;
pub mod compactor;
mod company;
pub mod conflicts;
pub mod crash;
mod driver;
mod errands;
pub mod inbox;
mod lanes;
pub mod loader;
pub mod meter;
pub mod outbox;
pub mod projector;
pub mod push;
mod quarantine;
pub mod reader;
pub mod records;
mod registry;
pub mod ring;
pub mod rows;
mod say;
pub mod suspects;
pub mod told;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use attachment::Attachment;
pub use changes::Changes;
pub use ring::Gathered;
pub use say::Unsaid;

use self::audit::AuditLog;
use self::census::Census;
use self::conflicts::Resolving;
use self::crash::{CrashJournal, DeadRun};
use self::driver::{Arrival, Mail};
use self::inbox::Inbox;
use self::lanes::Hears;
use self::meter::Meter;
use self::outbox::Outbox;
use self::projector::Projector;
use self::registry::Registry;
use self::suspects::{Probe, Suspected};
use crate::ids::{Now, RoomId, SessionId};
use crate::limits::Limits;
use crate::room::{Grant, Refusal};
use crate::store::group::GroupCommit;
use crate::store::{Failure, Listed, Store};
use crate::wire::Dialect;

/// What time it is, and random numbers: told to the hub by the composition.
pub trait Clock: Send + Sync {
    /// What time it is.
    fn now(&self) -> Now;
    /// 128 random bits.
    fn random(&self) -> u128;
}

/// What every room's task needs.
pub struct Shared {
    /// Where rooms are kept.
    pub store: Arc<dyn Store>,
    /// Appends of all rooms, many in one transaction.
    pub journal: GroupCommit,
    /// Records, written behind.
    pub projector: Arc<Projector>,
    /// The clock and the dice.
    pub clock: Arc<dyn Clock>,
    /// Every bound.
    pub limits: Arc<Limits>,
    /// What is counted.
    pub meter: Meter,
    /// What rooms are about to do, for the next process.
    pub crash: CrashJournal,
    /// Who was let in or refused, and what admins did: written behind.
    pub audit: AuditLog,
    /// Conflicts that are about to end.
    pub resolving: Resolving,
    /// What they were doing when an earlier process died, until it is judged.
    pub suspected: Suspected,
    /// Cancelled when the process is about to end: nobody new is let in.
    pub leaving: CancellationToken,
    /// Cancelled when the process ends: rooms say their last word.
    pub drain: CancellationToken,
    /// The rooms' tasks.
    pub tasks: TaskTracker,
}

/// Why the hub lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The process drains, the database is away, or there are as many rooms as there may be.
    Unavailable,
    /// This user has as many rooms open as one may.
    TooMany,
    /// The room is held until an operator releases it.
    Quarantined,
    /// What is stored cannot be opened.
    Internal,
}

impl From<&Failure> for Denial {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Unavailable(_) => Self::Unavailable,
            Failure::Refused(_) | Failure::Corrupt(_) => Self::Internal,
        }
    }
}

/// The live rooms of this process, and the way to them.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
    sessions: Arc<AtomicU64>,
    census: Arc<Census>,
    inbox: Arc<Inbox>,
}

impl Hub {
    /// A hub without rooms.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, limits: Arc<Limits>) -> Self {
        Self::after(&[], store, clock, limits, CrashJournal::none())
    }

    /// The same, with a crash journal, after runs that died: their rooms are not opened before
    /// [`Hub::judge`] is done with them.
    #[must_use]
    pub fn after(
        dead: &[DeadRun],
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        limits: Arc<Limits>,
        crash: CrashJournal,
    ) -> Self {
        let census = Arc::new(Census::default());
        let inbox = Inbox::new(clock.clone(), limits.clone(), census.clone());
        let shared = Shared {
            journal: GroupCommit::start(store.clone()),
            projector: Projector::start(store.clone()),
            audit: AuditLog::start(store.clone(), &limits),
            store,
            clock,
            limits,
            meter: Meter::default(),
            crash,
            resolving: Resolving::default(),
            suspected: Suspected::of(dead),
            leaving: CancellationToken::new(),
            drain: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        Self {
            shared: Arc::new(shared),
            registry: Arc::new(Registry::default()),
            sessions: Arc::new(AtomicU64::new(1)),
            census,
            inbox: Arc::new(inbox),
        }
    }

    /// Every bound.
    #[must_use]
    pub fn limits(&self) -> &Arc<Limits> {
        &self.shared.limits
    }

    /// What is counted.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.shared.meter
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Now {
        self.shared.clock.now()
    }

    /// A random pause up to so many milliseconds.
    #[must_use]
    pub fn jitter_ms(&self, ms_max: u64) -> u64 {
        (self.shared.clock.random() % u128::from(ms_max + 1)) as u64
    }

    /// An id that nothing else has: a UUID of version 7.
    #[must_use]
    pub fn fresh_id(&self) -> String {
        fresh_id(&*self.shared.clock)
    }

    /// Messages to users.
    #[must_use]
    pub fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Who is connected.
    #[must_use]
    pub fn census(&self) -> &Arc<Census> {
        &self.census
    }

    /// How many rooms are in memory.
    #[must_use]
    pub fn live_rooms(&self) -> usize {
        self.registry.len()
    }

    /// Attaches a connection to a room: live in a dialect, or only for answers.
    pub async fn attach(
        &self,
        room: &RoomId,
        grant: Grant,
        dialect: Option<Dialect>,
        client: Option<Arc<str>>,
    ) -> Result<Attachment, Denial> {
        let hears = dialect.map_or(Hears::Answers, Hears::Live);
        self.enter(room, grant, hears, client).await
    }

    async fn enter(
        &self,
        room: &RoomId,
        grant: Grant,
        hears: Hears,
        client: Option<Arc<str>>,
    ) -> Result<Attachment, Denial> {
        let session = SessionId(self.sessions.fetch_add(1, Ordering::Relaxed));
        let client = client.unwrap_or_else(|| session.0.to_string().into());
        let outbox = Arc::new(Outbox::new(self.limits().outbox_events_max));
        let user = grant.identity.user.clone();
        loop {
            let handle = self.registry.open(&self.shared, room, &user).await?;
            let (reply, answer) = oneshot::channel();
            let arrival = Arrival {
                session,
                grant: grant.clone(),
                client: client.clone(),
                hears,
                outbox: outbox.clone(),
                reply,
            };
            // A room that ends meanwhile drops the reply: the next round opens it anew.
            if handle
                .mail
                .send(Mail::Attach(Box::new(arrival)))
                .await
                .is_ok()
                && let Ok(attachment) = answer.await
            {
                return Ok(attachment.counted(&self.census, &user, hears));
            }
            self.forget(room, &handle);
        }
    }

    /// Rooms by name, from the store.
    pub async fn list(
        &self,
        prefix: &str,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Listed>, Denial> {
        let listed = self.shared.store.list(prefix, after, limit).await;
        listed.map_err(|failure| Denial::from(&failure))
    }

    /// Tries aside what dead runs were doing, and holds what kills.
    pub async fn judge(&self, dead: Vec<DeadRun>, probe: Arc<dyn Probe>) {
        suspects::judge(self.shared.clone(), dead, probe).await;
    }

    /// Counts the rooms that are held, for the meter; others release them, too.
    pub async fn count_quarantined(&self) {
        if let Ok(rooms) = self.shared.store.quarantine().held_rooms().await {
            self.shared.meter.quarantined_rooms(rooms);
        }
    }

    /// Whether the store answers.
    pub async fn is_ready(&self) -> bool {
        !self.is_leaving() && self.shared.store.ping().await.is_ok()
    }

    /// Whether the process is about to end.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.shared.leaving.is_cancelled()
    }

    /// Lets nobody new in: readiness goes first.
    pub fn leave(&self) {
        self.shared.leaving.cancel();
    }

    /// Cancelled when the process ends: connections tell their peers when to return.
    #[must_use]
    pub fn draining(&self) -> &CancellationToken {
        &self.shared.drain
    }

    /// Ends all rooms once everything they hold is durable. Returns whether that came to pass in
    /// time.
    pub async fn drain(&self, within: Duration) -> bool {
        self.leave();
        self.shared.drain.cancel();
        self.shared.tasks.close();
        let tasks = self.shared.tasks.wait();
        let is_durable = tokio::time::timeout(within, tasks).await.is_ok();
        // What happened is worth a moment more; a database that is away is not waited for.
        let noted = tokio::time::timeout(within / 8, self.shared.audit.end());
        if noted.await.is_err() {
            tracing::warn!("audit lines are lost: they could not be written in time");
        }
        is_durable
    }
}

/// A UUID of version 7.
fn fresh_id(clock: &dyn Clock) -> String {
    let random = clock.random().to_be_bytes();
    let mut bits = [0; 10];
    bits.copy_from_slice(&random[..10]);
    let ms = clock.now().wall.0.max(0) as u64;
    let id = uuid::Builder::from_unix_timestamp_millis(ms, &bits).into_uuid();
    id.to_string()
}

/// A refusal by the hub, in the words of a room.
impl From<Denial> for Refusal {
    fn from(_: Denial) -> Self {
        Self::Unavailable
    }
}

#[cfg(test)]
mod tests;
