//! Owns the JSON of messages to users, rooms and topics, as clients without a socket know them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Violation;
use crate::ids::is_name;

/// A message: `{id, type, payload, timestamp, userId, correlationId?}`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Its name.
    pub id: String,
    /// What it says happened, in the application's words.
    pub r#type: String,
    /// Whatever the application wants to say.
    #[schema(value_type = serde_json::Value)]
    pub payload: Box<RawValue>,
    /// Milliseconds since 1970; no two messages of one user have the same.
    pub timestamp: i64,
    /// Who sent it.
    pub user_id: Arc<str>,
    /// What it answers, in the application's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub correlation_id: Option<String>,
}

/// What somebody wants to be said.
#[derive(Debug)]
pub struct Words {
    /// What it says happened.
    pub r#type: String,
    /// Whatever the application wants to say.
    pub payload: Box<RawValue>,
    /// What it answers.
    pub correlation_id: Option<String>,
}

/// To whom.
#[derive(Debug, PartialEq, Eq)]
pub enum To {
    /// Those who are in this room.
    Room(String),
    /// This user.
    User(String),
    /// Those who hear this topic.
    Topic(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    r#type: Option<String>,
    payload: Option<Box<RawValue>>,
    correlation_id: Option<String>,
    to: Option<Addressee>,
    topics: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Addressee {
    room: Option<String>,
    user: Option<String>,
    topic: Option<String>,
}

impl To {
    /// Exactly one of them.
    #[must_use]
    pub fn one_of(
        room: Option<String>,
        user: Option<String>,
        topic: Option<String>,
    ) -> Option<Self> {
        match (room, user, topic) {
            (Some(room), None, None) => Some(Self::Room(room)),
            (None, Some(user), None) => Some(Self::User(user)),
            (None, None, Some(topic)) => Some(Self::Topic(topic)),
            _ => None,
        }
    }
}

/// Reads `{type, payload, to: {room | user | topic}, correlationId?}`.
pub fn read_send(body: &[u8]) -> Result<(Words, To), Violation> {
    let mut body = read(
        body,
        "a message is {type, payload, to: {room, user or topic}}",
    )?;
    let to = body
        .to
        .take()
        .and_then(|to| To::one_of(to.room, to.user, to.topic))
        .ok_or(Violation::Malformed("to is one room, user or topic"))?;
    let (To::Room(name) | To::User(name) | To::Topic(name)) = &to;
    if !is_name(name) {
        return Err(Violation::Malformed("to has no name"));
    }
    Ok((words(body)?, to))
}

/// Reads `{type, payload, topics?, correlationId?}`: without topics it is for everyone.
pub fn read_broadcast(
    body: &[u8],
    topics_max: usize,
) -> Result<(Words, Option<Vec<String>>), Violation> {
    let mut body = read(body, "a broadcast is {type, payload, topics?}")?;
    let topics = body.topics.take();
    if let Some(topics) = &topics {
        if topics.len() > topics_max {
            return Err(Violation::TooLarge);
        }
        if topics.is_empty() || !topics.iter().all(|topic| is_name(topic)) {
            return Err(Violation::Malformed("topics is no list of names"));
        }
    }
    Ok((words(body)?, topics))
}

fn read(body: &[u8], shape: &'static str) -> Result<Body, Violation> {
    serde_json::from_slice(body).map_err(|_| Violation::Malformed(shape))
}

fn words(body: Body) -> Result<Words, Violation> {
    let r#type = body.r#type.filter(|word| is_name(word));
    if body
        .correlation_id
        .as_deref()
        .is_some_and(|id| !is_name(id))
    {
        return Err(Violation::Malformed("correlationId is no name"));
    }
    Ok(Words {
        r#type: r#type.ok_or(Violation::Malformed("type is no name"))?,
        payload: body.payload.unwrap_or_default(),
        correlation_id: body.correlation_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in9_a_message_is_read_whole_or_refused() {
        let (words, to) =
            read_send(br#"{"type":"chat","payload":{"a":[1,null]},"to":{"user":"bob"},"more":1}"#)
                .expect("well formed");
        assert_eq!(words.r#type, "chat");
        assert_eq!(words.payload.get(), r#"{"a":[1,null]}"#);
        assert_eq!(to, To::User("bob".into()));
        let (words, to) = read_send(br#"{"type":"chat","to":{"room":"r"},"correlationId":"7"}"#)
            .expect("without a payload");
        assert_eq!(words.payload.get(), "null");
        assert_eq!(words.correlation_id.as_deref(), Some("7"));
        assert_eq!(to, To::Room("r".into()));
        for bad in [
            &b""[..],
            b"[]",
            br#"{"type":"chat"}"#,
            br#"{"to":{"user":"bob"}}"#,
            br#"{"type":"","to":{"user":"bob"}}"#,
            br#"{"type":"chat","to":"bob"}"#,
            br#"{"type":"chat","to":{"user":""}}"#,
            br#"{"type":"chat","to":{"user":"bob","room":"r"}}"#,
            br#"{"type":"chat","to":{"everyone":true}}"#,
            br#"{"type":"chat","to":{"user":"bob"},"correlationId":""}"#,
            b"{\"type\":\"chat\",\"payload\":\"\xff\",\"to\":{\"user\":\"bob\"}}",
        ] {
            assert!(read_send(bad).is_err(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn in9_a_broadcast_names_topics_or_none() {
        let (_, topics) = read_broadcast(br#"{"type":"news"}"#, 2).expect("to everyone");
        assert_eq!(topics, None);
        let (_, topics) = read_broadcast(br#"{"type":"n","topics":["a","b"]}"#, 2).expect("to two");
        assert_eq!(topics, Some(vec!["a".into(), "b".into()]));
        let many = read_broadcast(br#"{"type":"n","topics":["a","b","c"]}"#, 2);
        assert_eq!(many.err(), Some(Violation::TooLarge));
        for bad in [
            &br#"{"type":"n","topics":[]}"#[..],
            br#"{"type":"n","topics":[""]}"#,
        ] {
            assert!(read_broadcast(bad, 2).is_err());
        }
    }
}
