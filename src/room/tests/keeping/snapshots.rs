//! KE: when snapshots are made, and how often.

use super::*;

#[test]
fn ke15_a_snapshot_is_made_after_enough_entries_or_bytes_one_at_a_time() {
    let compactions = |limits: Limits, edits: usize, value: &str| {
        let mut world = World::with(limits);
        world.attach(1);
        let ada = Client::new(11);
        let mut through = Vec::new();
        for edit in 0..edits {
            let effects = world.submit(1, &ada.set("t1", "n", &format!("{edit}{value}")));
            for effect in world.keep(&effects) {
                if let Effect::Compact { through: version } = effect {
                    through.push(version.0);
                }
            }
        }
        (world, through)
    };
    let by_entries = || Limits {
        snapshot_every_entries: 3,
        ..Limits::default()
    };
    let by_bytes = Limits {
        snapshot_every_bytes: 1_000,
        ..Limits::default()
    };
    let (_, through) = compactions(by_bytes, 3, &"x".repeat(600));
    assert_eq!(through, [2]);
    let (mut world, through) = compactions(by_entries(), 8, "");
    assert_eq!(through, [3], "the first is still running");
    let effects = world.tell(Input::Compacted {
        kept: Some((Version(3), Version(1))),
    });
    assert_eq!(
        effects,
        [Effect::Compact {
            through: Version(8)
        }]
    );
    assert_eq!(world.tell(Input::Compacted { kept: None }), []);
    assert_eq!(
        world.wait(5_000),
        [Effect::Compact {
            through: Version(8)
        }],
        "a failed one is tried again after a pause"
    );
    let done = Input::Compacted {
        kept: Some((Version(8), Version(6))),
    };
    assert_eq!(world.tell(done), []);
    assert_eq!(
        world.room.since(Some((None, Version(4)))),
        CatchUp::Snapshot(Reason::Pruned)
    );
}

#[test]
fn ke16_a_failed_snapshot_that_was_due_by_its_bytes_stays_due() {
    let mut world = World::with(Limits {
        snapshot_every_bytes: 1_000,
        ..Limits::default()
    });
    world.attach(1);
    let effects = world.submit(1, &Client::new(11).set("t1", "n", &"x".repeat(2_000)));
    let due = Effect::Compact {
        through: Version(1),
    };
    assert!(world.keep(&effects).contains(&due));
    world.tell(Input::Compacted { kept: None });
    assert_eq!(world.wait(5_000), [due]);
}

#[test]
fn ke17_a_snapshot_that_another_server_made_may_be_ahead() {
    let (mut world, ada) = pair();
    let first = world.submit(1, &ada.set("t1", "name", "a"));
    world.keep(&first);
    let ahead = Input::Compacted {
        kept: Some((Version(9), Version(1))),
    };
    assert_eq!(world.tell(ahead), []);
    assert!(append_in(&world.submit(1, &ada.set("t1", "name", "b"))).is_some());
}

const NONE: [u64; 0] = [];

/// A room with one session, and what asks for a snapshot of it.
fn burst(limits: Limits, updates: u64) -> (World, Vec<u64>) {
    let mut world = World::with(limits);
    world.attach(1);
    let ada = Client::new(11);
    let edits =
        (1..=updates).map(|edit| submission(1, edit, &ada.set("t1", "n", &edit.to_string())));
    let edits: Vec<_> = edits.collect();
    let first = world.batch(edits);
    let effects = world.keep(&first);
    (world, compactions(&effects))
}

fn compactions(effects: &[Effect]) -> Vec<u64> {
    let through = effects.iter().filter_map(|effect| match effect {
        Effect::Compact { through } => Some(through.0),
        _ => None,
    });
    through.collect()
}

fn compacted(version: u64) -> Input {
    let kept = Some((Version(version), Version(1)));
    Input::Compacted { kept }
}

#[test]
fn ke15_a_burst_that_became_one_entry_gets_a_snapshot_for_its_updates() {
    let (_, through) = burst(Limits::default(), 1_999);
    assert_eq!(through, NONE);
    let (_, through) = burst(Limits::default(), 2_000);
    assert_eq!(through, [1]);
}

#[test]
fn ke19_a_room_that_goes_quiet_with_many_updates_behind_gets_a_snapshot() {
    let (mut world, through) = burst(Limits::default(), 499);
    assert_eq!(through, NONE);
    assert_eq!(compactions(&world.wait(60_000)), NONE, "too few");
    let (mut world, through) = burst(Limits::default(), 500);
    assert_eq!(through, NONE);
    assert_eq!(compactions(&world.wait(4_999)), NONE);
    let more = world.submit(1, &Client::new(12).set("t2", "n", "more"));
    world.keep(&more);
    assert_eq!(compactions(&world.wait(4_999)), NONE, "it was not quiet");
    assert_eq!(compactions(&world.wait(1)), [2]);
    world.tell(compacted(2));
    assert_eq!(
        compactions(&world.wait(60_000)),
        NONE,
        "nothing follows on it"
    );
}

#[test]
fn ke19_a_room_that_was_opened_with_many_updates_gets_a_snapshot_too() {
    let tail = Tail {
        updates: 500,
        bytes: 9_000,
    };
    let standing = Standing {
        tail,
        ..World::standing(Version(1))
    };
    let document = Document::new(1, none());
    let mut world = World::of(&standing, document, Limits::default());
    world.attach(1);
    assert_eq!(compactions(&world.wait(4_999)), NONE);
    assert_eq!(compactions(&world.wait(1)), [1]);
}

#[test]
fn ke20_snapshots_take_a_tenth_of_the_time_at_most() {
    let limits = Limits {
        snapshot_every_updates: 2,
        ..Limits::default()
    };
    let (mut world, through) = burst(limits, 2);
    assert_eq!(through, [1]);
    let ada = Client::new(12);
    for edit in ["a", "b", "c"] {
        let effects = world.submit(1, &ada.set("t2", "n", edit));
        assert_eq!(compactions(&world.keep(&effects)), NONE, "one is running");
    }
    assert_eq!(compactions(&world.wait(100)), NONE);
    assert_eq!(compactions(&world.tell(compacted(1))), NONE);
    assert_eq!(compactions(&world.wait(899)), NONE);
    assert_eq!(compactions(&world.wait(1)), [4]);
}
