//! Owns records as somebody has them who reads nothing but change events.

use std::collections::BTreeMap;

use roundtable::room::Entry;
use roundtable::room::entry::{Change, ChangeKind, FieldChange, Value};
use roundtable::room::record::VALUE_BYTES_MAX;
use serde_json::Value as JsonValue;

/// Records of the collection `tasks` by id; a value that is too long to be told is `None`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Records(BTreeMap<String, BTreeMap<String, Option<JsonValue>>>);

impl Records {
    /// Takes in what an entry did; `is_strict` is whether that has to fit what was before.
    pub fn take(&mut self, entry: &Entry, is_strict: bool) {
        for event in &entry.events {
            let Change {
                kind,
                collection,
                record: Some(record),
                fields,
            } = &event.change
            else {
                continue;
            };
            if &**collection == "tasks" {
                self.change(*kind, record, fields, is_strict);
            }
        }
    }

    fn change(&mut self, kind: ChangeKind, record: &str, fields: &[FieldChange], is_strict: bool) {
        let is_there = self.0.contains_key(record);
        let is_new = kind == ChangeKind::Create;
        assert!(!is_strict || is_there != is_new, "G3: {kind:?} of {record}");
        let place = self.0.entry(record.to_owned()).or_default();
        for FieldChange { field, old, new } in fields {
            let before = place.get(&**field).cloned();
            let fits = !is_strict || before == told(old);
            assert!(fits, "G3: the old value of {record}/{field}");
            match told(new) {
                Some(value) => drop(place.insert(field.to_string(), value)),
                None => drop(place.remove(&**field)),
            }
        }
        if kind == ChangeKind::Delete {
            let rest = self.0.remove(record).expect("it was just there");
            assert!(!is_strict || rest.is_empty(), "G3: a delete names all");
        }
    }
}

fn told(value: &Value) -> Option<Option<JsonValue>> {
    match value {
        Value::Absent => None,
        Value::TooLong => Some(None),
        Value::Json(json) => Some(Some(serde_json::from_str(&json.0).expect("JSON"))),
    }
}

/// The records in a document.
pub fn records_in(json: &str) -> Records {
    let document: JsonValue = serde_json::from_str(json).expect("JSON");
    let mut records = Records::default();
    for (record, fields) in document["tasks"].as_object().into_iter().flatten() {
        let Some(fields) = fields.as_object() else {
            continue;
        };
        let fields = fields.iter().map(|(field, value)| {
            let is_long = value.to_string().len() > VALUE_BYTES_MAX;
            (field.clone(), (!is_long).then(|| value.clone()))
        });
        records.0.insert(record.clone(), fields.collect());
    }
    records
}
