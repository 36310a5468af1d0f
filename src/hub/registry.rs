//! Owns which rooms are live: one opening at a time per room, and a failed one leaves nothing
//! behind.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Slot;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared as SharedFuture};
use tokio::sync::{Semaphore, mpsc, watch};

use super::driver::{Driver, Mail, Mailbox};
use super::{Denial, Shared, loader, quarantine};
use crate::ids::{Epoch, Position, RoomId, SessionId};
use crate::room::{Departure, Room};
use crate::store::Failure;

/// A mailbox holds two of the largest updates, so that memory stays bounded while a room waits.
pub const MAILBOX_KIB: usize = 32 * 1024;

/// How others reach a live room.
pub struct RoomHandle {
    /// Where inputs go.
    pub mail: mpsc::Sender<Mail>,
    /// How many bytes the mailbox takes, in KiB.
    pub space: Arc<Semaphore>,
    /// Where departures go.
    pub departures: mpsc::UnboundedSender<(SessionId, Departure)>,
    /// The last durable position.
    pub head: watch::Receiver<Position>,
    /// Bytes that are not durable yet, as the meter last saw them.
    pub backlog: AtomicUsize,
    opener: Arc<str>,
}

type Opening = SharedFuture<BoxFuture<'static, Result<Arc<RoomHandle>, Denial>>>;

enum Place {
    Opening(Opening),
    Live(Arc<RoomHandle>),
}

/// All rooms in memory.
#[derive(Default)]
pub struct Registry {
    places: DashMap<RoomId, Place>,
    /// How many rooms in memory each user opened.
    opened: DashMap<Arc<str>, usize>,
}

impl Registry {
    /// How many rooms are in memory, or on their way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The room, opened if need be on behalf of `user`. Everyone who comes meanwhile waits for the
    /// same opening.
    pub async fn open(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        room: &RoomId,
        user: &Arc<str>,
    ) -> Result<Arc<RoomHandle>, Denial> {
        let opening = {
            let count = self.places.len();
            match self.places.entry(room.clone()) {
                Slot::Occupied(slot) => match slot.get() {
                    Place::Live(handle) => return Ok(handle.clone()),
                    Place::Opening(opening) => opening.clone(),
                },
                Slot::Vacant(slot) => {
                    if shared.leaving.is_cancelled() || count >= shared.limits.rooms_max {
                        return Err(Denial::Unavailable);
                    }
                    self.count_opened(user, shared.limits.rooms_per_user_max)?;
                    let begin = begin(self.clone(), shared.clone(), room.clone(), user.clone());
                    // A task of its own: the opening does not end with who asked for it first.
                    let task = shared.tasks.spawn(begin);
                    let opening = async move { task.await.unwrap_or(Err(Denial::Internal)) }
                        .boxed()
                        .shared();
                    slot.insert(Place::Opening(opening.clone()));
                    opening
                }
            }
        };
        opening.await
    }

    /// Takes a room out whose task has ended.
    pub fn remove(&self, room: &RoomId, handle: &Arc<RoomHandle>) {
        let is_it = |place: &Place| matches!(place, Place::Live(live) if Arc::ptr_eq(live, handle));
        if self
            .places
            .remove_if(room, |_, place| is_it(place))
            .is_some()
        {
            self.count_closed(&handle.opener);
        }
    }

    /// Takes a room out that wants to rest, unless somebody is at its door.
    pub fn release(&self, room: &RoomId, handle: &Arc<RoomHandle>) -> bool {
        let is_quiet = |place: &Place| match place {
            Place::Live(live) => {
                Arc::ptr_eq(live, handle) && live.mail.capacity() == live.mail.max_capacity()
            }
            Place::Opening(_) => false,
        };
        let is_released = self
            .places
            .remove_if(room, |_, place| is_quiet(place))
            .is_some();
        if is_released {
            self.count_closed(&handle.opener);
        }
        is_released
    }

    fn count_opened(&self, user: &Arc<str>, max: usize) -> Result<(), Denial> {
        let mut count = self.opened.entry(user.clone()).or_default();
        if *count >= max {
            return Err(Denial::TooMany);
        }
        *count += 1;
        Ok(())
    }

    fn count_closed(&self, user: &Arc<str>) {
        self.opened.remove_if_mut(user, |_, count| {
            *count -= 1;
            *count == 0
        });
    }
}

/// Loads the room if it may be opened, with what it keeps out.
async fn prepare(shared: &Arc<Shared>, room: &RoomId) -> Result<loader::Opened, Denial> {
    let barred = quarantine::admit(shared, room).await?;
    let epoch = Epoch(uuid::Uuid::from_u128(shared.clock.random()));
    let client = (shared.clock.random() as u32).max(1);
    let load = {
        let (shared, room) = (shared.clone(), room.clone());
        async move { loader::load(&shared.store, &room, client, epoch).await }
    };
    // A task of its own: folding what is stored must not take the registry with it.
    let loaded = match tokio::spawn(shared.crash.during(room.clone(), load)).await {
        Ok(loaded) => loaded,
        Err(_) => Err(Failure::Corrupt("loading panicked".into())),
    };
    shared.meter.outcome("load", room, loaded.as_ref().err());
    let mut opened = loaded.map_err(|failure| Denial::from(&failure))?;
    opened.document.bar(barred);
    Ok(opened)
}

/// Loads the room and starts its task; a failure leaves nothing behind.
async fn begin(
    registry: Arc<Registry>,
    shared: Arc<Shared>,
    room: RoomId,
    user: Arc<str>,
) -> Result<Arc<RoomHandle>, Denial> {
    let opened = match prepare(&shared, &room).await {
        Ok(opened) => opened,
        Err(denial) => {
            registry.places.remove(&room);
            registry.count_closed(&user);
            return Err(denial);
        }
    };
    let append_seed = shared.clock.random();
    let core = Room::open(
        &opened.standing,
        opened.document,
        append_seed,
        shared.limits.clone(),
    );
    let (mail, mail_receiver) = mpsc::channel(shared.limits.mailbox_len);
    let (departures, departures_receiver) = mpsc::unbounded_channel();
    let (head, head_receiver) = watch::channel(core.position());
    let handle = Arc::new(RoomHandle {
        mail,
        space: Arc::new(Semaphore::new(MAILBOX_KIB)),
        departures,
        head: head_receiver,
        backlog: AtomicUsize::new(0),
        opener: user,
    });
    registry
        .places
        .insert(room.clone(), Place::Live(handle.clone()));
    let mailbox = Mailbox {
        mail: mail_receiver,
        departures: departures_receiver,
    };
    let driver = Driver::new(
        core,
        room,
        shared.clone(),
        registry.clone(),
        handle.clone(),
        mailbox,
        head,
    );
    shared.tasks.spawn(driver.run());
    Ok(handle)
}
