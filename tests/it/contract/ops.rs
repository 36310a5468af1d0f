//! Owns the rules of operations: kept with their append, once, also without rows.

use std::sync::Arc;

use bytes::Bytes;
use roundtable::ids::{AppendId, Epoch, OpId, UnixMillis, Version};
use roundtable::store::group::GroupCommit;
use roundtable::store::memory::Memory;
use roundtable::store::records::{ConflictQuery, ConflictRow, OpRow, RecordKey};
use roundtable::store::{Append, Appended, Failure, Loaded, Row, Store};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::group::queue_behind_the_first;
use super::{ALL, World, append, epoch, on_every_store, room, row};
use crate::support::recorder::Recorder;

on_every_store![
    st33_operations_and_conflicts_are_kept_with_their_append,
    st33_many_of_many_rooms_are_kept_at_once,
    st33_of_a_refused_call_none_is_kept,
    st34_what_is_known_stays_as_it_was,
    st34_an_append_dropped_at_any_moment_keeps_its_operations_once,
    st35_an_append_without_rows_keeps_operations,
    st35_an_append_without_rows_is_held_to_epoch_and_head,
    st35_an_append_without_rows_makes_no_room,
];

pub(crate) fn op_id(name: &str) -> OpId {
    OpId::parse(name).unwrap()
}

pub(crate) fn op(name: &str, version: u64) -> OpRow {
    OpRow {
        id: op_id(name),
        version: Version(version),
        at: UnixMillis(1_000 + version as i64),
        result: format!(r#"{{"opId": {name:?},  "\u0000": [1.0e0]}}"#),
    }
}

pub(crate) fn conflict(number: u128, version: u64) -> ConflictRow {
    ConflictRow {
        id: Uuid::from_u128(number),
        key: RecordKey {
            collection: "tasks".into(),
            record: "größe \"1\"".into(),
        },
        field: "$.a[0]".into(),
        version: Version(version),
        mine: Some(r#"{"b":  "\u0000"}"#.into()),
        theirs: Some("null".into()),
        theirs_version: Version(version - 1),
        user: "ada".into(),
        client: "device 5".into(),
        at: UnixMillis(7),
    }
}

/// An append of one row, one operation and one conflict.
fn whole(name: &str, epoch: Epoch, expected: u64, number: u128) -> Append {
    Append {
        ops: vec![op(&format!("op {number}"), expected + 1)],
        conflicts: vec![conflict(number, expected + 1)],
        ..append(name, epoch, expected, 1)
    }
}

/// An append of operations alone.
fn only_ops(name: &str, epoch: Epoch, expected: u64, ops: Vec<OpRow>) -> Append {
    Append {
        ops,
        ..append(name, epoch, expected, 0)
    }
}

/// What a room knows of some operations.
async fn known(store: &dyn Store, name: &str, epoch: Epoch, ids: &[&str]) -> Vec<OpRow> {
    let ids: Vec<OpId> = ids.iter().map(|id| op_id(id)).collect();
    let recall = store.records().recall(&room(name), epoch, &ids, &[]).await;
    recall.unwrap().ops
}

/// The ids of all conflicts.
async fn conflicts(store: &dyn Store) -> Vec<u128> {
    let query = ConflictQuery {
        limit: 10_000,
        ..ConflictQuery::default()
    };
    let conflicts = store.records().conflicts(&query).await.unwrap();
    conflicts.iter().map(|it| it.row.id.as_u128()).collect()
}

async fn st33_operations_and_conflicts_are_kept_with_their_append(world: &World) {
    let store = world.open().await;
    let (one, two) = (epoch(1), epoch(2));
    // Rooms that are made, that go on, and that stand elsewhere, in one call.
    store.append(&[append("b", two, 0, 4)]).await.unwrap();
    let call = [
        whole("a", one, 0, 1),
        whole("b", two, 4, 2),
        whole("c", epoch(3), 5, 3),
    ];
    let moved = Appended::Moved(None);
    assert_eq!(
        store.append(&call).await,
        Ok(vec![Appended::Kept, Appended::Kept, moved])
    );
    let ids = ["op 3", "op 2", "op 1", "op 2"];
    assert_eq!(known(&*store, "a", one, &ids).await, [op("op 1", 1)]);
    assert_eq!(known(&*store, "b", two, &ids).await, [op("op 2", 5)]);
    assert_eq!(conflicts(&*store).await, [1, 2]);
    // Rooms that all go on, one of them elsewhere.
    let call = [whole("a", one, 7, 4), whole("b", two, 5, 5)];
    let moved = Appended::Moved(Some((one, Version(1))));
    assert_eq!(store.append(&call).await, Ok(vec![moved, Appended::Kept]));
    let ids = ["op 4", "op 5"];
    assert_eq!(known(&*store, "a", one, &ids).await, []);
    assert_eq!(known(&*store, "b", two, &ids).await, [op("op 5", 6)]);
    assert_eq!(conflicts(&*store).await, [1, 2, 5]);
    // Nothing is known under another epoch.
    assert_eq!(known(&*store, "b", one, &ids).await, []);
}

async fn st33_many_of_many_rooms_are_kept_at_once(world: &World) {
    let store = world.open().await;
    for expected in [0, 300] {
        let call: Vec<Append> = (0..5_u128)
            .map(|number| {
                let versions = expected + 1..=expected + 300;
                let ops = versions.map(|version| op(&format!("op {version}"), version));
                let first = number * 1_000 + u128::from(expected) + 1;
                Append {
                    ops: ops.collect(),
                    conflicts: (first..first + 3).map(|id| conflict(id, 300)).collect(),
                    ..append(&format!("room {number}"), epoch(number), expected, 300)
                }
            })
            .collect();
        assert_eq!(store.append(&call).await, Ok(vec![Appended::Kept; 5]));
    }
    let ids: Vec<String> = (1..=600).map(|version| format!("op {version}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for number in 0..5 {
        let name = format!("room {number}");
        let mut ops = known(&*store, &name, epoch(number), &ids).await;
        ops.sort_by_key(|op| op.version);
        let expected = (1..=600).map(|version| op(&format!("op {version}"), version));
        assert!(ops == expected.collect::<Vec<_>>(), "{name}");
        let name = room(&name);
        let rows = store.read(&name, epoch(number), Version::ZERO, ALL).await;
        assert_eq!(rows.unwrap().len(), 600);
    }
    assert_eq!(conflicts(&*store).await.len(), 30);
}

async fn st33_of_a_refused_call_none_is_kept(world: &World) {
    let store = world.open().await;
    store.append(&[append("b", epoch(2), 0, 1)]).await.unwrap();
    let bad_result = OpRow {
        result: "{".into(),
        ..op("op 3", 2)
    };
    let nul_result = OpRow {
        result: "[\"a\0b\"]".into(),
        ..op("op 3", 2)
    };
    let bad_value = ConflictRow {
        mine: Some("[1,]".into()),
        ..conflict(3, 2)
    };
    let nul_name = ConflictRow {
        user: "a\0b".into(),
        ..conflict(3, 2)
    };
    let whole_with = |ops: Vec<OpRow>, conflicts: Vec<ConflictRow>, rows: u64| Append {
        ops,
        conflicts,
        ..append("b", epoch(2), 1, rows)
    };
    let beyond = OpRow {
        version: Version(u64::MAX),
        ..op("op 3", 2)
    };
    for bad in [
        whole_with(vec![bad_result.clone()], vec![], 1),
        whole_with(vec![op("op 2", 1), bad_result], vec![], 0),
        whole_with(vec![nul_result], vec![], 1),
        whole_with(vec![op("op 2", 2)], vec![bad_value], 1),
        whole_with(vec![op("op 2", 2)], vec![nul_name], 1),
        whole_with(vec![beyond], vec![], 1),
        whole_with(vec![], vec![conflict(3, 2)], 0),
        whole_with(vec![], vec![], 0),
    ] {
        let refused = store
            .append(&[whole("a", epoch(1), 0, 1), bad.clone()])
            .await;
        assert!(
            matches!(refused, Err(Failure::Refused(_))),
            "{bad:?}: {refused:?}"
        );
        let refused = store.append(&[bad]).await;
        assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");
        assert_eq!(known(&*store, "a", epoch(1), &["op 1"]).await, []);
        assert_eq!(known(&*store, "b", epoch(2), &["op 2", "op 3"]).await, []);
        assert_eq!(conflicts(&*store).await, []);
        assert_eq!(store.load(&room("a")).await.unwrap(), Loaded::default());
    }
}

async fn st34_what_is_known_stays_as_it_was(world: &World) {
    let store = world.open().await;
    let first = whole("a", epoch(1), 0, 1);
    for _ in 0..2 {
        let tried = store.append(std::slice::from_ref(&first)).await;
        assert_eq!(tried, Ok(vec![Appended::Kept]));
    }
    // The same again with another result, twice in one append, beside one that is new.
    let other = OpRow {
        version: Version(9),
        at: UnixMillis(9),
        result: "[]".into(),
        ..op("op 1", 1)
    };
    let later = ConflictRow {
        user: "bob".into(),
        ..conflict(1, 2)
    };
    let next = Append {
        ops: vec![other.clone(), op("op 2", 2), other],
        conflicts: vec![later.clone(), conflict(2, 2), later],
        ..append("a", epoch(1), 1, 1)
    };
    assert_eq!(store.append(&[next]).await, Ok(vec![Appended::Kept]));
    let ids = ["op 1", "op 2"];
    let ops = [op("op 1", 1), op("op 2", 2)];
    assert_eq!(known(&*store, "a", epoch(1), &ids).await, ops);
    assert_eq!(conflicts(&*store).await, [1, 2]);
    let kept = store.records().conflict(Uuid::from_u128(1)).await.unwrap();
    assert_eq!(kept.unwrap().row, conflict(1, 1));
    // A late retry, after others appended.
    assert_eq!(store.append(&[first]).await, Ok(vec![Appended::Kept]));
    assert_eq!(known(&*store, "a", epoch(1), &ids).await, ops);
    // Each room has its own.
    let elsewhere = only_ops("b", epoch(2), 1, vec![op("op 1", 7)]);
    store.append(&[append("b", epoch(2), 0, 1)]).await.unwrap();
    assert_eq!(store.append(&[elsewhere]).await, Ok(vec![Appended::Kept]));
    assert_eq!(known(&*store, "b", epoch(2), &ids).await, [op("op 1", 7)]);
}

async fn st34_an_append_dropped_at_any_moment_keeps_its_operations_once(world: &World) {
    let store = world.open().await;
    for version in 0..12_u64 {
        let number = u128::from(version) + 1;
        let dropped = whole("a", epoch(1), version, number);
        {
            let call = [dropped.clone()];
            let mut trying = std::pin::pin!(store.append(&call));
            let mut polls = 0;
            while polls < version && futures_util::poll!(trying.as_mut()).is_pending() {
                polls += 1;
            }
        }
        assert_eq!(store.append(&[dropped]).await, Ok(vec![Appended::Kept]));
        let id = format!("op {number}");
        let ops = known(&*store, "a", epoch(1), &[&id]).await;
        assert_eq!(ops, [op(&id, version + 1)]);
    }
    assert_eq!(conflicts(&*store).await, (1..=12).collect::<Vec<_>>());
}

async fn st35_an_append_without_rows_keeps_operations(world: &World) {
    let store = world.open().await;
    store
        .append(&[append("a", epoch(1), 0, 2), append("b", epoch(2), 0, 1)])
        .await
        .unwrap();
    let before = store.load(&room("a")).await.unwrap();
    let call = [only_ops(
        "a",
        epoch(1),
        2,
        vec![op("op 2", 2), op("op 0", 0)],
    )];
    for _ in 0..2 {
        assert_eq!(store.append(&call).await, Ok(vec![Appended::Kept]));
    }
    assert_eq!(store.load(&room("a")).await.unwrap(), before);
    let ids = ["op 2", "op 0", "op 1"];
    let ops = [op("op 0", 0), op("op 2", 2)];
    assert_eq!(known(&*store, "a", epoch(1), &ids).await, ops);
    // Beside rooms with rows, one of which is made.
    let call = [
        only_ops("a", epoch(1), 2, vec![op("op 3", 1)]),
        append("b", epoch(2), 1, 1),
        append("c", epoch(3), 0, 1),
    ];
    assert_eq!(store.append(&call).await, Ok(vec![Appended::Kept; 3]));
    assert_eq!(store.load(&room("a")).await.unwrap(), before);
    let known_now = known(&*store, "a", epoch(1), &["op 3"]).await;
    assert_eq!(known_now, [op("op 3", 1)]);
    // The next rows follow on the same head.
    let next = append("a", epoch(1), 2, 1);
    assert_eq!(store.append(&[next]).await, Ok(vec![Appended::Kept]));
}

async fn st35_an_append_without_rows_is_held_to_epoch_and_head(world: &World) {
    let store = world.open().await;
    store.append(&[append("a", epoch(1), 0, 2)]).await.unwrap();
    let stands = Some((epoch(1), Version(2)));
    for (name, of, expected, stands) in [
        ("a", epoch(1), 1, stands),
        ("a", epoch(1), 3, stands),
        ("a", epoch(1), 0, stands),
        ("a", epoch(2), 2, stands),
        ("b", epoch(1), 1, None),
    ] {
        let tried = only_ops(name, of, expected, vec![op("op", 1)]);
        let moved = Ok(vec![Appended::Moved(stands)]);
        assert_eq!(store.append(&[tried]).await, moved, "{name} {expected}");
        assert_eq!(known(&*store, "a", epoch(1), &["op"]).await, []);
    }
    // A retry is told where the room stands, and finds what is known.
    let first = only_ops("a", epoch(1), 2, vec![op("op", 2)]);
    assert_eq!(
        store.append(std::slice::from_ref(&first)).await,
        Ok(vec![Appended::Kept])
    );
    store.append(&[append("a", epoch(1), 2, 1)]).await.unwrap();
    let moved = Appended::Moved(Some((epoch(1), Version(3))));
    assert_eq!(store.append(&[first]).await, Ok(vec![moved]));
    assert_eq!(known(&*store, "a", epoch(1), &["op"]).await, [op("op", 2)]);
}

async fn st35_an_append_without_rows_makes_no_room(world: &World) {
    let store = world.open().await;
    let early = only_ops("a", epoch(1), 0, vec![op("op", 0)]);
    let call = [early.clone(), append("b", epoch(2), 0, 1)];
    assert_eq!(store.append(&call).await, Ok(vec![Appended::Kept; 2]));
    assert_eq!(
        store.append(std::slice::from_ref(&early)).await,
        Ok(vec![Appended::Kept])
    );
    assert_eq!(store.load(&room("a")).await.unwrap(), Loaded::default());
    assert_eq!(store.list("", None, 10).await.unwrap().len(), 1);
    assert_eq!(known(&*store, "a", epoch(1), &["op"]).await, []);
    // A deleted epoch is over for these, too.
    store.append(&[append("a", epoch(1), 0, 1)]).await.unwrap();
    let deleted = store.delete(&room("a"), epoch(1), &Bytes::new()).await;
    assert_eq!(deleted, Ok(true));
    assert_eq!(
        store.append(&[early]).await,
        Ok(vec![Appended::Moved(None)])
    );
    let fresh = only_ops("a", epoch(3), 0, vec![op("op", 0)]);
    assert_eq!(store.append(&[fresh]).await, Ok(vec![Appended::Kept]));
    assert_eq!(store.load(&room("a")).await.unwrap(), Loaded::default());
}

#[tokio::test]
async fn st19_results_and_conflicts_count_as_bytes() {
    let recorder = Recorder::new(Arc::new(Memory::open()), 0);
    let group = GroupCommit::start(Arc::clone(&recorder) as Arc<dyn Store>);
    let large = format!("\"{}\"", "x".repeat(5 << 20));
    let result = |name: &str| Append {
        id: AppendId(Uuid::from_u128(1)),
        rows: vec![row(1)],
        ops: vec![OpRow {
            result: large.clone(),
            ..op("op", 1)
        }],
        ..append(name, epoch(1), 0, 0)
    };
    let value = |name: &str| Append {
        rows: vec![Row { ..row(1) }],
        conflicts: vec![ConflictRow {
            theirs: Some(large.clone()),
            ..conflict(1, 1)
        }],
        ..append(name, epoch(1), 0, 0)
    };
    let appends = [
        append("first", epoch(1), 0, 1),
        result("a"),
        result("b"),
        value("c"),
        append("d", epoch(1), 0, 1),
    ];
    let (_, waiting) = queue_behind_the_first(&recorder, &group, appends).await;
    recorder.gate.add_permits(Semaphore::MAX_PERMITS);
    for answer in waiting {
        assert_eq!(answer.await.unwrap(), Ok(Appended::Kept));
    }
    let calls = [vec!["first"], vec!["a"], vec!["b"], vec!["c", "d"]];
    assert_eq!(recorder.calls(), calls);
}
