//! Seeded worlds over the pure core: rooms, clients of both lanes, a store that fails and lags, and
//! a small model of what must be true after every step.
//!
//! `ROUNDTABLE_SEED=42 cargo test --test sim ap16 -- --nocapture` replays one seed step by step;
//! `make sim` lives through very many. See `docs/RELIABILITY.md`.

mod caller;
mod calm;
mod client;
mod dice;
mod document;
mod errand;
mod faults;
mod link;
mod model;
mod reader;
mod reading;
mod records;
mod run;
mod seeds;
mod server;
mod steps;
mod store;
mod weather;
mod world;

use run::Outcome;

/// How many worlds every run of the tests lives through.
const WORLDS: u64 = 20_000;

fn from_env(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().expect("a number"))
}

fn replay(seed: u64) -> String {
    format!("ROUNDTABLE_SEED={seed} cargo test --test sim ap16 -- --nocapture")
}

#[test]
fn ap16_whatever_clients_network_and_store_do_every_promise_holds() {
    if let Some(seed) = from_env("ROUNDTABLE_SEED") {
        let outcome = run::world(seed, None, true);
        println!("{outcome:#?}");
        assert!(matches!(outcome, Outcome::Fine(_)), "seed {seed} fails");
        return;
    }
    let first = from_env("ROUNDTABLE_SEED_FIRST").unwrap_or(0);
    let worlds = from_env("ROUNDTABLE_SEEDS").unwrap_or(WORLDS);
    match run::many(first..first + worlds, (worlds / 20).max(1)) {
        Ok(tally) => println!("{worlds} worlds: {tally:#?}"),
        Err((seed, reason)) => panic!("seed {seed}: {reason}\nreplay: {}", replay(seed)),
    }
}

#[test]
fn seeds_that_failed_once_hold() {
    for (seed, what) in seeds::SEEDS {
        if let Outcome::Broken(reason) = run::world(*seed, None, false) {
            panic!("seed {seed} ({what}): {reason}\nreplay: {}", replay(*seed));
        }
    }
}

#[test]
fn a_seed_makes_the_same_world_every_time() {
    for seed in 0..20 {
        let first = run::world(seed, None, false);
        assert_eq!(run::world(seed, None, false), first, "seed {seed}");
    }
}
