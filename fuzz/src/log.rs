//! Owns what a log says of a document: its fold, and the records that its change events make.

use std::collections::BTreeMap;
use std::sync::Arc;

use roundtable::room::Document;
use roundtable::room::entry::{Change, ChangeKind, Value};
use roundtable::room::index::StateVector;
use roundtable::room::operation::Place;
use roundtable::room::record::{Cell, Writer};
use serde_json::value::RawValue;

/// Under which a server that opens a room for the first time writes: nobody else may then.
pub const SERVER: u32 = 900;

/// A document that took these updates, as a server does that opens a room.
pub fn fold<'a>(former: &[u8], updates: impl IntoIterator<Item = &'a [u8]>) -> Document {
    fold_under(SERVER, former, updates)
}

/// The same, of a server that writes under another id.
pub fn fold_under<'a>(
    server: u32,
    former: &[u8],
    updates: impl IntoIterator<Item = &'a [u8]>,
) -> Document {
    let former = match former {
        [] => StateVector::default(),
        former => StateVector::parse(former).expect("what was kept of former epochs"),
    };
    let mut document = Document::new(server, former);
    let loaded = document.load_all(updates);
    assert_eq!(loaded, Ok(()), "what is kept can be folded");
    document
}

/// The document's roots, each as its JSON text. All of it is JSON.
pub fn roots(json: &str) -> BTreeMap<String, &RawValue> {
    serde_json::from_str(json).expect("the document is a JSON object")
}

/// Both are the same document. What a root is shows by what it holds: where a sequence holds types
/// and has lost its characters, or keys beside them, a reload may show it as another kind. No
/// client in order makes that, so it is let pass only after others were there.
pub fn assert_same(left: &str, right: &str, is_hostile: bool) {
    if left == right {
        return;
    }
    assert!(is_hostile, "two documents: {left} and {right}");
    let (of_left, of_right) = (roots(left), roots(right));
    for (name, one) in &of_left {
        let Some(other) = of_right.get(name) else {
            continue;
        };
        let (one, other) = (one.get(), other.get());
        // Text beside XML types that has lost its characters reads as nothing.
        let may_be_xml = |it: &str| it.contains('<') || it == "\"\"";
        if one[..1] == other[..1] && !may_be_xml(one) && !may_be_xml(other) {
            assert_eq!(one, other, "two documents in {name}: {left} and {right}");
        }
    }
}

/// The record that a change is about.
pub fn place_of(change: &Change) -> Option<Place> {
    change.record.clone().map(|record| Place {
        collection: change.collection.clone(),
        record,
    })
}

type Fields = BTreeMap<Arc<str>, Value>;

/// Records by collection and id, as change events make them.
#[derive(Default)]
pub struct Records(BTreeMap<(Arc<str>, Arc<str>), Fields>);

impl Records {
    /// Takes one change in: what it says was there before, was.
    pub fn take(&mut self, change: &Change) {
        let Some(record) = &change.record else {
            assert_eq!(change.kind, ChangeKind::Document);
            return;
        };
        let place = (change.collection.clone(), record.clone());
        let is_there = self.0.contains_key(&place);
        assert_eq!(is_there, change.kind != ChangeKind::Create, "{change:?}");
        let fields = self.0.entry(place.clone()).or_default();
        for field in &change.fields {
            let before = fields.remove(&field.field).unwrap_or(Value::Absent);
            assert_eq!(
                before, field.old,
                "the old value of {} in {change:?}",
                field.field
            );
            if field.new != Value::Absent {
                fields.insert(field.field.clone(), field.new.clone());
            }
        }
        if change.kind == ChangeKind::Delete {
            let rest = self.0.remove(&place).unwrap_or_default();
            assert!(rest.is_empty(), "a delete names every field: {rest:?}");
        }
    }

    /// A record as JSON, if there is one and all of it is told.
    pub fn text_of(&self, place: &Place) -> Option<String> {
        let fields = self
            .0
            .get(&(place.collection.clone(), place.record.clone()))?;
        let mut writer = Writer {
            text: String::new(),
            bytes_max: usize::MAX,
        };
        let mut is_told = true;
        let fields = fields.iter().map(|(name, value)| (&**name, value));
        let written = writer.object(fields, |writer, value| {
            match value {
                Value::Json(json) => writer.text.push_str(&json.0),
                Value::Absent | Value::TooLong => is_told = false,
            }
            Ok(())
        });
        (is_told && written.is_ok()).then_some(writer.text)
    }

    /// The records are those of the document. A root that became a sequence has none any more.
    pub fn assert_are_those_of(&self, document: &Document) {
        let json = document.json();
        let roots = roots(&json);
        let is_collection = |name: &str| {
            roots
                .get(name)
                .is_some_and(|root| root.get().starts_with('{'))
        };
        let mut counts: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for ((collection, record), fields) in &self.0 {
            if is_collection(collection) {
                let cell = document.cell(collection, record);
                assert_eq!(cell, Cell::Record(fields.clone()), "{collection}/{record}");
                *counts.entry(collection.clone()).or_default() += 1;
            }
        }
        assert_eq!(counts, document.collections());
    }
}
