//! Owns why a room says no, and why a session is over.

use bytes::Bytes;

/// Why a room says no: a domain answer, told to the peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The grant does not include this.
    #[error("the token does not allow this")]
    Forbidden,
    /// The token has expired.
    #[error("the token has expired")]
    Expired,
    /// The update rests on something that the room does not have.
    #[error("the update rests on changes that the room does not have")]
    Incomplete {
        /// The room's state vector: what to start from.
        state_vector: Bytes,
    },
    /// The update is not one that a correct client makes.
    #[error("the update is malformed: {0}")]
    Malformed(&'static str),
    /// The update brought the room down before and is held.
    #[error("the update is in quarantine")]
    Quarantined,
    /// The update is larger than the limit.
    #[error("the update is too large")]
    TooLarge,
    /// The update has content of a deleted epoch.
    #[error("the update belongs to a deleted epoch of the room")]
    EpochChanged,
    /// The backlog of changes that are not durable yet is full.
    #[error("the database is away and the backlog is full")]
    Unavailable,
    /// The room is being deleted.
    #[error("the room is deleted")]
    RoomDeleted,
}

/// Why a session is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The peer sent something that no correct client sends.
    Malformed(&'static str),
    /// The token has expired.
    Expired,
    /// The grant does not include being here.
    Forbidden,
    /// The room was deleted.
    RoomDeleted,
    /// The peer holds content of another epoch.
    EpochChanged,
    /// The peer sent too much at once.
    TooLarge,
    /// The room failed and will be opened anew.
    Internal,
    /// The process drains, or cannot take more.
    Unavailable,
    /// Nothing was heard of the peer for too long, or it reads nothing.
    Idle,
    /// The peer is too fast, or holds too much.
    TooFast,
}
