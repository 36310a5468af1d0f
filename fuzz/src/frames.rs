//! Owns the target `frames`: any bytes as the WebSocket frames of one connection. However they are
//! cut, the same messages come out, none larger than the limit.

use bytes::{Bytes, BytesMut};
use roundtable::wire::Violation;
use roundtable::wire::websocket::{
    BEGINNING_BYTES, Decoder, Message, Opcode, control, write_header,
};

use super::script::Script;

/// The first byte says how large a message may be, the second how the bytes are cut.
pub fn run(input: &[u8]) {
    let Some(([size, cut], bytes)) = input.split_first_chunk::<2>() else {
        return;
    };
    let bytes_max = 1 << (size % 18);
    let (step, more) = (1 + usize::from(*cut % 16), usize::from(*cut / 16));
    let strict = || Decoder::new(bytes_max);
    let lenient = || Decoder::new(bytes_max).passing_over();
    let whole = decode(bytes, bytes.len().max(1), 0, strict());
    assert_eq!(whole, decode(bytes, step, more, strict()));
    let passed = decode(bytes, bytes.len().max(1), 0, lenient());
    assert_eq!(passed, decode(bytes, step, more, lenient()));
    for message in &passed.0 {
        check(message, bytes_max);
    }
    // What is passed over changes nothing of what came before it.
    let is_too_large = |message: &Message| matches!(message, Message::TooLarge(_));
    let before = passed.0.iter().take_while(|message| !is_too_large(message));
    assert!(
        before
            .zip(&whole.0)
            .all(|(lenient, strict)| lenient == strict)
    );
    assert!(!whole.0.iter().any(is_too_large));
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
    mut decoder: Decoder,
) -> (Vec<Message>, Option<Violation>) {
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
        Message::TooLarge(beginning) => assert!(beginning.len() <= BEGINNING_BYTES),
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
