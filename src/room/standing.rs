//! Owns what a room is opened with, besides its document.

use crate::ids::{Epoch, RoomId, Version};

/// What a room is opened with, besides its document.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The room's name.
    pub room: RoomId,
    /// Its history.
    pub epoch: Epoch,
    /// Its last version.
    pub head: Version,
    /// The oldest version in the log; `head + 1` when that is empty.
    pub oldest: Version,
    /// The version of the newest snapshot.
    pub snapshot: Version,
    /// What the log has after it.
    pub tail: Tail,
}

/// How much follows on a snapshot: what opening the room has to fold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tail {
    /// Updates, of however many entries.
    pub updates: u64,
    /// Their bytes.
    pub bytes: u64,
}
