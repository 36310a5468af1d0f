//! Owns what the log is made of: entries, and the change events that say what an entry did.

use std::sync::Arc;

use bytes::Bytes;

use crate::ids::{OpId, UnixMillis, Version};

/// A JSON value as canonical text: no white space, object keys in byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(pub Arc<str>);

/// Who is behind a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The authenticated user.
    pub user: Arc<str>,
    /// The device or tab; the connection, when the client named none.
    pub client: Arc<str>,
}

/// What a change did to a record, or to something that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// The record was not there before.
    Create,
    /// Some of its fields are different.
    Update,
    /// The record is gone.
    Delete,
    /// A root that is not a collection changed, or a plain value in one that is.
    Document,
}

/// A value before or after a change, as far as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// There was, or is, nothing.
    Absent,
    /// The value.
    Json(Json),
    /// There is a value, too long to be told.
    TooLong,
}

/// One field's part of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The field.
    pub field: Arc<str>,
    /// Before.
    pub old: Value,
    /// After.
    pub new: Value,
}

/// What one edit did to one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The root it happened in.
    pub collection: Arc<str>,
    /// The record; `None` for a root as a whole.
    pub record: Option<Arc<str>>,
    /// The fields that really changed; empty for [`ChangeKind::Document`].
    pub fields: Vec<FieldChange>,
}

/// A change and who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeEvent {
    /// What happened.
    pub change: Change,
    /// Who did it.
    pub actor: Actor,
}

/// One committed change of a room. The log is a list of entries; the document is its fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub version: Version,
    /// When it was made.
    pub at: UnixMillis,
    /// Everyone behind it, each once.
    pub actors: Vec<Actor>,
    /// The Yjs updates it consists of, byte for byte as they came.
    pub updates: Vec<Bytes>,
    /// The operation that it is, if it is one.
    pub op: Option<OpId>,
    /// What they did, in order.
    pub events: Vec<ChangeEvent>,
}
