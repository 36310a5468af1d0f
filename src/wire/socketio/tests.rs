//! Shows what becomes of events and messages, without a socket.

mod presence;
mod recovery;

use serde_json::{Value, json};

use super::*;
use crate::ids::UnixMillis;

const NOW: UnixMillis = UnixMillis(1_795_253_693_095);
const EPOCH: &str = "00000000-0000-0000-0000-000000000000";

struct NoLuggage;

impl Rack for NoLuggage {
    fn find(&self, _: &str, _: &str) -> Option<Arc<Luggage>> {
        None
    }
}

struct Talk(Dialogue<u64>);

impl Talk {
    fn open() -> Self {
        Self::of(false)
    }

    fn of(is_guest: bool) -> Self {
        let identity = Identity {
            user: "ada".into(),
            name: Some("Ada".into()),
            color: None,
            avatar: None,
            is_guest,
        };
        Self(Dialogue::new(
            Arc::new(identity),
            "desk".into(),
            "op".into(),
        ))
    }

    /// What it asks for when it hears an event.
    fn hear(&mut self, packet: Value, ack: Option<u64>) -> Vec<Value> {
        self.0.hear(&packet.to_string(), ack, NOW);
        let asks = std::iter::from_fn(|| self.0.next_ask());
        asks.map(|ask| serde_json::from_str(&ask).expect("JSON"))
            .collect()
    }

    /// What it says since: `[event, body]`, `[ack, body]`.
    fn said(&mut self) -> Vec<Value> {
        let body = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).expect("JSON");
        let outs = std::iter::from_fn(|| self.0.next_out());
        outs.map(|out| match out {
            Out::Emit(event, Some(raw)) => json!([event, body(&raw)]),
            Out::Emit(event, None) => json!([event]),
            Out::Ack(ack, raw) => json!([ack, body(&raw)]),
        })
        .collect()
    }

    fn tell(&mut self, message: Value) -> Vec<Value> {
        self.0.tell(message.to_string().as_bytes(), NOW, &NoLuggage);
        self.said()
    }
}

fn event(version: u64, index: u64, more: Value) -> Value {
    let mut event = json!({
        "room": "table:t", "epoch": EPOCH, "version": version, "index": index,
        "id": format!("{EPOCH}:{version}:{index}"), "type": "update", "collection": "records",
        "recordId": "r", "changes": [{ "field": "a", "newValue": version }], "userId": "bob",
        "clientId": "tab", "timestamp": "2026-11-21T09:34:53.095Z",
    });
    for (name, value) in more.as_object().expect("members") {
        event[name] = value.clone();
    }
    event
}

fn changes(version: u64, events: &[Value]) -> Value {
    json!({
        "type": "changes", "room": "table:t", "epoch": EPOCH, "version": version, "events": events,
    })
}

fn subscribed(id: Option<u64>, version: u64, head: u64) -> Value {
    let mut message = json!({
        "type": "subscribed", "room": "table:t", "epoch": EPOCH, "version": version, "head": head,
        "recovery": "replay", "users": [],
    });
    if let Some(id) = id {
        message["id"] = id.into();
    }
    message
}

fn names(said: &[Value]) -> Vec<&str> {
    said.iter().filter_map(|it| it[0].as_str()).collect()
}

#[test]
fn si30_a_change_becomes_a_push_of_one_operation() {
    let mut talk = Talk::open();
    let asks = talk.hear(
        json!(["record_change", {
            "type": "UPDATE", "recordId": "r", "tableId": "t", "baseId": "b", "baseVersion": 3,
            "changes": [
                { "fieldId": "a", "oldValue": 1, "newValue": null },
                { "fieldId": "b", "oldValue": 2 },
            ],
        }]),
        None,
    );
    let operation = json!({
        "type": "save", "collection": "records", "recordId": "r", "fields": { "a": null },
        "unset": ["b"], "baseVersion": 3, "opId": "op:1",
    });
    let push = json!({
        "type": "push", "id": 2, "room": "table:t", "clientId": "desk", "ops": [operation],
    });
    assert_eq!(asks, [push]);
    let made = talk.hear(
        json!(["sync:op", {
            "projectId": "p", "id": "o1", "type": "CREATE", "entity": "bordereau",
            "entityId": "bordereau:1", "data": { "x": 1 },
        }]),
        None,
    );
    let operation = json!({
        "type": "create", "collection": "bordereau", "recordId": "bordereau:1",
        "fields": { "x": 1 }, "opId": "o1",
    });
    assert_eq!(made[0]["room"], "project:p");
    assert_eq!(made[0]["ops"], json!([operation]));
}

#[test]
fn si31_an_event_that_says_nothing_that_can_be_done_is_an_error_and_asks_for_nothing() {
    let mut talk = Talk::open();
    let malformed = [
        json!([]),
        json!([7, {}]),
        json!(["subscribe_to_table"]),
        json!(["subscribe_to_table", {}]),
        json!(["subscribe_to_table", { "tableId": "" }]),
        json!(["subscribe_to_table", { "tableId": "x".repeat(255) }]),
        json!(["recover_connection", { "tableId": 7 }]),
        json!(["record_change", { "type": "move", "tableId": "t", "recordId": "r" }]),
        json!(["record_change", { "type": "update", "recordId": "r" }]),
        json!(["record_change", { "type": "update", "tableId": "t", "changes": {} }]),
        json!(["record_change", { "type": "update", "tableId": "t", "entityType": "cow" }]),
        json!(["sync_offline_changes", {}]),
        json!(["sync_offline_changes", [{ "type": "update" }]]),
        json!(["subscribe:project", 7]),
        json!(["sync:op", { "projectId": "p", "type": "UPDATE" }]),
    ];
    for packet in malformed {
        assert_eq!(
            talk.hear(packet.clone(), Some(1)),
            [] as [Value; 0],
            "{packet}"
        );
        let said = talk.said();
        assert_eq!(said[0][1]["code"], "malformed", "{packet}");
        assert_eq!(
            (&said[1][0], &said[1][1]["ok"]),
            (&json!(1), &json!(false)),
            "{packet}"
        );
    }
    talk.hear(json!(["fly", {}]), None);
    assert_eq!(talk.said()[0][1]["code"], "unsupported");
    talk.hear(
        json!(["cursor_position", { "tableId": "t", "cursor": {} }]),
        None,
    );
    assert_eq!(talk.said()[0][1]["code"], "not_found");
    talk.0.hear_binary(Some(2));
    assert_eq!(talk.said()[0][1]["code"], "malformed");
}

#[test]
fn si37_what_was_made_offline_goes_room_by_room_and_is_complete_once_all_is_answered() {
    let mut talk = Talk::open();
    let change = |table: &str, id: &str| {
        json!({ "id": id, "type": "update", "entityId": "r", "tableId": table, "version": 4,
                "changes": [{ "fieldId": "a", "newValue": id }] })
    };
    let list = json!([change("t", "1"), change("u", "2"), change("t", "3")]);
    let asks = talk.hear(json!(["sync_offline_changes", list]), Some(9));
    let rooms: Vec<_> = asks
        .iter()
        .map(|ask| (&ask["room"], ask["ops"].as_array().map(Vec::len)))
        .collect();
    assert_eq!(
        rooms,
        [(&json!("table:t"), Some(2)), (&json!("table:u"), Some(1))]
    );
    assert_eq!(asks[0]["ops"][1]["opId"], "3");
    assert_eq!(asks[0]["ops"][1]["baseVersion"], 4);
    let pushed = |ask: &Value, results: Value| {
        let (id, room) = (&ask["id"], &ask["room"]);
        json!({ "type": "pushed", "id": id, "room": room, "epoch": EPOCH, "version": 9,
                "results": results })
    };
    let results = json!([
        { "opId": "1", "status": "merged", "recordId": "r", "version": 8 },
        { "opId": "3", "status": "conflict", "recordId": "r", "version": 9 },
    ]);
    let said = talk.tell(pushed(&asks[0], results));
    assert_eq!(names(&said), ["error"]);
    assert_eq!(
        (&said[0][1]["code"], &said[0][1]["id"]),
        (&json!("conflict"), &json!("3"))
    );
    let results = json!([{ "opId": "2", "status": "applied", "recordId": "r", "version": 1 }]);
    let said = talk.tell(pushed(&asks[1], results));
    assert_eq!(
        said,
        [
            json!(["offline_sync_complete"]),
            json!([9, { "ok": false, "version": 9 }])
        ]
    );
    assert_eq!(
        talk.hear(json!(["sync_offline_changes", []]), None),
        [] as [Value; 0]
    );
    assert_eq!(names(&talk.said()), ["offline_sync_complete"]);
}

#[test]
fn si38_a_refused_message_answers_its_event() {
    let mut talk = Talk::open();
    talk.hear(json!(["subscribe_to_table", { "tableId": "t" }]), Some(9));
    let refused = |id: u64| {
        json!({ "type": "error", "id": id, "room": "table:t", "code": "forbidden", "message": "no",
                "retryable": false })
    };
    let said = talk.tell(refused(1));
    assert_eq!(names(&said), ["error"]);
    assert_eq!(
        said[1][1],
        json!({ "ok": false, "code": "forbidden", "message": "no" })
    );
    assert_eq!(talk.tell(refused(2)), [] as [Value; 0]);
    let reset = json!({ "type": "reset", "room": "table:t", "reason": "room_deleted" });
    assert_eq!(talk.tell(reset)[0][1]["code"], "room_deleted");
}

#[test]
fn si39_a_projects_events_are_operations() {
    let mut talk = Talk::open();
    let asks = talk.hear(json!(["subscribe:project", "p"]), Some(9));
    assert_eq!(
        (&asks[0]["room"], &asks[0]["recent"]),
        (&json!("project:p"), &json!(0))
    );
    let mut message = subscribed(Some(1), 4, 4);
    message["room"] = "project:p".into();
    assert_eq!(
        talk.tell(message),
        [json!([9, { "ok": true, "version": 4 }])]
    );
    let fields = json!([{ "field": "a", "newValue": 1 }, { "field": "b", "oldValue": 2 }]);
    let mut message = changes(
        6,
        &[
            event(
                5,
                0,
                json!({ "collection": "bordereau", "opId": "o1",
                            "changes": fields }),
            ),
            event(
                6,
                0,
                json!({ "collection": "bordereau", "type": "delete",
                            "changes": [{ "field": "a", "oldValue": 1 }] }),
            ),
        ],
    );
    message["room"] = "project:p".into();
    let said = talk.tell(message);
    let op = |id: &str, kind: &str, data: Value, version: u64| {
        json!(["sync:op", {
            "id": id, "entity": "bordereau", "entityId": "r", "type": kind, "data": data,
            "clientId": "tab", "userId": "bob", "server_seq": version,
        }])
    };
    let made = op("o1", "UPDATE", json!({ "a": 1, "b": null }), 5);
    let gone = op(&format!("{EPOCH}:6:0"), "DELETE", json!({}), 6);
    assert_eq!(said, [made, gone]);
}
