//! Owns the projection: the store's records, written behind from the log's change events.
//!
//! A room whose records changed is marked; twice a second what is marked is caught up. Who needs
//! more (a list, an operation, a pruning) catches up by itself: there is one way to do it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use dashmap::DashMap;
use futures_util::{StreamExt, stream};

use super::{loader, rows};
use crate::ids::{Epoch, OpId, RoomId, UnixMillis, Version};
use crate::room::Document;
use crate::room::entry::{Change, ChangeKind, Entry, FieldChange, Json, Value};
use crate::room::operate::Recalled;
use crate::room::operation::{Place, RecordMeta};
use crate::store::records::{RecordKey, RecordRow};
use crate::store::{Failure, Store};

/// How often what is marked is written: half of the second that it may be behind.
const EVERY: Duration = Duration::from_millis(500);

/// Rooms that are written at the same time: the store has other things to do.
const ROOMS_AT_ONCE: usize = 4;

/// Two who project one room at once do not both succeed; so often in a row nobody loses.
const TRIES_MAX: usize = 16;

/// Rooms whose records changed since they were written.
#[derive(Debug, Default)]
pub struct Projector {
    marked: DashMap<RoomId, (Epoch, Version)>,
}

impl Projector {
    /// A projector that writes behind as long as somebody holds it.
    #[must_use]
    pub fn start(store: Arc<dyn Store>) -> Arc<Self> {
        let projector = Arc::new(Self::default());
        tokio::spawn(write_behind(Arc::downgrade(&projector), store));
        projector
    }

    /// Entries are durable: if they changed records, those are to be written.
    pub fn mark(&self, room: &RoomId, epoch: Epoch, entries: &[Arc<Entry>]) {
        let changed = entries.iter().rev().find(|entry| {
            let mut events = entry.events.iter();
            events.any(|event| event.change.record.is_some())
        });
        if let Some(entry) = changed {
            self.marked.insert(room.clone(), (epoch, entry.version));
        }
    }
}

async fn write_behind(projector: Weak<Projector>, store: Arc<dyn Store>) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Some(projector) = projector.upgrade() else {
            return;
        };
        let mut marked = Vec::new();
        projector.marked.retain(|room, mark| {
            marked.push((room.clone(), *mark));
            false
        });
        let projector = &projector;
        let store = &store;
        stream::iter(marked)
            .for_each_concurrent(ROOMS_AT_ONCE, |(room, (epoch, through))| async move {
                match project(store, &room, epoch, through).await {
                    Ok(_) => {}
                    // The database is away: next time, unless there is a later mark by then.
                    Err(Failure::Unavailable(_)) => {
                        projector.marked.entry(room).or_insert((epoch, through));
                    }
                    // Who reads the records is told, and `check` says what is wrong.
                    Err(failure) => tracing::error!(%room, %failure, "records were not written"),
                }
            })
            .await;
    }
}

/// Writes what the log tells of records up to a version, if it is not written. Returns the version
/// up to which records are written then: less when the room is another one by now, or gone.
pub async fn project(
    store: &Arc<dyn Store>,
    room: &RoomId,
    epoch: Epoch,
    through: Version,
) -> Result<Version, Failure> {
    let records = store.records();
    for _ in 0..TRIES_MAX {
        let mut from = records.recall(room, epoch, &[], &[]).await?.projected;
        while from < through {
            let Some((to, changed)) = next(store, room, epoch, from, through).await? else {
                return Ok(from);
            };
            if !records.project(room, epoch, from, to, &changed).await? {
                break;
            }
            from = to;
        }
        if from >= through {
            return Ok(from);
        }
    }
    Err(Failure::Unavailable(format!(
        "others write the records of {room}"
    )))
}

type Changed = (Version, Vec<RecordRow>);

/// The records after a page of the log, and its last version; nothing when the room is gone.
async fn next(
    store: &Arc<dyn Store>,
    room: &RoomId,
    epoch: Epoch,
    from: Version,
    through: Version,
) -> Result<Option<Changed>, Failure> {
    let read = store.read(room, epoch, from, loader::PAGE).await?;
    let entries: Result<Vec<_>, _> = read.iter().map(rows::decode).collect();
    let entries = entries.map_err(Failure::Corrupt)?;
    let Some(to) = entries.last().map(|entry| entry.version) else {
        return whole(store, room, epoch, from, through).await;
    };
    let keys: BTreeSet<RecordKey> = entries.iter().flat_map(keys_in).collect();
    let keys: Vec<RecordKey> = keys.into_iter().collect();
    let known = store.records().recall(room, epoch, &[], &keys).await?;
    Ok(Some((to, fold(&known.records, &entries)?)))
}

/// The records of a room whose log was pruned before there was a projection: as the document has
/// them, made and changed when nobody knows, by nobody.
async fn whole(
    store: &Arc<dyn Store>,
    room: &RoomId,
    epoch: Epoch,
    from: Version,
    through: Version,
) -> Result<Option<Changed>, Failure> {
    let opened = loader::load_until(store, room, 1, epoch, through).await?;
    let standing = opened.standing;
    let is_there = standing.epoch == epoch && standing.head > from;
    Ok(is_there.then(|| (standing.head, rows_of(&opened.document, standing.head))))
}

/// The records of a document, as if all were made at a version, by nobody.
#[must_use]
pub fn rows_of(document: &Document, version: Version) -> Vec<RecordRow> {
    let mut written = Vec::new();
    for (place, fields) in document.records() {
        let fields = fields.into_iter().map(|(field, new)| FieldChange {
            field,
            old: Value::Absent,
            new,
        });
        let change = Change {
            kind: ChangeKind::Create,
            collection: place.collection,
            record: Some(place.record),
            fields: fields.collect(),
        };
        if let Some(key) = key_of(&change) {
            let mut record = Projected::default();
            record.take(&change, version, UnixMillis(0), &Arc::from(""));
            written.extend(record.into_row(key));
        }
    }
    written
}

/// What the store knows of operations and records, once these are written up to a version.
pub async fn recall(
    store: &Arc<dyn Store>,
    room: &RoomId,
    epoch: Epoch,
    through: Option<Version>,
    operations: &[OpId],
    places: &[Place],
) -> Result<Recalled, Failure> {
    if let Some(through) = through.filter(|through| *through > Version::ZERO) {
        project(store, room, epoch, through).await?;
    }
    let keys: Vec<RecordKey> = places.iter().map(rows::key).collect();
    let known = store
        .records()
        .recall(room, epoch, operations, &keys)
        .await?;
    let results = known.ops.iter().map(rows::result);
    let metas = known.records.iter();
    let metas = metas.map(|row| Ok((rows::place(&row.key), rows::meta_of(row)?)));
    Ok(Recalled {
        as_of: known.projected,
        results: results
            .collect::<Result<_, _>>()
            .map_err(Failure::Corrupt)?,
        records: metas.collect::<Result<_, _>>().map_err(Failure::Corrupt)?,
    })
}

/// The records that an entry changed.
fn keys_in(entry: &Entry) -> impl Iterator<Item = RecordKey> {
    entry
        .events
        .iter()
        .filter_map(|event| key_of(&event.change))
}

/// What finds the record that changed. One that a store cannot find is in the document alone: Yjs
/// clients name records as they like.
fn key_of(change: &Change) -> Option<RecordKey> {
    let key = RecordKey {
        collection: change.collection.to_string(),
        record: change.record.as_deref()?.to_owned(),
    };
    key.is_findable().then_some(key)
}

/// The records after entries, those that they changed.
fn fold(known: &[RecordRow], entries: &[Entry]) -> Result<Vec<RecordRow>, Failure> {
    let mut records = HashMap::new();
    for row in known {
        let record = Projected::read(row).map_err(Failure::Corrupt)?;
        records.insert(row.key.clone(), record);
    }
    for entry in entries {
        for event in &entry.events {
            if let Some(key) = key_of(&event.change) {
                let record: &mut Projected = records.entry(key).or_default();
                record.take(&event.change, entry.version, entry.at, &event.actor.user);
            }
        }
    }
    let written = records.into_iter();
    Ok(written
        .filter_map(|(key, record)| record.into_row(key))
        .collect())
}

/// A record as it is projected.
#[derive(Debug, Default)]
struct Projected {
    meta: Option<RecordMeta>,
    fields: BTreeMap<Arc<str>, Json>,
    untold: BTreeSet<Arc<str>>,
}

impl Projected {
    fn read(row: &RecordRow) -> Result<Self, String> {
        let (fields, untold) = rows::values_in(row)?;
        Ok(Self {
            meta: Some(rows::meta_of(row)?),
            fields,
            untold,
        })
    }

    fn take(&mut self, change: &Change, version: Version, at: UnixMillis, user: &Arc<str>) {
        let was_there = self.meta.as_ref().is_some_and(|meta| !meta.is_deleted);
        self.meta = RecordMeta::fold(self.meta.take(), change, version, at, user);
        if !was_there || change.kind != ChangeKind::Update {
            self.fields.clear();
            self.untold.clear();
        }
        if change.kind == ChangeKind::Delete {
            return;
        }
        for field in &change.fields {
            self.fields.remove(&field.field);
            self.untold.remove(&field.field);
            match &field.new {
                Value::Absent => {}
                // What Postgres' `jsonb` cannot hold is read from the document, too.
                Value::Json(json) if is_plain(&field.field, json) => {
                    self.fields.insert(field.field.clone(), json.clone());
                }
                Value::Json(_) | Value::TooLong => {
                    self.untold.insert(field.field.clone());
                }
            }
        }
    }

    fn into_row(self, key: RecordKey) -> Option<RecordRow> {
        let meta = self.meta?;
        Some(rows::record(key, &meta, &self.fields, &self.untold))
    }
}

fn is_plain(name: &str, value: &Json) -> bool {
    !name.contains('\0') && !value.0.contains("\\u0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(collection: &str, record: Option<&str>) -> Option<RecordKey> {
        key_of(&Change {
            kind: ChangeKind::Create,
            collection: collection.into(),
            record: record.map(Arc::from),
            fields: Vec::new(),
        })
    }

    #[test]
    fn rc7_a_record_that_no_store_finds_is_in_the_document_alone() {
        let longest = "ä".repeat(127) + "x";
        for (collection, record) in [("tasks", "a"), ("", ""), (&*longest, &*longest)] {
            let found = RecordKey {
                collection: collection.into(),
                record: record.into(),
            };
            assert_eq!(key(collection, Some(record)), Some(found));
        }
        let longer = longest.clone() + "x";
        for (collection, record) in [
            ("tasks", &*longer),
            (&*longer, "a"),
            ("a\0", "a"),
            ("a", "\0"),
        ] {
            assert_eq!(key(collection, Some(record)), None);
        }
        assert_eq!(key("tasks", None), None);
    }
}
