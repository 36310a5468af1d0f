//! Owns what clients without Yjs do to records: operations, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::entry::{Actor, Change, ChangeKind, Json, Value};
use crate::ids::{OpId, UnixMillis, Version};

/// A record's place: its collection, and its id in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The collection.
    pub collection: Arc<str>,
    /// The record's id.
    pub record: Arc<str>,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Makes a record that is not there.
    Create,
    /// Sets and removes fields of one that is.
    Update,
    /// The one or the other.
    Upsert,
    /// As `Upsert`, but of a record that was never there: a deleted one stays so.
    Save,
    /// As `Upsert`, and removes every field that is not given.
    Replace,
    /// Takes the record away.
    Delete,
    /// Adds numbers to fields.
    Increment,
}

/// What to do when something changed after the version that the client has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// Field by field, the last write wins; what was overwritten is logged.
    #[default]
    Merge,
    /// Nothing is applied if a field changed on both sides.
    Reject,
    /// Nothing is applied if the record changed at all.
    Strict,
}

/// What must be true for an operation to be applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Condition {
    /// Nothing.
    #[default]
    Always,
    /// What the client has seen, and what to do when there is more.
    Since {
        /// The last version that it has seen.
        base: Version,
        /// What to do.
        on_conflict: OnConflict,
    },
    /// The record is there, at one of these versions.
    At(BTreeSet<Version>),
    /// The record is there.
    Exists,
    /// It is not.
    Missing,
}

/// One operation on one record, well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its name: it is applied once under it.
    pub id: OpId,
    /// What it does.
    pub action: Action,
    /// To which record.
    pub place: Place,
    /// Values, or numbers to add. None of a name in `unset`.
    pub fields: BTreeMap<Arc<str>, Json>,
    /// Fields to remove.
    pub unset: BTreeSet<Arc<str>>,
    /// When.
    pub condition: Condition,
    /// Whether the result has the record, also when all is well.
    pub wants_record: bool,
}

impl Operation {
    /// About how many bytes of memory it takes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let fields = self
            .fields
            .iter()
            .map(|(name, value)| name.len() + value.0.len() + 64);
        let unset = self.unset.iter().map(|name| name.len() + 32);
        256 + fields.sum::<usize>() + unset.sum::<usize>()
    }
}

/// What became of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was applied, and nothing had changed since.
    Applied,
    /// It was applied to a record that had changed since.
    Merged,
    /// An operation of this name was judged before: this is its result.
    Duplicate,
    /// Nothing was applied, as something had changed since.
    Conflict,
    /// Nothing was applied.
    Rejected,
}

/// Why nothing was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// There is no such record.
    #[error("there is no such record")]
    NotFound,
    /// There is one already, or something that is none.
    #[error("{0}")]
    Taken(&'static str),
    /// The operation makes no sense here.
    #[error("{0}")]
    Malformed(&'static str),
    /// The record is not as the condition says.
    #[error("the record is at another version")]
    PreconditionFailed,
}

/// A field that changed on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// The field.
    pub field: Arc<str>,
    /// What the operation writes, or would have written.
    pub mine: Value,
    /// What is, or was, there.
    pub theirs: Value,
    /// The version that wrote that.
    pub theirs_version: Version,
}

/// A record as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portrayal {
    /// Where.
    pub place: Place,
    /// Its fields: a JSON object.
    pub fields: Json,
    /// Since when, and by whom.
    pub meta: RecordMeta,
}

/// What became of an operation, in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpResult {
    /// Which operation.
    pub id: OpId,
    /// What became of it.
    pub status: Status,
    /// The record's id.
    pub record: Arc<str>,
    /// The record's version after it; zero when there is none.
    pub version: Version,
    /// Whether the operation made the record.
    pub is_made: bool,
    /// Fields that changed on both sides.
    pub clashes: Vec<Clash>,
    /// The record as it stands, with every conflict and when it was asked for.
    pub portrayal: Option<Arc<Portrayal>>,
    /// Why nothing was applied.
    pub objection: Option<Objection>,
    /// The store told it: it is where it is, whoever else is faster.
    pub is_recalled: bool,
}

impl OpResult {
    /// About how many bytes of memory it takes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let bytes = |value: &Value| match value {
            Value::Json(json) => json.0.len(),
            Value::Absent | Value::TooLong => 0,
        };
        let clashes = self.clashes.iter();
        let clashes = clashes.map(|it| 128 + bytes(&it.mine) + bytes(&it.theirs));
        let portrayal = self.portrayal.as_ref();
        256 + clashes.sum::<usize>() + portrayal.map_or(0, |it| it.fields.0.len())
    }

    /// Others were faster: what was to come after a head comes so much later.
    pub(super) fn shift(&mut self, head: Version, by: u64) {
        if !self.is_recalled {
            let theirs = self.clashes.iter_mut().map(|it| &mut it.theirs_version);
            for version in theirs.chain([&mut self.version]) {
                if *version > head {
                    version.0 += by;
                }
            }
        }
        if let Some(portrayal) = &mut self.portrayal {
            Arc::make_mut(portrayal).meta.shift(head, by);
        }
    }
}

/// A result that is to be kept, and what is kept with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The result.
    pub result: OpResult,
    /// In which collection.
    pub collection: Arc<str>,
    /// Who did it.
    pub actor: Actor,
    /// When.
    pub at: UnixMillis,
}

/// What is known of a record beside its values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordMeta {
    /// The version that changed it last.
    pub version: Version,
    /// The version that changed each field last, of fields that were removed, too.
    pub fields: BTreeMap<Arc<str>, Version>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// By whom.
    pub created_by: Arc<str>,
    /// When it was last changed.
    pub updated_at: UnixMillis,
    /// By whom.
    pub updated_by: Arc<str>,
    /// Whether it was deleted.
    pub is_deleted: bool,
}

impl RecordMeta {
    fn shift(&mut self, head: Version, by: u64) {
        for version in self.fields.values_mut().chain([&mut self.version]) {
            if *version > head {
                version.0 += by;
            }
        }
    }

    /// No version is after a head.
    pub(super) fn cap(&mut self, head: Version) {
        for version in self.fields.values_mut().chain([&mut self.version]) {
            *version = head.min(*version);
        }
    }

    /// What is known after a change, beside what was known before; the same for whoever folds it.
    #[must_use]
    pub fn fold(
        before: Option<Self>,
        change: &Change,
        version: Version,
        at: UnixMillis,
        user: &Arc<str>,
    ) -> Option<Self> {
        let mut meta = match (change.kind, before) {
            (ChangeKind::Document, before) => return before,
            (ChangeKind::Create, _) | (_, None) => Self {
                created_at: at,
                created_by: user.clone(),
                ..Self::default()
            },
            (ChangeKind::Update | ChangeKind::Delete, Some(meta)) => meta,
        };
        meta.version = version;
        meta.updated_at = at;
        meta.updated_by = user.clone();
        meta.is_deleted = change.kind == ChangeKind::Delete;
        if meta.is_deleted {
            meta.fields.clear();
        } else {
            let changed = change.fields.iter().map(|it| (it.field.clone(), version));
            meta.fields.extend(changed);
        }
        Some(meta)
    }
}
