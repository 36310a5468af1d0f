//! Owns what a room is opened with, and what it says of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Room;
use crate::ids::{Epoch, Position, RoomId, Version};

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

/// What a room holds in memory besides its document: each has its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// Bytes that wait to become durable.
    pub backlog_bytes: usize,
    /// Answers that wait for what others sent.
    pub attending: usize,
    /// Sessions that wait to catch up.
    pub held: usize,
    /// Recent entries.
    pub recent_entries: usize,
    /// Their bytes.
    pub recent_bytes: usize,
    /// Clients who are present.
    pub present: usize,
    /// Clients who left and whose clocks are remembered.
    pub gone: usize,
    /// Sessions.
    pub sessions: usize,
}

/// What a room says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portrait {
    /// Where it stands.
    pub position: Position,
    /// The oldest version that can be replayed.
    pub oldest: Version,
    /// Collections and how many records they have.
    pub collections: BTreeMap<Arc<str>, usize>,
    /// The size of the whole state as one update.
    pub bytes: usize,
    /// How many sessions are attached.
    pub sessions: usize,
}

impl Room {
    /// So many versions before the head, or as many as can be replayed.
    #[must_use]
    pub fn before_head(&self, count: u64) -> Position {
        let Position { epoch, version } = self.timeline.position();
        let first = self.timeline.oldest().0.saturating_sub(1);
        let version = Version(version.0.saturating_sub(count).max(first));
        Position { epoch, version }
    }
}
