//! OP: operations beside a store that answers late, and beside others who write.

use super::super::super::entry::{Actor, ChangeEvent};
use super::*;

/// An entry that another server keeps, which sets a field of a record.
fn theirs(table: &mut Table, version: u64, record: &str, name: &str) {
    let other = table.client(40 + version);
    let update = other.set(record, name, "theirs");
    let fields = vec![field(name, Value::Absent, json("\"theirs\""))];
    let actor = Actor {
        user: "other".into(),
        client: "there".into(),
    };
    table.log.push(Arc::new(Entry {
        version: Version(version),
        at: UnixMillis(1),
        actors: vec![actor.clone()],
        updates: vec![update],
        op: None,
        events: vec![ChangeEvent {
            change: change(ChangeKind::Update, record, fields),
            actor,
        }],
    }));
}

/// The append in flight lost a race against what is in the log.
fn lose_race(table: &mut Table, effects: &[Effect]) -> Vec<Effect> {
    let (id, expected, _) = append_in(effects).expect("an append is asked for");
    let theirs = table.log[expected.0 as usize..].to_vec();
    let head = Version(table.log.len() as u64);
    let world = &mut table.world;
    world.appended(id, Outcome::Moved(Some((EPOCH, head))));
    let entries = Some(theirs);
    world.tell(Input::Fetched { entries });
    let entries = Some(Vec::new());
    world.tell(Input::Fetched { entries })
}

#[test]
fn op9_a_retry_whose_first_becomes_durable_while_the_store_answers_is_not_applied_again() {
    let mut table = with_task();
    let add = || vec![op("1", Increment, "t1", js!({"n": 1}))];
    let asked = table.operate(1, add());
    let known = answer(&mut table, &asked);
    let appending = table.world.tell(known);
    // The store reads just before the first is durable, and its answer comes just after.
    let asked = table.operate(2, add());
    let late = answer(&mut table, &asked);
    table.serve(appending);
    let effects = table.world.tell(late);
    let effects = table.serve(effects);
    let again = told(&effects, 2);
    let [Event::Pushed { results, .. }] = &again[..] else {
        panic!("{again:?}");
    };
    assert_eq!(ended(&results[0]), (Status::Duplicate, 2));
    assert_eq!(table.json(), r#"{"tasks":{"t1":{"n":2,"name":"milk"}}}"#);
}

#[test]
fn op16_what_others_wrote_before_does_not_hide_what_was_written_after() {
    let mut table = with_task();
    theirs(&mut table, 2, "t1", "x");
    let asked = table.operate(1, vec![op("1", Set, "t1", js!({"n": 2}))]);
    let known = answer(&mut table, &asked);
    let appending = table.world.tell(known);
    let appending = lose_race(&mut table, &appending);
    let effects = table.serve(appending);
    assert_eq!(
        ended(&results_in(&effects).expect("answered")[0]),
        (Status::Applied, 3)
    );
    let strict = since(2, OnConflict::Strict, op("2", Set, "t1", js!({"n": 3})));
    assert_eq!(ended(&table.one(strict)), (Status::Conflict, 3));
}

#[test]
fn op16_a_retry_has_the_version_of_what_another_server_kept() {
    let mut table = with_task();
    theirs(&mut table, 2, "t1", "x");
    let kept = op("1", Set, "t1", js!({"x": "theirs"}));
    let mut result = table.results.values().next().cloned().expect("made");
    result.id = kept.id.clone();
    result.version = Version(2);
    table.results.insert(kept.id.clone(), result);
    let ada = table.client(11);
    let appending = table.world.submit(2, &ada.set("t1", "n", "2"));
    let asked = table.operate(1, vec![kept]);
    let known = answer(&mut table, &asked);
    table.world.tell(known);
    let appending = lose_race(&mut table, &appending);
    let effects = table.serve(appending);
    let results = results_in(&effects).expect("answered");
    assert_eq!(ended(&results[0]), (Status::Duplicate, 2));
    assert_eq!(table.head(), 3);
}

#[test]
fn op7_changes_that_are_not_durable_count_beside_what_others_wrote_meanwhile() {
    let mut table = with_task();
    table.one(op("1", Create, "t2", js!({})));
    let ada = table.client(11);
    // The store has others' entries that the room has not heard of.
    theirs(&mut table, 3, "t2", "x");
    table.project(Version(3));
    let mut effects = table.world.submit(2, &ada.set("t1", "n", "2"));
    let strict = since(2, OnConflict::Strict, op("2", Set, "t1", js!({"n": 3})));
    let asked = table.operate(1, vec![strict]);
    let known = answer(&mut table, &asked);
    table.world.tell(known);
    effects = lose_race(&mut table, &effects);
    let effects = table.serve(effects);
    let result = &results_in(&effects).expect("answered")[0];
    assert_eq!(ended(result), (Status::Conflict, 4));
}

#[test]
fn op6_what_is_written_after_a_record_was_given_has_a_later_version() {
    let mut table = with_task();
    let ada = table.client(11);
    let typed = ["1", "2", "3"].map(|value| ada.set("t1", "n", value));
    let flying = table.world.submit(2, &typed[0]);
    table.world.submit(2, &typed[1]);
    let asked = table.operate(1, vec![op("1", Create, "t1", js!({}))]);
    let known = answer(&mut table, &asked);
    table.world.tell(known);
    table.world.submit(2, &typed[2]);
    let effects = table.serve(flying);
    let given = results_in(&effects).expect("answered").remove(0);
    let given = given.portrayal.expect("the record is given");
    assert_eq!(&*given.fields.0, r#"{"n":"2","name":"milk"}"#);
    let seen = since(
        given.meta.version.0,
        OnConflict::Strict,
        op("2", Set, "t1", js!({"n": 4})),
    );
    assert_eq!(ended(&table.one(seen)), (Status::Conflict, 4));
}

#[test]
fn op7_a_record_is_given_as_changed_when_its_entry_was_begun() {
    let mut table = with_task();
    let ada = table.client(11);
    let typed = ["1", "2", "3"].map(|value| ada.set("t1", "n", value));
    let flying = table.world.submit(2, &typed[0]);
    table.world.submit(2, &typed[1]);
    table.world.pass_to(Millis(1_500));
    table.world.submit(2, &typed[2]);
    let mut read = op("1", Set, "t1", js!({}));
    read.wants_record = true;
    let asked = table.operate(1, vec![read]);
    let known = answer(&mut table, &asked);
    table.world.tell(known);
    let effects = table.serve(flying);
    let result = results_in(&effects).expect("answered").remove(0);
    let given = result.portrayal.expect("the record is given");
    let entry = &table.log[given.meta.version.0 as usize - 1];
    assert_eq!(given.meta.updated_at, entry.at);
}
