//! Owns how clocks go on after a restart, of which nothing is remembered.

use crate::ids::UnixMillis;

/// A client that this opening of the room does not know may have been told under higher clocks by
/// the one before, while it heard nothing of that. Its clock is counted up by so many for each of
/// these spans of the wall clock: more than are given to one client in that time.
const LEAP_CLOCKS: u64 = 8;

/// The span.
const LEAP_MS: u64 = 64;

/// After so many spans, which is more than two hours, they are counted from zero, so that clients
/// do not run out of clocks: a leap is below 2^20.
const LEAP_SPANS: u64 = 1 << 17;

/// How far the clock of an unknown client is counted up now.
pub(super) fn leap(wall: UnixMillis) -> u32 {
    let spans = (wall.0.max(0) as u64 / LEAP_MS) % LEAP_SPANS;
    (spans * LEAP_CLOCKS) as u32
}
