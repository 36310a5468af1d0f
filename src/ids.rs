//! Owns the names of things: rooms, versions, epochs, sessions. Parsed once, at the edge, never
//! checked again.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

/// The longest room name, in bytes.
pub const ROOM_ID_BYTES_MAX: usize = 255;

/// The name of a room: 1 to 255 bytes of UTF-8 without control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(Arc<str>);

/// Why a string is not the name of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoomId {
    /// The name has no bytes, or nothing but white space.
    #[error("room name is empty")]
    Empty,
    /// The name has more than [`ROOM_ID_BYTES_MAX`] bytes.
    #[error("room name is longer than 255 bytes")]
    TooLong,
    /// The name has a control character.
    #[error("room name has a control character")]
    Control,
}

impl RoomId {
    /// Parses a room name as it stands, without any decoding.
    pub fn parse(name: &str) -> Result<Self, InvalidRoomId> {
        if name.trim().is_empty() {
            return Err(InvalidRoomId::Empty);
        }
        if name.len() > ROOM_ID_BYTES_MAX {
            return Err(InvalidRoomId::TooLong);
        }
        if name.chars().any(char::is_control) {
            return Err(InvalidRoomId::Control);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomId({:?})", &self.0)
    }
}

/// The number of an entry in its room: dense from 1. Zero is the room before its first entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Version(pub u64);

impl Version {
    /// The version before the first entry.
    pub const ZERO: Self = Self(0);

    /// The version that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The history that a room's versions belong to. Versions of two epochs are not comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub Uuid);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in a room's history: what a client says it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// The history.
    pub epoch: Epoch,
    /// The last version seen.
    pub version: Version,
}

/// One attachment of one connection to one room on this node. Never used twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// Marks one append, so that a retry after an unclear answer finds what the first try wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AppendId(pub Uuid);

/// The longest name of an operation, record, field or collection, in bytes: as a room's.
pub const NAME_BYTES_MAX: usize = 255;

/// Whether a text may name a record, a field, a collection or an operation: 1 to 255 bytes without
/// control characters.
#[must_use]
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control)
}

/// A client's own name for an operation, the same in every retry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpId(Arc<str>);

impl OpId {
    /// Parses a name; see [`is_name`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        is_name(name).then(|| Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Milliseconds since 1970-01-01 UTC, by the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct UnixMillis(pub i64);

/// Milliseconds of a clock that never goes back. Only differences mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// This time and `ms` milliseconds more.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// What time it is, as told to the core: it has no clock of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// For waiting and lapsing.
    pub mono: Millis,
    /// For stamping and for expiry of tokens.
    pub wall: UnixMillis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_name_is_1_to_255_bytes_without_control_characters() {
        assert!(RoomId::parse("project:42").is_ok());
        assert!(RoomId::parse("Größe/日本").is_ok());
        assert_eq!(RoomId::parse(""), Err(InvalidRoomId::Empty));
        assert_eq!(RoomId::parse("  "), Err(InvalidRoomId::Empty));
        assert_eq!(RoomId::parse("a\nb"), Err(InvalidRoomId::Control));
        assert_eq!(RoomId::parse("a\u{85}b"), Err(InvalidRoomId::Control));
        assert!(RoomId::parse(&"x".repeat(255)).is_ok());
        assert_eq!(RoomId::parse(&"x".repeat(256)), Err(InvalidRoomId::TooLong));
    }
}
