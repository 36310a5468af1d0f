//! Owns the target `frames`: any bytes as the WebSocket frames of one connection. However they are
//! cut, the same messages come out, none larger than the limit.

use bytes::{Bytes, BytesMut};
use roundtable::wire::Violation;
use roundtable::wire::websocket::{Decoder, Message, Opcode, control, write_header};

use super::script::Script;

/// The first byte says how large a message may be, the second how the bytes are cut.
pub fn run(input: &[u8]) {
    let Some(([size, cut], bytes)) = input.split_first_chunk::<2>() else {
        return;
    };
    let bytes_max = 1 << (size % 18);
    let whole = decode(bytes, bytes.len().max(1), 0, bytes_max);
    let in_parts = decode(
        bytes,
        1 + usize::from(*cut % 16),
        usize::from(*cut / 16),
        bytes_max,
    );
    assert_eq!(whole, in_parts);
    for message in &whole.0 {
        check(message, bytes_max);
    }
    let mut script = Script::new(bytes);
    let payload = script.bytes();
    let mut frame = BytesMut::from(&masked(Opcode::Binary, payload)[..]);
    let read = Decoder::new(payload.len()).next(&mut frame);
    assert_eq!(
        read,
        Ok(Some(Message::Binary(Bytes::copy_from_slice(payload))))
    );
}

fn decode(
    bytes: &[u8],
    step: usize,
    more: usize,
    bytes_max: usize,
) -> (Vec<Message>, Option<Violation>) {
    let mut decoder = Decoder::new(bytes_max);
    let mut buffer = BytesMut::new();
    let mut messages = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (part, after) = rest.split_at((step + messages.len() * more).min(rest.len()));
        rest = after;
        buffer.extend_from_slice(part);
        loop {
            match decoder.next(&mut buffer) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(violation) => return (messages, Some(violation)),
            }
        }
    }
    (messages, None)
}

fn check(message: &Message, bytes_max: usize) {
    match message {
        Message::Text(bytes) | Message::Binary(bytes) => assert!(bytes.len() <= bytes_max),
        Message::Ping(bytes) => assert_eq!(control(Opcode::Pong, bytes).len(), 2 + bytes.len()),
        Message::Pong | Message::Close(_) => {}
    }
}

/// A frame as a client sends it, under a mask.
fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mask = [0x55, 0, 0xff, 7];
    let mut frame = Vec::new();
    write_header(&mut frame, opcode, payload.len());
    frame[1] |= 0x80;
    frame.extend(mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}
