//! Owns the JSON twins of presence and of messages that nobody keeps.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::notice::Notice;
use super::time::rfc3339;
use crate::ids::{RoomId, UnixMillis};
use crate::room::entry::Actor;
use crate::room::message::Utterance;
use crate::room::presence::{Person, Stir};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PersonTwin<'a> {
    user_id: &'a str,
    client_id: &'a str,
    user: &'a RawValue,
    state: &'a RawValue,
    since: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LeftTwin<'a> {
    client_id: &'a str,
    user: UserTwin<'a>,
}

#[derive(Serialize)]
struct UserTwin<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
struct State<'a> {
    #[serde(borrow)]
    user: &'a RawValue,
}

#[derive(Serialize)]
struct Presence<'a> {
    r#type: &'static str,
    room: &'a str,
    joined: Vec<PersonTwin<'a>>,
    updated: Vec<PersonTwin<'a>>,
    left: Vec<LeftTwin<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    r#type: &'static str,
    room: &'a str,
    event: &'a str,
    payload: &'a RawValue,
    user_id: &'a str,
    client_id: &'a str,
    timestamp: String,
}

fn twin(person: &Arc<Person>) -> PersonTwin<'_> {
    let state: State<'_> = serde_json::from_str(&person.state).expect("a stamped state");
    PersonTwin {
        user_id: &person.user,
        client_id: &person.client,
        user: state.user,
        state: serde_json::from_str(&person.state).expect("a stamped state"),
        since: rfc3339(person.since),
    }
}

/// Who is here: `[{userId, clientId, user, state, since}]`.
#[must_use]
pub fn users(people: &[Arc<Person>]) -> Box<RawValue> {
    let twins: Vec<_> = people.iter().map(twin).collect();
    serde_json::value::to_raw_value(&twins).expect("strings are JSON")
}

/// `presence {room, joined, updated, left}`.
#[must_use]
pub fn presence(room: &RoomId, stir: &Stir) -> Notice {
    let left = stir.left.iter().map(|person| LeftTwin {
        client_id: &person.client,
        user: UserTwin { id: &person.user },
    });
    let twin = Presence {
        r#type: "presence",
        room: room.as_str(),
        joined: stir.joined.iter().map(twin).collect(),
        updated: stir.updated.iter().map(twin).collect(),
        left: left.collect(),
    };
    Notice::of(twin.r#type, None, &twin)
}

/// `message {room, event, payload, userId, clientId, timestamp}`.
#[must_use]
pub fn message(room: &RoomId, actor: &Actor, at: UnixMillis, utterance: &Utterance) -> Notice {
    let payload = &utterance.payload.0;
    let twin = Message {
        r#type: "message",
        room: room.as_str(),
        event: &utterance.event,
        payload: serde_json::from_str(payload).expect("a payload is JSON"),
        user_id: &actor.user,
        client_id: &actor.client,
        timestamp: rfc3339(at),
    };
    Notice::of(twin.r#type, None, &twin)
}
