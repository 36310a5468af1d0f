//! Owns the contract of quarantine: what took the process or a room down, kept beside the rooms.
//!
//! # The contract
//!
//! - **A case is a room or an update of one**, held from the moment it is confined until it is
//!   released. Rooms here are names: a case neither needs a room that was written nor ends with it.
//! - **Confining is safe to repeat.** What is held already (same room, kind and hash) is found and
//!   not kept twice, also by two who confine it at once.
//! - **A release ends the holding, not the case**: it stays on the list with its bytes until it is
//!   removed. Released once more, it is left as it is.
//! - **Forgetting drops the bytes and nothing else**: a held update is refused on.

use async_trait::async_trait;
use bytes::Bytes;

use super::Failure;
use crate::ids::{RoomId, UnixMillis};

/// The number of a case: given by the store, never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CaseId(pub i64);

impl std::fmt::Display for CaseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a case holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole room.
    Room,
    /// One update.
    Update,
}

impl Kind {
    /// The word for it, in columns and for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Update => "update",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "room" => Some(Self::Room),
            "update" => Some(Self::Update),
            _ => None,
        }
    }
}

/// What is to be confined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In which room, or which room.
    pub room: RoomId,
    /// What.
    pub kind: Kind,
    /// One sentence for an operator.
    pub reason: String,
    /// SHA-256 of the bytes; empty for a room.
    pub hash: Bytes,
    /// What the update holds, in a form that the store carries unread.
    pub marks: Bytes,
    /// The update; empty for a room.
    pub bytes: Bytes,
    /// When it was found.
    pub at: UnixMillis,
}

/// One line of the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its number.
    pub id: CaseId,
    /// In which room, or which room.
    pub room: RoomId,
    /// What.
    pub kind: Kind,
    /// One sentence for an operator.
    pub reason: String,
    /// SHA-256 of the bytes; empty for a room.
    pub hash: Bytes,
    /// What the update holds, in a form that the store carries unread.
    pub marks: Bytes,
    /// How many bytes are kept; `None` when they were forgotten.
    pub size: Option<u64>,
    /// When it was confined.
    pub created_at: UnixMillis,
    /// When it was released, if it was.
    pub released_at: Option<UnixMillis>,
}

/// Keeps cases. See the module for what every implementation promises.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// Holds something; answers with the number of the case that holds it.
    async fn confine(&self, finding: &Finding) -> Result<CaseId, Failure>;

    /// What is held of a room, oldest first.
    async fn held(&self, room: &RoomId) -> Result<Vec<Case>, Failure>;

    /// All cases after a number, by number, also those that are released.
    async fn cases(&self, after: CaseId, limit: usize) -> Result<Vec<Case>, Failure>;

    /// One case and its bytes, unless they were forgotten.
    async fn case(&self, id: CaseId) -> Result<Option<(Case, Option<Bytes>)>, Failure>;

    /// Ends the holding. Returns whether there is such a case.
    async fn release(&self, id: CaseId, at: UnixMillis) -> Result<bool, Failure>;

    /// Drops the bytes of a case. Returns whether there is such a case.
    async fn forget(&self, id: CaseId) -> Result<bool, Failure>;

    /// Takes a case off the list, and with it the holding. Returns whether there was such a case.
    async fn remove(&self, id: CaseId) -> Result<bool, Failure>;

    /// How many rooms are held.
    async fn held_rooms(&self) -> Result<u64, Failure>;
}
