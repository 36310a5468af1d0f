//! Owns the conflict log: how it is read, and how a conflict ends: the chosen value is written as
//! an operation, then it is resolved.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::push::{Pushed, Unjudged};
use super::{Denial, Hub, loader, rows};
use crate::ids::{Epoch, OpId, RoomId, Version};
use crate::room::Grant;
use crate::room::entry::{FieldChange, Json, Value};
use crate::room::operation::{Action, Condition, Operation, Place, RecordMeta, Status};
use crate::store::Page;
use crate::store::records::{Conflict, ConflictQuery, ConflictRow, Resolved};

/// Which value shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The one that won.
    Mine,
    /// The one that it wrote over.
    Theirs,
    /// Another one.
    Merged(Json),
}

impl Choice {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Mine => "mine",
            Self::Theirs => "theirs",
            Self::Merged(_) => "merged",
        }
    }
}

/// Why a conflict goes on.
#[derive(Debug)]
pub enum Unresolved {
    /// It ended before, or somebody else is about to end it.
    Resolved,
    /// The value is too long to have been kept.
    Unknown,
    /// The record is gone.
    Gone,
    /// The write was not judged.
    Unjudged(Unjudged),
}

impl From<Denial> for Unresolved {
    fn from(denial: Denial) -> Self {
        Self::Unjudged(Unjudged::Denied(denial))
    }
}

/// Conflicts that are about to end.
#[derive(Debug, Default)]
pub struct Resolving(Mutex<HashSet<Uuid>>);

/// A conflict that is about to end, until this is dropped.
struct Turn<'a>(&'a Resolving, Uuid);

impl Resolving {
    fn turn(&self, id: Uuid) -> Option<Turn<'_>> {
        self.0.lock().insert(id).then(|| Turn(self, id))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.0.lock().remove(&self.1);
    }
}

impl Hub {
    /// Conflicts, the oldest first.
    pub async fn conflicts(&self, query: &ConflictQuery) -> Result<Vec<Conflict>, Denial> {
        let listed = self.shared.store.records().conflicts(query).await;
        self.told("conflicts", listed)
    }

    /// One conflict.
    pub async fn conflict(&self, id: Uuid) -> Result<Option<Conflict>, Denial> {
        let found = self.shared.store.records().conflict(id).await;
        self.told("conflicts", found)
    }

    /// Ends a conflict; whether it was there and not ended yet.
    async fn resolve(&self, id: Uuid, resolved: &Resolved) -> Result<bool, Denial> {
        let done = self.shared.store.records().resolve(id, resolved).await;
        self.told("resolve", done)
    }

    /// Writes what was chosen and ends a conflict; whether its room may be written is asked before.
    /// A retry after half of it was done does the other half.
    pub async fn end_conflict(
        &self,
        conflict: &Conflict,
        grant: Grant,
        client: Option<Arc<str>>,
        choice: Choice,
    ) -> Result<Resolved, Unresolved> {
        let id = conflict.row.id;
        let _turn = self.shared.resolving.turn(id).ok_or(Unresolved::Resolved)?;
        // It may have ended since it was read.
        let ended = |found: Option<Conflict>| found.is_none_or(|it| it.resolved.is_some());
        if ended(self.conflict(id).await?) {
            return Err(Unresolved::Resolved);
        }
        let room = &conflict.room;
        let resolved = Resolved {
            resolution: choice.word().into(),
            by: grant.identity.user.to_string(),
            at: self.now().wall,
        };
        if let Some(operation) = self.write_of(conflict, &grant, choice).await? {
            let pushed = self.push(room, grant, client, vec![operation]).await;
            let Pushed { results, .. } = pushed.map_err(Unresolved::Unjudged)?;
            let status = results.first().map(|result| result.status);
            match status.ok_or(Denial::Internal)? {
                Status::Applied | Status::Merged | Status::Duplicate => {}
                Status::Conflict | Status::Rejected => return Err(Unresolved::Gone),
            }
        }
        if self.resolve(id, &resolved).await? {
            Ok(resolved)
        } else {
            Err(Unresolved::Resolved)
        }
    }

    /// What has to be written, if anything.
    async fn write_of(
        &self,
        conflict: &Conflict,
        grant: &Grant,
        choice: Choice,
    ) -> Result<Option<Operation>, Unresolved> {
        let Conflict { room, row, .. } = conflict;
        let place = rows::place(&row.key);
        let (epoch, meta) = self.standing_of(room, grant, &place).await?;
        let stands = meta.as_ref().is_some_and(|meta| is_standing(meta, row));
        if choice == Choice::Mine && stands {
            return Ok(None);
        }
        let id = name_of(row.id, &choice);
        let value = match choice {
            Choice::Merged(json) => Value::Json(json),
            Choice::Mine => self.kept(room, epoch, row, &row.mine, |it| it.new).await?,
            Choice::Theirs => {
                self.kept(room, epoch, row, &row.theirs, |it| it.old)
                    .await?
            }
        };
        let is_deletion = stands && meta.is_some_and(|meta| meta.is_deleted);
        let field: Arc<str> = row.field.as_str().into();
        let (fields, unset) = match value {
            Value::Json(json) => (BTreeMap::from([(field, json)]), BTreeSet::new()),
            Value::Absent if is_deletion => return Ok(None),
            Value::Absent => (BTreeMap::new(), BTreeSet::from([field])),
            Value::TooLong => return Err(Unresolved::Unknown),
        };
        Ok(Some(Operation {
            id: id.ok_or(Denial::Internal)?,
            // What was written over by the record's deletion brings the record back.
            action: if is_deletion {
                Action::Upsert
            } else {
                Action::Update
            },
            place,
            fields,
            unset,
            condition: Condition::Always,
            wants_record: false,
        }))
    }

    /// The room's epoch, and what is known of a record as of where the room stands, deleted or not.
    async fn standing_of(
        &self,
        room: &RoomId,
        grant: &Grant,
        place: &Place,
    ) -> Result<(Epoch, Option<RecordMeta>), Denial> {
        let (position, row) = self.row(room, grant, place).await?;
        let meta = row.as_ref().map(rows::meta_of).transpose();
        Ok((position.epoch, meta.map_err(|_| Denial::Internal)?))
    }

    /// A value as the conflict has it. What it has not was absent or too long: the log knows.
    async fn kept(
        &self,
        room: &RoomId,
        epoch: Epoch,
        row: &ConflictRow,
        text: &Option<String>,
        side: impl FnOnce(FieldChange) -> Value,
    ) -> Result<Value, Denial> {
        if let Some(text) = text {
            return Ok(Value::Json(Json(text.as_str().into())));
        }
        let after = Version(row.version.0.saturating_sub(1));
        let one = Page {
            rows: 1,
            ..loader::PAGE
        };
        let read = self.shared.store.read(room, epoch, after, one).await;
        let read = self.counted("read", room, read)?;
        let entry = read.first().map(rows::decode).transpose();
        let entry = entry.map_err(|_| Denial::Internal)?;
        let change = entry
            .filter(|entry| entry.version == row.version)
            .into_iter()
            .flat_map(|entry| entry.events)
            .filter(|event| {
                let change = &event.change;
                *change.collection == *row.key.collection
                    && change.record.as_deref() == Some(&row.key.record)
            })
            .flat_map(|event| event.change.fields)
            .find(|change| *change.field == *row.field);
        Ok(change.map_or(Value::TooLong, side))
    }
}

/// Whether what won is still what is there.
fn is_standing(meta: &RecordMeta, row: &ConflictRow) -> bool {
    if meta.is_deleted {
        return meta.version == row.version;
    }
    meta.fields.get(row.field.as_str()) == Some(&row.version)
}

/// The same for every try of the same choice, so that it is written once.
fn name_of(id: Uuid, choice: &Choice) -> Option<OpId> {
    let word = choice.word();
    match choice {
        Choice::Mine | Choice::Theirs => OpId::parse(&format!("conflict:{id}:{word}")),
        Choice::Merged(json) => {
            let hash = Sha256::digest(json.0.as_bytes());
            let hash: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            OpId::parse(&format!("conflict:{id}:{word}:{hash}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cl7_a_choice_has_one_name_and_another_choice_another() {
        let id = Uuid::from_u128(7);
        let merged = |text: &str| Choice::Merged(Json(text.into()));
        let choices = [Choice::Mine, Choice::Theirs, merged("1"), merged("2")];
        let names: HashSet<_> = choices.iter().map(|it| name_of(id, it)).collect();
        assert_eq!(names.len(), 4);
        assert!(!names.contains(&None));
        assert_eq!(name_of(id, &merged("1")), name_of(id, &merged("1")));
    }

    #[test]
    fn cl7_a_conflict_is_about_to_end_once_at_a_time() {
        let resolving = Resolving::default();
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let turn = resolving.turn(one);
        assert!(turn.is_some());
        assert!(resolving.turn(one).is_none());
        assert!(resolving.turn(two).is_some());
        drop(turn);
        assert!(resolving.turn(one).is_some());
    }
}
