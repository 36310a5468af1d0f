//! Owns the Hocuspocus protocol (`docs/PROTOCOLS.md`, after `@hocuspocus/provider` 4.8 and 3.4):
//! many documents on one socket, each message under its document's address.
//!
//! Every frame is a whole WebSocket frame with exactly one message.

use std::fmt;
use std::sync::Arc;

use super::websocket::{HEADER_BYTES_MAX, Opcode, write_header};
use super::yjs::{AUTH, AWARENESS, QUERY_AWARENESS, STEP_1, STEP_2, SYNC, UPDATE};
use super::yjs::{awareness, read_awareness, read_sync, var_uint_size};
use super::{Request, Violation, present};
use crate::ids::{InvalidRoomId, ROOM_ID_BYTES_MAX, RoomId};
use crate::lib0::{Reader, write_string, write_var_uint};
use crate::room::message::{Said, Shown};
use crate::room::{Access, LiveEvent};

const STATELESS: u64 = 5;
const CLOSE: u64 = 7;
const SYNC_STATUS: u64 = 8;
const PING: &[u8] = &[9];
const PONG: &[u8] = &[10];

const TOKEN: u64 = 0;
const PERMISSION_DENIED: u64 = 1;
const AUTHENTICATED: u64 = 2;

/// What is between a document's name and the session's in an address.
const SEPARATOR: char = '\0';

/// The longest address: a room's name, and a session's, of which providers make some 11 characters.
pub const ADDRESS_BYTES_MAX: usize = 2 * ROOM_ID_BYTES_MAX;

/// The event under which a stateless payload is a message of the room.
pub const STATELESS_EVENT: &str = "stateless";

/// What a document is called on one socket: its name, or its name and a session's. Answers go to
/// the address that was used.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Arc<str>);

impl Address {
    /// An address as it stands.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The room that it leads to.
    ///
    /// # Errors
    ///
    /// When the document's name is not that of a room.
    pub fn room(&self) -> Result<RoomId, InvalidRoomId> {
        let name = self.0.split(SEPARATOR).next();
        RoomId::parse(name.unwrap_or_default())
    }

    /// Whether it is the room's name and nothing else.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !self.0.contains(SEPARATOR)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({:?})", &self.0)
    }
}

/// A message of a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Envelope<'a> {
    /// Is anybody there?
    Ping,
    /// Somebody is.
    Pong,
    /// Something about a document.
    To {
        /// Its address.
        address: &'a str,
        /// What it is, not read yet.
        body: &'a [u8],
    },
}

/// What a client says about a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Something for its room.
    Room(Request),
    /// A token, which may be empty.
    Token(String),
    /// A message to whoever is there.
    Stateless(String),
    /// It is done with the document.
    Close,
    /// Something that a later protocol may have.
    Unknown,
}

/// Whose message it is. What cannot be read so far is nobody's.
pub fn open(message: &[u8]) -> Result<Envelope<'_>, Violation> {
    match message {
        PING => return Ok(Envelope::Ping),
        PONG => return Ok(Envelope::Pong),
        _ => {}
    }
    let mut reader = Reader::new(message);
    let address = reader.string()?;
    if address.len() > ADDRESS_BYTES_MAX {
        return Err(Violation::Malformed("address is too long"));
    }
    Ok(Envelope::To {
        address,
        body: &message[reader.position()..],
    })
}

/// What it says. Bytes that outlive it are copied, so that a small update does not hold a large
/// frame.
pub fn receive(body: &[u8], awareness_bytes_max: usize) -> Result<Ask, Violation> {
    let mut reader = Reader::new(body);
    let ask = match reader.var_uint()? {
        SYNC => Ask::Room(read_sync(&mut reader)?),
        AWARENESS if body.len() > awareness_bytes_max => return Err(Violation::TooLarge),
        AWARENESS => Ask::Room(Request::Present(read_awareness(reader.buffer()?)?)),
        AUTH => {
            if reader.var_uint()? != TOKEN {
                return Err(Violation::Malformed("clients send tokens"));
            }
            // The provider's version follows since 4.0, and whatever comes to be.
            return Ok(Ask::Token(reader.string()?.to_owned()));
        }
        QUERY_AWARENESS => Ask::Room(Request::AskPresence),
        STATELESS => Ask::Stateless(reader.string()?.to_owned()),
        CLOSE => return Ok(Ask::Close),
        // These are between servers, or of servers.
        4 | 6 | SYNC_STATUS => return Err(Violation::Malformed("message of a server")),
        _ => return Ok(Ask::Unknown),
    };
    if reader.is_empty() {
        Ok(ask)
    } else {
        Err(Violation::Malformed("bytes after the message"))
    }
}

/// Answers a ping.
#[must_use]
pub fn pong() -> Vec<u8> {
    let mut out = Vec::new();
    write_header(&mut out, Opcode::Binary, PONG.len());
    out.extend_from_slice(PONG);
    out
}

/// Something that every provider takes and none minds: awareness of nobody in a document that
/// nobody has. Providers before 4.0 know no ping.
#[must_use]
pub fn heartbeat() -> Vec<u8> {
    let mut out = Vec::new();
    write_presence(&mut out, "", &[]);
    out
}

/// What comes before a body of so many bytes.
#[must_use]
pub fn header(address: &str, length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES_MAX + 2 + address.len());
    write_beginning(&mut out, address, length);
    out
}

fn write_beginning(out: &mut Vec<u8>, address: &str, length: usize) {
    let address_size = var_uint_size(address.len()) + address.len();
    out.reserve(HEADER_BYTES_MAX + address_size + length);
    write_header(out, Opcode::Binary, address_size + length);
    write_string(out, address);
}

fn write_sync_beginning(out: &mut Vec<u8>, address: &str, step: u64, length: usize) -> usize {
    let begin = out.len();
    write_beginning(out, address, 2 + var_uint_size(length) + length);
    let before = out.len() - begin;
    write_var_uint(out, SYNC);
    write_var_uint(out, step);
    write_var_uint(out, length as u64);
    before
}

/// What comes before an update of so many bytes.
#[must_use]
pub fn update_header(address: &str, length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    write_sync_beginning(&mut out, address, UPDATE, length);
    out
}

/// What comes before the update of so many bytes that closes a sync.
#[must_use]
pub fn step_2_header(address: &str, length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    write_sync_beginning(&mut out, address, STEP_2, length);
    out
}

/// Writes what the room has; the peer answers with what it lacks.
pub fn write_step_1(out: &mut Vec<u8>, address: &str, state_vector: &[u8]) {
    write_sync_beginning(out, address, STEP_1, state_vector.len());
    out.extend_from_slice(state_vector);
}

/// Writes an update that peers apply.
pub fn write_update(out: &mut Vec<u8>, address: &str, update: &[u8]) -> usize {
    let before = write_sync_beginning(out, address, UPDATE, update.len());
    out.extend_from_slice(update);
    before
}

/// Writes presence states.
pub fn write_presence(out: &mut Vec<u8>, address: &str, states: &[Shown]) -> usize {
    let payload = awareness(states);
    let mut body = Vec::with_capacity(HEADER_BYTES_MAX + payload.len());
    write_var_uint(&mut body, AWARENESS);
    write_var_uint(&mut body, payload.len() as u64);
    body.extend_from_slice(&payload);
    write_body(out, address, &body)
}

/// Writes a message that nobody keeps.
pub fn write_stateless(out: &mut Vec<u8>, address: &str, payload: &str) -> usize {
    let mut body = Vec::with_capacity(HEADER_BYTES_MAX + payload.len());
    write_var_uint(&mut body, STATELESS);
    write_string(&mut body, payload);
    write_body(out, address, &body)
}

/// Asks the client for a token.
pub fn write_token_wanted(out: &mut Vec<u8>, address: &str) {
    write_body(out, address, &[AUTH as u8, TOKEN as u8]);
}

/// Writes that the client is not let in, or not any more. It may come with another token.
pub fn write_denied(out: &mut Vec<u8>, address: &str, reason: &str) {
    let mut body = vec![AUTH as u8, PERMISSION_DENIED as u8];
    write_string(&mut body, reason);
    write_body(out, address, &body);
}

/// Writes that the client is let in, and how far.
pub fn write_authenticated(out: &mut Vec<u8>, address: &str, access: Access) {
    let scope = match access {
        Access::Read => "readonly",
        Access::Write | Access::Admin => "read-write",
    };
    let mut body = vec![AUTH as u8, AUTHENTICATED as u8];
    write_string(&mut body, scope);
    write_body(out, address, &body);
}

/// Writes that a submission is durable, or that it changed nothing and never will.
pub fn write_sync_status(out: &mut Vec<u8>, address: &str, is_kept: bool) {
    write_body(out, address, &[SYNC_STATUS as u8, u8::from(is_kept)]);
}

/// Writes that the document is closed. The socket stays.
pub fn write_close(out: &mut Vec<u8>, address: &str, reason: &str) {
    let mut body = vec![CLOSE as u8];
    write_string(&mut body, reason);
    write_body(out, address, &body);
}

fn write_body(out: &mut Vec<u8>, address: &str, body: &[u8]) -> usize {
    let begin = out.len();
    write_beginning(out, address, body.len());
    let before = out.len() - begin;
    out.extend_from_slice(body);
    before
}

/// Writes a live event under the room's own name. Answers with how many bytes come before what is
/// the same for every address.
pub fn write_live(out: &mut Vec<u8>, room: &RoomId, event: &LiveEvent) -> usize {
    let address = room.as_str();
    match event {
        LiveEvent::Update(update) => write_update(out, address, update),
        LiveEvent::Presence(states) => write_presence(out, address, states),
        LiveEvent::Said(said) => write_stateless(out, address, &text_of(room, said)),
    }
}

/// A message of the room as a stateless payload: that of a provider as it was, any other as JSON
/// readers have it.
fn text_of(room: &RoomId, said: &Said) -> String {
    let Said {
        actor,
        at,
        utterance,
    } = said;
    if &*utterance.event == STATELESS_EVENT
        && let Ok(payload) = serde_json::from_str(&utterance.payload.0)
    {
        return payload;
    }
    let notice = present::message(room, actor, *at, utterance);
    String::from_utf8_lossy(&notice.payload()).into_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ids::UnixMillis;
    use crate::room::Occasion;
    use crate::room::entry::{Actor, Json};
    use crate::room::message::{Presented, Utterance};

    fn unframed(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(usize::from(out[1]), out.len() - 2, "the header is right");
        out.split_off(2)
    }

    #[test]
    fn wh1_messages_are_those_of_the_provider_byte_by_byte() {
        let doc = [3, b'd', b'o', b'c'];
        let is = |write: fn(&mut Vec<u8>), body: &[u8]| {
            assert_eq!(unframed(write), [&doc, body].concat());
        };
        is(|out| write_step_1(out, "doc", &[0]), &[0, 0, 1, 0]);
        is(
            |out| out.extend([step_2_header("doc", 2), vec![0, 0]].concat()),
            &[0, 1, 2, 0, 0],
        );
        is(|out| _ = write_update(out, "doc", &[7]), &[0, 2, 1, 7]);
        is(|out| _ = write_presence(out, "doc", &[]), &[1, 1, 0]);
        is(|out| _ = write_stateless(out, "doc", "a"), &[5, 1, b'a']);
        is(|out| write_token_wanted(out, "doc"), &[2, 0]);
        is(|out| write_denied(out, "doc", "no"), &[2, 1, 2, b'n', b'o']);
        is(
            |out| write_authenticated(out, "doc", Access::Read),
            b"\x02\x02\x08readonly",
        );
        is(
            |out| write_authenticated(out, "doc", Access::Admin),
            b"\x02\x02\x0aread-write",
        );
        is(|out| write_sync_status(out, "doc", true), &[8, 1]);
        is(|out| write_sync_status(out, "doc", false), &[8, 0]);
        is(|out| write_close(out, "doc", "by"), &[7, 2, b'b', b'y']);
        assert_eq!(unframed(|out| out.extend(pong())), [10]);
        assert_eq!(unframed(|out| out.extend(heartbeat())), [0, 1, 1, 0]);
    }

    #[test]
    fn wh2_messages_of_providers_are_read() {
        assert_eq!(open(&[9]), Ok(Envelope::Ping));
        assert_eq!(open(&[10]), Ok(Envelope::Pong));
        let envelope = Envelope::To {
            address: "d\0s",
            body: &[7],
        };
        assert_eq!(open(b"\x03d\0s\x07"), Ok(envelope));
        let read = |bytes: &[u8]| receive(bytes, 100);
        let token = Ok(Ask::Token("tok".into()));
        assert_eq!(read(b"\x02\x00\x03tok"), token, "of 3.4");
        assert_eq!(read(b"\x02\x00\x03tok\x054.8.0"), token, "of 4.8");
        assert_eq!(read(&[5, 1, b'a']), Ok(Ask::Stateless("a".into())));
        assert_eq!(read(&[7]), Ok(Ask::Close));
        assert_eq!(read(&[3]), Ok(Ask::Room(Request::AskPresence)));
        assert_eq!(read(&[11, 1, 2]), Ok(Ask::Unknown));
        assert_eq!(
            read(&[0, 2, 1, 7]),
            Ok(Ask::Room(Request::Submit {
                occasion: Occasion::Edit,
                update: Bytes::from_static(&[7]),
            }))
        );
        let here = Presented {
            client: 1,
            clock: 0,
            state: Some(Bytes::from_static(b"{}")),
        };
        assert_eq!(
            read(&[1, 6, 1, 1, 0, 2, b'{', b'}']),
            Ok(Ask::Room(Request::Present(vec![here])))
        );
    }

    #[test]
    fn wh3_what_no_provider_sends_is_a_violation() {
        for message in [&[][..], &[5, b'a'], &[1, 0xFF, 7]] {
            assert!(matches!(open(message), Err(Violation::Malformed(_))));
        }
        let long = [&[0xFE, 0x07][..], &[b'a'; 1_022]].concat();
        assert!(open(&long).is_err(), "an address is bounded");
        for body in [
            &[][..],
            &[0],
            &[0, 3, 0],
            &[0, 0, 5, 0],
            &[0, 0, 1, 0, 0],
            &[1, 1, 0xFF],
            &[2],
            &[2, 1, 0],
            &[2, 0, 1, 0xFF],
            &[4, 0, 0, 1, 0],
            &[5, 2, b'a'],
            &[6, 1, b'a'],
            &[8, 1],
        ] {
            let read = receive(body, 100);
            assert!(matches!(read, Err(Violation::Malformed(_))), "{body:?}");
        }
        let long = [&[1, 99][..], &[0; 99]].concat();
        assert_eq!(receive(&long, 100), Err(Violation::TooLarge));
    }

    #[test]
    fn wh4_an_address_leads_to_the_room_of_its_first_part() {
        let room = |text: &str| Address::new(text).room().map(|room| room.to_string());
        assert_eq!(room("a b"), Ok("a b".into()));
        assert_eq!(room("doc\0x7k2"), Ok("doc".into()));
        assert_eq!(room("\0x7k2"), Err(InvalidRoomId::Empty));
        assert_eq!(room(" "), Err(InvalidRoomId::Empty));
        assert_eq!(room("a\u{1}"), Err(InvalidRoomId::Control));
        assert!(Address::new("doc").is_plain());
        assert!(!Address::new("doc\0").is_plain());
    }

    #[test]
    fn wh5_a_live_frame_can_be_addressed_anew_behind_its_header() {
        let room = RoomId::parse("doc").expect("a name");
        let said = Said {
            actor: Actor {
                user: "ada".into(),
                client: "1".into(),
            },
            at: UnixMillis(0),
            utterance: Utterance {
                event: STATELESS_EVENT.into(),
                payload: Json(r#""a\n""#.into()),
            },
        };
        let other = Utterance {
            event: "ring".into(),
            payload: Json("[1]".into()),
        };
        let json = concat!(
            r#"{"type":"message","room":"doc","event":"ring","payload":[1],"#,
            r#""userId":"ada","clientId":"1","timestamp":"1970-01-01T00:00:00.000Z"}"#
        );
        assert_eq!(text_of(&room, &said), "a\n");
        let told = Said {
            utterance: other,
            ..said.clone()
        };
        assert_eq!(text_of(&room, &told), json);
        for event in [
            LiveEvent::Update(Bytes::from(vec![7; 200])),
            LiveEvent::Presence([].into()),
            LiveEvent::Said(Arc::new(said)),
        ] {
            let mut plain = Vec::new();
            let before = write_live(&mut plain, &room, &event);
            let body = &plain[before..];
            assert_eq!(plain, [header("doc", body.len()), body.to_vec()].concat());
        }
    }
}
