//! Owns the only clock and the only dice. All else is told the time and given random numbers.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::ids::{Millis, Now, UnixMillis};

static STARTED: OnceLock<Instant> = OnceLock::new();

/// The clock and the dice of this process. All clocks of a process agree.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// The process's clock; it begins to run with the first call.
    #[must_use]
    pub fn system() -> Self {
        Self {
            started: *STARTED.get_or_init(Instant::now),
        }
    }

    /// What time it is, by both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        let mono = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now {
            mono: Millis(mono),
            wall: self.wall(),
        }
    }

    /// The wall clock alone. A clock set before 1970 reads as 1970.
    #[must_use]
    pub fn wall(&self) -> UnixMillis {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// The instant that a monotonic time stands for, to sleep until.
    #[must_use]
    pub fn instant(&self, at: Millis) -> Instant {
        self.started + std::time::Duration::from_millis(at.0)
    }

    /// A Yjs client id for the server's own edits. Never 0, which some clients take for none.
    #[must_use]
    pub fn client_id(&self) -> u32 {
        dice().max(1)
    }

    /// A random id.
    #[must_use]
    pub fn uuid_v4(&self) -> Uuid {
        Uuid::new_v4()
    }

    /// A random id that sorts by its time.
    #[must_use]
    pub fn uuid_v7(&self) -> Uuid {
        Uuid::now_v7()
    }

    /// A random pause from nothing to `ms_max`, both included.
    #[must_use]
    pub fn jitter_ms(&self, ms_max: u64) -> u64 {
        match ms_max.checked_add(1) {
            Some(count) => Uuid::new_v4().as_u64_pair().1 % (1 << 62) % count,
            None => ms_max,
        }
    }
}

/// A random number from the operating system.
#[must_use]
pub fn dice() -> u32 {
    // The first four bytes of a version 4 UUID are random throughout.
    Uuid::new_v4().as_fields().0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_clocks_of_a_process_agree_and_do_not_go_back() {
        let (first, second) = (Clock::system(), Clock::system());
        let before = first.now();
        let after = second.now();
        assert!(before.mono <= after.mono);
        assert_eq!(first.instant(after.mono), second.instant(after.mono));
    }

    #[test]
    fn jitter_stays_within_its_bound_and_is_not_always_the_same() {
        let clock = Clock::system();
        assert_eq!(clock.jitter_ms(0), 0);
        let drawn: Vec<u64> = (0..1_000).map(|_| clock.jitter_ms(9)).collect();
        assert!(drawn.iter().all(|ms| *ms <= 9));
        assert!((0..10).all(|ms| drawn.contains(&ms)));
        let _ = clock.jitter_ms(u64::MAX);
    }

    #[test]
    fn client_ids_differ_and_are_never_zero() {
        let clock = Clock::system();
        let drawn: std::collections::HashSet<u32> = (0..100).map(|_| clock.client_id()).collect();
        assert!(drawn.len() > 95 && !drawn.contains(&0));
    }
}
