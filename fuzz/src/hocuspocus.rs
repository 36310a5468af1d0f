//! Owns the target `hocuspocus`: any bytes as a message of a Hocuspocus client. What is read is
//! read again from its own encoding; what is told live is the same for every address behind its
//! header.

use roundtable::ids::RoomId;
use roundtable::lib0::write_string;
use roundtable::room::LiveEvent;
use roundtable::room::message::{Presented, Shown};
use roundtable::wire::hocuspocus::{self, ADDRESS_BYTES_MAX, Address, Ask, Envelope};
use roundtable::wire::{Request, Violation};

use super::yjs;

const AWARENESS_BYTES_MAX: usize = 512;

/// All bytes are one message.
pub fn run(message: &[u8]) {
    let (address, body) = match hocuspocus::open(message) {
        Ok(Envelope::To { address, body }) => (Address::new(address), body),
        Ok(Envelope::Ping | Envelope::Pong) => return assert_eq!(message.len(), 1),
        Err(violation) => return assert!(matches!(violation, Violation::Malformed(_))),
    };
    assert!(address.as_str().len() <= ADDRESS_BYTES_MAX);
    let room = address.room();
    if let Ok(room) = &room {
        assert!(address.as_str().starts_with(room.as_str()));
        assert_eq!(room.as_str() == address.as_str(), address.is_plain());
    }
    let ask = match hocuspocus::receive(body, AWARENESS_BYTES_MAX) {
        Ok(ask) => ask,
        Err(Violation::TooLarge) => return assert!(body.len() > AWARENESS_BYTES_MAX),
        Err(Violation::Malformed(_)) => return,
    };
    if let Some(encoded) = encode(&ask) {
        let again = hocuspocus::receive(&encoded, usize::MAX);
        assert_eq!(again, Ok(ask.clone()));
    }
    if let (Ok(room), Ask::Room(request)) = (room, ask) {
        told(&room, &address, request);
    }
}

fn encode(ask: &Ask) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match ask {
        Ask::Room(request) => out = yjs::encode(request),
        Ask::Token(token) => {
            out.extend([2, 0]);
            write_string(&mut out, token);
        }
        Ask::Stateless(payload) => {
            out.push(5);
            write_string(&mut out, payload);
        }
        Ask::Close => out.push(7),
        Ask::Unknown => return None,
    }
    Some(out)
}

/// What others are told of it, under the room's name and under the address.
fn told(room: &RoomId, address: &Address, request: Request) {
    let event = match request {
        Request::Submit { update, .. } => LiveEvent::Update(update),
        Request::Present(states) => LiveEvent::Presence(states.into_iter().map(shown).collect()),
        Request::Sync { .. } | Request::AskPresence => return,
    };
    let mut plain = Vec::new();
    let before = hocuspocus::write_live(&mut plain, room, &event);
    let body = &plain[before..];
    for to in [room.as_str(), address.as_str()] {
        let mut frame = hocuspocus::header(to, body.len());
        if to == room.as_str() {
            assert_eq!(frame, plain[..before]);
        }
        frame.extend_from_slice(body);
        let header = match frame[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        let opened = hocuspocus::open(&frame[header..]);
        assert_eq!(opened, Ok(Envelope::To { address: to, body }));
    }
    assert!(hocuspocus::receive(body, usize::MAX).is_ok());
}

fn shown(presented: Presented) -> Shown {
    let state = presented.state.map(|state| {
        let text = std::str::from_utf8(&state).expect("read as UTF-8");
        text.into()
    });
    Shown {
        client: presented.client,
        clock: presented.clock,
        state,
    }
}
