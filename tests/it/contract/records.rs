//! Owns the rules of records: recalling, projecting, pruning.

use bytes::Bytes;
use roundtable::ids::{Epoch, UnixMillis, Version};
use roundtable::store::Retention;
use roundtable::store::records::{ConflictQuery, Recall, RecordKey, RecordQuery, RecordRow};
use roundtable::store::{Append, Appended, Failure, Snapshot, Store};

use super::ops::{conflict, op, op_id};
use super::{ALL, World, append, epoch, on_every_store, project, room};

on_every_store![
    st36_what_is_known_is_recalled_by_name,
    st36_what_is_projected_comes_back,
    st37_a_projection_moves_from_where_it_stands,
    st37_of_two_who_project_one_is_told_no,
    st37_a_projection_that_contradicts_itself_is_refused,
    st37_many_records_are_projected_at_once,
    st38_one_read_sees_one_moment,
    st43_pruning_keeps_what_is_not_projected,
    st43_pruning_drops_old_operations_and_deleted_records,
    st43_pruning_drops_any_number_of_operations,
    st44_a_deletion_forgets_what_was_told,
];

pub(super) fn key(collection: &str, record: &str) -> RecordKey {
    RecordKey {
        collection: collection.into(),
        record: record.into(),
    }
}

/// A record that a version changed last.
pub(super) fn record(collection: &str, record: &str, version: u64, data: &str) -> RecordRow {
    RecordRow {
        key: key(collection, record),
        version: Version(version),
        data: data.into(),
        untold: r#"["x\u0000y",  "z"]"#.into(),
        field_versions: format!(r#"{{"a\u0000":  {version}, "a": 1}}"#),
        created_at: UnixMillis(version as i64),
        created_by: "ada".into(),
        updated_at: UnixMillis(1_000 + version as i64),
        updated_by: "größe".into(),
        deleted_at: None,
    }
}

pub(super) fn deleted(of: &str, version: u64) -> RecordRow {
    RecordRow {
        deleted_at: Some(UnixMillis(1_000 + version as i64)),
        ..record("tasks", of, version, "{}")
    }
}

/// All of a collection, by id.
pub(super) fn all(collection: &str) -> RecordQuery {
    RecordQuery {
        collection: collection.into(),
        limit: 10_000,
        ..RecordQuery::default()
    }
}

/// Puts records at the head of a room that is made for them, with nothing projected before.
pub(super) async fn told(store: &dyn Store, name: &str, of: Epoch, head: u64, rows: &[RecordRow]) {
    store.append(&[append(name, of, 0, head)]).await.unwrap();
    let records = store.records();
    let projected = records
        .project(&room(name), of, Version::ZERO, Version(head), rows)
        .await;
    assert_eq!(projected, Ok(true));
}

/// What a room knows of records; their data as what it says, not as it is spelled.
async fn recall(store: &dyn Store, name: &str, of: Epoch, keys: &[RecordKey]) -> Recall {
    let recall = store.records().recall(&room(name), of, &[], keys).await;
    let mut recall = recall.unwrap();
    recall.records.iter_mut().for_each(respell);
    recall
}

pub(super) fn respell(row: &mut RecordRow) {
    let data: serde_json::Value = serde_json::from_str(&row.data).unwrap();
    row.data = data.to_string();
}

async fn st36_what_is_known_is_recalled_by_name(world: &World) {
    let store = world.open().await;
    let one = epoch(1);
    let rows = [
        record("tasks", "b", 2, "{}"),
        record("tasks", "a", 3, r#"{"x":1}"#),
        deleted("c", 1),
        record("Tasks", "a", 1, "{}"),
    ];
    told(&*store, "a", one, 3, &rows).await;
    let ops = vec![op("2", 1), op("1", 2), op("a\"'$", 3)];
    let more = Append {
        ops,
        ..append("a", one, 3, 1)
    };
    store.append(&[more]).await.unwrap();
    let keys = [
        key("tasks", "c"),
        key("tasks", "b"),
        key("tasks", "B"),
        key("tasks", "b"),
        key("tasks", "a"),
        key("others", "a"),
        key("tasks", "a\0b"),
        key("", ""),
    ];
    let ids = ["a\"'$", "2", "3", "2"].map(op_id);
    let known = store.records().recall(&room("a"), one, &ids, &keys).await;
    let [b, a, c, _] = rows;
    let expected = Recall {
        projected: Version(3),
        ops: vec![op("2", 1), op("a\"'$", 3)],
        records: vec![a, b, c],
    };
    let mut known = known.unwrap();
    known.records.iter_mut().for_each(respell);
    assert_eq!(known, expected);
    let none = Recall {
        projected: Version(3),
        ..Recall::default()
    };
    assert_eq!(recall(&*store, "a", one, &[]).await, none);
    for (name, of) in [("a", epoch(2)), ("b", one)] {
        let known = store.records().recall(&room(name), of, &ids, &keys).await;
        assert_eq!(known, Ok(Recall::default()));
    }
}

async fn st36_what_is_projected_comes_back(world: &World) {
    let store = world.open().await;
    let data = [
        r#"{"":"","a.b":[1,{"c":null}],"$[0]":-0.5,"q\"\\'":true,"日本":"🎲\n\u2028"}"#,
        r#"{"large":1e300,"small":1e-300,"long":9007199254740993,"most":-9223372036854775808}"#,
        r#"{"not the character":"\\u0000"}"#,
        "{}",
    ];
    let ids = ["", "a/b", "'; DROP TABLE records; --", "\u{10ffff}"];
    let rows: Vec<RecordRow> = (ids.iter().zip(data))
        .map(|(id, data)| record("größe $1", id, 2, data))
        .collect();
    told(&*store, "a", epoch(1), 2, &rows).await;
    let keys: Vec<RecordKey> = rows.iter().map(|row| row.key.clone()).collect();
    let mut expected = rows;
    expected.sort_by(|one, other| one.key.cmp(&other.key));
    expected.iter_mut().for_each(respell);
    let known = recall(&*store, "a", epoch(1), &keys).await;
    assert_eq!(known.records, expected);
    let (projected, mut listed) = store
        .records()
        .list(&room("a"), epoch(1), &all("größe $1"))
        .await
        .unwrap();
    listed.iter_mut().for_each(respell);
    assert_eq!((projected, listed), (Version(2), expected));
}

async fn st37_a_projection_moves_from_where_it_stands(world: &World) {
    let store = world.open().await;
    let (records, name, one) = (store.records(), room("a"), epoch(1));
    let first = record("tasks", "a", 1, r#"{"x":1}"#);
    let rows = std::slice::from_ref(&first);
    let zero = Version::ZERO;
    assert_eq!(
        records.project(&name, one, zero, zero, &[]).await,
        Ok(false)
    );
    told(&*store, "a", one, 5, rows).await;
    let other = RecordRow {
        version: Version(3),
        data: r#"{"x":2}"#.into(),
        untold: "[]".into(),
        field_versions: "{}".into(),
        created_at: UnixMillis(-5),
        created_by: "bob".into(),
        updated_at: UnixMillis(-6),
        updated_by: "".into(),
        deleted_at: Some(UnixMillis(-7)),
        ..first.clone()
    };
    // Neither from elsewhere nor in another epoch, and nothing is written then.
    for (of, from, to) in [(one, 4, 5), (one, 0, 5), (epoch(2), 5, 5)] {
        let rows = std::slice::from_ref(&other);
        let moved = records.project(&name, of, Version(from), Version(to), rows);
        assert_eq!(moved.await, Ok(false));
    }
    let keys = std::slice::from_ref(&first.key);
    let known = recall(&*store, "a", one, keys).await;
    assert_eq!((known.projected, &known.records[..]), (Version(5), rows));
    // The same version again puts right what is wrong; all of a record is replaced.
    let rows = std::slice::from_ref(&other);
    let again = records.project(&name, one, Version(5), Version(5), rows);
    assert_eq!(again.await, Ok(true));
    assert_eq!(recall(&*store, "a", one, keys).await.records, rows);
    // A room that goes on keeps what is told of it.
    store.append(&[append("a", one, 5, 2)]).await.unwrap();
    let on = records.project(&name, one, Version(5), Version(6), &[]);
    assert_eq!(on.await, Ok(true));
    let known = recall(&*store, "a", one, keys).await;
    assert_eq!((known.projected, &known.records[..]), (Version(6), rows));
}

async fn st37_of_two_who_project_one_is_told_no(world: &World) {
    const TRIES: u64 = 30;
    let store = world.open().await;
    store
        .append(&[append("a", epoch(1), 0, TRIES)])
        .await
        .unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for by in ["ada", "bob", "cleo"] {
        let store = world.open().await;
        tasks.spawn(async move {
            let mut won = Vec::new();
            for version in 1..=TRIES {
                let row = [RecordRow {
                    updated_by: by.into(),
                    ..record("tasks", &format!("{version:03}"), version, "{}")
                }];
                let (from, to) = (Version(version - 1), Version(version));
                let name = room("a");
                let moving = store.records().project(&name, epoch(1), from, to, &row);
                if moving.await.unwrap() {
                    won.push((version, by.to_owned()));
                }
            }
            won
        });
    }
    let mut won = tasks.join_all().await.concat();
    won.sort();
    let (projected, rows) = store
        .records()
        .list(&room("a"), epoch(1), &all("tasks"))
        .await
        .unwrap();
    assert_eq!(projected, Version(TRIES));
    let kept: Vec<_> = rows
        .into_iter()
        .map(|row| (row.version.0, row.updated_by))
        .collect();
    assert_eq!(kept, won);
    assert_eq!(kept.len() as u64, TRIES);
}

async fn st37_a_projection_that_contradicts_itself_is_refused(world: &World) {
    let store = world.open().await;
    let good = record("tasks", "good", 1, "{}");
    told(&*store, "a", epoch(1), 2, std::slice::from_ref(&good)).await;
    let bad = record("tasks", "bad", 2, "{}");
    let with = |change: fn(&mut RecordRow)| {
        let mut row = bad.clone();
        change(&mut row);
        row
    };
    for (to, rows) in [
        (3, vec![bad.clone()]),
        (1, vec![bad.clone()]),
        (u64::MAX, vec![bad.clone()]),
        (2, vec![bad.clone(), bad.clone()]),
        (2, vec![with(|row| row.key.record = "a\0".into())]),
        (2, vec![with(|row| row.key.collection = "\0".into())]),
        (2, vec![with(|row| row.key.record = "x".repeat(256))]),
        (2, vec![with(|row| row.key.collection = "ä".repeat(128))]),
        (2, vec![with(|row| row.updated_by = "\0".into())]),
        (2, vec![with(|row| row.data = r#"{"a":["\u0000"]}"#.into())]),
        (2, vec![with(|row| row.data = r#"{"a\u0000":1}"#.into())]),
        (2, vec![with(|row| row.data = "{".into())]),
        (2, vec![with(|row| row.untold = "[\"a\0\"]".into())]),
        (2, vec![with(|row| row.field_versions = String::new())]),
        (2, vec![with(|row| row.version = Version(u64::MAX))]),
    ] {
        let rows: Vec<RecordRow> = [good.clone()].into_iter().chain(rows).collect();
        let refused = store
            .records()
            .project(&room("a"), epoch(1), Version(2), Version(to), &rows)
            .await;
        assert!(
            matches!(refused, Err(Failure::Refused(_))),
            "{to} {rows:?}: {refused:?}"
        );
    }
    let (projected, rows) = store
        .records()
        .list(&room("a"), epoch(1), &all("tasks"))
        .await
        .unwrap();
    assert_eq!((projected, rows), (Version(2), vec![good]));
}

async fn st37_many_records_are_projected_at_once(world: &World) {
    let store = world.open().await;
    let data = format!(r#"{{"text":"{}"}}"#, "x".repeat(200));
    let rows: Vec<RecordRow> = (0..5_000)
        .map(|number| record("tasks", &format!("{number:05}"), 1, &data))
        .collect();
    told(&*store, "a", epoch(1), 1, &rows).await;
    let known = store
        .records()
        .list(&room("a"), epoch(1), &all("tasks"))
        .await;
    let (_, mut listed) = known.unwrap();
    listed.iter_mut().for_each(respell);
    assert!(listed == rows, "5,000 that differ are not worth printing");
}

async fn st38_one_read_sees_one_moment(world: &World) {
    const ROUNDS: u64 = 60;
    let store = world.open().await;
    store
        .append(&[append("a", epoch(1), 0, ROUNDS)])
        .await
        .unwrap();
    let names: Vec<String> = (0..20).map(|number| format!("{number:02}")).collect();
    let keys: Vec<RecordKey> = names.iter().map(|name| key("tasks", name)).collect();
    let writer = world.open().await;
    let writing = tokio::spawn(async move {
        for version in 1..=ROUNDS {
            let rows: Vec<RecordRow> = names
                .iter()
                .map(|name| record("tasks", name, version, "{}"))
                .collect();
            let (from, to) = (Version(version - 1), Version(version));
            let name = room("a");
            let moving = writer.records().project(&name, epoch(1), from, to, &rows);
            assert_eq!(moving.await, Ok(true));
        }
    });
    loop {
        let is_last = writing.is_finished();
        let recalled = recall(&*store, "a", epoch(1), &keys).await;
        let (projected, listed) = store
            .records()
            .list(&room("a"), epoch(1), &all("tasks"))
            .await
            .unwrap();
        for (projected, rows) in [(recalled.projected, recalled.records), (projected, listed)] {
            let count = if projected == Version::ZERO { 0 } else { 20 };
            assert_eq!(rows.len(), count);
            assert!(rows.iter().all(|row| row.version == projected));
        }
        if is_last {
            assert_eq!(projected, Version(ROUNDS));
            break;
        }
    }
    writing.await.unwrap();
}

fn snapshot(version: u64) -> Snapshot {
    Snapshot {
        version: Version(version),
        state: Bytes::from_static(b"state"),
    }
}

async fn st43_pruning_keeps_what_is_not_projected(world: &World) {
    let store = world.open().await;
    let (name, one) = (room("a"), epoch(1));
    store.append(&[append("a", one, 0, 10)]).await.unwrap();
    store.save_snapshot(&name, one, &snapshot(8)).await.unwrap();
    for (projected, oldest) in [(0, 1), (3, 4), (8, 9), (10, 9)] {
        project(&*store, "a", one, projected).await;
        let pruned = store
            .prune(&name, one, Retention::since(UnixMillis(i64::MAX)))
            .await;
        assert_eq!(pruned, Ok(Some(Version(oldest))));
        let rows = store.read(&name, one, Version(oldest - 1), ALL).await;
        assert_eq!(rows.unwrap().len() as u64, 11 - oldest);
    }
}

async fn st43_pruning_drops_old_operations_and_deleted_records(world: &World) {
    let store = world.open().await;
    let (name, one) = (room("a"), epoch(1));
    let versions = || [0, 3, 4, 5, 9];
    let whole = |name: &str| Append {
        ops: versions()
            .map(|version| op(&format!("op {version}"), version))
            .into(),
        ..append(name, one, 0, 10)
    };
    store.append(&[whole("a"), whole("b")]).await.unwrap();
    let rows: Vec<RecordRow> = versions()
        .map(|version| deleted(&format!("deleted {version}"), version))
        .into_iter()
        .chain([record("tasks", "old", 1, "{}")])
        .collect();
    let keys: Vec<RecordKey> = rows.iter().map(|row| row.key.clone()).collect();
    for name in [&name, &room("b")] {
        let moved = store
            .records()
            .project(name, one, Version(0), Version(10), &rows)
            .await;
        assert_eq!(moved, Ok(true));
    }
    let left = async |of: &str| {
        let ids = versions().map(|version| op_id(&format!("op {version}")));
        let recall = store.records().recall(&room(of), one, &ids, &keys).await;
        let recall = recall.unwrap();
        let ops: Vec<u64> = recall.ops.iter().map(|op| op.version.0).collect();
        let records: Vec<u64> = recall.records.iter().map(|row| row.version.0).collect();
        (ops, records)
    };
    // Without a snapshot the first row is the oldest; what was made at `before` stays.
    store
        .prune(&name, one, Retention::since(UnixMillis(1_000)))
        .await
        .unwrap();
    assert_eq!(left("a").await.0, [0, 3, 4, 5, 9]);
    store
        .prune(&name, one, Retention::since(UnixMillis(1_001)))
        .await
        .unwrap();
    assert_eq!(left("a").await, (vec![3, 4, 5, 9], vec![3, 4, 5, 9, 1]));
    // Older than the oldest row, 5, and than `before`.
    store.save_snapshot(&name, one, &snapshot(4)).await.unwrap();
    store
        .prune(&name, one, Retention::since(UnixMillis(1_004)))
        .await
        .unwrap();
    assert_eq!(left("a").await, (vec![4, 5, 9], vec![4, 5, 9, 1]));
    store
        .prune(&name, one, Retention::since(UnixMillis(i64::MAX)))
        .await
        .unwrap();
    assert_eq!(left("a").await, (vec![5, 9], vec![5, 9, 1]));
    assert_eq!(
        store
            .prune(&name, epoch(2), Retention::since(UnixMillis(i64::MAX)))
            .await,
        Ok(None)
    );
    assert_eq!(left("a").await, (vec![5, 9], vec![5, 9, 1]));
    assert_eq!(left("b").await, (versions().into(), vec![0, 3, 4, 5, 9, 1]));
}

async fn st43_pruning_drops_any_number_of_operations(world: &World) {
    let store = world.open().await;
    let ids: Vec<String> = (0..12_000).map(|number| format!("op {number}")).collect();
    let many = Append {
        ops: ids.iter().map(|id| op(id, 0)).collect(),
        ..append("a", epoch(1), 0, 1)
    };
    store.append(&[many]).await.unwrap();
    let ids: Vec<_> = ids.iter().map(|id| op_id(id)).collect();
    for (before, left) in [(0, 12_000), (i64::MAX, 0)] {
        let name = room("a");
        let pruned = store
            .prune(&name, epoch(1), Retention::since(UnixMillis(before)))
            .await;
        assert_eq!(pruned, Ok(Some(Version(1))));
        let recall = store.records().recall(&name, epoch(1), &ids, &[]).await;
        assert_eq!(recall.unwrap().ops.len(), left);
    }
}

async fn st44_a_deletion_forgets_what_was_told(world: &World) {
    let store = world.open().await;
    let rows = [record("tasks", "a", 1, "{}"), deleted("b", 1)];
    for (name, number) in [("a", 1), ("b", 2)] {
        let whole = Append {
            ops: vec![op("op", 1)],
            conflicts: vec![conflict(number, 1)],
            ..append(name, epoch(number), 0, 1)
        };
        store.append(&[whole]).await.unwrap();
        let moved = store
            .records()
            .project(&room(name), epoch(number), Version(0), Version(1), &rows)
            .await;
        assert_eq!(moved, Ok(true));
    }
    let name = room("a");
    let keys = rows.clone().map(|row| row.key);
    let ids = [op_id("op")];
    for wrong in [epoch(2), epoch(3)] {
        assert_eq!(store.delete(&name, wrong, &Bytes::new()).await, Ok(false));
    }
    let known = store.records().recall(&name, epoch(1), &ids, &keys).await;
    assert_eq!(known.unwrap().records.len(), 2);
    assert_eq!(store.delete(&name, epoch(1), &Bytes::new()).await, Ok(true));
    let gone = store.records().recall(&name, epoch(1), &ids, &keys).await;
    assert_eq!(gone, Ok(Recall::default()));
    let query = ConflictQuery {
        limit: 10,
        ..ConflictQuery::default()
    };
    let conflicts = store.records().conflicts(&query).await.unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].room, room("b"));
    // The next epoch knows nothing of the one before.
    let again = append("a", epoch(3), 0, 1);
    assert_eq!(store.append(&[again]).await, Ok(vec![Appended::Kept]));
    let known = store.records().recall(&name, epoch(3), &ids, &keys).await;
    assert_eq!(known, Ok(Recall::default()));
    let name = room("b");
    let other = store.records().recall(&name, epoch(2), &ids, &keys).await;
    let other = other.unwrap();
    assert_eq!((other.ops.len(), other.records.len()), (1, 2));
}
