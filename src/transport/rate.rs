//! Owns how often somebody may ask: so many requests in a window of time, for each who asks. Pure:
//! time is given.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::ids::Millis;

/// Those who are remembered; whoever asked longest ago is forgotten, and begins anew.
const REMEMBERED_MAX: usize = 200_000;

/// So many requests in a window, which begins with the first of them.
#[derive(Debug)]
pub struct Budget {
    /// What it is for, as its headers name it.
    pub name: &'static str,
    max: u32,
    window_ms: u64,
    remembered_max: usize,
    spent: Mutex<Generations>,
}

/// Two halves of those who are remembered: when the young are many, they are the old, and the old
/// are forgotten.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Box<str>, Window>,
    old: HashMap<Box<str>, Window>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    ends_at: Millis,
    count: u32,
}

/// What is left of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Requests that are left; nothing when there were too many.
    pub left: Option<u32>,
    /// When there are all of them again, in whole seconds, rounded up.
    pub reset_seconds: u64,
}

impl Budget {
    /// A budget for each who asks; none at all when `max` is zero.
    #[must_use]
    pub fn new(name: &'static str, max: u32, window_ms: u64) -> Self {
        Self {
            name,
            max,
            window_ms: window_ms.max(1),
            remembered_max: REMEMBERED_MAX,
            spent: Mutex::default(),
        }
    }

    /// Counts one request of `who`. Nothing is said when nothing is limited.
    pub fn spend(&self, who: &str, now: Millis) -> Option<Standing> {
        if self.max == 0 {
            return None;
        }
        let mut spent = self.spent.lock();
        let window = spent.window(who, self.remembered_max);
        if window.ends_at <= now {
            *window = Window {
                ends_at: now.plus(self.window_ms),
                count: 0,
            };
        }
        let left = self.max.checked_sub(window.count.saturating_add(1));
        if left.is_some() {
            window.count += 1;
        }
        Some(Standing {
            left,
            reset_seconds: (window.ends_at.0 - now.0).div_ceil(1_000),
        })
    }

    /// The policy, as its header has it.
    #[must_use]
    pub fn policy(&self) -> String {
        let (name, max, seconds) = (self.name, self.max, self.window_ms.div_ceil(1_000));
        format!("\"{name}\";q={max};w={seconds}")
    }
}

impl Generations {
    fn window(&mut self, who: &str, remembered_max: usize) -> &mut Window {
        if !self.young.contains_key(who) {
            let known = self.old.remove(who);
            if self.young.len() >= remembered_max / 2 {
                self.old = std::mem::take(&mut self.young);
            }
            let window = known.unwrap_or(Window {
                ends_at: Millis(0),
                count: 0,
            });
            self.young.insert(who.into(), window);
        }
        let window = self.young.get_mut(who);
        window.expect("it was there or has been put there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(budget: &Budget, who: &str, ms: u64) -> Option<u32> {
        let standing = budget.spend(who, Millis(ms));
        standing.expect("limited").left
    }

    #[test]
    fn rl1_a_window_begins_with_the_first_request_and_ends_after_its_time() {
        let budget = Budget::new("requests", 3, 900_000);
        let first = budget.spend("ada", Millis(500)).expect("limited");
        assert_eq!((first.left, first.reset_seconds), (Some(2), 900));
        assert_eq!(left(&budget, "ada", 600), Some(1));
        assert_eq!(left(&budget, "ada", 700), Some(0));
        let refused = budget.spend("ada", Millis(899_600)).expect("limited");
        assert_eq!((refused.left, refused.reset_seconds), (None, 1));
        assert_eq!(left(&budget, "ada", 900_499), None);
        assert_eq!(left(&budget, "ada", 900_500), Some(2));
        assert_eq!(budget.policy(), "\"requests\";q=3;w=900");
    }

    #[test]
    fn rl2_everybody_has_a_budget_of_their_own() {
        let budget = Budget::new("requests", 1, 1_000);
        assert_eq!(left(&budget, "ada", 1), Some(0));
        assert_eq!(left(&budget, "ada", 2), None);
        assert_eq!(left(&budget, "bob", 2), Some(0));
        let unlimited = Budget::new("requests", 0, 1_000);
        assert_eq!(unlimited.spend("ada", Millis(1)), None);
    }

    #[test]
    fn rl3_only_so_many_are_remembered_and_who_goes_on_asking_is() {
        let mut budget = Budget::new("requests", 1_000, 1_000_000);
        budget.remembered_max = 10;
        for step in 0..100_u64 {
            let who = format!("user {step}");
            assert_eq!(left(&budget, &who, 1), Some(999));
            assert_eq!(left(&budget, "ada", 1), Some(999 - step as u32));
            let spent = budget.spent.lock();
            assert!(spent.young.len() + spent.old.len() <= 10);
        }
    }
}
