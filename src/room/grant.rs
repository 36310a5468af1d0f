//! Owns what a token lets its bearer do in one room. Made by `auth`, asked by the room.

use std::sync::Arc;

use crate::ids::UnixMillis;

/// How far a grant goes. Each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// May read, listen and be present.
    Read,
    /// May also change the document and send messages.
    Write,
    /// May also delete the room.
    Admin,
}

/// Who is behind a session, as the token says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user's id: the token's `sub`.
    pub user: Arc<str>,
    /// The name to show.
    pub name: Option<Arc<str>>,
    /// The colour to show; one is made from the user's id if there is none.
    pub color: Option<Arc<str>>,
    /// The address of a picture.
    pub avatar: Option<Arc<str>>,
    /// A guest of `--dev`, who has no token and may call themselves what they like.
    pub is_guest: bool,
}

/// Subject, access and expiry, for one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who.
    pub identity: Arc<Identity>,
    /// May do what.
    pub access: Access,
    /// Until when; `None` only for guests of `--dev`.
    pub expires_at: Option<UnixMillis>,
}
