//! OP: operations on records, without Yjs.

mod racing;

use std::collections::{BTreeMap, BTreeSet};

use super::super::operate::Recalled;
use super::super::operation::{
    Action, Clash, Condition, Objection, OnConflict, OpResult, Operation, Place, RecordMeta, Status,
};
use super::super::record::canonical;
use super::*;
use crate::ids::OpId;

/// A room, and a store that keeps what the room has kept.
struct Table {
    world: World,
    results: BTreeMap<OpId, OpResult>,
    records: BTreeMap<Place, RecordMeta>,
    /// How far the store's records are written: by itself they never are.
    projected: Version,
    log: Vec<Arc<Entry>>,
}

impl Table {
    fn new() -> Self {
        let mut world = World::new();
        world.attach_as(1, Access::Write, Listen::Answers);
        world.attach_as(2, Access::Write, Listen::Live);
        Self {
            world,
            results: BTreeMap::new(),
            records: BTreeMap::new(),
            projected: Version::ZERO,
            log: Vec::new(),
        }
    }

    /// Answers what the room asks the store for, until it asks for nothing more.
    fn serve(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let mut told = Vec::new();
        let mut todo = effects;
        while !todo.is_empty() {
            for effect in std::mem::take(&mut todo) {
                match effect {
                    Effect::Append {
                        id, entries, done, ..
                    } => {
                        self.log.extend(entries.iter().cloned());
                        let done = done
                            .iter()
                            .map(|it| (it.result.id.clone(), it.result.clone()));
                        self.results.extend(done);
                        todo.extend(self.world.appended(id, Outcome::Kept));
                    }
                    Effect::Recall {
                        through,
                        operations,
                        places,
                    } => {
                        let recalled = self.recall(through, &operations, &places);
                        todo.extend(self.world.tell(Input::Recalled { recalled }));
                    }
                    other => told.push(other),
                }
            }
        }
        told
    }

    fn recall(
        &mut self,
        through: Option<Version>,
        operations: &[OpId],
        places: &[Place],
    ) -> Option<Recalled> {
        self.project(through.unwrap_or(Version::ZERO));
        let results = operations.iter().filter_map(|id| self.results.get(id));
        let records = places.iter();
        let records = records.filter_map(|it| Some((it.clone(), self.records.get(it)?.clone())));
        Some(Recalled {
            as_of: self.projected,
            results: results.cloned().collect(),
            records: records.collect(),
        })
    }

    fn project(&mut self, through: Version) {
        let range = self.projected.0 as usize..(through.0 as usize).max(self.projected.0 as usize);
        for entry in &self.log[range] {
            for event in &entry.events {
                let Some(record) = &event.change.record else {
                    continue;
                };
                let place = at(&event.change.collection, record);
                let (before, user) = (self.records.remove(&place), &event.actor.user);
                let meta = RecordMeta::fold(before, &event.change, entry.version, entry.at, user);
                self.records.extend(meta.map(|meta| (place, meta)));
            }
            self.projected = entry.version;
        }
    }

    fn operate(&mut self, n: u64, operations: Vec<Operation>) -> Vec<Effect> {
        self.world.tell(Input::Operate {
            session: SessionId(n),
            ticket: Ticket(1),
            client: None,
            operations,
        })
    }

    fn push(&mut self, operations: Vec<Operation>) -> Vec<OpResult> {
        let effects = self.operate(1, operations);
        let effects = self.serve(effects);
        results_in(&effects).expect("a push is answered once")
    }

    fn one(&mut self, operation: Operation) -> OpResult {
        self.push(vec![operation]).remove(0)
    }

    /// An edit by Yjs, kept.
    fn edit(&mut self, update: &Bytes) {
        let effects = self.world.submit(2, update);
        self.serve(effects);
    }

    /// A client that has everything.
    fn client(&mut self, id: u64) -> Client {
        let client = Client::new(id);
        client.take(&self.world.room.state());
        client
    }

    fn json(&self) -> String {
        self.world.room.json()
    }

    fn head(&self) -> u64 {
        self.world.room.position().version.0
    }
}

fn results_in(effects: &[Effect]) -> Option<Vec<OpResult>> {
    let mut pushed = told(effects, 1)
        .into_iter()
        .filter_map(|event| match event {
            Event::Pushed { results, .. } => Some(results),
            _ => None,
        });
    let results = pushed.next();
    assert!(pushed.next().is_none(), "a push is answered once");
    results
}

fn at(collection: &str, record: &str) -> Place {
    Place {
        collection: collection.into(),
        record: record.into(),
    }
}

fn op(id: &str, action: Action, record: &str, fields: serde_json::Value) -> Operation {
    let fields = fields.as_object().cloned().unwrap_or_default();
    let fields = fields.iter().map(|(name, value)| {
        let value = canonical(value).expect("a value that can be kept");
        (Arc::from(name.as_str()), value)
    });
    Operation {
        id: OpId::parse(id).expect("a name"),
        action,
        place: at("tasks", record),
        fields: fields.collect(),
        unset: BTreeSet::new(),
        condition: Condition::Always,
        wants_record: false,
    }
}

fn since(base: u64, on_conflict: OnConflict, operation: Operation) -> Operation {
    Operation {
        condition: Condition::Since {
            base: Version(base),
            on_conflict,
        },
        ..operation
    }
}

fn unset(name: &str, mut operation: Operation) -> Operation {
    operation.unset.insert(name.into());
    operation
}

fn ended(result: &OpResult) -> (Status, u64) {
    (result.status, result.version.0)
}

use Action::{Create, Delete, Increment, Replace, Save, Update as Set, Upsert};
use serde_json::json as js;

/// A task `t1` with a name, at version 1.
fn with_task() -> Table {
    let mut table = Table::new();
    let made = table.one(op("0", Create, "t1", js!({"name": "milk", "n": 1})));
    assert_eq!(ended(&made), (Status::Applied, 1));
    table
}

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
    // The nearest number is the one that is there.
    table.one(op("3", Set, "t1", js!({"n": 9_007_199_254_740_991_u64})));
    let result = table.one(op("4", Increment, "t1", js!({"n": -0.25})));
    assert_eq!(ended(&result), (Status::Applied, 3));
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
    let mut appending = Vec::new();
    for effect in asked {
        if let Effect::Recall {
            through,
            operations,
            places,
        } = effect
        {
            let recalled = table.recall(through, &operations, &places);
            appending = table.world.tell(Input::Recalled { recalled });
        }
    }
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
    let Some(Effect::Recall {
        through,
        operations,
        places,
    }) = asked.into_iter().next()
    else {
        panic!("the store is asked");
    };
    let recalled = table.recall(through, &operations, &places);
    let effects = table.world.tell(Input::Recalled { recalled });
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
fn op17_numbers_that_would_read_as_others_are_refused() {
    for text in [
        "9007199254740993",
        "[18446744073709551615]",
        r#"{"a":-9007199254740993}"#,
    ] {
        let value = serde_json::from_str(text).expect("JSON");
        assert!(canonical(&value).is_err(), "{text}");
    }
    let texts = [
        ("9007199254740992", "9007199254740992"),
        ("24000000000000000", "24000000000000000"),
        // As JavaScript writes 2^63.
        ("9223372036854776000", "9.223372036854776e+18"),
        ("1.0", "1"),
        ("1e300", "1e+300"),
        ("9007199254740991.0", "9007199254740991"),
        ("2.2250738585072011e-308", "2.225073858507201e-308"),
        ("-0.5", "-0.5"),
        (
            "{\"b\":[],\"a\":\"\\u0000\"}",
            "{\"a\":\"\\u0000\",\"b\":[]}",
        ),
    ];
    for (text, canonically) in texts {
        let value = serde_json::from_str(text).expect("JSON");
        assert_eq!(&*canonical(&value).expect("exact").0, canonically);
    }
}

#[test]
fn op18_operations_that_wait_are_bounded_and_one_push_always_fits() {
    let limits = Limits {
        operations_waiting_max: 2,
        ..Limits::default()
    };
    let mut table = Table::new();
    table.world = World::with(limits);
    table.world.attach_as(1, Access::Write, Listen::Answers);
    let ops = |n: u64| (0..n).map(|k| op(&k.to_string(), Create, &k.to_string(), js!({})));
    let asked = table.operate(1, ops(3).collect());
    let refusals = table.operate(1, ops(1).collect());
    assert_eq!(told(&refusals, 1), [refused(1, Refusal::Unavailable)]);
    let effects = table.serve(asked);
    assert_eq!(results_in(&effects).map(|it| it.len()), Some(3));
}

#[test]
fn op19_only_who_may_write_operates() {
    let mut table = with_task();
    table.world.attach_as(3, Access::Read, Listen::Answers);
    let effects = table.operate(3, vec![op("1", Delete, "t1", js!({}))]);
    assert_eq!(told(&effects, 3), [refused(1, Refusal::Forbidden)]);
}

#[test]
fn op20_what_is_no_collection_or_no_record_is_not_written_over() {
    let mut table = Table::new();
    let ada = Client::new(11);
    table.edit(&ada.edit(|txn| {
        txn.get_or_insert_map("tasks").insert(txn, "plain", 1);
        let text = txn.get_or_insert_text("notes");
        yrs::Text::insert(&text, txn, 0, "hi");
    }));
    let mut onto_text = op("1", Create, "r", js!({}));
    onto_text.place.collection = "notes".into();
    for operation in [
        onto_text,
        op("2", Upsert, "plain", js!({})),
        op("3", Delete, "plain", js!({})),
    ] {
        assert!(matches!(
            table.one(operation).objection,
            Some(Objection::Taken(_))
        ));
    }
    assert_eq!(table.json(), r#"{"notes":"hi","tasks":{"plain":1}}"#);
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
    let Some(Effect::Recall {
        through,
        operations,
        places,
    }) = asked.into_iter().next()
    else {
        panic!("the store is asked");
    };
    let recalled = table.recall(through, &operations, &places);
    let appending = table.world.tell(Input::Recalled { recalled });
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
    let Some(Effect::Recall {
        through,
        operations,
        places,
    }) = asked.into_iter().next()
    else {
        panic!("the store is asked");
    };
    let recalled = table.recall(through, &operations, &places);
    table.world.tell(Input::Recalled { recalled });
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
