//! Owns the contract of the audit log: who was let in or refused, and what admins did.
//!
//! # The contract
//!
//! - **A line is kept for good**, until it is older than the retention; it is never changed.
//! - **Lines come back newest first**, by number.
//! - **Whatever was tried can be said**: U+0000 in a text is kept as U+FFFD, as not every database
//!   takes it; `detail` is JSON and may have it as an escape.

use async_trait::async_trait;

use super::Failure;
use crate::ids::UnixMillis;

/// Lines that one call of [`Audit::forget`] drops: other writers get their turn in between.
pub const FORGET_MAX: usize = 5_000;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// When.
    pub at: UnixMillis,
    /// A word: what was done, or tried.
    pub action: String,
    /// Who: a user id, if one is known.
    pub user: Option<String>,
    /// In which room, if in one. Not parsed: what was tried may be no name.
    pub room: Option<String>,
    /// Whether it was allowed.
    pub is_allowed: bool,
    /// From where: an address.
    pub address: Option<String>,
    /// JSON: what else there is to say.
    pub detail: String,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    /// Its number, given by the store.
    pub id: i64,
    /// What happened.
    pub event: AuditEvent,
}

/// Which lines to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditQuery {
    /// Only of this room.
    pub room: Option<String>,
    /// Only of this user.
    pub user: Option<String>,
    /// Only before this line.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// Keeps the audit log. See the module for what every implementation promises.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Adds lines.
    async fn record(&self, events: &[AuditEvent]) -> Result<(), Failure>;

    /// Reads lines.
    async fn lines(&self, query: &AuditQuery) -> Result<Vec<AuditLine>, Failure>;

    /// Drops lines from before a time, at most [`FORGET_MAX`] in one call. Returns how many.
    async fn forget(&self, before: UnixMillis) -> Result<u64, Failure>;
}

/// An event with texts that every database takes.
pub(super) fn kept(event: &AuditEvent) -> AuditEvent {
    AuditEvent {
        at: event.at,
        action: without_nul(&event.action),
        user: event.user.as_deref().map(without_nul),
        room: event.room.as_deref().map(without_nul),
        is_allowed: event.is_allowed,
        address: event.address.as_deref().map(without_nul),
        detail: event.detail.clone(),
    }
}

impl AuditQuery {
    /// A query for texts as they are kept.
    pub(super) fn kept(&self) -> Self {
        Self {
            room: self.room.as_deref().map(without_nul),
            user: self.user.as_deref().map(without_nul),
            ..*self
        }
    }
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
