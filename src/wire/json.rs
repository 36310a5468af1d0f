//! Owns the JSON twins of what rooms say: change events, as the log keeps them and as clients read
//! them.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::time::rfc3339;
use crate::ids::{Epoch, OpId, RoomId};
use crate::room::Entry;
use crate::room::entry::{Actor, Change, ChangeEvent, ChangeKind, FieldChange, Json, Value};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredActor<'a> {
    #[serde(borrow)]
    user_id: Cow<'a, str>,
    #[serde(borrow)]
    client_id: Cow<'a, str>,
}

/// A change event in the log: without what its row says anyway.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredEvent<'a> {
    r#type: Kind,
    #[serde(borrow)]
    collection: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    record_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    changes: Vec<StoredField<'a>>,
    #[serde(borrow)]
    user_id: Cow<'a, str>,
    #[serde(borrow)]
    client_id: Cow<'a, str>,
}

/// A change event.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangeEvent)]
#[serde(rename_all = "camelCase")]
pub struct EventTwin<'a> {
    room: &'a str,
    epoch: String,
    version: u64,
    index: usize,
    id: String,
    r#type: Kind,
    collection: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    record_id: Option<&'a str>,
    changes: Vec<FieldTwin<'a>>,
    user_id: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    op_id: Option<&'a str>,
    #[schema(format = DateTime)]
    timestamp: String,
}

/// A change of a field in the log: it says which of its values are left out.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredField<'a> {
    #[serde(borrow)]
    field: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    #[serde(skip_serializing_if = "Option::is_none")]
    old_value: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    #[serde(skip_serializing_if = "Option::is_none")]
    new_value: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    truncated: Option<Cut>,
}

/// Which values are too long to be told.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Cut {
    Old,
    New,
    Both,
}

impl Cut {
    fn of(change: &FieldChange) -> Option<Self> {
        match (&change.old, &change.new) {
            (Value::TooLong, Value::TooLong) => Some(Self::Both),
            (Value::TooLong, _) => Some(Self::Old),
            (_, Value::TooLong) => Some(Self::New),
            _ => None,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = FieldChange)]
#[serde(rename_all = "camelCase")]
struct FieldTwin<'a> {
    field: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>, nullable = false)]
    old_value: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>, nullable = false)]
    new_value: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// A member that is there, even as `null`.
pub(super) fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = ChangeKind)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Create,
    Update,
    Delete,
    Document,
}

impl From<ChangeKind> for Kind {
    fn from(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::Create => Self::Create,
            ChangeKind::Update => Self::Update,
            ChangeKind::Delete => Self::Delete,
            ChangeKind::Document => Self::Document,
        }
    }
}

impl From<Kind> for ChangeKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Create => Self::Create,
            Kind::Update => Self::Update,
            Kind::Delete => Self::Delete,
            Kind::Document => Self::Document,
        }
    }
}

impl<'a> From<&'a FieldChange> for FieldTwin<'a> {
    fn from(change: &'a FieldChange) -> Self {
        Self {
            field: &change.field,
            old_value: raw(&change.old),
            new_value: raw(&change.new),
            truncated: Cut::of(change).is_some(),
        }
    }
}

impl<'a> From<&'a FieldChange> for StoredField<'a> {
    fn from(change: &'a FieldChange) -> Self {
        Self {
            field: Cow::Borrowed(&change.field),
            old_value: raw(&change.old),
            new_value: raw(&change.new),
            truncated: Cut::of(change),
        }
    }
}

fn raw(value: &Value) -> Option<&RawValue> {
    match value {
        Value::Absent | Value::TooLong => None,
        Value::Json(Json(text)) => {
            Some(serde_json::from_str(text).expect("a canonical value is JSON"))
        }
    }
}

impl StoredField<'_> {
    fn into_change(self) -> FieldChange {
        let value = |raw: Option<&RawValue>, cut| match raw {
            Some(raw) => Value::Json(Json(raw.get().into())),
            None if self.truncated == Some(cut) || self.truncated == Some(Cut::Both) => {
                Value::TooLong
            }
            None => Value::Absent,
        };
        FieldChange {
            old: value(self.old_value, Cut::Old),
            new: value(self.new_value, Cut::New),
            field: (*self.field).into(),
        }
    }
}

/// The actors of an entry, for the log.
#[must_use]
pub fn encode_actors(entry: &Entry) -> String {
    let actors: Vec<_> = entry
        .actors
        .iter()
        .map(|actor| StoredActor {
            user_id: Cow::Borrowed(&actor.user),
            client_id: Cow::Borrowed(&actor.client),
        })
        .collect();
    serde_json::to_string(&actors).expect("strings are JSON")
}

/// Reads what [`encode_actors`] wrote.
pub fn decode_actors(text: &str) -> Result<Vec<Actor>, serde_json::Error> {
    let actors: Vec<StoredActor<'_>> = serde_json::from_str(text)?;
    Ok(actors
        .into_iter()
        .map(|actor| Actor {
            user: (*actor.user_id).into(),
            client: (*actor.client_id).into(),
        })
        .collect())
}

/// The operation that an entry is, for the log: a list of at most one name.
#[must_use]
pub fn encode_op(op: Option<&OpId>) -> String {
    match op {
        None => "[]".into(),
        Some(op) => serde_json::to_string(&[op.as_str()]).expect("strings are JSON"),
    }
}

/// Reads what [`encode_op`] wrote.
pub fn decode_op(text: &str) -> Result<Option<OpId>, serde_json::Error> {
    if text == "[]" {
        return Ok(None);
    }
    let names: Vec<Cow<'_, str>> = serde_json::from_str(text)?;
    Ok(names.first().and_then(|name| OpId::parse(name)))
}

/// The change events of an entry, for the log.
#[must_use]
pub fn encode_events(entry: &Entry) -> String {
    let events: Vec<_> = entry
        .events
        .iter()
        .map(|ChangeEvent { change, actor }| StoredEvent {
            r#type: change.kind.into(),
            collection: Cow::Borrowed(&change.collection),
            record_id: change.record.as_deref().map(Cow::Borrowed),
            changes: change.fields.iter().map(StoredField::from).collect(),
            user_id: Cow::Borrowed(&actor.user),
            client_id: Cow::Borrowed(&actor.client),
        })
        .collect();
    serde_json::to_string(&events).expect("strings are JSON")
}

/// Reads what [`encode_events`] wrote.
pub fn decode_events(text: &str) -> Result<Vec<ChangeEvent>, serde_json::Error> {
    let events: Vec<StoredEvent<'_>> = serde_json::from_str(text)?;
    Ok(events
        .into_iter()
        .map(|event| ChangeEvent {
            change: Change {
                kind: event.r#type.into(),
                collection: (*event.collection).into(),
                record: event.record_id.map(|record| (*record).into()),
                fields: event
                    .changes
                    .into_iter()
                    .map(StoredField::into_change)
                    .collect(),
            },
            actor: Actor {
                user: (*event.user_id).into(),
                client: (*event.client_id).into(),
            },
        })
        .collect())
}

/// The change events of an entry as clients read them, each as JSON text.
#[must_use]
pub fn change_events(room: &RoomId, epoch: Epoch, entry: &Entry) -> Vec<Box<RawValue>> {
    let epoch = epoch.to_string();
    let timestamp = rfc3339(entry.at);
    let twins = entry
        .events
        .iter()
        .enumerate()
        .map(|(index, ChangeEvent { change, actor })| EventTwin {
            room: room.as_str(),
            epoch: epoch.clone(),
            version: entry.version.0,
            index,
            id: format!("{epoch}:{}:{index}", entry.version),
            r#type: change.kind.into(),
            collection: &change.collection,
            record_id: change.record.as_deref(),
            changes: change.fields.iter().map(FieldTwin::from).collect(),
            user_id: &actor.user,
            client_id: &actor.client,
            op_id: entry.op.as_ref().map(OpId::as_str),
            timestamp: timestamp.clone(),
        });
    twins
        .map(|twin| serde_json::value::to_raw_value(&twin).expect("strings are JSON"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{UnixMillis, Version};
    use uuid::Uuid;

    fn json(text: &str) -> Value {
        Value::Json(Json(text.into()))
    }

    fn entry() -> Entry {
        let actor = Actor {
            user: "ada".into(),
            client: "tab \"1\"".into(),
        };
        let field = |field: &str, old, new| FieldChange {
            field: field.into(),
            old,
            new,
        };
        let change = Change {
            kind: ChangeKind::Update,
            collection: "records".into(),
            record: Some("r1".into()),
            fields: vec![
                field("a", Value::Absent, json("null")),
                field("b", json("[1,{\"x\":\"\\u0000\"}]"), Value::Absent),
                field("c", Value::TooLong, Value::TooLong),
                field("d", Value::TooLong, Value::Absent),
                field("e", Value::Absent, Value::TooLong),
            ],
        };
        let document = Change {
            kind: ChangeKind::Document,
            collection: "text".into(),
            record: None,
            fields: Vec::new(),
        };
        Entry {
            version: Version(7),
            at: UnixMillis(1_795_253_693_095),
            actors: vec![actor.clone()],
            updates: Vec::new(),
            op: None,
            events: vec![
                ChangeEvent {
                    change,
                    actor: actor.clone(),
                },
                ChangeEvent {
                    change: document,
                    actor,
                },
            ],
        }
    }

    #[test]
    fn ke6_stored_events_and_actors_come_back_whole() {
        let entry = entry();
        assert_eq!(
            decode_events(&encode_events(&entry)).expect("valid"),
            entry.events
        );
        assert_eq!(
            decode_actors(&encode_actors(&entry)).expect("valid"),
            entry.actors
        );
    }

    #[test]
    fn ht1_a_change_event_says_removal_by_absence_and_null_by_null() {
        let epoch = Epoch(Uuid::nil());
        let room = RoomId::parse("r").expect("valid");
        let events = change_events(&room, epoch, &entry());
        let first = r#"{"room":"r","epoch":"00000000-0000-0000-0000-000000000000","version":7,"#
            .to_owned()
            + r#""index":0,"id":"00000000-0000-0000-0000-000000000000:7:0","type":"update","#
            + r#""collection":"records","recordId":"r1","changes":[{"field":"a","newValue":null},"#
            + r#"{"field":"b","oldValue":[1,{"x":"\u0000"}]},{"field":"c","truncated":true},"#
            + r#"{"field":"d","truncated":true},{"field":"e","truncated":true}],"#
            + r#""userId":"ada","clientId":"tab \"1\"","timestamp":"2026-11-21T09:34:53.095Z"}"#;
        assert_eq!(events[0].get(), first);
        assert_eq!(events.len(), 2);
    }
}
