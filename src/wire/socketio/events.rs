//! Owns how change events read in the words of tables and of projects.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::change::{RECORDS, entity_of};
use super::shapes::{ChangeEvent, FieldChange, SyncOp};
use super::{Rack, raw};

/// A change event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event<'a> {
    epoch: &'a str,
    pub version: u64,
    id: &'a str,
    r#type: &'a str,
    #[serde(borrow)]
    collection: Cow<'a, str>,
    #[serde(borrow, default)]
    record_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    changes: Vec<Field<'a>>,
    #[serde(borrow)]
    user_id: Cow<'a, str>,
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    #[serde(borrow, default)]
    op_id: Option<Cow<'a, str>>,
    timestamp: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Field<'a> {
    #[serde(borrow)]
    field: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    old_value: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    new_value: Option<&'a RawValue>,
    #[serde(default)]
    truncated: bool,
}

fn present<'de, D>(value: D) -> Result<Option<&'de RawValue>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    Deserialize::deserialize(value).map(Some)
}

/// `ChangeEvent`.
pub(super) fn change_event(
    event: &Event<'_>,
    room: &str,
    table: &str,
    rack: &impl Rack,
) -> Box<RawValue> {
    let luggage = event.op_id.as_deref().and_then(|op| rack.find(room, op));
    let luggage = luggage.as_deref();
    let quoted = |text: &str| raw(&text);
    let own = [
        ("epoch", Some(quoted(event.epoch))),
        ("clientId", Some(quoted(&event.client_id))),
        ("opId", event.op_id.as_deref().map(quoted)),
        (
            "collection",
            (event.collection != RECORDS).then(|| quoted(&event.collection)),
        ),
    ];
    let given = luggage
        .and_then(|it| it.metadata.as_deref())
        .map(RawValue::get);
    let mut metadata: BTreeMap<String, &RawValue> = given
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    for (name, value) in &own {
        if let Some(value) = value {
            metadata.insert((*name).to_owned(), value);
        }
    }
    let entity_type = match event.record_id {
        Some(_) => entity_of(&event.collection),
        None => "document",
    };
    let changes = event.changes.iter().map(|change| FieldChange {
        field_id: &change.field,
        old_value: change.old_value,
        new_value: change.new_value,
        truncated: change.truncated,
    });
    raw(&ChangeEvent {
        id: event.id,
        r#type: event.r#type,
        entity_type,
        entity_id: event.record_id.as_deref().unwrap_or(&event.collection),
        table_id: table,
        base_id: luggage.and_then(|it| it.base.as_deref()),
        user_id: &event.user_id,
        timestamp: event.timestamp,
        changes: changes.collect(),
        metadata,
        version: event.version,
    })
}

/// `sync:op`.
pub(super) fn sync_op(event: &Event<'_>) -> Box<RawValue> {
    // Of what is deleted, nothing is left.
    let left = event.changes.iter().filter(|_| event.r#type != "delete");
    let data = left.map(|change| (&*change.field, change.new_value));
    raw(&SyncOp {
        id: event.op_id.as_deref().unwrap_or(event.id),
        entity: &event.collection,
        entity_id: event.record_id.as_deref(),
        r#type: &event.r#type.to_ascii_uppercase(),
        data: data.collect(),
        client_id: &event.client_id,
        user_id: &event.user_id,
        server_seq: event.version,
    })
}
