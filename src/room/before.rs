//! Owns what an update did to the places that it touched: what they held before against what they
//! hold after.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;
use yrs::ReadTxn;

use super::entry::{Change, ChangeKind, FieldChange, Value};
use super::record::{Cell, read_cell, read_field, record_change};
use super::update::Touch;

/// What the touched places held before an update.
pub(super) type Before<'a> = SmallVec<[(Touch<'a>, Held); 1]>;

/// What one of them held.
#[derive(Debug)]
pub(super) enum Held {
    Cell(Cell),
    Field(Value),
    Root,
}

/// Reads the touched places before an update is applied: afterwards a deleted record reads as
/// empty.
pub(super) fn hold<'a, T: ReadTxn>(
    txn: &T,
    touched: impl Iterator<Item = Touch<'a>>,
) -> Before<'a> {
    touched
        .map(|touch| {
            let held = match touch {
                Touch::Root(_) => Held::Root,
                Touch::Record { root, record } => Held::Cell(read_cell(txn, root, record)),
                Touch::Field {
                    root,
                    record,
                    field,
                } => Held::Field(read_field(txn, root, record, field)),
            };
            (touch, held)
        })
        .collect()
}

/// Compares the touched places with what they held: records first touched first, each once.
pub(super) fn changes<T: ReadTxn>(txn: &T, before: Before<'_>) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut slots: BTreeMap<(&Arc<str>, &Arc<str>), usize> = BTreeMap::new();
    let is_alone = before.len() == 1;
    let mut documents: SmallVec<[Arc<str>; 1]> = SmallVec::new();
    let whole = written_whole(&before);
    for (touch, held) in before {
        match (touch, held) {
            (Touch::Record { root, record }, Held::Cell(old)) => {
                let new = read_cell(txn, root, record);
                if old == Cell::Plain || new == Cell::Plain {
                    documents.push(root.clone());
                }
                changes.extend(record_change(root, record, old, new));
            }
            (
                Touch::Field {
                    root,
                    record,
                    field,
                },
                Held::Field(old),
            ) => {
                if whole.binary_search(&(root, record)).is_ok() {
                    continue;
                }
                let new = read_field(txn, root, record, field);
                if old == new && old != Value::TooLong {
                    continue;
                }
                let slot = match slots.get(&(root, record)) {
                    Some(slot) => *slot,
                    None => {
                        changes.push(Change {
                            kind: ChangeKind::Update,
                            collection: root.clone(),
                            record: Some(record.clone()),
                            fields: Vec::new(),
                        });
                        changes.len() - 1
                    }
                };
                if !is_alone {
                    slots.insert((root, record), slot);
                }
                changes[slot].fields.push(FieldChange {
                    field: field.clone(),
                    old,
                    new,
                });
            }
            (
                Touch::Root(root) | Touch::Record { root, .. } | Touch::Field { root, .. },
                Held::Root | Held::Cell(_) | Held::Field(_),
            ) => documents.push(root.clone()),
        }
    }
    documents.sort_unstable();
    documents.dedup();
    changes.extend(documents.into_iter().map(document_change));
    changes
}

/// The records whose place in the collection was written, sorted.
fn written_whole<'a>(before: &Before<'a>) -> Vec<(&'a Arc<str>, &'a Arc<str>)> {
    let records = before.iter().filter_map(|(touch, _)| match touch {
        Touch::Record { root, record } => Some((*root, *record)),
        Touch::Root(_) | Touch::Field { .. } => None,
    });
    let mut records: Vec<_> = records.collect();
    records.sort_unstable();
    records
}

fn document_change(collection: Arc<str>) -> Change {
    Change {
        kind: ChangeKind::Document,
        collection,
        record: None,
        fields: Vec::new(),
    }
}
