//! Owns the tests of records as they are read: over the hub, from a store on disk.

use std::sync::Arc;

use roundtable::hub::check::check;
use roundtable::hub::projector::project;
use roundtable::ids::{Epoch, Version};
use roundtable::room::operation::{Operation, Place};
use roundtable::store::records::RecordQuery;
use serde_json::json;

use crate::together::{Table, operation};
use roundtable::room::operation::Action;

/// Three tasks and one that is gone, on SQLite.
async fn table() -> Table {
    let table = Table::on_sqlite().await;
    let make = |id: &str, record: &str, fields| operation(id, Action::Create, record, fields);
    let operations: Vec<Operation> = vec![
        make("1", "a", json!({"n": 1})),
        make("2", "b", json!({"nul": "\u{0}", "long": "x".repeat(5_000)})),
        make("3", "c", json!({})),
        operation("4", Action::Delete, "c", json!({})),
    ];
    table.push(operations).await;
    table
}

async fn listed(table: &Table) -> Vec<(String, u64, serde_json::Value)> {
    let query = RecordQuery {
        collection: "tasks".into(),
        limit: 10,
        ..RecordQuery::default()
    };
    let (_, records) = table
        .hub
        .records(&table.room, &table.grant, &query)
        .await
        .unwrap();
    let told = records.iter().map(|it| {
        let fields = serde_json::from_str(&it.fields.0).unwrap();
        (it.place.record.to_string(), it.meta.version.0, fields)
    });
    told.collect()
}

fn long() -> serde_json::Value {
    json!({"nul": "\u{0}", "long": "x".repeat(5_000)})
}

#[tokio::test]
async fn rc1_who_reads_records_reads_all_that_was_acked() {
    let table = table().await;
    assert_eq!(listed(&table).await[0], ("a".into(), 1, json!({"n": 1})));
    let more = operation("5", Action::Increment, "a", json!({"n": 1}));
    table.push(vec![more]).await;
    let place = Place {
        collection: "tasks".into(),
        record: "a".into(),
    };
    let (_, found) = table
        .hub
        .record(&table.room, &table.grant, &place)
        .await
        .unwrap();
    let found = found.unwrap();
    assert_eq!((found.meta.version.0, &*found.fields.0), (5, r#"{"n":2}"#));
}

#[tokio::test]
async fn rc2_records_that_were_never_written_come_from_the_document() {
    let table = table().await;
    listed(&table).await;
    table.compact().await;
    table
        .sql("DELETE FROM records; DELETE FROM log; UPDATE rooms SET projected = 0, oldest = 5")
        .await;
    let expected = [("a".into(), 4, json!({"n": 1})), ("b".into(), 4, long())];
    assert_eq!(listed(&table).await, expected);
}

#[tokio::test]
async fn rc3_check_finds_records_that_differ() {
    let table = table().await;
    listed(&table).await;
    let store: Arc<_> = table.store().await;
    assert_eq!(
        check(&store, &table.room).await.unwrap(),
        Vec::<String>::new()
    );
    table
        .sql("UPDATE records SET data = '{\"n\": 7}' WHERE record = 'a'")
        .await;
    let only = "INSERT INTO records SELECT room, collection, 'z', version, data, untold, \
        field_versions, created_at, created_by, updated_at, updated_by, deleted_at \
        FROM records WHERE record = 'b'";
    table.sql(only).await;
    assert_eq!(
        check(&store, &table.room).await.unwrap(),
        [
            "tasks/a differs in the table of records",
            "tasks/z is in the table of records only",
        ]
    );
}

#[tokio::test]
async fn rc4_what_no_event_tells_is_read_from_the_document() {
    let table = table().await;
    assert_eq!(listed(&table).await[1], ("b".into(), 2, long()));
}

#[tokio::test]
async fn rc5_records_of_a_room_that_is_gone_are_given_up() {
    let table = table().await;
    let store = table.store().await;
    let head = store.load(&table.room).await.unwrap().head.unwrap();
    let project = |epoch| project(&store, &table.room, epoch, head.version);
    let other = Epoch(uuid::Uuid::nil());
    assert_eq!(project(other).await, Ok(Version::ZERO));
    store
        .delete(&table.room, head.epoch, &bytes::Bytes::from_static(&[0]))
        .await
        .unwrap();
    assert_eq!(project(head.epoch).await, Ok(Version::ZERO));
}
