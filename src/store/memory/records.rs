//! Owns records, results of operations and conflicts in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;
use uuid::Uuid;

use super::super::filter::{Filter, filters};
use super::super::records::{
    Conflict, ConflictQuery, ConflictRow, OpRow, Recall, RecordKey, RecordOrder, RecordQuery,
    RecordRow, Records, Resolved, Since, checked, checked_resolution,
};
use super::super::{Failure, ahead};
use super::{Kept, Memory, Shelf, is_json};
use crate::ids::{Epoch, OpId, RoomId, UnixMillis, Version};

/// What is told of one room.
#[derive(Default)]
pub(super) struct Told {
    pub(super) projected: Version,
    records: BTreeMap<RecordKey, RecordRow>,
    ops: BTreeMap<OpId, OpRow>,
}

/// Conflicts of all rooms.
#[derive(Default)]
pub(super) struct Conflicts {
    by_id: BTreeMap<Uuid, (RoomId, ConflictRow, Option<Resolved>)>,
}

impl Told {
    pub(super) fn keep(&mut self, ops: &[OpRow]) {
        for op in ops {
            self.ops.entry(op.id.clone()).or_insert_with(|| op.clone());
        }
    }

    pub(super) fn prune(&mut self, oldest: Version, before: UnixMillis) {
        self.ops
            .retain(|_, op| op.version >= oldest || op.at >= before);
        self.records.retain(|_, row| {
            let is_old = row.deleted_at.is_some_and(|deleted| deleted < before);
            row.version >= oldest || !is_old
        });
    }
}

impl Conflicts {
    pub(super) fn keep(&mut self, room: &RoomId, rows: &[ConflictRow]) {
        for row in rows {
            let conflict = || (room.clone(), row.clone(), None);
            self.by_id.entry(row.id).or_insert_with(conflict);
        }
    }

    pub(super) fn remove_room(&mut self, room: &RoomId) {
        self.by_id.retain(|_, (of, _, _)| of != room);
    }
}

impl Shelf {
    fn told(&self, room: &RoomId, epoch: Epoch) -> Option<&Told> {
        let kept = self.rooms.get(room)?;
        (kept.head.epoch == epoch).then_some(&kept.told)
    }

    /// A conflict as it is listed.
    fn conflict(&self, id: &Uuid) -> Option<Conflict> {
        let (room, row, resolved) = self.conflicts.by_id.get(id)?;
        let log = self.rooms.get(room).map(|kept| &kept.log);
        let theirs = log.and_then(|log| log.get(&row.theirs_version));
        Some(Conflict {
            room: room.clone(),
            row: row.clone(),
            theirs_actors: theirs.map(|(_, row)| row.actors.clone()),
            resolved: resolved.clone(),
        })
    }
}

#[async_trait]
impl Records for Memory {
    async fn recall(
        &self,
        room: &RoomId,
        epoch: Epoch,
        ops: &[OpId],
        records: &[RecordKey],
    ) -> Result<Recall, Failure> {
        let shelf = self.shelf.lock();
        let Some(told) = shelf.told(room, epoch) else {
            return Ok(Recall::default());
        };
        let ops: BTreeMap<_, _> = ops
            .iter()
            .filter_map(|id| told.ops.get_key_value(id))
            .collect();
        let records: BTreeMap<_, _> = records
            .iter()
            .filter_map(|key| told.records.get_key_value(key))
            .collect();
        Ok(Recall {
            projected: told.projected,
            ops: ops.into_values().cloned().collect(),
            records: records.into_values().cloned().collect(),
        })
    }

    async fn project(
        &self,
        room: &RoomId,
        epoch: Epoch,
        from: Version,
        to: Version,
        records: &[RecordRow],
    ) -> Result<bool, Failure> {
        checked(room, from, to, records)?;
        for row in records {
            is_json(&row.data)?;
            is_json(&row.untold)?;
            is_json(&row.field_versions)?;
        }
        let mut shelf = self.shelf.lock();
        let Some(Kept { head, told, .. }) = shelf.rooms.get_mut(room) else {
            return Ok(false);
        };
        if (head.epoch, told.projected) != (epoch, from) {
            return Ok(false);
        }
        if to > head.version {
            return Err(ahead(room, to, head.version));
        }
        told.projected = to;
        for row in records {
            told.records.insert(row.key.clone(), row.clone());
        }
        Ok(true)
    }

    async fn list(
        &self,
        room: &RoomId,
        epoch: Epoch,
        query: &RecordQuery,
    ) -> Result<(Version, Vec<RecordRow>), Failure> {
        let shelf = self.shelf.lock();
        let Some(told) = shelf.told(room, epoch) else {
            return Ok((Version::ZERO, Vec::new()));
        };
        let mut rows = Vec::new();
        if let Some(filters) = filters(query) {
            let all = told.records.values();
            rows.extend(all.filter(|row| is_asked_for(query, &filters, row)));
        }
        rows.sort_by(|one, other| place(query.order, one).cmp(&place(query.order, other)));
        let page = rows.into_iter().take(query.limit).cloned().collect();
        Ok((told.projected, page))
    }

    async fn conflicts(&self, query: &ConflictQuery) -> Result<Vec<Conflict>, Failure> {
        let shelf = self.shelf.lock();
        let conflicts = shelf.conflicts.by_id.iter();
        let asked_for = conflicts.filter(|(id, (room, _, resolved))| {
            query
                .rooms
                .as_ref()
                .is_none_or(|rooms| rooms.contains(room))
                && query.resolved.is_none_or(|is| is == resolved.is_some())
                && query.after.is_none_or(|after| **id > after)
        });
        let page = asked_for.take(query.limit);
        Ok(page.filter_map(|(id, _)| shelf.conflict(id)).collect())
    }

    async fn conflict(&self, id: Uuid) -> Result<Option<Conflict>, Failure> {
        Ok(self.shelf.lock().conflict(&id))
    }

    async fn resolve(&self, id: Uuid, resolved: &Resolved) -> Result<bool, Failure> {
        checked_resolution(resolved)?;
        let mut shelf = self.shelf.lock();
        match shelf.conflicts.by_id.get_mut(&id) {
            Some((_, _, ended @ None)) => {
                *ended = Some(resolved.clone());
                Ok(true)
            }
            Some((_, _, Some(_))) | None => Ok(false),
        }
    }
}

/// Where a record stands in an order.
fn place(order: RecordOrder, row: &RecordRow) -> (Version, &str) {
    let record = row.key.record.as_str();
    match order {
        RecordOrder::Id => (Version::ZERO, record),
        RecordOrder::Update => (row.version, record),
    }
}

fn is_asked_for(query: &RecordQuery, filters: &[Filter<'_>], row: &RecordRow) -> bool {
    let is_after = match (&query.after, query.order) {
        (None, _) => true,
        (Some((_, after)), RecordOrder::Id) => row.key.record > *after,
        (Some((version, after)), RecordOrder::Update) => {
            (row.version, &row.key.record) > (*version, after)
        }
    };
    let is_since = match query.since {
        None => true,
        Some(Since::Version(version)) => row.version > version,
        Some(Since::Time(at)) => row.updated_at >= at,
    };
    row.key.collection == query.collection
        && row.deleted_at.is_none()
        && is_after
        && is_since
        && (filters.is_empty() || passes(filters, row))
}

fn passes(filters: &[Filter<'_>], row: &RecordRow) -> bool {
    let fields: Value = serde_json::from_str(&row.data).unwrap_or_default();
    filters.iter().all(|filter| filter.passes(&fields))
}

/// See [`is_json`].
pub(super) fn are_json(ops: &[OpRow], conflicts: &[ConflictRow]) -> Result<(), Failure> {
    let results = ops.iter().map(|op| &op.result);
    let values = conflicts
        .iter()
        .flat_map(|row| row.mine.iter().chain(&row.theirs));
    results.chain(values).try_for_each(|text| is_json(text))
}
