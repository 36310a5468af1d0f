//! OP: when results are told, what becomes of them in a race, and who hears of an operation.

use super::*;

#[test]
fn op14_results_are_told_when_all_they_rest_on_is_durable() {
    let mut table = with_task();
    let ada = table.client(11);
    let edited = table.world.submit(2, &ada.set("t1", "n", "2"));
    // A rejected operation rests on an edit that could still be lost.
    let asked = table.operate(1, vec![op("1", Create, "t1", js!({}))]);
    let recalled: Vec<_> = asked
        .iter()
        .filter(|it| matches!(it, Effect::Recall { .. }))
        .collect();
    assert_eq!(recalled.len(), 1);
    let before = table.serve(asked);
    assert_eq!(told(&before, 1), []);
    let after = table.serve(edited);
    assert_eq!(
        results_in(&after).expect("answered")[0].status,
        Status::Rejected
    );
}

#[test]
fn op15_when_the_store_cannot_say_what_it_knows_nothing_is_applied() {
    let mut table = with_task();
    let asked = table.operate(1, vec![op("1", Set, "t1", js!({"n": 2}))]);
    assert!(matches!(asked[..], [Effect::Recall { .. }]));
    let effects = table.world.tell(Input::Recalled { recalled: None });
    assert_eq!(told(&effects, 1), [refused(1, Refusal::Unavailable)]);
    assert_eq!(table.json(), r#"{"tasks":{"t1":{"n":1,"name":"milk"}}}"#);
    // It is asked from the beginning again: nobody knows what it wrote.
    let again = table.operate(1, vec![op("1", Set, "t1", js!({"n": 2}))]);
    let from_the_beginning = Some(Version(1));
    assert!(
        matches!(&again[..], [Effect::Recall { through, .. }] if *through == from_the_beginning)
    );
    let effects = table.serve(again);
    let results = results_in(&effects).expect("answered");
    assert_eq!(results[0].status, Status::Applied);
}

#[test]
fn op16_who_lost_a_race_has_later_versions_in_its_results() {
    let mut table = with_task();
    let ada = table.client(11);
    let asked = table.operate(1, vec![op("1", Set, "t1", js!({"n": 2}))]);
    let recalled = answer(&mut table, &asked);
    let effects = table.world.tell(recalled);
    let (id, ..) = append_in(&effects).expect("an append is asked for");
    table
        .world
        .appended(id, Outcome::Moved(Some((EPOCH, Version(2)))));
    let theirs = Arc::new(Entry {
        version: Version(2),
        at: UnixMillis(1),
        actors: Vec::new(),
        updates: vec![ada.set("t1", "x", "1")],
        op: None,
        events: Vec::new(),
    });
    table.world.tell(Input::Fetched {
        entries: Some(vec![theirs]),
    });
    let effects = table.world.tell(Input::Fetched {
        entries: Some(Vec::new()),
    });
    let effects = table.serve(effects);
    assert_eq!(
        ended(&results_in(&effects).expect("answered")[0]),
        (Status::Applied, 3)
    );
    assert_eq!(
        table.results[&OpId::parse("1").expect("a name")].version,
        Version(3)
    );
}

#[test]
fn op21_everyone_else_gets_the_update_once_it_is_durable_and_reads_the_same() {
    let mut table = with_task();
    let ada = table.client(11);
    let bob = table.client(12);
    let operations = vec![
        op("1", Set, "t1", js!({"n": [1, {"a": null}], "name": "tea"})),
        unset("name", op("2", Set, "t1", js!({}))),
        op("3", Create, "t2", js!({"deep": {"b": 1.5}})),
        op("4", Replace, "t2", js!({"x": 1})),
        op("5", Delete, "t1", js!({})),
    ];
    let effects = table.operate(1, operations);
    let effects = table.serve(effects);
    let mut count = 0;
    for effect in &effects {
        if let Effect::Live {
            event: LiveEvent::Update(update),
            ..
        } = effect
        {
            ada.take(update);
            count += 1;
        }
    }
    assert_eq!(count, 5);
    assert_eq!(ada.json(), table.json());
    assert_eq!(table.json(), r#"{"tasks":{"t2":{"x":1}}}"#);
    // The log says the same.
    for update in table.log.iter().skip(1).flat_map(|it| &it.updates) {
        bob.take(update);
    }
    assert_eq!(bob.json(), table.json());
}

#[test]
fn op21_nobody_is_told_of_an_operation_before_it_is_durable() {
    let mut table = with_task();
    table.world.attach_as(3, Access::Write, Listen::Live);
    let had = table.world.room.state_vector();
    let asked = table.operate(1, vec![op("1", Increment, "t1", js!({"n": 1}))]);
    let recalled = answer(&mut table, &asked);
    let appending = table.world.tell(recalled);
    let is_live = |effects: &[Effect]| effects.iter().any(|it| matches!(it, Effect::Live { .. }));
    assert!(table.world.room.has_untold() && !is_live(&appending));
    // A reader that stands here has not been told, and who catches up waits.
    assert_eq!(table.world.room.state_vector(), had);
    let waiting = table.world.tell(Input::Sync {
        session: SessionId(3),
        state_vector: Bytes::from_static(&[0]),
    });
    assert_eq!(told(&waiting, 3), []);
    // So do further operations.
    let more = table.operate(1, vec![op("2", Increment, "t1", js!({"n": 1}))]);
    assert_eq!(more, []);
    let kept = table.serve(appending);
    assert!(is_live(&kept) && table.world.room.state_vector() != had);
    let caught_up = told(&kept, 3);
    let Some(Event::Diff { chunks, as_of, .. }) = caught_up.first() else {
        panic!("{caught_up:?}");
    };
    assert_eq!(
        *as_of,
        table.world.room.live_count() - 1,
        "the second one follows"
    );
    let eve = Client::new(13);
    chunks.iter().for_each(|chunk| eve.take(chunk));
    assert_eq!(eve.json(), r#"{"tasks":{"t1":{"n":2,"name":"milk"}}}"#);
}

#[test]
fn op21_who_is_gone_does_not_wait_and_what_cannot_be_read_is_not_kept() {
    let mut table = with_task();
    table.world.attach_as(3, Access::Write, Listen::Live);
    table.world.attach_as(4, Access::Write, Listen::Live);
    let asked = table.operate(1, vec![op("1", Increment, "t1", js!({"n": 1}))]);
    let recalled = answer(&mut table, &asked);
    table.world.tell(recalled);
    let sync = |n: u64, state_vector: Bytes| Input::Sync {
        session: SessionId(n),
        state_vector,
    };
    table.world.tell(sync(3, Bytes::from_static(&[0])));
    assert_eq!(table.world.room.holdings().held, 1);
    table.world.tell(detach(3));
    table.world.tell(sync(3, Bytes::from_static(&[0])));
    assert_eq!(table.world.room.holdings().held, 0);
    let large = vec![0; Limits::default().state_vector_bytes_max + 1];
    let effects = table.world.tell(sync(4, large.into()));
    assert_eq!(told(&effects, 4), [Event::Ended(End::TooLarge)]);
    assert_eq!(table.world.room.holdings().held, 0);
}
