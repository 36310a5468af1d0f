//! SI: who comes and who comes back: what it is told.

use super::*;

#[test]
fn si32_who_comes_is_told_the_last_50_events_and_then_entries_one_by_one() {
    let mut talk = Talk::open();
    let asks = talk.hear(
        json!(["subscribe_to_table", { "tableId": "t", "viewId": "v" }]),
        Some(9),
    );
    let subscribe = json!({
        "type": "subscribe", "id": 1, "room": "table:t", "clientId": "desk", "recent": 50,
    });
    let presence = json!({
        "type": "presence", "id": 2, "room": "table:t", "state": { "viewId": "v" },
    });
    assert_eq!(asks, [subscribe, presence]);
    let said = talk.tell(subscribed(Some(1), 10, 72));
    assert_eq!(names(&said), ["table_users"]);
    assert_eq!(said[0][1][0]["userName"], "Ada");
    let events: Vec<_> = (11..=71)
        .map(|version| event(version, 0, json!({})))
        .collect();
    assert_eq!(talk.tell(changes(71, &events)), [] as [Value; 0]);
    let said = talk.tell(changes(
        72,
        &[event(72, 0, json!({})), event(72, 1, json!({}))],
    ));
    assert_eq!(names(&said), ["recent_changes"]);
    let recent = said[0][1].as_array().expect("a list");
    assert_eq!((recent.len(), &recent[0]["version"]), (50, &json!(24)));
    assert_eq!(said[1], json!([9, { "ok": true, "version": 72 }]));

    let said = talk.tell(changes(
        74,
        &[
            event(73, 0, json!({})),
            event(74, 0, json!({})),
            event(
                74,
                1,
                json!({ "type": "document", "collection": "text", "recordId": null }),
            ),
        ],
    ));
    assert_eq!(names(&said), ["record_change", "batch_changes"]);
    let expected = json!({
        "id": format!("{EPOCH}:73:0"), "type": "update", "entityType": "record", "entityId": "r",
        "tableId": "t", "userId": "bob", "timestamp": "2026-11-21T09:34:53.095Z", "version": 73,
        "changes": [{ "fieldId": "a", "newValue": 73 }],
        "metadata": { "epoch": EPOCH, "clientId": "tab" },
    });
    assert_eq!(said[0][1], expected);
    assert_eq!(said[1][1][1]["entityType"], "document");
    assert_eq!(talk.tell(changes(75, &[])), [] as [Value; 0]);
}

#[test]
fn si33_who_comes_back_is_told_what_it_missed_and_how_many() {
    let mut talk = Talk::open();
    let asks = talk.hear(
        json!(["recover_connection", { "tableId": "t", "lastEventId": format!("{EPOCH}:3:1") }]),
        Some(9),
    );
    assert_eq!(asks[0]["since"], json!({ "epoch": EPOCH, "version": 3 }));
    assert_eq!(asks[1]["state"], json!({ "reconnected": true }));
    talk.tell(subscribed(Some(1), 3, 5));
    talk.tell(changes(4, &[event(4, 0, json!({}))]));
    let said = talk.tell(changes(
        5,
        &[event(5, 0, json!({})), event(5, 1, json!({}))],
    ));
    assert_eq!(names(&said), ["missed_events", "connection_recovered"]);
    assert_eq!(said[0][1].as_array().map(Vec::len), Some(3));
    assert_eq!(
        said[1][1],
        json!({ "timestamp": "2026-11-21T09:34:53.095Z", "missedEventsCount": 3 })
    );
    assert_eq!(
        said[2][1],
        json!({ "ok": true, "version": 5, "missedEventsCount": 3 })
    );

    let none = talk.hear(
        json!(["recover_connection", { "tableId": "t", "lastVersion": 5 }]),
        None,
    );
    assert_eq!(none[0]["since"], json!({ "version": 5 }));
    let said = talk.tell(subscribed(Some(3), 5, 5));
    assert_eq!(
        names(&said),
        ["table_users", "missed_events", "connection_recovered"]
    );
    assert_eq!(said[1][1], json!([]));
}

#[test]
fn si34_what_cannot_be_replayed_is_the_state_and_why() {
    let mut talk = Talk::open();
    talk.hear(
        json!(["recover_connection", { "tableId": "t", "lastVersion": 5 }]),
        Some(9),
    );
    let mut message = subscribed(Some(1), 8, 8);
    message["recovery"] = "snapshot".into();
    message["reason"] = "pruned".into();
    message["document"] = json!({ "records": { "r": { "a": 1 } }, "text": "x" });
    let said = talk.tell(message.clone());
    assert_eq!(names(&said), ["table_users", "error", "table_state"]);
    assert_eq!(
        (&said[1][1]["code"], &said[1][1]["tableId"]),
        (&json!("pruned"), &json!("t"))
    );
    let state = json!({
        "tableId": "t", "epoch": EPOCH, "version": 8, "reason": "pruned",
        "records": [{ "recordId": "r", "fields": { "a": 1 } }],
    });
    assert_eq!(said[2][1], state);
    assert_eq!(
        said[3][1],
        json!({ "ok": true, "version": 8, "code": "pruned" })
    );
    // The same when it fell behind while it listened.
    message["reason"] = "too_far_behind".into();
    message.as_object_mut().expect("members").remove("id");
    assert_eq!(
        names(&talk.tell(message)),
        ["table_users", "error", "table_state"]
    );
}
