//! AP: updates that are known, have a gap, or are refused.

use super::*;

#[test]
fn ap10_a_duplicate_makes_no_version_and_is_not_told_to_others() {
    let (mut world, ada) = alone();
    let update = ada.set("t1", "name", "milk");
    world.changes(1, &update);
    let effects = world.submit(1, &update);
    let known = kept(&[1], &[&update], 1);
    assert_eq!(
        effects,
        [Effect::Tell {
            session: SessionId(1),
            event: known
        }]
    );
}

#[test]
fn ap11_an_update_with_a_gap_is_not_applied_and_its_sender_asked_once() {
    let (mut world, ada) = alone();
    let first = ada.set("t1", "name", "milk");
    let second = ada.set("t1", "name", "bread");
    let effects = world.submit(1, &second);
    let missing = Event::Missing {
        state_vector: Bytes::from_static(&[0]),
    };
    assert_eq!(told(&effects, 1), [missing]);
    assert!(append_in(&effects).is_none());
    assert_eq!(world.room.json(), "{}");
    assert_eq!(world.submit(1, &second), [], "it was asked already");
    world.attach_as(2, Access::Write, Listen::Answers);
    let refusal = Refusal::Incomplete {
        state_vector: Bytes::from_static(&[0]),
    };
    assert_eq!(told(&world.submit(2, &second), 2), [refused(1, refusal)]);
    let answer = Input::Submit {
        session: SessionId(1),
        ticket: Ticket(2),
        occasion: Occasion::Answer,
        update: ada.beyond(&[0]),
    };
    assert!(append_in(&world.tell(answer)).is_some());
    drop(first);
    assert_eq!(world.room.json(), r#"{"tasks":{"t1":{"name":"bread"}}}"#);
}

#[test]
fn ap12_answers_that_keep_leaving_a_gap_end_the_session() {
    let (mut world, ada) = alone();
    drop(ada.set("t1", "name", "milk"));
    let second = ada.set("t1", "name", "bread");
    let answer = || Input::Submit {
        session: SessionId(1),
        ticket: Ticket(1),
        occasion: Occasion::Answer,
        update: second.clone(),
    };
    for _ in 0..3 {
        assert!(matches!(
            told(&world.tell(answer()), 1)[..],
            [Event::Missing { .. }]
        ));
    }
    assert_eq!(
        told(&world.tell(answer()), 1),
        [Event::Ended(End::Malformed("answers leave a gap"))]
    );
}

#[test]
fn ap13_what_cannot_be_read_or_is_too_large_is_refused_and_changes_nothing() {
    let mut world = World::with(Limits {
        update_bytes_max: 100,
        ..Limits::default()
    });
    world.attach(1);
    let garbage = Bytes::from_static(&[1, 1, 0xFF]);
    let events = told(&world.submit(1, &garbage), 1);
    assert!(
        matches!(
            &events[..],
            [Event::Refused {
                refusal: Refusal::Malformed(_),
                ..
            }]
        ),
        "{events:?}"
    );
    let large = Client::new(11).set("t1", "name", &"x".repeat(100));
    assert_eq!(
        told(&world.submit(1, &large), 1),
        [refused(1, Refusal::TooLarge)]
    );
    assert_eq!(
        (world.room.json(), world.room.was_written()),
        ("{}".into(), false)
    );
}

#[test]
fn ap14_a_reader_changes_nothing_and_may_say_what_is_known() {
    let (mut world, ada) = alone();
    let first = ada.set("t1", "name", "milk");
    world.changes(1, &first);
    world.attach_as(2, Access::Read, Listen::Live);
    let second = ada.set("t1", "name", "bread");
    assert_eq!(
        told(&world.submit(2, &second), 2),
        [refused(1, Refusal::Forbidden)]
    );
    assert_eq!(
        told(&world.submit(2, &first), 2),
        [kept(&[1], &[&first], 1)]
    );
    assert_eq!(world.room.json(), r#"{"tasks":{"t1":{"name":"milk"}}}"#);
}

#[test]
fn ap14_what_a_reader_was_sent_is_known_also_where_a_write_was_lost() {
    let (mut world, ada) = alone();
    let bob = Client::new(22);
    world.changes(1, &ada.set("t1", "name", "first"));
    bob.take(&ada.beyond(&[0]));
    // One of two concurrent writes loses, and a note goes with its record: nobody says so.
    let note = bob.edit(|txn| {
        let record = record_in(txn, "t1");
        record.insert(txn, "note", yrs::TextPrelim::new("milk"));
    });
    let updates = [
        ada.set("t1", "name", "ada"),
        note,
        bob.set("t1", "name", "bob"),
    ];
    updates
        .iter()
        .for_each(|update| drop(world.changes(1, update)));
    ada.take(&updates[1]);
    ada.take(&updates[2]);
    world.changes(
        1,
        &ada.edit(|txn| drop(txn.get_or_insert_map("tasks").remove(txn, "t1"))),
    );
    let carol = Client::new(33);
    carol.take(&world.room.state());
    world.attach_as(2, Access::Read, Listen::Live);
    let all = carol.beyond(&[0]);
    assert_eq!(told(&world.submit(2, &all), 2), [kept(&[1], &[&all], 5)]);
}

#[test]
fn ap14_what_a_reader_was_sent_is_known_also_where_formats_were_tidied_up() {
    let (mut world, ada) = alone();
    let bold = |value| yrs::types::Attrs::from([("b".into(), yrs::Any::from(value))]);
    let typed = ada.edit(|txn| txn.get_or_insert_text("note").push(txn, "milk"));
    let marked = ada.edit(|txn| txn.get_or_insert_text("note").format(txn, 1, 2, bold(true)));
    let erased = ada.edit(|txn| txn.get_or_insert_text("note").remove_range(txn, 1, 2));
    for update in [&typed, &marked, &erased] {
        drop(world.submit(1, update));
    }
    let carol = Client::new(33);
    carol.take(&world.room.state());
    let effects = world.attach_as(2, Access::Read, Listen::Live);
    drop(effects);
    let all = carol.beyond(&[0]);
    let refusals = told(&world.submit(2, &all), 2);
    assert_eq!(refusals, [], "it waits for the append");
}

#[test]
fn ap15_content_of_a_deleted_epoch_is_refused() {
    let ada = Client::new(11);
    let first = ada.set("t1", "name", "milk");
    let former = index::StateVector::parse(&ada.state_vector()).expect("a state vector");
    let mut world = World::open(Limits::default(), Version::ZERO, Document::new(1, former));
    world.attach(1);
    assert_eq!(
        told(&world.submit(1, &first), 1),
        [refused(1, Refusal::EpochChanged)]
    );
    let later = ada.set("t1", "name", "bread");
    assert_eq!(
        told(&world.submit(1, &later), 1),
        [refused(1, Refusal::EpochChanged)]
    );
    let state_vector = ada.state_vector();
    let session = SessionId(1);
    let sync = Input::Sync {
        session,
        state_vector,
    };
    assert_eq!(
        told(&world.tell(sync), 1),
        [Event::Ended(End::EpochChanged)]
    );
}

#[test]
fn co2_an_update_on_which_the_crdt_fails_ends_the_room_and_is_to_be_held() {
    let mut world = World::new();
    world.attach(1);
    world.attach(2);
    let poison = Client::new(11).set("t1", "name", "roundtable fault: apply fail");
    let effects = world.submit(1, &poison);
    let quarantine = Effect::Quarantine {
        update: poison.clone(),
        reason: "as the update says".into(),
    };
    let offence = Effect::Tell {
        session: SessionId(1),
        event: Event::Ended(End::Malformed("update")),
    };
    let end = Effect::Abandon { end: End::Internal };
    assert_eq!(effects, [quarantine, offence, end]);
    assert_eq!(world.submit(2, &poison), [], "it has said its last word");
    // What it would have added is still known, to recognise it by.
    assert_ne!(world.room.marks(&poison), Default::default());
}
