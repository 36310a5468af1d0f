//! Owns how the changes of clients become operations: of a record's fields, of an entity's data.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Kind, Luggage, Unfit};
use crate::ids::RoomId;

/// The collection of a table's records.
pub(super) const RECORDS: &str = "records";

/// A change, as an operation that may lack a name.
#[derive(Debug)]
pub(super) struct Change {
    /// Where.
    pub room: RoomId,
    /// The operation.
    pub operation: Map<String, Value>,
    /// Whether the client named the record.
    pub has_record: bool,
    /// What is passed on with it.
    pub luggage: Option<Luggage>,
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
    #[serde(default)]
    changes: Option<Vec<FieldChange>>,
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
struct FieldChange {
    field_id: String,
    /// Absent is removed, `null` is a value.
    #[serde(default, deserialize_with = "present")]
    new_value: Option<Value>,
}

fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

/// `sync:op`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Operation {
    project_id: String,
    r#type: String,
    entity: Value,
    #[serde(default)]
    entity_id: Option<Value>,
    #[serde(default)]
    data: Map<String, Value>,
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    base_version: Option<Value>,
}

/// A live change: `record_change`. It has seen everything, unless it says otherwise.
pub(super) fn of_record(argument: &str) -> Result<Change, Unfit> {
    let shape = "it is {type, recordId, tableId, baseId, changes?, metadata?}";
    let body: RecordChange<'_> = serde_json::from_str(argument).map_err(|_| Unfit(shape))?;
    let (name, base) = (body.op_id.clone(), body.base_version.clone());
    of_table(body, name, base)
}

/// A change that was made offline: its id is the operation's, its version what the client had seen.
pub(super) fn of_event(argument: &str) -> Result<Change, Unfit> {
    let shape = "a change is {id, type, entityId, tableId, changes?, version?}";
    let body: RecordChange<'_> = serde_json::from_str(argument).map_err(|_| Unfit(shape))?;
    let name = body.op_id.clone().or(body.id.clone());
    let base = body.base_version.clone().or(body.version.clone());
    of_table(body, name, base)
}

fn of_table(
    body: RecordChange<'_>,
    name: Option<Value>,
    base: Option<Value>,
) -> Result<Change, Unfit> {
    let room = Kind::Table.room(&body.table_id)?;
    let collection = match body.entity_type.as_deref() {
        None => RECORDS,
        Some(kind) => collection_of(kind).ok_or(Unfit("entityType is not known"))?,
    };
    let mut operation = Map::new();
    let mut set = |member: &str, value: Value| drop(operation.insert(member.into(), value));
    set("type", action(&body.r#type)?.into());
    set("collection", collection.into());
    let record = body.record_id.or(body.entity_id);
    let has_record = record.is_some();
    if let Some(record) = record {
        set("recordId", record.into());
    }
    let (mut fields, mut unset) = (Map::new(), Vec::new());
    for change in body.changes.unwrap_or_default() {
        match change.new_value {
            Some(value) => drop(fields.insert(change.field_id, value)),
            None => unset.push(Value::String(change.field_id)),
        }
    }
    // Of several changes of a field, the last that sets it holds.
    unset.retain(|name| name.as_str().is_some_and(|name| !fields.contains_key(name)));
    set("fields", fields.into());
    if !unset.is_empty() {
        set("unset", unset.into());
    }
    if let Some(name) = name {
        set("opId", name);
    }
    if let Some(base) = base {
        set("baseVersion", base);
    }
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
        operation,
        has_record,
        luggage: (!is_empty).then_some(luggage),
    })
}

/// A live operation on a project's entity: `sync:op`.
pub(super) fn of_operation(argument: &str) -> Result<Change, Unfit> {
    let shape = "it is {projectId, id?, type, entity, entityId, data}";
    let body: Operation = serde_json::from_str(argument).map_err(|_| Unfit(shape))?;
    let mut operation = Map::new();
    let mut set = |member: &str, value: Value| drop(operation.insert(member.into(), value));
    set("type", action(&body.r#type)?.into());
    set("collection", body.entity);
    let has_record = body.entity_id.is_some();
    if let Some(record) = body.entity_id {
        set("recordId", record);
    }
    set("fields", body.data.into());
    if let Some(name) = body.id {
        set("opId", name);
    }
    if let Some(base) = body.base_version {
        set("baseVersion", base);
    }
    Ok(Change {
        room: Kind::Project.room(&body.project_id)?,
        operation,
        has_record,
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
