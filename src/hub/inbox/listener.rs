//! Owns who listens to messages: a bounded queue per connection, and the topics that it follows.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::{Inbox, Parcel};
use crate::hub::census::Seat;

/// A listener follows as many topics as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyTopics;

/// Where one connection hears what is said to its user. Dropping it ends that.
pub struct Listener {
    inbox: Arc<Inbox>,
    ear: Arc<Ear>,
    topics: HashSet<Arc<str>>,
    /// Whoever waits with one request is no connection.
    _seat: Option<Seat>,
}

#[derive(Debug)]
struct Ear {
    number: u64,
    user: Arc<str>,
    untaken_max: usize,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    parcels: VecDeque<Arc<Parcel>>,
    lost: u64,
    is_woken: bool,
    waker: Option<Waker>,
}

impl Ear {
    fn hear(&self, parcel: &Arc<Parcel>) {
        let waker = {
            let mut heard = self.heard.lock();
            if heard.parcels.len() >= self.untaken_max {
                heard.parcels.pop_front();
                heard.lost += 1;
            }
            heard.parcels.push_back(parcel.clone());
            heard.is_woken = true;
            heard.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// All listeners.
#[derive(Debug, Default)]
pub(super) struct Ears {
    users: HashMap<Arc<str>, Vec<Arc<Ear>>>,
    topics: HashMap<Arc<str>, Vec<Arc<Ear>>>,
    /// Those who hear every topic, and judge for themselves.
    all_topics: HashMap<u64, Arc<Ear>>,
    followed: usize,
    numbers: u64,
}

impl Ears {
    pub(super) fn tell_user(&self, user: &str, parcel: &Arc<Parcel>) {
        for ear in self.users.get(user).into_iter().flatten() {
            ear.hear(parcel);
        }
    }

    pub(super) fn tell_everyone(&self, parcel: &Arc<Parcel>) {
        for ear in self.users.values().flatten() {
            ear.hear(parcel);
        }
    }

    pub(super) fn tell_topics(&self, topics: &[Arc<str>], parcel: &Arc<Parcel>) {
        let mut told = HashSet::new();
        let following = topics.iter().filter_map(|topic| self.topics.get(topic));
        for ear in following.flatten().chain(self.all_topics.values()) {
            // Who follows two of the topics is told once.
            if told.insert(ear.number) {
                ear.hear(parcel);
            }
        }
    }

    pub(super) fn topics(&self) -> usize {
        self.followed
    }

    fn leave(&mut self, topic: &str, ear: &Ear) {
        take_out(&mut self.topics, topic, ear);
        self.followed -= 1;
    }
}

impl Inbox {
    /// Listens to what is said to a user and to everybody, as a connection of that user.
    #[must_use]
    pub fn listen(self: &Arc<Self>, user: &Arc<str>) -> Listener {
        let seat = self.census.seat(user);
        self.lend_ear(user, self.limits.inbox_untaken_max, Some(seat))
    }

    /// Is woken by what [`Inbox::poll`] may answer with, for as long as one request waits.
    #[must_use]
    pub fn wait(self: &Arc<Self>, user: &Arc<str>) -> Listener {
        let listener = self.lend_ear(user, 1, None);
        let ear = listener.ear.clone();
        let mut inner = self.inner.lock();
        inner.ears.all_topics.insert(ear.number, ear);
        drop(inner);
        listener
    }

    fn lend_ear(
        self: &Arc<Self>,
        user: &Arc<str>,
        untaken_max: usize,
        seat: Option<Seat>,
    ) -> Listener {
        let mut inner = self.inner.lock();
        inner.ears.numbers += 1;
        let ear = Arc::new(Ear {
            number: inner.ears.numbers,
            user: user.clone(),
            untaken_max,
            heard: Mutex::default(),
        });
        let ears = inner.ears.users.entry(user.clone()).or_default();
        ears.push(ear.clone());
        Listener {
            inbox: self.clone(),
            ear,
            topics: HashSet::new(),
            _seat: seat,
        }
    }
}

impl Listener {
    /// Follows a topic; whether the user may is asked before.
    pub fn subscribe(&mut self, topic: &str) -> Result<(), TooManyTopics> {
        if self.topics.contains(topic) {
            return Ok(());
        }
        if self.topics.len() >= self.inbox.limits.inbox_topics_max {
            return Err(TooManyTopics);
        }
        let topic: Arc<str> = topic.into();
        self.topics.insert(topic.clone());
        let mut inner = self.inbox.inner.lock();
        inner.ears.followed += 1;
        let following = inner.ears.topics.entry(topic).or_default();
        following.push(self.ear.clone());
        Ok(())
    }

    /// Follows a topic no more.
    pub fn unsubscribe(&mut self, topic: &str) {
        if self.topics.remove(topic) {
            self.inbox.inner.lock().ears.leave(topic, &self.ear);
        }
    }

    /// Follows only those topics any more that pass.
    pub fn retain(&mut self, passes: impl Fn(&str) -> bool) {
        let gone: Vec<_> = self
            .topics
            .iter()
            .filter(|topic| !passes(topic))
            .cloned()
            .collect();
        for topic in gone {
            self.unsubscribe(&topic);
        }
    }

    /// Takes the next message.
    #[must_use]
    pub fn next_parcel(&self) -> Option<Arc<Parcel>> {
        self.ear.heard.lock().parcels.pop_front()
    }

    /// How many messages were lost since this was asked last, as too many were left untaken. They
    /// can be polled.
    #[must_use]
    pub fn take_lost(&self) -> u64 {
        std::mem::take(&mut self.ear.heard.lock().lost)
    }

    /// Ready once after there may be a new message.
    pub fn poll_woken(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut heard = self.ear.heard.lock();
        if std::mem::take(&mut heard.is_woken) {
            return Poll::Ready(());
        }
        match &mut heard.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waker => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Waits until there may be a new message.
    pub async fn woken(&self) {
        std::future::poll_fn(|cx| self.poll_woken(cx)).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut inner = self.inbox.inner.lock();
        let ears = &mut inner.ears;
        take_out(&mut ears.users, &self.ear.user, &self.ear);
        ears.all_topics.remove(&self.ear.number);
        for topic in &self.topics {
            ears.leave(topic, &self.ear);
        }
    }
}

fn take_out(all: &mut HashMap<Arc<str>, Vec<Arc<Ear>>>, name: &str, ear: &Ear) {
    if let Some(ears) = all.get_mut(name) {
        ears.retain(|other| other.number != ear.number);
        if ears.is_empty() {
            all.remove(name);
        }
    }
}
