//! Owns the dialects: frames to requests, events to frames. Pure: bytes in, bytes out.

pub mod ask;
pub mod columns;
pub mod hocuspocus;
pub mod json;
pub mod messages;
pub mod notice;
pub mod operations;
pub mod present;
pub mod push;
pub mod results;
pub mod socketio;
pub mod stored;
pub mod time;
pub mod websocket;
pub mod whole;
pub mod yjs;

use bytes::Bytes;

use crate::ids::RoomId;
use crate::room::message::{Occasion, Presented};
use crate::room::{End, LiveEvent, Reason, Refusal};

/// What a peer asks for with one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// It says what it has and wants the rest.
    Sync {
        /// A Yjs state vector (v1), unchecked.
        state_vector: Bytes,
    },
    /// It sends a Yjs update.
    Submit {
        /// Why.
        occasion: Occasion,
        /// The update (v1), unchecked.
        update: Bytes,
    },
    /// It says something of its presence.
    Present(Vec<Presented>),
    /// It asks who is here.
    AskPresence,
}

/// The peer broke the protocol: the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// No correct client sends this.
    #[error("{0}")]
    Malformed(&'static str),
    /// More bytes than one message may have.
    #[error("message too large")]
    TooLarge,
}

impl From<Violation> for End {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::Malformed(reason) => Self::Malformed(reason),
            Violation::TooLarge => Self::TooLarge,
        }
    }
}

/// The stable word for an end, a refusal or a reason: in close reasons, problem documents and
/// messages.
pub trait Code {
    /// The word.
    fn code(&self) -> &'static str;
}

impl Code for End {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Expired => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::RoomDeleted => "room_deleted",
            Self::EpochChanged => "epoch_changed",
            Self::TooLarge => "too_large",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::Idle => "idle",
            Self::TooFast => "too_many_requests",
        }
    }
}

impl Code for Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Expired => "unauthenticated",
            Self::Incomplete { .. } => "incomplete",
            Self::Malformed(_) | Self::Quarantined => "malformed",
            Self::TooLarge => "too_large",
            Self::EpochChanged => "epoch_changed",
            Self::Unavailable => "unavailable",
            Self::RoomDeleted => "room_deleted",
        }
    }
}

impl Code for Reason {
    fn code(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::EpochChanged => "epoch_changed",
            Self::Pruned => "pruned",
            Self::Ahead => "ahead",
            Self::TooFarBehind => "too_far_behind",
        }
    }
}

/// The close code of a session's end. At 44xx a client must not come back as it is; at 45xx it
/// comes back with jitter.
#[must_use]
pub fn close_code(end: &End) -> u16 {
    match end {
        End::Malformed(_) => 4400,
        End::Expired => 4401,
        End::Forbidden => 4403,
        End::RoomDeleted => 4404,
        End::EpochChanged => 4409,
        End::TooLarge => 4413,
        End::Internal => 4500,
        End::Unavailable => 4503,
        End::Idle => 4508,
        End::TooFast => 4529,
    }
}

/// A protocol in which live events are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// y-websocket.
    Yjs,
    /// Hocuspocus, to peers who know the document by its room's name.
    Hocuspocus,
}

impl Dialect {
    /// Writes one live event of a room as a whole frame, the same for every connection, or nothing
    /// when the protocol has no place for it. Answers with how many bytes come before what is the
    /// same for every address.
    pub fn write_live(self, room: &RoomId, event: &LiveEvent, out: &mut Vec<u8>) -> usize {
        match (self, event) {
            (Self::Yjs, LiveEvent::Update(update)) => yjs::write_update(out, update),
            (Self::Yjs, LiveEvent::Presence(states)) => yjs::write_presence(out, states),
            (Self::Yjs, LiveEvent::Said(_)) => {}
            (Self::Hocuspocus, event) => return hocuspocus::write_live(out, room, event),
        }
        0
    }
}
