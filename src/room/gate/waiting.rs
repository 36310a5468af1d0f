//! Owns what comes to the gate, and who waits for it.

use bytes::Bytes;

use super::super::entry::{Actor, Change};
use super::super::message::Ticket;
use super::super::operation::OpResult;
use crate::ids::{SessionId, UnixMillis, Version};

/// An edit that is merged into the document and not durable yet.
#[derive(Debug)]
pub struct Pending {
    /// Who hears when it is durable.
    pub session: SessionId,
    /// Under which name.
    pub ticket: Ticket,
    /// Who made it.
    pub actor: Actor,
    /// The update as it came.
    pub update: Bytes,
    /// What it did.
    pub changes: Vec<Change>,
    /// When.
    pub at: UnixMillis,
}

/// What a push of operations came to, for who sent it.
#[derive(Debug)]
pub struct Pushed {
    /// Who.
    pub session: SessionId,
    /// Under which name.
    pub ticket: Ticket,
    /// In the order of the operations.
    pub results: Vec<OpResult>,
}

/// Who waits for which version.
#[derive(Debug)]
pub struct Answer {
    /// Who.
    pub session: SessionId,
    /// For what.
    pub ticket: Ticket,
    /// The update, to be given back.
    pub update: Bytes,
    /// The version that includes it.
    pub version: Version,
}
