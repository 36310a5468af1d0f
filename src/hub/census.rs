//! Owns how many are here: connections, their users, and what they follow. Counts, never names.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

/// Who is connected to this process.
#[derive(Debug, Default)]
pub struct Census {
    users: Mutex<FxHashMap<Arc<str>, usize>>,
    connections: AtomicUsize,
    subscriptions: AtomicUsize,
}

impl Census {
    /// A connection of a user, until the seat is dropped.
    #[must_use]
    pub fn seat(self: &Arc<Self>, user: &Arc<str>) -> Seat {
        self.connections.fetch_add(1, Ordering::Relaxed);
        *self.users.lock().entry(user.clone()).or_default() += 1;
        Seat {
            census: self.clone(),
            user: user.clone(),
        }
    }

    /// A room that a connection follows, until the subscription is dropped.
    #[must_use]
    pub fn subscription(self: &Arc<Self>) -> Subscription {
        self.subscriptions.fetch_add(1, Ordering::Relaxed);
        Subscription(self.clone())
    }

    /// Open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Users who have one or more.
    #[must_use]
    pub fn users(&self) -> usize {
        self.users.lock().len()
    }

    /// Rooms that connections follow.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.load(Ordering::Relaxed)
    }
}

/// A connection that is counted.
#[derive(Debug)]
pub struct Seat {
    census: Arc<Census>,
    user: Arc<str>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.census.connections.fetch_sub(1, Ordering::Relaxed);
        let mut users = self.census.users.lock();
        if let Some(count) = users.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                users.remove(&self.user);
            }
        }
    }
}

/// A followed room that is counted.
#[derive(Debug)]
pub struct Subscription(Arc<Census>);

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.subscriptions.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in10_a_user_counts_once_and_as_long_as_connected() {
        let census = Arc::new(Census::default());
        let (ada, bob): (Arc<str>, Arc<str>) = ("ada".into(), "bob".into());
        let seats = [census.seat(&ada), census.seat(&ada), census.seat(&bob)];
        let followed = census.subscription();
        assert_eq!((census.connections(), census.users()), (3, 2));
        assert_eq!(census.subscriptions(), 1);
        drop(followed);
        let [one, two, three] = seats;
        drop(one);
        assert_eq!((census.connections(), census.users()), (2, 2));
        drop((two, three));
        assert_eq!((census.connections(), census.users()), (0, 0));
        assert_eq!(census.subscriptions(), 0);
    }
}
