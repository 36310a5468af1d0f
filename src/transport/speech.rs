//! Owns how events for one session are said on a y-websocket connection.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::room::{End, Event, Refusal};
use crate::wire::yjs;

/// A payload of at least this size is shared between connections instead of being copied into each
/// one's frame.
const SHARED_BYTES_MIN: usize = 1_024;

/// An update with nothing in it.
pub(super) const EMPTY_UPDATE: [u8; 2] = [0, 0];

/// Adds the frames of an event; or says that the session is over.
pub fn say(event: Event, out: &mut VecDeque<Bytes>) -> Result<(), End> {
    match event {
        Event::Diff { chunks, since, .. } => diff(&chunks, &since, out),
        Event::Presence(states) => frame(out, |frame| yjs::write_presence(frame, &states)),
        Event::Missing { state_vector } => {
            frame(out, |frame| yjs::write_step_1(frame, &state_vector));
        }
        // A sender gets its own update back once it is durable: newer clients take that as the ack.
        Event::Kept { updates, .. } => frame(out, |frame| {
            for update in &updates {
                yjs::write_update(frame, update);
            }
        }),
        Event::Refused { refusal, .. } => return refuse(&refusal, out),
        // Only who speaks JSON pushes operations.
        Event::Pushed { .. } => {}
        Event::Ended(end) => return Err(end),
    }
    Ok(())
}

/// A large state travels as several updates. What closes the sync comes last, when the peer has
/// everything.
fn diff(chunks: &[Bytes], since: &[Bytes], out: &mut VecDeque<Bytes>) {
    let empty = Bytes::from_static(&EMPTY_UPDATE);
    let (last, before) = match chunks.split_last() {
        Some((last, before)) if since.is_empty() => (last, before),
        _ => (&empty, chunks),
    };
    for update in before.iter().chain(since) {
        shared(update, yjs::update_header(update.len()), out);
    }
    shared(last, yjs::step_2_header(last.len()), out);
}

fn refuse(refusal: &Refusal, out: &mut VecDeque<Bytes>) -> Result<(), End> {
    match refusal {
        Refusal::Forbidden => {
            frame(out, |frame| yjs::write_denied(frame, "read-only"));
            Ok(())
        }
        Refusal::Expired => Err(End::Expired),
        Refusal::Malformed(reason) => Err(End::Malformed(reason)),
        Refusal::Quarantined => Err(End::Malformed("update in quarantine")),
        Refusal::Incomplete { .. } => Err(End::Malformed("update leaves a gap")),
        Refusal::TooLarge => Err(End::TooLarge),
        Refusal::EpochChanged => Err(End::EpochChanged),
        Refusal::Unavailable => Err(End::Unavailable),
        Refusal::RoomDeleted => Err(End::RoomDeleted),
    }
}

fn frame(out: &mut VecDeque<Bytes>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut frame = Vec::new();
    write(&mut frame);
    if !frame.is_empty() {
        out.push_back(frame.into());
    }
}

/// Adds a payload behind its header.
pub(super) fn shared(payload: &Bytes, header: Vec<u8>, out: &mut VecDeque<Bytes>) {
    if payload.len() < SHARED_BYTES_MIN {
        let mut whole = header;
        whole.extend_from_slice(payload);
        out.push_back(whole.into());
    } else {
        out.push_back(header.into());
        out.push_back(payload.clone());
    }
}
