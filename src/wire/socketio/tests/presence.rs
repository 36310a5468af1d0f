//! SI: people who come, move, leave, and say what they are called.

use super::*;

fn person(user: &str, client: &str, state: Value) -> Value {
    json!({
        "userId": user, "clientId": client, "user": { "id": user, "name": user, "color": "#fff" },
        "state": state, "since": "2026-11-21T09:34:53.095Z",
    })
}

fn presence(list: &str, people: Value) -> Value {
    let mut message = json!({
        "type": "presence", "room": "table:t", "joined": [], "updated": [], "left": [],
    });
    message[list] = people;
    message
}

#[test]
fn si35_of_a_user_on_two_devices_the_first_joins_and_the_last_leaves() {
    let mut talk = Talk::open();
    talk.hear(json!(["subscribe_to_table", { "tableId": "t" }]), None);
    let mut message = subscribed(Some(1), 0, 0);
    message["users"] = json!([person("bob", "1", json!({}))]);
    let said = talk.tell(message);
    let users = said[0][1].as_array().expect("a list");
    assert_eq!(users.len(), 2);
    let own = presence(
        "joined",
        json!([person("ada", "desk", json!({ "viewId": "v" }))]),
    );
    assert_eq!(talk.tell(own), [] as [Value; 0]);
    let again = presence("joined", json!([person("bob", "2", json!({}))]));
    assert_eq!(talk.tell(again), [] as [Value; 0]);
    let left = |client: &str| {
        presence(
            "left",
            json!([{ "clientId": client, "user": { "id": "bob" } }]),
        )
    };
    assert_eq!(talk.tell(left("1")), [] as [Value; 0]);
    let gone = json!(["user_left", { "userId": "bob", "tableId": "t" }]);
    assert_eq!(talk.tell(left("2")), [gone]);
    assert_eq!(talk.tell(left("2")), [] as [Value; 0]);
    let joined = presence(
        "joined",
        json!([person("bob", "3", json!({ "cursor": { "x": 1 } }))]),
    );
    assert_eq!(
        names(&talk.tell(joined)),
        ["user_joined", "cursor_position"]
    );
}

#[test]
fn si36_of_a_move_only_what_changed_is_told_and_who_recovers_is_back() {
    let mut talk = Talk::open();
    talk.hear(json!(["subscribe_to_table", { "tableId": "t" }]), None);
    talk.tell(subscribed(Some(1), 0, 0));
    let mut told = |list: &str, state: Value| {
        let said = talk.tell(presence(list, json!([person("bob", "1", state)])));
        said.iter()
            .map(|it| it[0].as_str().unwrap_or("").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(told("joined", json!({ "viewId": "v" })), ["user_joined"]);
    assert_eq!(
        told("updated", json!({ "cursor": { "x": 1 } })),
        ["cursor_position"]
    );
    assert_eq!(
        told("updated", json!({ "cursor": { "x": 1 }, "selection": 1 })),
        ["selection"]
    );
    assert_eq!(
        told(
            "updated",
            json!({ "cursor": { "x": 1 }, "selection": 1, "typing": 1 })
        ),
        [] as [&str; 0]
    );
    let back = json!({ "cursor": { "x": 1 }, "selection": 1, "reconnected": true });
    assert_eq!(told("updated", back.clone()), ["user_reconnected"]);
    assert_eq!(told("updated", back), [] as [&str; 0]);
    // As another device, while the lost one is still there.
    let said = talk.tell(presence(
        "joined",
        json!([person("bob", "2", json!({ "reconnected": true }))]),
    ));
    assert_eq!(names(&said), ["user_reconnected"]);
    let ghost = presence(
        "left",
        json!([{ "clientId": "1", "user": { "id": "bob" } }]),
    );
    assert_eq!(talk.tell(ghost), [] as [Value; 0]);
}

#[test]
fn si40_a_guest_says_what_it_is_called_and_nobody_else_does() {
    for (is_guest, user) in [(true, json!({ "name": "Eve" })), (false, Value::Null)] {
        let mut talk = Talk::of(is_guest);
        let named = json!(["authenticate", { "userId": "x", "userName": "Eve" }]);
        assert_eq!(talk.hear(named, Some(1)), [] as [Value; 0]);
        assert_eq!(talk.said(), [json!([1, { "ok": true }])]);
        let asks = talk.hear(json!(["subscribe_to_table", { "tableId": "t" }]), None);
        assert_eq!(asks[1]["state"]["user"], user);
        let said = talk.tell(subscribed(Some(1), 0, 0));
        let name = if is_guest { "Eve" } else { "Ada" };
        assert_eq!(said[0][1][0]["userName"], name);
    }
}
