//! Owns the translation between what rooms speak and the rows that stores keep: entries, results of
//! operations, conflicts, records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::ids::{RoomId, UnixMillis};
use crate::room::Entry;
use crate::room::entry::{Json, Value};
use crate::room::operation::{Clash, Done, OpResult, Place, RecordMeta};
use crate::store::Row;
use crate::store::records::{ConflictRow, OpRow, RecordKey, RecordRow};
use crate::wire::{columns, json, results, stored};

/// The row of an entry.
#[must_use]
pub fn encode(entry: &Entry) -> Row {
    Row {
        version: entry.version,
        at: entry.at,
        actors: json::encode_actors(entry),
        ops: json::encode_op(entry.op.as_ref()),
        update: stored::pack(&entry.updates),
        events: json::encode_events(entry),
    }
}

/// The entry of a row; says what is wrong with it otherwise.
pub fn decode(row: &Row) -> Result<Entry, String> {
    let wrong = |what: &str, error: &dyn std::fmt::Display| {
        format!("version {} has unreadable {what}: {error}", row.version)
    };
    Ok(Entry {
        version: row.version,
        at: row.at,
        actors: json::decode_actors(&row.actors).map_err(|error| wrong("actors", &error))?,
        updates: stored::unpack(&row.update).map_err(|error| wrong("updates", &error))?,
        op: json::decode_op(&row.ops).map_err(|error| wrong("operation", &error))?,
        events: json::decode_events(&row.events).map_err(|error| wrong("events", &error))?,
    })
}

/// The row of an operation's result.
#[must_use]
pub fn op(done: &Done) -> OpRow {
    OpRow {
        id: done.result.id.clone(),
        version: done.result.version,
        at: done.at,
        result: results::encode(&done.result),
    }
}

/// The result of a row; says what is wrong with it otherwise.
pub fn result(row: &OpRow) -> Result<OpResult, String> {
    results::decode(row.id.clone(), &row.result).map_err(|error| {
        format!(
            "operation {} has an unreadable result: {error}",
            row.id.as_str()
        )
    })
}

/// The rows of what an operation wrote over.
pub fn conflicts<'a>(room: &'a RoomId, done: &'a Done) -> impl Iterator<Item = ConflictRow> + 'a {
    done.result.clashes.iter().map(move |clash| ConflictRow {
        id: conflict_id(room, done, clash),
        key: RecordKey {
            collection: done.collection.to_string(),
            record: done.result.record.to_string(),
        },
        field: clash.field.to_string(),
        version: done.result.version,
        mine: text(&clash.mine),
        theirs: text(&clash.theirs),
        theirs_version: clash.theirs_version,
        user: done.actor.user.to_string(),
        client: done.actor.client.to_string(),
        at: done.at,
    })
}

/// The same in every try of an append, and later for later conflicts: a UUID of version 7 whose
/// random part is a hash.
fn conflict_id(room: &RoomId, done: &Done, clash: &Clash) -> Uuid {
    let mut hash = Sha256::new();
    for part in [room.as_str(), done.result.id.as_str(), &*clash.field] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    let mut random = [0; 10];
    random.copy_from_slice(&hash[..10]);
    uuid::Builder::from_unix_timestamp_millis(done.at.0.max(0) as u64, &random).into_uuid()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Json(json) => Some(json.0.to_string()),
        Value::Absent | Value::TooLong => None,
    }
}

/// What finds a record in the store.
#[must_use]
pub fn key(place: &Place) -> RecordKey {
    RecordKey {
        collection: place.collection.to_string(),
        record: place.record.to_string(),
    }
}

/// Where a row's record is in the document.
#[must_use]
pub fn place(key: &RecordKey) -> Place {
    Place {
        collection: key.collection.as_str().into(),
        record: key.record.as_str().into(),
    }
}

/// What a row says of a record beside its values.
pub fn meta_of(row: &RecordRow) -> Result<RecordMeta, String> {
    Ok(RecordMeta {
        version: row.version,
        fields: columns::decode_versions(&row.field_versions).map_err(|it| wrong(row, &it))?,
        created_at: row.created_at,
        created_by: row.created_by.as_str().into(),
        updated_at: row.updated_at,
        updated_by: row.updated_by.as_str().into(),
        is_deleted: row.deleted_at.is_some(),
    })
}

fn wrong(row: &RecordRow, error: &dyn std::fmt::Display) -> String {
    let RecordKey { collection, record } = &row.key;
    format!("record {record} of {collection} is unreadable: {error}")
}

/// Values by field, and the fields whose values are not told.
pub type Values = (BTreeMap<Arc<str>, Json>, BTreeSet<Arc<str>>);

/// A record's values, as far as the row tells them.
pub fn values_in(row: &RecordRow) -> Result<Values, String> {
    let fields = columns::decode_fields(&row.data).map_err(|it| wrong(row, &it))?;
    let untold = columns::decode_names(&row.untold).map_err(|it| wrong(row, &it))?;
    Ok((fields, untold))
}

/// The row of a record.
#[must_use]
pub fn record(
    key: RecordKey,
    meta: &RecordMeta,
    fields: &BTreeMap<Arc<str>, Json>,
    untold: &BTreeSet<Arc<str>>,
) -> RecordRow {
    let deleted_at: Option<UnixMillis> = meta.is_deleted.then_some(meta.updated_at);
    RecordRow {
        key,
        version: meta.version,
        data: columns::encode_fields(fields),
        untold: columns::encode_names(untold),
        field_versions: columns::encode_versions(&meta.fields),
        created_at: meta.created_at,
        created_by: meta.created_by.to_string(),
        updated_at: meta.updated_at,
        updated_by: meta.updated_by.to_string(),
        deleted_at,
    }
}
