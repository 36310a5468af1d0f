//! Owns the contract of the record tables: the projection `records`, results of operations, and
//! conflicts.
//!
//! # The contract
//!
//! - **Operations and conflicts are kept with their append**: after [`Appended::Kept`] they are
//!   there, otherwise none of them is. An operation that changed nothing has no row in the log and
//!   is kept all the same. An operation id that the room knows already is left as it was, and so
//!   is a conflict: its id is the same over all tries.
//! - **The projection runs behind the log**: `projected` is the version up to which the records
//!   tell what the log tells. [`Records::project`] moves it, with all records that changed, in one
//!   transaction, and only from where it stands: of two who try, one is told no. A version ahead of
//!   the head is refused, and so is a record that occurs twice.
//! - **One read sees one moment**: what [`Records::recall`] and [`Records::list`] answer, the
//!   version up to which it is projected included, was true at the same time.
//! - **A deleted record stays** with its version, without its fields, until its deletion is pruned.
//! - **Pruning keeps what is not projected**: rows after `projected` stay in the log. Operations
//!   and deleted records are dropped when they are older than `before` and than the oldest row.
//! - **A deletion of the room forgets** its records, operations and conflicts.
//! - **A filter asks for one value**: a string by its bytes, a number by what it counts (`3` finds
//!   3 and 3.0), `true` and `false`. Null, lists and objects are found by none.
//! - **Names have no U+0000** (of collections, records, fields, users, devices), those of
//!   collections and records at most [`NAME_BYTES_MAX`] bytes, and `data` has no U+0000 in any
//!   escape: refused. What `data` says comes back, not how it was spelled.
//!
//! [`Appended::Kept`]: super::Appended::Kept

use std::collections::HashSet;

use async_trait::async_trait;
use serde_json::Value;
use uuid::Uuid;

use super::{Failure, is_beyond_sql};
use crate::ids::{Epoch, NAME_BYTES_MAX, OpId, RoomId, UnixMillis, Version};

/// What a record is found by, within its room.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey {
    /// The collection.
    pub collection: String,
    /// The record's id in it.
    pub record: String,
}

impl RecordKey {
    /// Whether every store can find a record by it: names without U+0000 that fit into an index.
    #[must_use]
    pub fn is_findable(&self) -> bool {
        let mut names = [&self.collection, &self.record].into_iter();
        names.all(|name| name.len() <= NAME_BYTES_MAX && !name.contains('\0'))
    }
}

/// One record as the projection has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// Which.
    pub key: RecordKey,
    /// The version that changed it last.
    pub version: Version,
    /// JSON: `{field: value}`, as far as values are told; `{}` for a deleted record.
    pub data: String,
    /// JSON: `[field]`, those whose values only the document has.
    pub untold: String,
    /// JSON: `{field: version}`, of fields that were removed, too.
    pub field_versions: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// By whom: a user id.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: UnixMillis,
    /// By whom.
    pub updated_by: String,
    /// When it was deleted, if it was.
    pub deleted_at: Option<UnixMillis>,
}

/// The result of an operation, kept so that a retry finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpRow {
    /// The operation.
    pub id: OpId,
    /// The version that the result names.
    pub version: Version,
    /// When it was judged.
    pub at: UnixMillis,
    /// JSON, carried unread.
    pub result: String,
}

/// A write over a concurrent change of the same field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictRow {
    /// Its name.
    pub id: Uuid,
    /// The record.
    pub key: RecordKey,
    /// The field.
    pub field: String,
    /// The write that came later and won: its version.
    pub version: Version,
    /// JSON: what it wrote; nothing when it removed the field.
    pub mine: Option<String>,
    /// JSON: what it overwrote; nothing when the field had been removed.
    pub theirs: Option<String>,
    /// The version that had written that.
    pub theirs_version: Version,
    /// Who won: a user id.
    pub user: String,
    /// On which device.
    pub client: String,
    /// When.
    pub at: UnixMillis,
}

impl ConflictRow {
    /// What it is called by, in the order of the columns.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let ConflictRow {
            key,
            field,
            user,
            client,
            ..
        } = self;
        [&key.collection, &key.record, field, user, client]
            .into_iter()
            .map(String::as_str)
    }

    pub(super) fn versions(&self) -> [Version; 2] {
        [self.version, self.theirs_version]
    }

    pub(super) fn has_nul(&self) -> bool {
        self.names().any(|name| name.contains('\0'))
    }
}

/// A conflict on the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// In which room.
    pub room: RoomId,
    /// What.
    pub row: ConflictRow,
    /// JSON: the actors of the entry that was overwritten, as its log row has them, if that is
    /// still there.
    pub theirs_actors: Option<String>,
    /// How it ended, if it did.
    pub resolved: Option<Resolved>,
}

/// How a conflict ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// `mine`, `theirs` or `merged`.
    pub resolution: String,
    /// By whom: a user id.
    pub by: String,
    /// When.
    pub at: UnixMillis,
}

/// What judging operations needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recall {
    /// The version up to which the records are told; zero when there is no such room.
    pub projected: Version,
    /// Those of the operations that are known.
    pub ops: Vec<OpRow>,
    /// Those of the records that are, or were, there.
    pub records: Vec<RecordRow>,
}

/// In which order records are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordOrder {
    /// By id, in byte order.
    #[default]
    Id,
    /// By the version that changed them last, then by id.
    Update,
}

/// Which records were changed lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// After a version.
    Version(Version),
    /// At this time or later.
    Time(UnixMillis),
}

/// Which records to list: all of one collection that are there, unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordQuery {
    /// The collection.
    pub collection: String,
    /// In which order.
    pub order: RecordOrder,
    /// After this one in that order: its version and its id.
    pub after: Option<(Version, String)>,
    /// Only those changed since.
    pub since: Option<Since>,
    /// Only those whose field is a string, a number or a boolean that reads so: `(field, text)`.
    pub filters: Vec<(String, String)>,
    /// At most so many.
    pub limit: usize,
}

/// Which conflicts to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConflictQuery {
    /// Only of these rooms; of all when nothing is said.
    pub rooms: Option<Vec<RoomId>>,
    /// Only those that are, or are not, resolved.
    pub resolved: Option<bool>,
    /// After this one: they are listed by id, which is by time.
    pub after: Option<Uuid>,
    /// At most so many.
    pub limit: usize,
}

/// Keeps records, results and conflicts. See the module for what every implementation promises.
#[async_trait]
pub trait Records: Send + Sync {
    /// What is known of operations and records, by name; deleted ones, too.
    async fn recall(
        &self,
        room: &RoomId,
        epoch: Epoch,
        ops: &[OpId],
        records: &[RecordKey],
    ) -> Result<Recall, Failure>;

    /// Puts records in the place of those that were there, and moves `projected` from one version
    /// to another, at most to the head. Whether it stood there, in this epoch. The same version
    /// twice puts records right that are wrong.
    async fn project(
        &self,
        room: &RoomId,
        epoch: Epoch,
        from: Version,
        to: Version,
        records: &[RecordRow],
    ) -> Result<bool, Failure>;

    /// Records of a collection that are not deleted, and the version up to which they are told.
    async fn list(
        &self,
        room: &RoomId,
        epoch: Epoch,
        query: &RecordQuery,
    ) -> Result<(Version, Vec<RecordRow>), Failure>;

    /// Conflicts, the oldest first.
    async fn conflicts(&self, query: &ConflictQuery) -> Result<Vec<Conflict>, Failure>;

    /// One conflict.
    async fn conflict(&self, id: Uuid) -> Result<Option<Conflict>, Failure>;

    /// Ends a conflict; whether it was there and not ended yet.
    async fn resolve(&self, id: Uuid, resolved: &Resolved) -> Result<bool, Failure>;
}

/// Holds a caller of [`Records::project`] to the contract.
pub(super) fn checked(
    room: &RoomId,
    from: Version,
    to: Version,
    records: &[RecordRow],
) -> Result<(), Failure> {
    let refused = |what: &str| {
        Err(Failure::Refused(format!(
            "{what} in a projection of {room}"
        )))
    };
    let mut keys = HashSet::with_capacity(records.len());
    for row in records {
        let mut users = [&row.created_by, &row.updated_by].into_iter();
        if !row.key.is_findable() || users.any(|user| user.contains('\0')) {
            return refused("a name that is too long or has U+0000");
        }
        if !keys.insert(&row.key) {
            return refused("a record that occurs twice");
        }
        // Only few texts have the letters, and of these only some the character.
        if row.data.contains("\\u0000") && serde_json::from_str(&row.data).is_ok_and(has_nul) {
            return refused("a value with U+0000");
        }
    }
    let mut versions = records.iter().map(|row| row.version).chain([from, to]);
    if to < from || versions.any(is_beyond_sql) {
        return refused("a version that cannot be");
    }
    Ok(())
}

fn has_nul(value: Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.into_iter().any(has_nul),
        Value::Object(fields) => {
            let mut fields = fields.into_iter();
            fields.any(|(field, value)| field.contains('\0') || has_nul(value))
        }
    }
}

/// Holds a caller of [`Records::resolve`] to the words there are.
pub(super) fn checked_resolution(resolved: &Resolved) -> Result<(), Failure> {
    let Resolved { resolution, by, .. } = resolved;
    if !["mine", "theirs", "merged"].contains(&resolution.as_str()) || by.contains('\0') {
        return Err(Failure::Refused(format!(
            "a conflict does not end as {resolution:?} by {by:?}"
        )));
    }
    Ok(())
}
