//! The validator in front of the CRDT: what it refuses, what it lets through, what it says is
//! touched.

mod data;
mod editing;
mod hostile;
mod rules;

use std::collections::BTreeMap;

use yrs::types::ToJson;
use yrs::updates::decoder::Decode;
use yrs::{Any, Doc, GetString, OffsetKind, Options, Out, ReadTxn, Transact, Update, WriteTxn};
use yrs::{Map, MapRef};

use super::*;
use crate::room::index::StateVector;

/// A document as the server keeps it.
fn new_doc(client: u64) -> Doc {
    let client_id = yrs::block::ClientID::new(client);
    Doc::with_options(Options {
        client_id,
        offset_kind: OffsetKind::Utf16,
        ..Options::default()
    })
}

/// Applies what was checked, and holds the CRDT to what that promises.
fn apply(doc: &Doc, update: &[u8]) {
    let decoded = Update::decode_v1(update).expect("a checked update decodes");
    let mut txn = doc.transact_mut();
    txn.apply_update(decoded).expect("a checked update applies");
    drop(txn);
    assert!(
        !doc.transact().has_missing_updates(),
        "a checked update leaves nothing pending"
    );
}

fn state(doc: &Doc) -> Vec<u8> {
    doc.transact()
        .encode_state_as_update_v1(&yrs::StateVector::default())
}

fn clocks_of(doc: &Doc) -> StateVector {
    let vector = doc.transact().state_vector();
    vector
        .iter()
        .map(|(client, clock)| (client.get(), *clock))
        .collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] * 16 + pair[1]) as u8)
        .collect()
}

/// A document and its index in step, as a room has them.
struct Pair {
    doc: Doc,
    index: Index,
}

impl Pair {
    fn new() -> Self {
        Self {
            doc: new_doc(0xffff_fff0),
            index: Index::new(),
        }
    }

    fn from_state(bytes: &[u8]) -> Self {
        let mut pair = Self::new();
        let checked = check_state(bytes, &pair.index).expect("a state is sound");
        apply(&pair.doc, bytes);
        pair.take(checked);
        pair
    }

    /// Checks, applies and accepts; what changed must be touched.
    fn push(&mut self, update: &[u8]) -> Result<Vec<Named>, Rejected> {
        let checked = check(update, &self.index)?;
        let before = self.view();
        apply(&self.doc, update);
        let touched = checked.touched(&self.index).map(named).collect::<Vec<_>>();
        self.take(checked);
        let after = self.view();
        if self.known_before(&before) {
            assert_covered(&before, &after, &touched);
        }
        assert_eq!(self.index.clocks(), clocks_of(&self.doc));
        Ok(touched)
    }

    fn take(&mut self, checked: Checked) {
        for (name, kind) in checked.new_roots() {
            let mut txn = self.doc.transact_mut();
            match kind {
                RootKind::Map => drop(txn.get_or_insert_map(&**name)),
                RootKind::Array => drop(txn.get_or_insert_array(&**name)),
                RootKind::Text => drop(txn.get_or_insert_text(&**name)),
                RootKind::Xml => drop(txn.get_or_insert_xml_fragment(&**name)),
            }
        }
        self.index.accept(checked);
    }

    /// All roots were there before; otherwise the CRDT did not know how to read them.
    fn known_before(&self, before: &View) -> bool {
        self.index
            .roots()
            .all(|(name, _)| before.contains_key(&(name.to_string(), None, None)))
    }

    /// The document, by what a touch can name.
    fn view(&self) -> View {
        let mut view = View::new();
        let txn = self.doc.transact();
        for (name, kind) in self.index.roots() {
            let root = name.to_string();
            let whole = (root.clone(), None, None);
            match kind {
                RootKind::Map => {
                    view.insert(whole, String::new());
                    if let Some(map) = txn.get_map(&**name) {
                        view_records(&root, &map, &txn, &mut view);
                    }
                }
                RootKind::Array => {
                    let array = txn.get_array(&**name).map(|array| array.to_json(&txn));
                    view.insert(whole, text_of(&array.unwrap_or(Any::Null)));
                }
                RootKind::Text => {
                    let text = txn.get_text(&**name).map(|text| text.get_string(&txn));
                    view.insert(whole, text.unwrap_or_default());
                }
                RootKind::Xml => {
                    let xml = txn
                        .get_xml_fragment(&**name)
                        .map(|xml| xml.get_string(&txn));
                    view.insert(whole, xml.unwrap_or_default());
                }
            }
        }
        view
    }
}

/// Root, record and field, as far as a touch names them.
type Named = (String, Option<String>, Option<String>);

type View = BTreeMap<Named, String>;

fn named(touch: Touch<'_>) -> Named {
    match touch {
        Touch::Root(root) => (root.to_string(), None, None),
        Touch::Record { root, record } => (root.to_string(), Some(record.to_string()), None),
        Touch::Field {
            root,
            record,
            field,
        } => (
            root.to_string(),
            Some(record.to_string()),
            Some(field.to_string()),
        ),
    }
}

fn view_records(root: &str, map: &MapRef, txn: &impl ReadTxn, view: &mut View) {
    for (key, value) in map.iter(txn) {
        let record = Some(key.to_string());
        match value {
            Out::YMap(fields) => {
                view.insert((root.to_owned(), record.clone(), None), "record".to_owned());
                for (field, value) in fields.iter(txn) {
                    let place = (root.to_owned(), record.clone(), Some(field.to_string()));
                    view.insert(place, text_of(&value.to_json(txn)));
                }
            }
            other => {
                view.insert(
                    (root.to_owned(), record, None),
                    text_of(&other.to_json(txn)),
                );
            }
        }
    }
}

/// JSON text with keys in order.
fn text_of(value: &Any) -> String {
    match value {
        Any::Map(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            let entries: Vec<_> = sorted
                .iter()
                .map(|(key, value)| format!("{key:?}:{}", text_of(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Any::Array(items) => {
            let items: Vec<_> = items.iter().map(text_of).collect();
            format!("[{}]", items.join(","))
        }
        other => format!("{other:?}"),
    }
}

fn assert_covered(before: &View, after: &View, touched: &[Named]) {
    let places = before.keys().chain(after.keys());
    for place in places.filter(|place| before.get(*place) != after.get(*place)) {
        let (root, record, _) = place;
        let above = [
            (root.clone(), None, None),
            (root.clone(), record.clone(), None),
        ];
        let is_covered = touched
            .iter()
            .any(|touch| touch == place || above.contains(touch));
        assert!(is_covered, "{place:?} changed and is not in {touched:?}");
    }
}

/// Reads everything that a room reads.
fn read_all(doc: &Doc) {
    let _ = state(doc);
    let _ = text_of(&doc.to_json(&doc.transact()));
}
