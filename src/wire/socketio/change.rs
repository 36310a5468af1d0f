//! Owns how the changes of clients become operations: of a record's fields, of an entity's data.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Kind, Luggage, Unfit};
use crate::ids::RoomId;
use crate::wire::json::present;

/// The collection of a table's records.
pub(super) const RECORDS: &str = "records";

/// A change, as an operation that may lack a name.
#[derive(Debug)]
pub(super) struct Change<'a> {
    /// Where.
    pub room: RoomId,
    /// The operation.
    pub draft: Draft<'a>,
    /// What is passed on with it.
    pub luggage: Option<Luggage>,
}

/// An operation as clients push them. Values go on as they were written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Draft<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op_id: Option<Value>,
    r#type: &'static str,
    collection: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_id: Option<Value>,
    fields: BTreeMap<Cow<'a, str>, &'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unset: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_version: Option<Value>,
}

/// `record_change`, and one of `sync_offline_changes`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordChange<'a> {
    r#type: String,
    table_id: String,
    #[serde(default)]
    record_id: Option<String>,
    #[serde(default)]
    entity_id: Option<String>,
    #[serde(default)]
    entity_type: Option<String>,
    #[serde(borrow, default)]
    base_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    changes: Option<Vec<FieldChange<'a>>>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    op_id: Option<Value>,
    #[serde(default)]
    version: Option<Value>,
    #[serde(default)]
    base_version: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FieldChange<'a> {
    #[serde(borrow)]
    field_id: Cow<'a, str>,
    /// Absent is removed, `null` is a value.
    #[serde(borrow, default, deserialize_with = "present")]
    new_value: Option<&'a RawValue>,
}

/// `sync:op`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Operation<'a> {
    project_id: String,
    r#type: String,
    entity: Value,
    #[serde(default)]
    entity_id: Option<Value>,
    #[serde(borrow, default)]
    data: BTreeMap<Cow<'a, str>, &'a RawValue>,
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    base_version: Option<Value>,
}

/// A live change: `record_change`. It has seen everything, unless it says otherwise.
pub(super) fn of_record(argument: &str) -> Result<Change<'_>, Unfit> {
    let shape = "it is {type, recordId, tableId, baseId, changes?, metadata?}";
    let body: RecordChange<'_> = serde_json::from_str(argument).map_err(|_| Unfit(shape))?;
    let (name, base) = (body.op_id.clone(), body.base_version.clone());
    of_table(body, name, base)
}

/// A change that was made offline: its id is the operation's, its version what the client had seen.
pub(super) fn of_event(argument: &str) -> Result<Change<'_>, Unfit> {
    let shape = "a change is {id, type, entityId, tableId, changes?, version?}";
    let body: RecordChange<'_> = serde_json::from_str(argument).map_err(|_| Unfit(shape))?;
    let name = body.op_id.clone().or(body.id.clone());
    let base = body.base_version.clone().or(body.version.clone());
    of_table(body, name, base)
}

fn of_table(
    body: RecordChange<'_>,
    op_id: Option<Value>,
    base_version: Option<Value>,
) -> Result<Change<'_>, Unfit> {
    let room = Kind::Table.room(&body.table_id)?;
    let collection = match body.entity_type.as_deref() {
        None => RECORDS,
        Some(kind) => collection_of(kind).ok_or(Unfit("entityType is not known"))?,
    };
    let (mut fields, mut unset) = (BTreeMap::new(), Vec::new());
    for change in body.changes.unwrap_or_default() {
        match change.new_value {
            Some(value) => drop(fields.insert(change.field_id, value)),
            None => unset.push(change.field_id),
        }
    }
    // Of several changes of a field, the last that sets it holds.
    unset.retain(|name| !fields.contains_key(name));
    let draft = Draft {
        op_id,
        r#type: action(&body.r#type)?,
        collection: collection.into(),
        record_id: body.record_id.or(body.entity_id).map(Value::String),
        fields,
        unset,
        base_version,
    };
    let luggage = Luggage {
        base: body.base_id.map(ToOwned::to_owned),
        metadata: body
            .metadata
            .filter(|raw| raw.get().starts_with('{'))
            .map(ToOwned::to_owned),
    };
    let is_empty = luggage.base.is_none() && luggage.metadata.is_none();
    Ok(Change {
        room,
        draft,
        luggage: (!is_empty).then_some(luggage),
    })
}

/// A live operation on a project's entity: `sync:op`.
pub(super) fn of_operation(argument: &str) -> Result<Change<'_>, Unfit> {
    let shape = "it is {projectId, id?, type, entity, entityId, data}";
    let body: Operation<'_> = serde_json::from_str(argument).map_err(|_| Unfit(shape))?;
    Ok(Change {
        room: Kind::Project.room(&body.project_id)?,
        draft: Draft {
            op_id: body.id,
            r#type: action(&body.r#type)?,
            collection: body.entity,
            record_id: body.entity_id,
            fields: body.data,
            unset: Vec::new(),
            base_version: body.base_version,
        },
        luggage: None,
    })
}

/// These applications keep records elsewhere, too: an update of one that the room has never seen
/// makes it, and one that was deleted stays so.
fn action(word: &str) -> Result<&'static str, Unfit> {
    match word.to_ascii_lowercase().as_str() {
        "create" => Ok("create"),
        "update" => Ok("save"),
        "delete" => Ok("delete"),
        _ => Err(Unfit("type is none of create, update, delete")),
    }
}

/// The collection of a kind of entity.
fn collection_of(kind: &str) -> Option<&'static str> {
    ENTITIES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(kind))
        .map(|(_, it)| *it)
}

/// The kind of entity of a collection; what has no other is a record.
pub(super) fn entity_of(collection: &str) -> &'static str {
    let found = ENTITIES.iter().find(|(_, it)| *it == collection);
    found.map_or("record", |(name, _)| name)
}

const ENTITIES: &[(&str, &str)] = &[
    ("record", RECORDS),
    ("field", "fields"),
    ("view", "views"),
    ("table", "tables"),
    ("base", "bases"),
];
