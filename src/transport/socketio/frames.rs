//! Owns seeing where WebSocket frames begin and end in bytes that pass by. Changes nothing.

/// A text frame.
const TEXT: u8 = 1;

/// The longest header: a length of 8 bytes, and a mask.
const HEADER_BYTES_MAX: usize = 14;

/// What was seen of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It begins, and its payload has so many bytes.
    Begin(u64),
    /// A text frame has passed; its payload began so.
    Text([u8; 2]),
    /// Another frame has passed.
    Other,
}

/// A place in a stream of frames.
#[derive(Debug)]
pub struct Frames {
    header: [u8; HEADER_BYTES_MAX],
    /// Bytes of the header that passed.
    have: usize,
    /// Bytes of the payload that are still to pass.
    left: Option<u64>,
    lead: [u8; 2],
    led: usize,
}

impl Frames {
    /// Before the first frame.
    pub fn new() -> Self {
        Self {
            header: [0; HEADER_BYTES_MAX],
            have: 0,
            left: None,
            lead: [0; 2],
            led: 0,
        }
    }

    /// Sees bytes pass.
    pub fn pass(&mut self, mut bytes: &[u8], mut see: impl FnMut(Seen)) {
        while !bytes.is_empty() {
            let Some(left) = self.left else {
                self.header[self.have] = bytes[0];
                self.have += 1;
                bytes = &bytes[1..];
                if self.have >= 2 && self.have == self.header_bytes() {
                    let payload_bytes = self.payload_bytes();
                    see(Seen::Begin(payload_bytes));
                    self.left = Some(payload_bytes);
                    self.end(&mut see);
                }
                continue;
            };
            let step = left.min(bytes.len() as u64) as usize;
            let (now, later) = bytes.split_at(step);
            let lead = now.len().min(2 - self.led);
            self.lead[self.led..self.led + lead].copy_from_slice(&now[..lead]);
            self.led += lead;
            self.left = Some(left - step as u64);
            bytes = later;
            self.end(&mut see);
        }
    }

    fn end(&mut self, see: &mut impl FnMut(Seen)) {
        if self.left != Some(0) {
            return;
        }
        see(match self.header[0] & 0x0f {
            TEXT => Seen::Text(self.lead),
            _ => Seen::Other,
        });
        *self = Self::new();
    }

    fn header_bytes(&self) -> usize {
        let length = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        2 + length + mask
    }

    fn payload_bytes(&self) -> u64 {
        let header = &self.header;
        match header[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes([header[2], header[3]])),
            127 => {
                let mut length = [0; 8];
                length.copy_from_slice(&header[2..10]);
                u64::from_be_bytes(length)
            }
            short => u64::from(short),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::websocket::{Opcode, write_header};

    #[test]
    fn si20_frames_are_seen_however_their_bytes_are_cut() {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for length in [0, 1, 2, 125, 126, 65_535, 65_536, 70_000] {
            write_header(&mut stream, Opcode::Text, length);
            let payload: Vec<u8> = b"42[".iter().copied().cycle().take(length).collect();
            stream.extend_from_slice(&payload);
            let lead = [
                payload.first().copied().unwrap_or(0),
                payload.get(1).copied().unwrap_or(0),
            ];
            expected.extend([Seen::Begin(length as u64), Seen::Text(lead)]);
        }
        write_header(&mut stream, Opcode::Pong, 0);
        expected.extend([Seen::Begin(0), Seen::Other]);
        // A frame from a client has a mask.
        stream.extend_from_slice(&[0x82, 0x81, 1, 2, 3, 4, 9]);
        expected.extend([Seen::Begin(1), Seen::Other]);
        for step in [1, 2, 3, 7, 1_000, stream.len()] {
            let mut frames = Frames::new();
            let mut seen = Vec::new();
            for chunk in stream.chunks(step) {
                frames.pass(chunk, |it| seen.push(it));
            }
            assert_eq!(seen, expected, "in steps of {step}");
        }
    }
}
