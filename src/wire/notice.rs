//! Owns what JSON readers are told, message by message: each is encoded once, as a whole WebSocket
//! frame whose payload serves Server-Sent Events, too.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::json::change_events;
use super::websocket::{HEADER_BYTES_MAX, Opcode, write_header};
use crate::ids::{Epoch, Position, RoomId, Version};
use crate::room::Entry;

/// A message that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    kind: &'static str,
    /// Where its reader stands after it.
    position: Option<Position>,
    frame: Bytes,
    payload_at: usize,
}

/// A client's own name for a message, as it wrote it: a string or a number.
pub type MessageId = Box<RawValue>;

/// How a subscription begins.
#[derive(Debug)]
pub struct Beginning {
    /// Where the reader stands: before what is replayed.
    pub at: Position,
    /// Where the room stands.
    pub head: Version,
    /// `caught_up`, `replay` or `snapshot`.
    pub recovery: &'static str,
    /// Why it is a snapshot.
    pub reason: Option<&'static str>,
    /// Who is here.
    pub users: Box<RawValue>,
    /// The document as of `at`, if it is a snapshot.
    pub document: Option<String>,
}

#[derive(Serialize)]
struct Subscribed<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    room: &'a str,
    epoch: String,
    version: u64,
    head: u64,
    recovery: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    users: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Changes<'a> {
    r#type: &'static str,
    room: &'a str,
    epoch: String,
    version: u64,
    events: &'a [Box<RawValue>],
}

#[derive(Serialize)]
struct Pushed<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    room: &'a str,
    epoch: String,
    version: u64,
    results: &'a [Box<RawValue>],
}

#[derive(Serialize)]
struct Reset<'a> {
    r#type: &'static str,
    room: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Drain {
    r#type: &'static str,
    retry_after_ms: u64,
}

#[derive(Serialize)]
struct Trouble<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    code: &'a str,
    message: &'a str,
    retryable: bool,
}

#[derive(Serialize)]
struct Bare<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
}

impl Notice {
    pub(super) fn of(
        kind: &'static str,
        position: Option<Position>,
        twin: &impl Serialize,
    ) -> Self {
        let mut bytes = vec![0; HEADER_BYTES_MAX];
        serde_json::to_writer(&mut bytes, twin).expect("strings are JSON");
        let mut header = Vec::with_capacity(HEADER_BYTES_MAX);
        write_header(&mut header, Opcode::Text, bytes.len() - HEADER_BYTES_MAX);
        let begin = HEADER_BYTES_MAX - header.len();
        bytes[begin..HEADER_BYTES_MAX].copy_from_slice(&header);
        Self {
            kind,
            position,
            frame: Bytes::from(bytes).slice(begin..),
            payload_at: header.len(),
        }
    }

    /// `subscribed {room, epoch, version, head, recovery, reason?, users, document?}`.
    #[must_use]
    pub fn subscribed(room: &RoomId, id: Option<&RawValue>, begin: Beginning) -> Self {
        let twin = Subscribed {
            r#type: "subscribed",
            id,
            room: room.as_str(),
            epoch: begin.at.epoch.to_string(),
            version: begin.at.version.0,
            head: begin.head.0,
            recovery: begin.recovery,
            reason: begin.reason,
            users: &begin.users,
            document: begin
                .document
                .and_then(|text| RawValue::from_string(text).ok()),
        };
        Self::of(twin.r#type, Some(begin.at), &twin)
    }

    /// `changes {room, epoch, version, events}`: all of what these entries did, in order.
    #[must_use]
    pub fn changes<'a>(
        room: &RoomId,
        epoch: Epoch,
        version: Version,
        entries: impl IntoIterator<Item = &'a Entry>,
    ) -> Self {
        let entries = entries.into_iter();
        let events: Vec<_> = entries
            .flat_map(|entry| change_events(room, epoch, entry))
            .collect();
        let twin = Changes {
            r#type: "changes",
            room: room.as_str(),
            epoch: epoch.to_string(),
            version: version.0,
            events: &events,
        };
        Self::of(twin.r#type, Some(Position { epoch, version }), &twin)
    }

    /// `pushed {id?, room, epoch, version, results}`.
    #[must_use]
    pub fn pushed(
        room: &RoomId,
        id: Option<&RawValue>,
        position: Position,
        results: &[Box<RawValue>],
    ) -> Self {
        let twin = Pushed {
            r#type: "pushed",
            id,
            room: room.as_str(),
            epoch: position.epoch.to_string(),
            version: position.version.0,
            results,
        };
        Self::of(twin.r#type, None, &twin)
    }

    /// `reset {room, reason}`: the subscription is over.
    #[must_use]
    pub fn reset(room: &RoomId, reason: &str) -> Self {
        let twin = Reset {
            r#type: "reset",
            room: room.as_str(),
            reason,
        };
        Self::of(twin.r#type, None, &twin)
    }

    /// `drain {retryAfterMs}`: the server ends; whoever comes back waits so long.
    #[must_use]
    pub fn drain(retry_after_ms: u64) -> Self {
        let twin = Drain {
            r#type: "drain",
            retry_after_ms,
        };
        Self::of(twin.r#type, None, &twin)
    }

    /// `error {id?, room?, code, message, retryable}`.
    #[must_use]
    pub fn error(
        id: Option<&RawValue>,
        room: Option<&RoomId>,
        code: &str,
        message: &str,
        retryable: bool,
    ) -> Self {
        let twin = Trouble {
            r#type: "error",
            id,
            room: room.map(RoomId::as_str),
            code,
            message,
            retryable,
        };
        Self::of(twin.r#type, None, &twin)
    }

    /// `ok {id?}`: done.
    #[must_use]
    pub fn ok(id: Option<&RawValue>) -> Self {
        Self::of("ok", None, &Bare { r#type: "ok", id })
    }

    /// `pong {id?}`.
    #[must_use]
    pub fn pong(id: Option<&RawValue>) -> Self {
        Self::of("pong", None, &Bare { r#type: "pong", id })
    }

    /// Its `type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The whole WebSocket frame.
    #[must_use]
    pub fn frame(&self) -> Bytes {
        self.frame.clone()
    }

    /// The JSON alone.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        self.frame.slice(self.payload_at..)
    }

    /// How much it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.frame.len()
    }

    /// As an event of a stream of Server-Sent Events. What moves the reader on has an `id`.
    #[must_use]
    pub fn server_sent(&self) -> Bytes {
        let mut out = format!("event: {}\n", self.kind).into_bytes();
        if let Some(Position { epoch, version }) = self.position {
            out.extend_from_slice(format!("id: {epoch}:{version}\n").as_bytes());
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&self.frame[self.payload_at..]);
        out.extend_from_slice(b"\n\n");
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn room() -> RoomId {
        RoomId::parse("r").expect("a name")
    }

    fn position(version: u64) -> Position {
        Position {
            epoch: Epoch(Uuid::nil()),
            version: Version(version),
        }
    }

    const EPOCH: &str = "00000000-0000-0000-0000-000000000000";

    #[test]
    fn jw20_a_message_is_one_text_frame_whose_payload_is_its_json() {
        for length in [1, 100, 200, 70_000] {
            let text = "x".repeat(length);
            let notice = Notice::error(None, None, &text, "m", true);
            let json =
                format!(r#"{{"type":"error","code":"{text}","message":"m","retryable":true}}"#);
            let mut frame = Vec::new();
            write_header(&mut frame, Opcode::Text, json.len());
            frame.extend_from_slice(json.as_bytes());
            assert_eq!(notice.frame(), frame);
            assert_eq!(notice.payload(), json);
        }
    }

    #[test]
    fn ss5_an_event_of_a_stream_has_the_message_and_its_position() {
        let Position { epoch, version } = position(7);
        let notice = Notice::changes(&room(), epoch, version, []);
        let text = format!(
            "event: changes\nid: {EPOCH}:7\ndata: {{\"type\":\"changes\",\"room\":\"r\",\
             \"epoch\":\"{EPOCH}\",\"version\":7,\"events\":[]}}\n\n"
        );
        assert_eq!(notice.server_sent(), text);
        let reset = Notice::reset(&room(), "room_deleted");
        let text = "event: reset\ndata: {\"type\":\"reset\",\"room\":\"r\",\
                    \"reason\":\"room_deleted\"}\n\n";
        assert_eq!(reset.server_sent(), text);
    }

    #[test]
    fn jw2_a_reply_has_the_id_as_it_was_written() {
        for id in [r#""a\n""#, "12345678901234567890", "-1.50"] {
            let raw: &RawValue = serde_json::from_str(id).expect("JSON");
            let pong = format!(r#"{{"type":"pong","id":{id}}}"#);
            assert_eq!(Notice::pong(Some(raw)).payload(), pong);
        }
        let users = RawValue::from_string("[]".into()).expect("JSON");
        let begin = Beginning {
            at: position(3),
            head: Version(3),
            recovery: "snapshot",
            reason: Some("new"),
            users,
            document: Some("{}".into()),
        };
        let text =
            format!(r#"{{"type":"subscribed","room":"r","epoch":"{EPOCH}","version":3,"head":3,"#)
                + r#""recovery":"snapshot","reason":"new","users":[],"document":{}}"#;
        assert_eq!(Notice::subscribed(&room(), None, begin).payload(), text);
    }
}
