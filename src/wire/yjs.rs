//! Owns the y-websocket protocol: sync, awareness, auth (`docs/PROTOCOLS.md`, after y-protocols
//! 1.0).
//!
//! Every frame is a whole WebSocket frame with exactly one message: clients up to 3.x read only the
//! first.

use bytes::Bytes;

use super::websocket::{HEADER_BYTES_MAX, Opcode, write_header};
use super::{Request, Violation};
use crate::lib0::{Reader, Unreadable, write_buffer, write_string, write_var_uint};
use crate::room::message::{Occasion, Presented, Shown};

pub(super) const SYNC: u64 = 0;
pub(super) const AWARENESS: u64 = 1;
pub(super) const AUTH: u64 = 2;
pub(super) const QUERY_AWARENESS: u64 = 3;

pub(super) const STEP_1: u64 = 0;
pub(super) const STEP_2: u64 = 1;
pub(super) const UPDATE: u64 = 2;

const PERMISSION_DENIED: u64 = 0;

/// An awareness entry has at least an id, a clock and an empty string.
const AWARENESS_ENTRY_BYTES_MIN: usize = 3;

impl From<Unreadable> for Violation {
    fn from(unreadable: Unreadable) -> Self {
        Self::Malformed(unreadable.reason())
    }
}

/// Reads one message. Bytes that outlive it are copied, so that a small update does not hold a
/// large frame.
pub fn receive(message: &[u8], awareness_bytes_max: usize) -> Result<Request, Violation> {
    let mut reader = Reader::new(message);
    let request = match reader.var_uint()? {
        SYNC => read_sync(&mut reader)?,
        AWARENESS => {
            if message.len() > awareness_bytes_max {
                return Err(Violation::TooLarge);
            }
            Request::Present(read_awareness(reader.buffer()?)?)
        }
        // Some clients add their states to the question; they are told in any case.
        QUERY_AWARENESS => return Ok(Request::AskPresence),
        _ => return Err(Violation::Malformed("unknown message type")),
    };
    if reader.is_empty() {
        Ok(request)
    } else {
        Err(Violation::Malformed("bytes after the message"))
    }
}

/// Reads what follows on the type of a sync message.
pub(super) fn read_sync(reader: &mut Reader<'_>) -> Result<Request, Violation> {
    let step = reader.var_uint()?;
    let payload = Bytes::copy_from_slice(reader.buffer()?);
    match step {
        STEP_1 => Ok(Request::Sync {
            state_vector: payload,
        }),
        STEP_2 => Ok(Request::Submit {
            occasion: Occasion::Answer,
            update: payload,
        }),
        UPDATE => Ok(Request::Submit {
            occasion: Occasion::Edit,
            update: payload,
        }),
        _ => Err(Violation::Malformed("unknown sync step")),
    }
}

/// Reads the states in an awareness message.
pub(super) fn read_awareness(bytes: &[u8]) -> Result<Vec<Presented>, Violation> {
    let mut reader = Reader::new(bytes);
    let count = reader.count(AWARENESS_ENTRY_BYTES_MIN)?;
    let mut states = Vec::with_capacity(count);
    for _ in 0..count {
        let client = reader.var_uint()?;
        let clock = u32::try_from(reader.var_uint()?)
            .map_err(|_| Violation::Malformed("awareness clock out of range"))?;
        let state = reader.string()?;
        let state = (state != "null").then(|| Bytes::copy_from_slice(state.as_bytes()));
        states.push(Presented {
            client,
            clock,
            state,
        });
    }
    if reader.is_empty() {
        Ok(states)
    } else {
        Err(Violation::Malformed("bytes after awareness"))
    }
}

/// Writes an update that peers apply.
pub fn write_update(out: &mut Vec<u8>, update: &[u8]) {
    write_sync(out, UPDATE, update);
}

/// Writes what the room has; the peer answers with what it lacks.
pub fn write_step_1(out: &mut Vec<u8>, state_vector: &[u8]) {
    write_sync(out, STEP_1, state_vector);
}

/// What comes before an update of so many bytes.
#[must_use]
pub fn update_header(length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES_MAX + 8);
    write_sync_header(&mut out, UPDATE, length);
    out
}

/// What comes before the update of so many bytes that closes a sync: the last of what a peer lacks.
#[must_use]
pub fn step_2_header(length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES_MAX + 8);
    write_sync_header(&mut out, STEP_2, length);
    out
}

fn write_sync(out: &mut Vec<u8>, step: u64, payload: &[u8]) {
    out.reserve(HEADER_BYTES_MAX + 8 + payload.len());
    write_sync_header(out, step, payload.len());
    out.extend_from_slice(payload);
}

fn write_sync_header(out: &mut Vec<u8>, step: u64, length: usize) {
    write_header(out, Opcode::Binary, 2 + var_uint_size(length) + length);
    write_var_uint(out, SYNC);
    write_var_uint(out, step);
    write_var_uint(out, length as u64);
}

/// Writes presence states. None at all is a message, too: data that shows the connection is alive.
pub fn write_presence(out: &mut Vec<u8>, states: &[Shown]) {
    let payload = awareness(states);
    write_header(
        out,
        Opcode::Binary,
        1 + var_uint_size(payload.len()) + payload.len(),
    );
    write_var_uint(out, AWARENESS);
    write_buffer(out, &payload);
}

/// States as they are in an awareness message.
pub(super) fn awareness(states: &[Shown]) -> Vec<u8> {
    let mut payload = Vec::new();
    write_var_uint(&mut payload, states.len() as u64);
    for shown in states {
        write_var_uint(&mut payload, shown.client);
        write_var_uint(&mut payload, u64::from(shown.clock));
        write_string(&mut payload, shown.state.as_deref().unwrap_or("null"));
    }
    payload
}

/// Writes that something was not permitted. The connection goes on.
pub fn write_denied(out: &mut Vec<u8>, reason: &str) {
    write_header(
        out,
        Opcode::Binary,
        2 + var_uint_size(reason.len()) + reason.len(),
    );
    write_var_uint(out, AUTH);
    write_var_uint(out, PERMISSION_DENIED);
    write_string(out, reason);
}

/// How many bytes a `varUint` has.
pub(super) fn var_uint_size(value: usize) -> usize {
    let bits = (usize::BITS - value.leading_zeros()).max(1) as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unframed(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(
            usize::from(out[1]),
            out.len() - 2,
            "the header announces the message"
        );
        out.split_off(2)
    }

    #[test]
    fn wy1_messages_are_those_of_y_protocols_byte_by_byte() {
        assert_eq!(unframed(|out| write_step_1(out, &[0])), [0, 0, 1, 0]);
        let step_2 = |out: &mut Vec<u8>| out.extend([step_2_header(2), vec![0, 0]].concat());
        assert_eq!(unframed(step_2), [0, 1, 2, 0, 0]);
        assert_eq!(unframed(|out| write_update(out, &[7])), [0, 2, 1, 7]);
        assert_eq!(unframed(|out| write_presence(out, &[])), [1, 1, 0]);
        assert_eq!(
            unframed(|out| write_denied(out, "no")),
            [2, 0, 2, b'n', b'o']
        );
        let left = Shown {
            client: 2,
            clock: 0,
            state: None,
        };
        assert_eq!(
            unframed(|out| write_presence(out, &[left])),
            [1, 8, 1, 2, 0, 4, b'n', b'u', b'l', b'l']
        );
    }

    #[test]
    fn wy2_messages_of_clients_are_read() {
        let read = |bytes: &[u8]| receive(bytes, 100);
        assert_eq!(
            read(&[0, 0, 1, 0]),
            Ok(Request::Sync {
                state_vector: Bytes::from_static(&[0])
            })
        );
        assert_eq!(
            read(&[0, 1, 2, 0, 0]),
            Ok(Request::Submit {
                occasion: Occasion::Answer,
                update: Bytes::from_static(&[0, 0])
            })
        );
        assert_eq!(read(&[3]), Ok(Request::AskPresence));
        assert_eq!(
            read(&[1, 6, 1, 1, 5, 2, b'{', b'}']),
            Ok(Request::Present(vec![Presented {
                client: 1,
                clock: 5,
                state: Some(Bytes::from_static(b"{}"))
            }]))
        );
    }

    #[test]
    fn wy3_what_no_client_sends_is_a_violation() {
        let is_malformed =
            |bytes: &[u8]| matches!(receive(bytes, 100), Err(Violation::Malformed(_)));
        for bytes in [
            &[][..],
            &[0],
            &[0, 9, 0],
            &[0, 0, 5, 0],
            &[9],
            &[0, 0, 1, 0, 0],
            &[1, 6, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0],
            &[1, 1, 0xFF],
        ] {
            assert!(is_malformed(bytes), "{bytes:?}");
        }
        let long = [&[1, 99][..], &[0; 99]].concat();
        assert_eq!(receive(&long, 100), Err(Violation::TooLarge));
    }

    #[test]
    fn wy1_lengths_are_announced_exactly() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_152] {
            let mut varint = Vec::new();
            write_var_uint(&mut varint, length as u64);
            assert_eq!(var_uint_size(length), varint.len());
        }
    }
}
