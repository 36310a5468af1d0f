//! OP: what becomes of an operation beside what the record is.

use super::*;

#[test]
fn op1_a_create_makes_a_record_and_over_one_that_is_there_is_rejected_with_it() {
    let mut table = with_task();
    assert_eq!(table.json(), r#"{"tasks":{"t1":{"n":1,"name":"milk"}}}"#);
    let again = table.one(op("1", Create, "t1", js!({"name": "tea"})));
    assert_eq!(again.status, Status::Rejected);
    assert!(matches!(again.objection, Some(Objection::Taken(_))));
    let there = again.portrayal.expect("the record is given");
    assert_eq!(&*there.fields.0, r#"{"n":1,"name":"milk"}"#);
    assert_eq!(
        (there.meta.version, &*there.meta.created_by),
        (Version(1), "user 1")
    );
    assert_eq!(table.head(), 1);
}

#[test]
fn op2_an_update_writes_and_announces_the_fields_that_really_changed() {
    let mut table = with_task();
    let fields = js!({"name": "milk", "n": 2, "x": null});
    let result = table.one(unset("gone", op("1", Set, "t1", fields)));
    assert_eq!(ended(&result), (Status::Applied, 2));
    let events: Vec<_> = table.log[1]
        .events
        .iter()
        .map(|it| it.change.clone())
        .collect();
    let fields = vec![
        field("n", json("1"), json("2")),
        field("x", Value::Absent, json("null")),
    ];
    assert_eq!(events, [change(ChangeKind::Update, "t1", fields)]);
}

#[test]
fn op3_each_operation_that_changes_something_is_an_entry_of_its_own() {
    let mut table = with_task();
    let ada = table.client(11);
    // What others type meanwhile neither joins an operation's entry nor is joined by it.
    let typed = [ada.set("t1", "a", "1"), ada.set("t1", "b", "2")];
    let mut effects = table.operate(1, vec![op("1", Set, "t1", js!({"n": 2}))]);
    effects.extend(table.world.submit(2, &typed[0]));
    let recall = effects
        .iter()
        .position(|it| matches!(it, Effect::Recall { .. }));
    assert!(recall.is_some());
    table.serve(effects);
    let results = table.push(vec![
        op("2", Set, "t1", js!({"n": 3})),
        op("3", Create, "t2", js!({})),
    ]);
    table.edit(&typed[1]);
    assert_eq!(
        results.iter().map(|it| it.version.0).collect::<Vec<_>>(),
        [4, 5]
    );
    let counts: Vec<_> = table.log.iter().map(|it| it.events.len()).collect();
    assert_eq!(counts, [1, 1, 1, 1, 1, 1]);
}

#[test]
fn op4_an_operation_that_changes_nothing_is_applied_at_the_records_version() {
    let mut table = with_task();
    table.one(op("1", Create, "t2", js!({})));
    let same = table.one(op("2", Set, "t1", js!({"name": "milk"})));
    assert_eq!(ended(&same), (Status::Applied, 1));
    let nothing = table.one(op("3", Delete, "t9", js!({})));
    assert_eq!(ended(&nothing), (Status::Applied, 0));
    assert_eq!(table.head(), 2);
}

#[test]
fn op5_an_increment_adds_from_zero_and_only_to_numbers() {
    let mut table = with_task();
    let result = table.one(op("1", Increment, "t1", js!({"n": 2, "new": -1.5})));
    assert_eq!(ended(&result), (Status::Applied, 2));
    assert_eq!(
        table.json(),
        r#"{"tasks":{"t1":{"n":3,"name":"milk","new":-1.5}}}"#
    );
    for fields in [
        js!({"name": 1}),
        js!({"n": "1"}),
        js!({"n": 9_007_199_254_740_990_u64}),
    ] {
        let result = table.one(op(&fields.to_string(), Increment, "t1", fields));
        assert!(matches!(result.objection, Some(Objection::Malformed(_))));
    }
    let missing = table.one(op("2", Increment, "t9", js!({"n": 1})));
    assert_eq!(missing.objection, Some(Objection::NotFound));
    assert_eq!(table.head(), 2);
    // Whole floats are whole numbers, however large.
    table.one(op("5", Set, "t1", js!({"big": 1e20})));
    let lost = table.one(op("6", Increment, "t1", js!({"big": 1})));
    assert!(matches!(lost.objection, Some(Objection::Malformed(_))));
    let exact = table.one(op("7", Increment, "t1", js!({"big": 1e20})));
    assert_eq!(exact.status, Status::Applied);
    table.one(op("8", Set, "t1", js!({"big": 1e308})));
    let endless = table.one(op("9", Increment, "t1", js!({"big": 1e308})));
    assert!(matches!(endless.objection, Some(Objection::Malformed(_))));
    // The nearest number is the one that is there.
    table.one(op("3", Set, "t1", js!({"n": 9_007_199_254_740_991_u64})));
    let result = table.one(op("4", Increment, "t1", js!({"n": -0.25})));
    assert_eq!(ended(&result), (Status::Applied, 6));
}

#[test]
fn op6_after_a_change_a_merge_goes_on_a_reject_minds_the_field_and_strict_the_record() {
    let mut table = with_task();
    table.one(op("1", Set, "t1", js!({"n": 5})));
    let other = |id, mode| since(1, mode, op(id, Set, "t1", js!({"name": id})));
    let same = |id, mode| since(1, mode, op(id, Set, "t1", js!({"n": 7})));
    assert_eq!(
        table.one(other("2", OnConflict::Merge)).status,
        Status::Merged
    );
    let strict = table.one(other("3", OnConflict::Strict));
    assert_eq!(strict.status, Status::Conflict);
    assert_eq!(
        &*strict.portrayal.expect("with the record").fields.0,
        r#"{"n":5,"name":"2"}"#
    );
    let seen = since(
        3,
        OnConflict::Strict,
        op("4", Set, "t1", js!({"name": "4"})),
    );
    assert_eq!(table.one(seen).status, Status::Applied);
    let rejected = table.one(same("5", OnConflict::Reject));
    assert_eq!(rejected.status, Status::Conflict);
    let clash = Clash {
        field: "n".into(),
        mine: json("7"),
        theirs: json("5"),
        theirs_version: Version(2),
    };
    assert_eq!(rejected.clashes, std::slice::from_ref(&clash));
    assert_eq!(table.head(), 4);
    let merged = table.one(same("6", OnConflict::Merge));
    assert_eq!(
        (merged.status, merged.clashes),
        (Status::Merged, vec![clash])
    );
}

#[test]
fn op6_an_increment_adds_to_what_changed_unless_it_minds() {
    let mut table = with_task();
    table.one(op("1", Set, "t1", js!({"n": 5})));
    let add = |id, mode, fields| since(1, mode, op(id, Increment, "t1", fields));
    let clash = Clash {
        field: "n".into(),
        mine: json("7"),
        theirs: json("5"),
        theirs_version: Version(2),
    };
    for (id, mode) in [("2", OnConflict::Reject), ("3", OnConflict::Strict)] {
        let minded = table.one(add(id, mode, js!({"n": 2, "new": 1})));
        assert_eq!(minded.status, Status::Conflict);
        assert_eq!(minded.clashes, std::slice::from_ref(&clash));
        let record = minded.portrayal.expect("with the record");
        assert_eq!(&*record.fields.0, r#"{"n":5,"name":"milk"}"#);
    }
    let strict = table.one(add("4", OnConflict::Strict, js!({"new": 1})));
    assert_eq!((strict.status, strict.clashes), (Status::Conflict, vec![]));
    // Of what others left alone, a change is no conflict; and numbers add up whoever comes first.
    let other = table.one(add("5", OnConflict::Reject, js!({"new": 1})));
    assert_eq!(ended(&other), (Status::Merged, 3));
    let merged = table.one(add("6", OnConflict::Merge, js!({"n": 2})));
    assert_eq!(ended(&merged), (Status::Merged, 4));
    assert_eq!(merged.clashes, []);
    assert_eq!(
        table.json(),
        r#"{"tasks":{"t1":{"n":7,"name":"milk","new":1}}}"#
    );
}

#[test]
fn op7_changes_that_are_not_in_the_stores_records_yet_count() {
    let mut table = with_task();
    let ada = table.client(11);
    table.one(op("1", Set, "t1", js!({"x": 1})));
    assert_eq!(
        table.projected,
        Version(0),
        "written when the first operation came"
    );
    // Not durable, either.
    let mut effects = table.world.submit(2, &ada.set("t1", "name", "tea"));
    let strict = since(2, OnConflict::Strict, op("2", Set, "t1", js!({"x": 2})));
    effects.extend(table.operate(1, vec![strict]));
    let effects = table.serve(effects);
    let result = &results_in(&effects).expect("answered")[0];
    assert_eq!(ended(result), (Status::Conflict, 3));
}

#[test]
fn op8_an_operation_is_applied_once_and_a_retry_has_the_first_result() {
    let mut table = with_task();
    let add = || op("1", Increment, "t1", js!({"n": 1}));
    assert_eq!(ended(&table.one(add())), (Status::Applied, 2));
    table.one(op("2", Set, "t1", js!({"n": 40})));
    assert_eq!(ended(&table.one(add())), (Status::Duplicate, 2));
    // Also what changed nothing, and within one push.
    let same = || op("3", Set, "t1", js!({"n": 40}));
    let both = table.push(vec![same(), same()]);
    assert_eq!(
        both.iter().map(ended).collect::<Vec<_>>(),
        [(Status::Applied, 3), (Status::Duplicate, 3)]
    );
    table.one(op("4", Set, "t1", js!({"n": 41})));
    assert_eq!(ended(&table.one(same())), (Status::Duplicate, 3));
    assert_eq!(table.json(), r#"{"tasks":{"t1":{"n":41,"name":"milk"}}}"#);
}

#[test]
fn op9_a_retry_waits_with_the_operation_that_is_on_its_way() {
    let mut table = with_task();
    let add = || vec![op("1", Increment, "t1", js!({"n": 1}))];
    let asked = table.operate(1, add());
    let recalled = answer(&mut table, &asked);
    let appending = table.world.tell(recalled);
    // The store does not know it yet; the room does.
    let retried = table.operate(2, add());
    let retried = table.serve(retried);
    assert_eq!(told(&retried, 2), []);
    let told_then = table.serve(appending);
    let answers = [told(&told_then, 1), told(&told_then, 2)].concat();
    let statuses: Vec<_> = answers
        .iter()
        .filter_map(|event| match event {
            Event::Pushed { results, .. } => Some(ended(&results[0])),
            _ => None,
        })
        .collect();
    assert_eq!(statuses, [(Status::Applied, 2), (Status::Duplicate, 2)]);
}

#[test]
fn op10_an_update_of_nothing_is_rejected_and_one_of_a_deleted_record_conflicts() {
    let mut table = with_task();
    let nothing = table.one(op("1", Set, "t9", js!({"n": 1})));
    assert_eq!(nothing.objection, Some(Objection::NotFound));
    assert_eq!(
        ended(&table.one(op("2", Delete, "t1", js!({})))),
        (Status::Applied, 2)
    );
    let late = table.one(op("3", Set, "t1", js!({"n": 1})));
    assert_eq!(
        (ended(&late), late.portrayal),
        ((Status::Conflict, 2), None)
    );
    // An upsert merges it back, unless it minds.
    let strict = since(1, OnConflict::Reject, op("4", Upsert, "t1", js!({"n": 9})));
    assert_eq!(table.one(strict).status, Status::Conflict);
    let back = since(1, OnConflict::Merge, op("5", Upsert, "t1", js!({"n": 9})));
    assert_eq!(ended(&table.one(back)), (Status::Merged, 3));
    assert_eq!(table.json(), r#"{"tasks":{"t1":{"n":9}}}"#);
}

#[test]
fn op28_a_save_makes_what_was_never_there_and_a_deleted_record_stays_so() {
    let mut table = with_task();
    assert_eq!(
        ended(&table.one(op("1", Save, "t9", js!({"n": 1})))),
        (Status::Applied, 2)
    );
    assert_eq!(
        ended(&table.one(op("2", Save, "t9", js!({"m": 2})))),
        (Status::Applied, 3)
    );
    table.one(op("3", Delete, "t9", js!({})));
    let late = table.one(op("4", Save, "t9", js!({"n": 3})));
    assert_eq!(ended(&late), (Status::Conflict, 4));
}

#[test]
fn op11_a_delete_over_concurrent_changes_merges_with_what_it_overwrote_or_conflicts() {
    let mut table = with_task();
    table.one(op("1", Set, "t1", js!({"n": 5})));
    let reject = since(1, OnConflict::Reject, op("2", Delete, "t1", js!({})));
    assert_eq!(table.one(reject).status, Status::Conflict);
    let merge = table.one(since(1, OnConflict::Merge, op("3", Delete, "t1", js!({}))));
    assert_eq!(ended(&merge), (Status::Merged, 3));
    let fields: Vec<_> = merge
        .clashes
        .iter()
        .map(|it| (&*it.field, &it.mine))
        .collect();
    assert_eq!(fields, [("n", &Value::Absent)]);
}

#[test]
fn op12_unset_removes_fields_and_a_replace_all_that_it_does_not_name() {
    let mut table = with_task();
    table.one(unset("n", op("1", Set, "t1", js!({"x": 1}))));
    assert_eq!(table.json(), r#"{"tasks":{"t1":{"name":"milk","x":1}}}"#);
    let before = table.client(11);
    table.one(op("2", Replace, "t1", js!({"name": "tea"})));
    assert_eq!(table.json(), r#"{"tasks":{"t1":{"name":"tea"}}}"#);
    // The record is the same one: what is typed into it at the same time is not lost.
    table.edit(&before.set("t1", "late", "1"));
    assert_eq!(
        table.json(),
        r#"{"tasks":{"t1":{"late":"1","name":"tea"}}}"#
    );
    assert_eq!(
        ended(&table.one(op("3", Replace, "t3", js!({"a": 1})))),
        (Status::Applied, 5)
    );
}

#[test]
fn op13_a_base_after_the_head_is_rejected() {
    let mut table = with_task();
    let ahead = since(2, OnConflict::Merge, op("1", Set, "t1", js!({"n": 2})));
    let result = table.one(ahead);
    assert!(matches!(result.objection, Some(Objection::Malformed(_))));
    assert_eq!(table.head(), 1);
}
