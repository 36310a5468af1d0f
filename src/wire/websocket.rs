//! Owns WebSocket frames (RFC 6455, sections 5 and 7) as a server reads and writes them. No
//! extensions.
//!
//! Writing is separate from any connection: a server's frames are not masked, so that one frame
//! serves every socket.

use bytes::{Buf, Bytes, BytesMut};

use super::Violation;

/// The most bytes of a control frame's payload (RFC 6455, 5.5).
const CONTROL_BYTES_MAX: usize = 125;

/// The most bytes that a server's frame header has.
pub const HEADER_BYTES_MAX: usize = 10;

/// So much of a message over the limit is told.
pub const BEGINNING_BYTES: usize = 1_024;

/// Frames so many times as large as a message may be are not passed over any more.
const PASSED_OVER_TIMES: usize = 16;

/// What kind of frame it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// The next part of a message.
    Continuation,
    /// A message of UTF-8 text.
    Text,
    /// A message of bytes.
    Binary,
    /// Goodbye.
    Close,
    /// Are you there?
    Ping,
    /// I am.
    Pong,
}

impl Opcode {
    fn parse(bits: u8) -> Result<Self, Violation> {
        match bits {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xA => Ok(Self::Pong),
            _ => Err(Violation::Malformed("unknown frame type")),
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A whole message, or a control frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text; whether it is UTF-8 is for its reader to see.
    Text(Bytes),
    /// Bytes.
    Binary(Bytes),
    /// To be answered with the same bytes.
    Ping(Bytes),
    /// An answer to a ping.
    Pong,
    /// Goodbye, with the peer's code.
    Close(Option<u16>),
    /// What a message over the limit begins with; the rest is passed over.
    TooLarge(Bytes),
}

/// Takes messages out of the bytes of one connection.
#[derive(Debug)]
pub struct Decoder {
    message_bytes_max: usize,
    parts: Option<(Opcode, BytesMut)>,
    passing: Option<Passing>,
}

/// Messages over the limit are passed over, as far as this.
#[derive(Debug, Default)]
struct Passing {
    /// Bytes of the frame that are still to come.
    bytes: usize,
    /// There are more parts to come.
    has_parts: bool,
}

/// What became of a frame over the limit.
enum Passed {
    /// The message begins with this.
    Beginning(Bytes),
    /// It goes on.
    Part,
    /// Too little of it is there.
    Nothing,
}

#[derive(Debug, Clone, Copy)]
struct Header {
    is_final: bool,
    opcode: Opcode,
    length: usize,
    mask: [u8; 4],
    size: usize,
}

impl Decoder {
    /// A decoder for messages up to a size.
    #[must_use]
    pub fn new(message_bytes_max: usize) -> Self {
        Self {
            message_bytes_max,
            parts: None,
            passing: None,
        }
    }

    /// The same, but a message over the limit is told by its beginning, and passed over, unless it
    /// is far over the limit.
    #[must_use]
    pub fn passing_over(mut self) -> Self {
        self.passing = Some(Passing::default());
        self
    }

    /// Takes the next message off the front, if all of it is there. Too much is refused as soon as
    /// it is announced.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Message>, Violation> {
        loop {
            if !self.pass(buffer) {
                return Ok(None);
            }
            let Some(header) = self.header(buffer)? else {
                return Ok(None);
            };
            if self.is_over(header) {
                match self.pass_over(header, buffer)? {
                    Passed::Beginning(bytes) => return Ok(Some(Message::TooLarge(bytes))),
                    Passed::Part => continue,
                    Passed::Nothing => return Ok(None),
                }
            }
            if buffer.len() < header.size + header.length {
                return Ok(None);
            }
            buffer.advance(header.size);
            let mut payload = buffer.split_to(header.length);
            unmask(&mut payload, header.mask);
            if let Some(message) = self.take(header, payload)? {
                return Ok(Some(message));
            }
        }
    }

    fn header(&self, buffer: &BytesMut) -> Result<Option<Header>, Violation> {
        let &[first, second, ..] = &**buffer else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err(Violation::Malformed("reserved bits are set"));
        }
        if second & 0x80 == 0 {
            return Err(Violation::Malformed("frame is not masked"));
        }
        let opcode = Opcode::parse(first & 0x0F)?;
        let is_final = first & 0x80 != 0;
        let (length, length_size) = match second & 0x7F {
            126 => match buffer.get(2..4) {
                Some(&[a, b]) => (u64::from(u16::from_be_bytes([a, b])), 2),
                _ => return Ok(None),
            },
            127 => match buffer.get(2..10).and_then(|bytes| bytes.try_into().ok()) {
                Some(bytes) => (u64::from_be_bytes(bytes), 8),
                None => return Ok(None),
            },
            short => (u64::from(short), 0),
        };
        if opcode.is_control() && (length > CONTROL_BYTES_MAX as u64 || !is_final) {
            return Err(Violation::Malformed("control frame too long or in parts"));
        }
        let most = match self.passing {
            Some(_) => self.message_bytes_max.saturating_mul(PASSED_OVER_TIMES),
            None => self.message_bytes_max,
        };
        if length.saturating_add(self.so_far() as u64) > most as u64 {
            return Err(Violation::TooLarge);
        }
        let mask_at = 2 + length_size;
        let Some(mask) = buffer
            .get(mask_at..mask_at + 4)
            .and_then(|mask| mask.try_into().ok())
        else {
            return Ok(None);
        };
        let length = length as usize;
        Ok(Some(Header {
            is_final,
            opcode,
            length,
            mask,
            size: mask_at + 4,
        }))
    }

    fn so_far(&self) -> usize {
        self.parts.as_ref().map_or(0, |(_, parts)| parts.len())
    }

    /// Whether the frame belongs to a message that is over the limit.
    fn is_over(&self, header: Header) -> bool {
        let is_rest = self.passing.as_ref().is_some_and(|it| it.has_parts);
        !header.opcode.is_control()
            && (is_rest || header.length + self.so_far() > self.message_bytes_max)
    }

    /// Passes over a part of a message, or its beginning once that is there.
    fn pass_over(&mut self, header: Header, buffer: &mut BytesMut) -> Result<Passed, Violation> {
        let is_first = header.opcode != Opcode::Continuation;
        let (has_parts, joined) = match &self.passing {
            None => return Err(Violation::TooLarge),
            Some(passing) => (passing.has_parts, self.parts.is_some()),
        };
        if is_first && (has_parts || joined) {
            return Err(Violation::Malformed("message begins within another"));
        }
        if !is_first && !has_parts && !joined {
            return Err(Violation::Malformed("continuation of nothing"));
        }
        let (mut bytes, mut beginning) = (header.length, None);
        if is_first {
            let wanted = header.length.min(BEGINNING_BYTES);
            if buffer.len() < header.size + wanted {
                return Ok(Passed::Nothing);
            }
            buffer.advance(header.size);
            let mut payload = buffer.split_to(wanted);
            unmask(&mut payload, header.mask);
            bytes -= wanted;
            beginning = Some(payload.freeze());
        } else {
            buffer.advance(header.size);
            if let Some((_, parts)) = self.parts.take() {
                let wanted = parts.len().min(BEGINNING_BYTES);
                beginning = Some(Bytes::copy_from_slice(&parts[..wanted]));
            }
        }
        let has_parts = !header.is_final;
        self.passing = Some(Passing { bytes, has_parts });
        Ok(beginning.map_or(Passed::Part, Passed::Beginning))
    }

    /// Drops what is passed over; whether that is done.
    fn pass(&mut self, buffer: &mut BytesMut) -> bool {
        let Some(passing) = &mut self.passing else {
            return true;
        };
        let dropped = passing.bytes.min(buffer.len());
        buffer.advance(dropped);
        passing.bytes -= dropped;
        passing.bytes == 0
    }

    fn take(&mut self, header: Header, payload: BytesMut) -> Result<Option<Message>, Violation> {
        match header.opcode {
            Opcode::Ping => Ok(Some(Message::Ping(payload.freeze()))),
            Opcode::Pong => Ok(Some(Message::Pong)),
            Opcode::Close if payload.len() == 1 => Err(Violation::Malformed("half a close code")),
            Opcode::Close => {
                let code = payload
                    .get(..2)
                    .map(|code| u16::from_be_bytes([code[0], code[1]]));
                Ok(Some(Message::Close(code)))
            }
            Opcode::Text | Opcode::Binary if self.parts.is_some() => {
                Err(Violation::Malformed("message begins within another"))
            }
            Opcode::Text | Opcode::Binary if header.is_final => {
                Ok(Some(whole(header.opcode, payload)))
            }
            Opcode::Text | Opcode::Binary => {
                self.parts = Some((header.opcode, payload));
                Ok(None)
            }
            Opcode::Continuation => {
                let Some((opcode, mut parts)) = self.parts.take() else {
                    return Err(Violation::Malformed("continuation of nothing"));
                };
                parts.unsplit(payload);
                if header.is_final {
                    return Ok(Some(whole(opcode, parts)));
                }
                self.parts = Some((opcode, parts));
                Ok(None)
            }
        }
    }
}

fn whole(opcode: Opcode, payload: BytesMut) -> Message {
    match opcode {
        Opcode::Text => Message::Text(payload.freeze()),
        _ => Message::Binary(payload.freeze()),
    }
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let word = u64::from_ne_bytes([
        mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3],
    ]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (index, byte) in rest.iter_mut().enumerate() {
        *byte ^= mask[index % 4];
    }
}

/// Writes the header of a server's whole frame.
pub fn write_header(out: &mut Vec<u8>, opcode: Opcode, length: usize) {
    out.push(0x80 | opcode.bits());
    if length < 126 {
        out.push(length as u8);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(126);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(127);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// A whole control frame. What is over its size is cut.
#[must_use]
pub fn control(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
    let mut out = Vec::with_capacity(2 + payload.len());
    write_header(&mut out, opcode, payload.len());
    out.extend_from_slice(payload);
    out
}

/// A close frame. The reason is ASCII of ours.
#[must_use]
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    control(Opcode::Close, &payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            length @ 0..126 => out.push(0x80 | length as u8),
            length @ 126..=0xFFFF => {
                out.push(0x80 | 126);
                out.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                out.push(0x80 | 127);
                out.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 4];
        out.extend_from_slice(&mask);
        out.extend(
            payload
                .iter()
                .enumerate()
                .map(|(i, byte)| byte ^ mask[i % 4]),
        );
        out
    }

    fn decode(bytes: &[u8], max: usize) -> Result<Vec<Message>, Violation> {
        let mut decoder = Decoder::new(max);
        let mut buffer = BytesMut::new();
        let mut messages = Vec::new();
        // One byte at a time: a message may be cut anywhere.
        for &byte in bytes {
            buffer.extend_from_slice(&[byte]);
            while let Some(message) = decoder.next(&mut buffer)? {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    #[test]
    fn ws1_messages_of_every_length_are_read_however_they_are_cut() {
        for length in [0, 1, 7, 8, 9, 125, 126, 127, 65_535, 65_536, 70_001] {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let read = decode(&masked(0x82, &payload), 1 << 20);
            assert_eq!(read, Ok(vec![Message::Binary(payload.into())]));
        }
    }

    #[test]
    fn ws2_parts_are_joined_and_control_frames_may_come_between() {
        let mut bytes = masked(0x01, b"ab");
        bytes.extend(masked(0x89, b"?"));
        bytes.extend(masked(0x00, b"cd"));
        bytes.extend(masked(0x80, b"ef"));
        let expected = vec![
            Message::Ping(Bytes::from_static(b"?")),
            Message::Text(b"abcdef"[..].into()),
        ];
        assert_eq!(decode(&bytes, 6), Ok(expected));
        assert_eq!(decode(&bytes, 5), Err(Violation::TooLarge));
    }

    #[test]
    fn ws3_what_no_correct_client_sends_is_malformed() {
        let malformed = |bytes: &[u8]| matches!(decode(bytes, 100), Err(Violation::Malformed(_)));
        assert!(malformed(&[0x82, 0x01, 0x00]), "not masked");
        assert!(malformed(&masked(0xC2, b"")), "reserved bit");
        assert!(malformed(&masked(0x83, b"")), "unknown type");
        assert!(malformed(&masked(0x80, b"")), "continuation of nothing");
        assert!(malformed(&masked(0x09, b"")), "control frame in parts");
        assert!(malformed(&masked(0x89, &[0; 126])), "long control frame");
        assert!(malformed(&masked(0x88, &[3])), "half a close code");
        let mut nested = masked(0x02, b"a");
        nested.extend(masked(0x02, b"b"));
        assert!(malformed(&nested), "message within a message");
    }

    #[test]
    fn ws4_too_much_is_refused_when_it_is_announced() {
        let announced = [0x82, 0xFF, 0x7F, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(decode(&announced, 100), Err(Violation::TooLarge));
        assert_eq!(
            decode(&masked(0x82, &[0; 101]), 100),
            Err(Violation::TooLarge)
        );
    }

    #[test]
    fn ws7_what_is_too_large_can_be_passed_over() {
        let decode = |bytes: &[u8]| {
            let mut decoder = Decoder::new(2_000).passing_over();
            let (mut buffer, mut messages) = (BytesMut::new(), Vec::new());
            for &byte in bytes {
                buffer.extend_from_slice(&[byte]);
                assert!(buffer.len() < 2_100, "what is passed over is not held");
                while let Some(message) = decoder.next(&mut buffer)? {
                    messages.push(message);
                }
            }
            Ok::<_, Violation>(messages)
        };
        let large: Vec<u8> = (0..30_000).map(|i| i as u8).collect();
        let beginning = || Message::TooLarge(large[..BEGINNING_BYTES].to_vec().into());
        let next = masked(0x82, b"on");
        let expected = Ok(vec![beginning(), Message::Binary(b"on"[..].into())]);
        let whole = [masked(0x82, &large), next.clone()].concat();
        assert_eq!(decode(&whole), expected);

        let part = |first, from: usize, to: usize| masked(first, &large[from..to]);
        let in_parts = [
            part(0x02, 0, 1_500),
            part(0x00, 1_500, 2_200),
            masked(0x89, b""),
            part(0x80, 2_200, 2_300),
            next.clone(),
        ];
        let mut with_ping = expected.clone();
        if let Ok(messages) = &mut with_ping {
            messages.insert(1, Message::Ping(Bytes::new()));
        }
        assert_eq!(decode(&in_parts.concat()), with_ping);
        let first_too_large = [part(0x02, 0, 2_001), part(0x80, 0, 5), next.clone()].concat();
        assert_eq!(decode(&first_too_large), expected);

        let nested = [part(0x02, 0, 2_001), next.clone()].concat();
        assert!(matches!(decode(&nested), Err(Violation::Malformed(_))));
        let of_nothing = [part(0x80, 0, 2_001), next].concat();
        assert!(matches!(decode(&of_nothing), Err(Violation::Malformed(_))));
        let announced = [0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0x7D, 0x01];
        assert_eq!(decode(&announced), Err(Violation::TooLarge));
    }

    #[test]
    fn ws5_a_close_frame_has_its_code_and_a_bounded_reason() {
        assert_eq!(
            decode(&masked(0x88, &[0x0F, 0xA1]), 100),
            Ok(vec![Message::Close(Some(4001))])
        );
        assert_eq!(
            decode(&masked(0x88, &[]), 100),
            Ok(vec![Message::Close(None)])
        );
        assert_eq!(close(4400, "no"), [0x88, 4, 0x11, 0x30, b'n', b'o']);
        assert_eq!(close(4400, &"x".repeat(200)).len(), 2 + 125);
    }
}
