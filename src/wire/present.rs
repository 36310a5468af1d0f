//! Owns the JSON twins of presence and of messages that nobody keeps.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::notice::Notice;
use super::time::rfc3339;
use crate::ids::{RoomId, UnixMillis};
use crate::room::entry::Actor;
use crate::room::message::Utterance;
use crate::room::presence::{Person, Stir};

/// A device that is here.
#[derive(Serialize, ToSchema)]
#[schema(as = Person)]
#[serde(rename_all = "camelCase")]
pub struct PersonTwin<'a> {
    user_id: &'a str,
    client_id: &'a str,
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    user: &'a RawValue,
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    state: &'a RawValue,
    #[schema(format = DateTime)]
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

/// To whom a message was said, where that is a room, a user or topics.
#[derive(Debug, Clone, Copy)]
pub enum Addressed<'a> {
    /// Those who were in it.
    Room(&'a RoomId),
    /// This user, on all devices.
    User(&'a str),
    /// Those who hear one of them.
    Topics(&'a [Arc<str>]),
    /// Everybody.
    Everyone,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Letter<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    event: &'a str,
    payload: &'a RawValue,
    user_id: &'a str,
    message_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    timestamp: String,
}

/// `message {room? | user? | topic?, event, payload, userId, messageId, correlationId?,
/// timestamp}`: one that is kept for those who are not there.
#[must_use]
pub fn letter(message: &super::messages::Message, to: Addressed<'_>) -> Notice {
    let twin = Letter {
        r#type: "message",
        room: match to {
            Addressed::Room(room) => Some(room.as_str()),
            _ => None,
        },
        user: match to {
            Addressed::User(user) => Some(user),
            _ => None,
        },
        topic: match to {
            Addressed::Topics(topics) => topics.first().map(|topic| &**topic),
            _ => None,
        },
        event: &message.r#type,
        payload: &message.payload,
        user_id: &message.user_id,
        message_id: &message.id,
        correlation_id: message.correlation_id.as_deref(),
        timestamp: rfc3339(UnixMillis(message.timestamp)),
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
