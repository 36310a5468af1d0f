//! Owns running worlds: one for a seed, many on all cores, and what is printed of one that fails.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::faults::Fault;
use crate::world::World;

/// What came of a world.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything held; how much happened.
    Fine(Tally),
    /// Something did not, and what.
    Broken(String),
}

/// How much happened in worlds, so that a world where nothing does is seen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub entries: u64,
    pub acks: u64,
    /// Answers to operations.
    pub operations: u64,
    pub live: u64,
    pub openings: u64,
    pub deletions: u64,
    pub power_losses: u64,
    pub raced: u64,
    pub replayed: u64,
    pub snapshots: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.acks += other.acks;
        self.operations += other.operations;
        self.live += other.live;
        self.openings += other.openings;
        self.deletions += other.deletions;
        self.power_losses += other.power_losses;
        self.raced += other.raced;
        self.replayed += other.replayed;
        self.snapshots += other.snapshots;
    }
}

thread_local! {
    /// The last panic of this thread, kept instead of printed.
    static LAST: Cell<Option<String>> = const { Cell::new(None) };
    static IS_WORLD: Cell<bool> = const { Cell::new(false) };
}

/// Lives through one world.
pub fn world(seed: u64, fault: Option<Fault>, is_traced: bool) -> Outcome {
    catch_quietly();
    IS_WORLD.set(true);
    let lived = panic::catch_unwind(AssertUnwindSafe(|| {
        World::new(seed, fault, is_traced).live()
    }));
    IS_WORLD.set(false);
    match lived {
        Ok(tally) => Outcome::Fine(tally),
        Err(_) => Outcome::Broken(LAST.take().unwrap_or_default()),
    }
}

/// A world's panic is a result.
fn catch_quietly() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_WORLD.get() {
                return before(info);
            }
            let place = info.location().map(ToString::to_string);
            let what = info.payload_as_str().unwrap_or_default();
            let what: String = what.chars().take(6000).collect();
            LAST.set(Some(format!("{what} ({})", place.unwrap_or_default())));
        }));
    });
}

/// Lives through many worlds on all cores; stops at the first that breaks.
pub fn many(seeds: std::ops::Range<u64>, report_every: u64) -> Result<Tally, (u64, String)> {
    let next = AtomicU64::new(seeds.start);
    let broken = AtomicU64::new(u64::MAX);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || seed >= broken.load(Ordering::Relaxed) {
                return Ok(tally);
            }
            if report_every > 0 && (seed - seeds.start + 1).is_multiple_of(report_every) {
                println!("{} worlds", seed - seeds.start + 1);
            }
            match world(seed, None, false) {
                Outcome::Fine(more) => tally.add(&more),
                Outcome::Broken(reason) => {
                    broken.fetch_min(seed, Ordering::Relaxed);
                    return Err((seed, reason));
                }
            }
        }
    };
    let results: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined
            .map(|joined| joined.expect("worlds do not panic"))
            .collect()
    });
    let mut sum = Tally::default();
    let mut failed = None;
    for result in results {
        match result {
            Ok(tally) => sum.add(&tally),
            Err((seed, reason)) => {
                if failed.as_ref().is_none_or(|(first, _)| seed < *first) {
                    failed = Some((seed, reason));
                }
            }
        }
    }
    failed.map_or(Ok(sum), Err)
}
