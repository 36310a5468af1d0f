//! Owns messages addressed to users: kept for those who poll, told at once to those who listen.
//!
//! In memory alone: a message says that something happened, and is gone after some minutes. What is
//! said to everybody, or to a topic, is kept once for all. Every bound is in `limits.rs`.

pub mod listener;

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

pub use listener::{Listener, TooManyTopics};

use self::listener::Ears;
use super::Clock;
use super::census::Census;
use crate::ids::{Millis, RoomId};
use crate::limits::Limits;
use crate::wire::messages::{Message, Words};
use crate::wire::notice::Notice;

/// What a parcel takes beside its texts.
const PARCEL_BYTES: usize = 320;

/// To whom a message was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Those who were in this room. Whoever follows the room on a socket may hear it there, too.
    Room(RoomId),
    /// This user.
    User(Arc<str>),
    /// Those who hear one of these topics.
    Topics(Arc<[Arc<str>]>),
    /// Everybody.
    Everyone,
}

/// A message on its way: one for all who get it.
#[derive(Debug)]
pub struct Parcel {
    /// What is said.
    pub message: Message,
    /// To whom.
    pub to: Address,
    notice: OnceLock<Notice>,
    expires_at: Millis,
    weight: usize,
    held: Arc<AtomicUsize>,
}

impl Parcel {
    /// The message as sockets are told it: encoded by whoever asks first.
    pub fn notice(&self, encode: impl FnOnce(&Self) -> Notice) -> Notice {
        self.notice.get_or_init(|| encode(self)).clone()
    }

    fn is_heard_in(&self, hears: &impl Fn(&str) -> bool) -> bool {
        match &self.to {
            Address::Topics(topics) => topics.iter().any(|topic| hears(topic)),
            Address::Room(_) | Address::User(_) | Address::Everyone => true,
        }
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        self.held.fetch_sub(self.weight, Ordering::Relaxed);
    }
}

/// Why a message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undeliverable {
    /// It is larger than a message may be.
    TooLarge,
    /// As much waits as may wait: later there is room again.
    Full,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its name.
    pub id: String,
    /// When, as its receivers see it.
    pub timestamp: i64,
}

/// What a user has missed.
#[derive(Debug)]
pub struct Polled {
    /// In the order of their timestamps.
    pub messages: Vec<Arc<Parcel>>,
    /// Where to go on from: all that comes later is after it.
    pub timestamp: i64,
}

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Users who have messages.
    pub queues: usize,
    /// Topics that listeners follow, each as often as it is followed.
    pub topics: usize,
}

/// All users' messages.
pub struct Inbox {
    clock: Arc<dyn Clock>,
    limits: Arc<Limits>,
    census: Arc<Census>,
    held: Arc<AtomicUsize>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    queues: HashMap<Arc<str>, Queue>,
    /// For everybody, and for topics.
    broadcasts: Queue,
    /// The latest timestamp that anybody was given.
    latest: i64,
    /// The latest time that was seen: the wall clock may be set back, timestamps may not.
    now: i64,
    ears: Ears,
}

#[derive(Default)]
struct Queue {
    parcels: VecDeque<Arc<Parcel>>,
    bytes: usize,
    /// The timestamp given last.
    last: i64,
}

impl Queue {
    fn push(&mut self, parcel: Arc<Parcel>, limits: &Limits) {
        self.last = parcel.message.timestamp;
        self.bytes += parcel.weight;
        self.parcels.push_back(parcel);
        let is_over = |queue: &Self| {
            queue.parcels.len() > limits.inbox_messages_max
                || queue.bytes > limits.inbox_user_bytes_max
        };
        while is_over(self) && self.parcels.len() > 1 {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.parcels.pop_front() {
            self.bytes -= oldest.weight;
        }
    }

    /// Drops what is over its time; returns how many.
    fn expire(&mut self, now: Millis) -> usize {
        let before = self.parcels.len();
        while (self.parcels.front()).is_some_and(|oldest| oldest.expires_at <= now) {
            self.drop_oldest();
        }
        before - self.parcels.len()
    }

    fn after(&self, since: i64, now: Millis) -> impl Iterator<Item = &Arc<Parcel>> {
        let first = (self.parcels).partition_point(|it| it.message.timestamp <= since);
        let later = self.parcels.range(first..);
        later.filter(move |parcel| parcel.expires_at > now)
    }
}

impl Inner {
    /// What time it is for timestamps.
    fn wall(&mut self, clock: &dyn Clock) -> i64 {
        self.now = self.now.max(clock.now().wall.0);
        self.now
    }

    /// Drops what is over its time, and queues that nobody needs; returns how many messages.
    fn expire(&mut self, now: Millis) -> usize {
        let mut expired = self.broadcasts.expire(now);
        let wall = self.now;
        self.queues.retain(|_, queue| {
            expired += queue.expire(now);
            // One that is gone gives timestamps after those that it gave before.
            !queue.parcels.is_empty() || queue.last >= wall
        });
        expired
    }
}

impl Inbox {
    /// An inbox without messages.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limits: Arc<Limits>, census: Arc<Census>) -> Self {
        Self {
            clock,
            limits,
            census,
            held: Arc::default(),
            inner: Mutex::default(),
        }
    }

    /// Says something to these users; each is to be named once. Whether they exist nobody knows.
    pub fn say_to(
        &self,
        users: &[Arc<str>],
        to: Address,
        from: &Arc<str>,
        words: Words,
    ) -> Result<Said, Undeliverable> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let wall = inner.wall(&*self.clock);
        let news = || users.iter();
        self.make_room(inner, &words, |inner| {
            let unknown = news().filter(|user| !inner.queues.contains_key(*user));
            inner.queues.len() + unknown.count() <= self.limits.inbox_users_max
        })?;
        let given = news().filter_map(|user| inner.queues.get(user).map(|queue| queue.last));
        let after = given.chain([inner.broadcasts.last]).max().unwrap_or(0);
        let parcel = self.wrap(inner, words, to, from, wall.max(after + 1));
        for user in users {
            match inner.queues.entry(user.clone()) {
                Slot::Occupied(mut slot) => slot.get_mut().push(parcel.clone(), &self.limits),
                Slot::Vacant(slot) => {
                    let queue = slot.insert(Queue::default());
                    queue.push(parcel.clone(), &self.limits);
                }
            }
            inner.ears.tell_user(user, &parcel);
        }
        Ok(said(&parcel))
    }

    /// Says something to everybody.
    pub fn say_to_everyone(&self, from: &Arc<str>, words: Words) -> Result<Said, Undeliverable> {
        self.broadcast(Address::Everyone, from, words)
    }

    /// Says something to everybody who hears one of these topics.
    pub fn say_in_topics(
        &self,
        topics: Arc<[Arc<str>]>,
        from: &Arc<str>,
        words: Words,
    ) -> Result<Said, Undeliverable> {
        self.broadcast(Address::Topics(topics), from, words)
    }

    fn broadcast(&self, to: Address, from: &Arc<str>, words: Words) -> Result<Said, Undeliverable> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let wall = inner.wall(&*self.clock);
        self.make_room(inner, &words, |_| true)?;
        let parcel = self.wrap(inner, words, to, from, wall.max(inner.latest + 1));
        inner.broadcasts.push(parcel.clone(), &self.limits);
        match &parcel.to {
            Address::Topics(topics) => inner.ears.tell_topics(topics, &parcel),
            Address::Room(_) | Address::User(_) | Address::Everyone => {
                inner.ears.tell_everyone(&parcel);
            }
        }
        Ok(said(&parcel))
    }

    /// Refuses what is too much, after dropping what is over its time.
    fn make_room(
        &self,
        inner: &mut Inner,
        words: &Words,
        fits: impl Fn(&Inner) -> bool,
    ) -> Result<(), Undeliverable> {
        if words.payload.get().len() > self.limits.inbox_message_bytes_max {
            return Err(Undeliverable::TooLarge);
        }
        let fits = |inner: &Inner| {
            let held = self.held.load(Ordering::Relaxed);
            held + weight(words) <= self.limits.inbox_bytes_max && fits(inner)
        };
        if !fits(inner) {
            inner.expire(self.clock.now().mono);
        }
        if fits(inner) {
            Ok(())
        } else {
            Err(Undeliverable::Full)
        }
    }

    fn wrap(
        &self,
        inner: &mut Inner,
        words: Words,
        to: Address,
        from: &Arc<str>,
        timestamp: i64,
    ) -> Arc<Parcel> {
        inner.latest = inner.latest.max(timestamp);
        let weight = weight(&words);
        self.held.fetch_add(weight, Ordering::Relaxed);
        let message = Message {
            id: super::fresh_id(&*self.clock),
            r#type: words.r#type,
            payload: words.payload,
            timestamp,
            user_id: from.clone(),
            correlation_id: words.correlation_id,
        };
        Arc::new(Parcel {
            message,
            to,
            notice: OnceLock::new(),
            expires_at: self.clock.now().mono.plus(self.limits.inbox_kept_ms),
            weight,
            held: self.held.clone(),
        })
    }

    /// What a user was told strictly after a timestamp, itself or in a topic that it hears: at most
    /// the newest thousand.
    pub fn poll(&self, user: &str, since: i64, hears: impl Fn(&str) -> bool) -> Polled {
        let mut inner = self.inner.lock();
        let wall = inner.wall(&*self.clock);
        let now = self.clock.now().mono;
        let own = inner.queues.get(user);
        let broadcasts = inner.broadcasts.after(since, now);
        let mut messages: Vec<Arc<Parcel>> = own
            .into_iter()
            .flat_map(|queue| queue.after(since, now))
            .chain(broadcasts.filter(|parcel| parcel.is_heard_in(&hears)))
            .cloned()
            .collect();
        messages.sort_by_key(|parcel| parcel.message.timestamp);
        let excess = messages
            .len()
            .saturating_sub(self.limits.inbox_messages_max);
        messages.drain(..excess);
        let given = own.map_or(0, |queue| queue.last).max(inner.broadcasts.last);
        // Something may be said in this very millisecond yet: it comes after the one before.
        let timestamp = given.max(wall - 1);
        Polled {
            messages,
            timestamp,
        }
    }

    /// Drops what is over its time; returns how many messages.
    pub fn cleanup(&self) -> usize {
        let mut inner = self.inner.lock();
        inner.wall(&*self.clock);
        inner.expire(self.clock.now().mono)
    }

    /// How much waits.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        let inner = self.inner.lock();
        let queues = inner.queues.values();
        Waiting {
            queues: queues.filter(|queue| !queue.parcels.is_empty()).count(),
            topics: inner.ears.topics(),
        }
    }
}

fn weight(words: &Words) -> usize {
    let correlation = words.correlation_id.as_ref().map_or(0, String::len);
    PARCEL_BYTES + words.payload.get().len() + words.r#type.len() + correlation
}

fn said(parcel: &Parcel) -> Said {
    Said {
        id: parcel.message.id.clone(),
        timestamp: parcel.message.timestamp,
    }
}

#[cfg(test)]
mod tests;
