//! Owns how the messages of JSON clients are read: bytes to an ask, or why it is none.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Violation;
use super::messages::{To, Words};
use super::notice::MessageId;
use super::operations::{self, Push};
use super::whole;
use crate::ids::{Epoch, RoomId, Version, is_name};
use crate::room::entry::Json;
use crate::room::message::Utterance;

/// The longest name of a message that is echoed: as other names, and quotes.
const ID_BYTES_MAX: usize = 257;

/// What a client asks for with one message.
#[derive(Debug)]
pub enum Ask<'a> {
    /// To be told of a room from now on.
    Subscribe {
        /// The room.
        room: RoomId,
        /// What it has seen; without an epoch any is meant.
        since: Option<(Option<Epoch>, Version)>,
        /// Without that: so many versions before the head, rather than the state.
        recent: Option<u64>,
        /// The device.
        client: Option<String>,
    },
    /// Not to be told any more.
    Unsubscribe {
        /// The room.
        room: RoomId,
    },
    /// Operations on records.
    Push {
        /// The room.
        room: RoomId,
        /// The operations, unread.
        push: Push<'a>,
    },
    /// Says how the device is here.
    Present {
        /// The room.
        room: RoomId,
        /// The device.
        client: Option<String>,
        /// The state; `None` says goodbye.
        state: Option<Bytes>,
    },
    /// A message to everyone in a room.
    Say {
        /// The room.
        room: RoomId,
        /// The message.
        utterance: Utterance,
    },
    /// To hear what is said in a topic.
    Follow {
        /// The topic.
        topic: String,
    },
    /// Not to hear it any more.
    Unfollow {
        /// The topic.
        topic: String,
    },
    /// A message to a user, or to whoever hears a topic.
    SayTo {
        /// To whom.
        to: To,
        /// The message.
        words: Words,
    },
    /// Shows a token, the first or a fresh one.
    Token {
        /// The token, unchecked.
        token: String,
    },
    /// Wants a pong.
    Ping,
}

/// A message that could be read, and does not say anything that can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfit {
    /// The stable word.
    pub code: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    r#type: String,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct InRoom {
    room: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subscribing {
    #[serde(default)]
    room: String,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    since: Option<Since>,
    #[serde(default)]
    recent: Option<u64>,
    #[serde(default)]
    client_id: Option<String>,
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    epoch: Option<Uuid>,
    #[serde(deserialize_with = "whole::read")]
    version: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Presence<'a> {
    room: String,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(borrow)]
    state: &'a RawValue,
}

#[derive(Deserialize)]
struct Leaving {
    #[serde(default)]
    room: String,
    #[serde(default)]
    topic: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    room: Option<String>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    topic: Option<String>,
}

#[derive(Deserialize)]
struct Content<'a> {
    event: String,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

const fn unfit(reason: &'static str) -> Unfit {
    let code = "malformed";
    Unfit { code, reason }
}

/// Reads one message: its id, and what it asks for.
///
/// # Errors
///
/// When it is not an object with a `type`, or has an `id` that cannot be echoed.
pub fn read(message: &[u8]) -> Result<(Option<MessageId>, Result<Ask<'_>, Unfit>), Violation> {
    let unreadable = Violation::Malformed("a message is a JSON object with a type");
    let envelope: Envelope<'_> = serde_json::from_slice(message).map_err(|_| unreadable)?;
    let id = match envelope.id {
        None => None,
        Some(id) if is_id(id.get()) => Some(id.to_owned()),
        Some(_) => return Err(Violation::Malformed("an id is a string or a number")),
    };
    Ok((id, ask(&envelope.r#type, message)))
}

fn is_id(text: &str) -> bool {
    let begins_well = |c: u8| c == b'"' || c == b'-' || c.is_ascii_digit();
    text.len() <= ID_BYTES_MAX && text.bytes().next().is_some_and(begins_well)
}

fn ask<'a>(kind: &str, message: &'a [u8]) -> Result<Ask<'a>, Unfit> {
    match kind {
        "subscribe" => subscribe(message),
        "unsubscribe" => {
            let body: Leaving = body(message, "unsubscribe is {room} or {topic}")?;
            if let Some(topic) = body.topic {
                let topic = topic_named(topic)?;
                return Ok(Ask::Unfollow { topic });
            }
            let room = room_named(&body.room)?;
            Ok(Ask::Unsubscribe { room })
        }
        "push" => {
            let body: InRoom = body(message, "push is {room, clientId?, ops: [...]}")?;
            let room = room_named(&body.room)?;
            let push = operations::read_push(message).map_err(|violation| match violation {
                Violation::Malformed(reason) => unfit(reason),
                Violation::TooLarge => Unfit {
                    code: "too_large",
                    reason: "a push has at most 1,000 operations",
                },
            })?;
            Ok(Ask::Push { room, push })
        }
        "presence" => {
            let body: Presence<'_> = body(message, "presence is {room, state, clientId?}")?;
            if body.client_id.as_deref().is_some_and(|id| !is_name(id)) {
                return Err(unfit("clientId is no name"));
            }
            Ok(Ask::Present {
                room: room_named(&body.room)?,
                client: body.client_id,
                state: presence_state(body.state)?,
            })
        }
        "message" => say(message),
        "token" => {
            let body: Token = body(message, "token is {token}")?;
            Ok(Ask::Token { token: body.token })
        }
        "ping" => Ok(Ask::Ping),
        _ => Err(Unfit {
            code: "unsupported",
            reason: "this type of message is not known",
        }),
    }
}

fn subscribe(message: &[u8]) -> Result<Ask<'_>, Unfit> {
    let body: Subscribing = body(message, "subscribe is {room, since?, recent?, clientId?}")?;
    if let Some(topic) = body.topic {
        let topic = topic_named(topic)?;
        return Ok(Ask::Follow { topic });
    }
    if body.client_id.as_deref().is_some_and(|id| !is_name(id)) {
        return Err(unfit("clientId is no name"));
    }
    Ok(Ask::Subscribe {
        room: room_named(&body.room)?,
        since: body
            .since
            .map(|since| (since.epoch.map(Epoch), Version(since.version))),
        recent: body.recent,
        client: body.client_id,
    })
}

fn say(message: &[u8]) -> Result<Ask<'_>, Unfit> {
    let body: Message = body(message, "message is {room | user | topic, event, payload}")?;
    let utterance = utterance(message)?;
    let to = match To::one_of(body.room, body.user, body.topic) {
        Some(To::Room(room)) => {
            let room = room_named(&room)?;
            return Ok(Ask::Say { room, utterance });
        }
        Some(To::User(user)) if is_name(&user) => To::User(user),
        Some(To::Topic(topic)) => To::Topic(topic_named(topic)?),
        _ => return Err(unfit("a message goes to one room, user or topic")),
    };
    let words = Words {
        r#type: utterance.event.to_string(),
        payload: RawValue::from_string(utterance.payload.0.to_string())
            .map_err(|_| unfit("payload is no JSON"))?,
        correlation_id: None,
    };
    Ok(Ask::SayTo { to, words })
}

/// A presence state: a JSON object, or `null` for goodbye.
pub fn presence_state(raw: &RawValue) -> Result<Option<Bytes>, Unfit> {
    match raw.get() {
        "null" => Ok(None),
        text if text.starts_with('{') => Ok(Some(text.to_owned().into())),
        _ => Err(unfit("a presence state is a JSON object, or null")),
    }
}

/// What a message says: `{event, payload?}`.
pub fn utterance(message: &[u8]) -> Result<Utterance, Unfit> {
    let content: Content<'_> = body(message, "a message is {event, payload?}")?;
    if !is_name(&content.event) {
        return Err(unfit("event is no name"));
    }
    let payload = content.payload.map_or("null", RawValue::get);
    // A payload goes to readers of lines, too.
    let payload: serde_json::Value =
        serde_json::from_str(payload).map_err(|_| unfit("payload is no JSON"))?;
    Ok(Utterance {
        event: content.event.into(),
        payload: Json(payload.to_string().into()),
    })
}

/// Text as a payload.
#[must_use]
pub fn text(text: &str) -> Json {
    Json(serde_json::Value::from(text).to_string().into())
}

fn body<'a, T: Deserialize<'a>>(message: &'a [u8], shape: &'static str) -> Result<T, Unfit> {
    serde_json::from_slice(message).map_err(|_| unfit(shape))
}

fn topic_named(topic: String) -> Result<String, Unfit> {
    if is_name(&topic) {
        Ok(topic)
    } else {
        Err(unfit("topic is no name"))
    }
}

fn room_named(name: &str) -> Result<RoomId, Unfit> {
    RoomId::parse(name).map_err(|_| unfit("room is no name of a room"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<Option<&'static str>, Violation> {
        let (_, ask) = read(text.as_bytes())?;
        Ok(ask.err().map(|unfit| unfit.code))
    }

    #[test]
    fn jw3_what_is_no_object_with_a_type_is_a_violation() {
        let no = [
            "",
            "x",
            "1",
            "[]",
            "null",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"ping""#,
            r#"{"type":"ping","id":{}}"#,
            r#"{"type":"ping","id":true}"#,
            r#"{"type":"ping"}x"#,
            r#"{"type":"ping","type":"ping"}"#,
            "{\"type\":\"pi\u{0}ng\"}",
        ];
        for text in no {
            assert!(told(text).is_err(), "{text}");
        }
        let long = format!(r#"{{"type":"ping","id":"{}"}}"#, "x".repeat(256));
        assert!(told(&long).is_err());
        assert!(read(b"{\"type\":\"ping\",\"id\":\"\xff\"}").is_err());
    }

    #[test]
    fn jw4_a_message_that_can_be_read_and_not_be_done_has_a_code() {
        let malformed = [
            r#"{"type":"subscribe"}"#,
            r#"{"type":"subscribe","room":""}"#,
            r#"{"type":"subscribe","room":"r","since":{"version":-1}}"#,
            r#"{"type":"subscribe","room":"r","since":{"version":1,"epoch":"x"}}"#,
            r#"{"type":"subscribe","room":"r","clientId":""}"#,
            r#"{"type":"unsubscribe","room":7}"#,
            r#"{"type":"push","room":"r"}"#,
            r#"{"type":"push","room":"r","ops":{}}"#,
            r#"{"type":"token"}"#,
        ];
        for text in malformed {
            assert_eq!(told(text), Ok(Some("malformed")), "{text}");
        }
        assert_eq!(told(r#"{"type":"dance"}"#), Ok(Some("unsupported")));
        assert_eq!(told(r#"{"type":"ping","id":null,"more":[]}"#), Ok(None));
    }

    #[test]
    fn jw27_a_message_goes_to_one_room_user_or_topic() {
        let to = |members: &str| {
            let text = format!(r#"{{"type":"message","event":"hi","payload":[1],{members}}}"#);
            match read(text.as_bytes()).expect("readable").1 {
                Ok(Ask::SayTo { to, words }) => {
                    assert_eq!((&*words.r#type, words.payload.get()), ("hi", "[1]"));
                    Some(to)
                }
                Ok(Ask::Say { .. }) => Some(To::Room("r".into())),
                _ => None,
            }
        };
        assert_eq!(to(r#""room":"r""#), Some(To::Room("r".into())));
        assert_eq!(to(r#""user":"bob""#), Some(To::User("bob".into())));
        assert_eq!(to(r#""topic":"news""#), Some(To::Topic("news".into())));
        for none in [
            r#""room":"r","user":"bob""#,
            r#""to":"bob""#,
            r#""user":"""#,
            r#""topic":"""#,
        ] {
            assert_eq!(to(none), None, "{none}");
        }
    }

    #[test]
    fn jw5_a_position_may_leave_out_its_epoch() {
        let text = r#"{"id":7,"type":"subscribe","room":"r","since":{"version":3},"clientId":"t"}"#;
        let (id, ask) = read(text.as_bytes()).expect("readable");
        assert_eq!(id.expect("an id").get(), "7");
        let Ok(Ask::Subscribe { since, client, .. }) = ask else {
            panic!("expected a subscription: {ask:?}");
        };
        assert_eq!(since, Some((None, Version(3))));
        assert_eq!(client.as_deref(), Some("t"));
    }
}
