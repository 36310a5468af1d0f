//! KE: what becomes durable, what may be said then, and what happens until then.

mod snapshots;

use super::*;

fn pair() -> (World, Client) {
    let mut world = World::new();
    world.attach(1);
    world.attach(2);
    (world, Client::new(11))
}

fn id_in(effects: &[Effect]) -> AppendId {
    append_in(effects).expect("an append is asked for").0
}

fn versions(effects: &[Effect]) -> Vec<u64> {
    let released = effects.iter().filter_map(|effect| match effect {
        Effect::Release { entries } => Some(entries.iter().map(|entry| entry.version.0)),
        _ => None,
    });
    released.flatten().collect()
}

/// An entry that another server made.
fn of_others(version: u64, update: &Bytes) -> Arc<Entry> {
    Arc::new(Entry {
        version: Version(version),
        at: UnixMillis(1),
        actors: Vec::new(),
        updates: vec![update.clone()],
        op: None,
        events: Vec::new(),
    })
}

fn moved_to(version: u64) -> Outcome {
    Outcome::Moved(Some((EPOCH, Version(version))))
}

#[test]
fn ke7_an_ack_and_a_version_wait_until_the_append_is_kept() {
    let (mut world, ada) = pair();
    let update = ada.set("t1", "name", "milk");
    let effects = world.submit(1, &update);
    assert_eq!(told(&effects, 1), []);
    assert_eq!(world.room.position().version, Version::ZERO);
    assert_eq!(
        world.room.since(Some((None, Version::ZERO))),
        CatchUp::Current
    );
    let effects = world.keep(&effects);
    assert_eq!(versions(&effects), [1]);
    assert_eq!(told(&effects, 1), [kept(&[1], &[&update], 1)]);
    assert_eq!(told(&effects, 2), []);
}

#[test]
fn ke8_one_append_flies_at_a_time_and_what_comes_meanwhile_is_the_next() {
    let (mut world, ada) = pair();
    let updates: Vec<_> = ["a", "b", "c"].map(|v| ada.set("t1", "name", v)).into();
    let first = world.submit(1, &updates[0]);
    assert!(append_in(&world.submit(1, &updates[1])).is_none());
    assert!(append_in(&world.submit(2, &updates[2])).is_none());
    let second = world.keep(&first);
    let (_, expected, entries) = append_in(&second).expect("the next one leaves");
    assert_eq!(expected, Version(1));
    assert_eq!(entries.len(), 1, "what waited together is one entry");
    assert_eq!(entries[0].updates, updates[1..]);
    let users: Vec<_> = entries[0].actors.iter().map(|a| &*a.user).collect();
    assert_eq!(users, ["user 1", "user 2"]);
    let effects = world.keep(&second);
    assert_eq!(told(&effects, 1), [kept(&[1], &[&updates[1]], 2)]);
    assert_eq!(told(&effects, 2), [kept(&[1], &[&updates[2]], 2)]);
}

#[test]
fn ke9_an_unclear_append_is_tried_again_as_it_was_and_ever_more_slowly() {
    let (mut world, ada) = pair();
    let first = append_in(&world.submit(1, &ada.set("t1", "name", "a"))).expect("an append");
    let mut waits = Vec::new();
    for _ in 0..8 {
        assert_eq!(world.appended(first.0, Outcome::Unclear), []);
        let due = world.room.deadline().expect("it is tried again");
        waits.push(due.0 - world.now.mono.0);
        let again = world.wait(waits[waits.len() - 1]);
        assert_eq!(append_in(&again), Some(first.clone()));
    }
    assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    assert_eq!(versions(&world.appended(first.0, Outcome::Kept)), [1]);
    assert_eq!(
        world.appended(first.0, Outcome::Kept),
        [],
        "it is long kept"
    );
}

#[test]
fn ke10_what_others_kept_first_is_taken_in_and_the_own_is_numbered_anew() {
    let (mut world, ada) = pair();
    let bob = Client::new(22);
    let theirs = [bob.set("t2", "name", "x"), bob.set("t2", "name", "y")];
    let own = ada.set("t1", "name", "a");
    let first = world.submit(1, &own);
    let effects = world.appended(id_in(&first), moved_to(2));
    assert_eq!(effects, [Effect::Fetch { after: Version(0) }]);
    let entries = vec![of_others(1, &theirs[0]), of_others(2, &theirs[1])];
    let effects = world.tell(Input::Fetched {
        entries: Some(entries),
    });
    assert_eq!(versions(&effects), [1, 2]);
    let live = |update: &Bytes| Effect::Live {
        except: None,
        event: LiveEvent::Update(update.clone()),
    };
    assert!(effects.contains(&live(&theirs[0])) && effects.contains(&live(&theirs[1])));
    assert_eq!(told(&effects, 1), []);
    let effects = world.tell(Input::Fetched {
        entries: Some(Vec::new()),
    });
    let (id, expected, entries) = append_in(&effects).expect("tried from there");
    assert_ne!(id, id_in(&first), "another attempt has another id");
    assert_eq!((expected, entries[0].version), (Version(2), Version(3)));
    let effects = world.appended(id, Outcome::Kept);
    assert_eq!(told(&effects, 1), [kept(&[1], &[&own], 3)]);
    assert_eq!(
        world.room.json(),
        r#"{"tasks":{"t1":{"name":"a"},"t2":{"name":"y"}}}"#
    );
}

#[test]
fn ke10_what_two_servers_made_of_one_root_is_kept_and_opened_again() {
    let (mut world, ada) = pair();
    let theirs = Client::new(22).set("t1", "name", "x");
    let own = ada.edit(|txn| {
        let tasks = txn.get_or_insert_array("tasks");
        yrs::Array::push_back(&tasks, txn, "a");
    });
    let first = world.submit(1, &own);
    world.appended(id_in(&first), moved_to(1));
    let entries = Some(vec![of_others(1, &theirs)]);
    world.tell(Input::Fetched { entries });
    let entries = Some(Vec::new());
    let effects = world.tell(Input::Fetched { entries });
    let (id, expected, _) = append_in(&effects).expect("tried from there");
    assert_eq!(expected, Version(1));
    let effects = world.appended(id, Outcome::Kept);
    assert_eq!(told(&effects, 1), [kept(&[1], &[&own], 2)]);
    let mut reopened = Document::new(1, none());
    let loaded = reopened.load_all([&*theirs, &*own]);
    assert_eq!(loaded, Ok(()), "or nobody could open the room any more");
    assert_eq!(reopened.json(), world.room.json());
}

#[test]
fn ke11_a_room_that_is_another_one_in_the_store_ends_for_everyone() {
    let other = Some((Epoch(uuid::Uuid::from_u128(8)), Version(1)));
    for (stands, end) in [
        (other, End::EpochChanged),
        (None, End::RoomDeleted),
        (Some((EPOCH, Version(0))), End::Internal),
    ] {
        let (mut world, ada) = pair();
        let first = world.submit(1, &ada.set("t1", "name", "a"));
        world.keep(&first);
        let second = world.submit(1, &ada.set("t1", "name", "b"));
        let effects = world.appended(id_in(&second), Outcome::Moved(stands));
        assert_eq!(effects, [Effect::Abandon { end }]);
        assert_eq!(world.attach(3), [], "it has said its last word");
    }
}

#[test]
fn ke21_a_room_that_somebody_else_made_first_is_opened_anew() {
    let (mut world, ada) = pair();
    let first = world.submit(1, &ada.set("t1", "name", "a"));
    let other = Outcome::Moved(Some((Epoch(uuid::Uuid::from_u128(8)), Version(1))));
    let end = End::Internal;
    assert_eq!(
        world.appended(id_in(&first), other),
        [Effect::Abandon { end }]
    );
}

#[test]
fn ke12_a_full_backlog_refuses_while_the_store_is_away_and_one_update_always_fits() {
    let mut world = World::with(Limits {
        backlog_bytes_max: 2_000,
        ..Limits::default()
    });
    world.attach(1);
    let ada = Client::new(11);
    let large = ada.set("t1", "note", &"x".repeat(5_000));
    let first = world.submit(1, &large);
    assert!(append_in(&first).is_some());
    let small = ada.set("t1", "name", "a");
    assert!(world.room.is_full(), "the store is only behind");
    world.appended(id_in(&first), Outcome::Unclear);
    assert!(!world.room.is_full(), "nobody knows when it is back");
    assert_eq!(
        told(&world.submit(1, &small), 1),
        [refused(1, Refusal::Unavailable)]
    );
    world.keep(&first);
    assert!(append_in(&world.submit(1, &small)).is_some());
}

#[test]
fn ke13_what_is_known_is_answered_when_it_is_durable() {
    let (mut world, ada) = pair();
    let update = ada.set("t1", "name", "a");
    let first = world.submit(1, &update);
    assert_eq!(world.submit(2, &update), [], "it is in flight");
    let effects = world.keep(&first);
    assert_eq!(told(&effects, 2), [kept(&[1], &[&update], 1)]);
    let next = ada.set("t1", "name", "b");
    let inputs = [submission(1, 2, &next), submission(2, 3, &next)];
    let second = world.batch(inputs);
    assert_eq!(told(&second, 2), []);
    let effects = world.keep(&second);
    assert_eq!(told(&effects, 1), [kept(&[2], &[&next], 2)]);
    assert_eq!(told(&effects, 2), [kept(&[3], &[&next], 2)]);
}

#[test]
fn ke14_a_full_backlog_refuses_nothing_that_is_known_but_so_many_answers_wait() {
    let mut world = World::with(Limits {
        backlog_bytes_max: 1,
        answers_waiting_max: 2,
        ..Limits::default()
    });
    world.attach(1);
    world.attach_as(2, Access::Read, Listen::Live);
    let update = Client::new(11).set("t1", "name", "a");
    let first = world.submit(1, &update);
    let empty = Bytes::from_static(&[0, 0]);
    assert_eq!(world.submit(1, &update), []);
    assert_eq!(world.submit(2, &empty), []);
    for n in [1, 2] {
        assert_eq!(
            told(&world.submit(n, &empty), n),
            [refused(1, Refusal::Unavailable)]
        );
    }
    let effects = world.keep(&first);
    assert_eq!(told(&effects, 1), [kept(&[1, 1], &[&update, &update], 1)]);
    assert_eq!(told(&effects, 2), [kept(&[1], &[&empty], 1)]);
    assert_eq!(
        told(&world.submit(2, &empty), 2),
        [kept(&[1], &[&empty], 1)]
    );
    assert_eq!(world.room.backlog_bytes(), 0);
}

#[test]
fn ke18_a_read_that_failed_is_tried_again_and_one_that_finds_nothing_ends_the_room() {
    let (mut world, ada) = pair();
    let first = world.submit(1, &ada.set("t1", "name", "a"));
    world.appended(id_in(&first), moved_to(2));
    assert_eq!(world.tell(Input::Fetched { entries: None }), []);
    let again = world.wait(100);
    assert_eq!(again, [Effect::Fetch { after: Version(0) }]);
    let nothing = Input::Fetched {
        entries: Some(Vec::new()),
    };
    assert_eq!(
        world.tell(nothing),
        [Effect::Abandon { end: End::Internal }]
    );
}

#[test]
fn ca4_a_cursor_is_told_entries_of_memory_and_sent_to_the_log_for_older_ones() {
    let mut world = World::with(Limits {
        recent_entries_max: 2,
        ..Limits::default()
    });
    world.attach(1);
    let ada = Client::new(11);
    for value in ["a", "b", "c"] {
        let effects = world.submit(1, &ada.set("t1", "name", value));
        world.keep(&effects);
    }
    let at = |version| world.room.since(Some((Some(EPOCH), Version(version))));
    assert_eq!(at(0), CatchUp::Log(Version(0)));
    let CatchUp::Replay(entries) = at(1) else {
        panic!("entries in memory are replayed");
    };
    assert_eq!(
        entries.iter().map(|e| e.version.0).collect::<Vec<_>>(),
        [2, 3]
    );
    assert_eq!(at(3), CatchUp::Current);
    assert_eq!(at(4), CatchUp::Snapshot(Reason::Ahead));
    assert_eq!(world.room.since(None), CatchUp::Snapshot(Reason::New));
}
