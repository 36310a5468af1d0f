//! Owns what the world's users may do, and how narrow it is: every limit is within reach.

use std::sync::Arc;

use roundtable::ids::UnixMillis;
use roundtable::limits::Limits;
use roundtable::room::index::StateVector;
use roundtable::room::{Access, Grant, Identity};

/// See [`Limits::presence_per_room_max`].
pub const PRESENCE_PER_ROOM_MAX: usize = 6;

/// Limits that a few steps reach.
pub fn limits() -> Limits {
    Limits {
        update_bytes_max: 4_096,
        state_vector_bytes_max: 256,
        presence_state_bytes_max: 512,
        presence_per_session_max: 3,
        presence_per_room_max: PRESENCE_PER_ROOM_MAX,
        recent_entries_max: 8,
        entry_bytes_max: 300,
        backlog_bytes_max: 8_000,
        answers_waiting_max: 6,
        sessions_per_room_max: 3,
        snapshot_every_entries: 5,
        sync_chunk_bytes: 200,
        ..Limits::default()
    }
}

/// What a user of the world is let do.
pub fn grant(user: usize, access: Access, expires_at: Option<UnixMillis>) -> Grant {
    Grant {
        identity: Arc::new(Identity {
            user: format!("user {user}").into(),
            name: None,
            color: Some("#123456".into()),
            avatar: None,
            is_guest: user == 0,
        }),
        access,
        expires_at,
    }
}

/// A state vector that the room made.
pub fn parse(state_vector: &[u8]) -> StateVector {
    StateVector::parse(state_vector).expect("rooms send sound state vectors")
}
