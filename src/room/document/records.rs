//! Owns what the server does to records in the document, and reads of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;
use yrs::{Any, Map, Out, ReadTxn, Transact};

use super::super::before::{changes, hold};
use super::super::entry::{Change, Json, Value};
use super::super::index::{ClockRange, RootKind};
use super::super::operation::Place;
use super::super::record::{Cell, Write, read_bounded, read_cell, write_record};
use super::super::update::{self, Touch};
use super::{Document, Fault, lost};

/// What the server wrote.
#[derive(Debug)]
pub struct Written {
    /// The update (v1), for everyone else.
    pub update: Bytes,
    /// What it did.
    pub changes: Vec<Change>,
}

/// What a place in a collection holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Nothing.
    Nothing,
    /// A record.
    Record,
    /// Something that is none.
    Other,
}

impl Document {
    /// Writes to a record as the server, and gives the update that says so to all others.
    pub fn write(&mut self, place: &Place, write: Write<'_>) -> Result<Written, Fault> {
        let Place { collection, record } = place;
        let touched: Vec<Touch<'_>> = match write {
            Write::Make(_) | Write::Delete => vec![Touch::Record {
                root: collection,
                record,
            }],
            Write::Set(fields, unset) => (fields.keys().chain(unset))
                .map(|field| Touch::Field {
                    root: collection,
                    record,
                    field,
                })
                .collect(),
        };
        let mut txn = self.doc.transact_mut();
        let before = hold(&txn, touched.into_iter());
        write_record(&mut txn, collection, record, write);
        let update = Bytes::from(txn.encode_update_v1());
        let changes = changes(&txn, before);
        let lost: SmallVec<[ClockRange; 2]> = lost(&mut txn).collect();
        drop(txn);
        // What was written is what the others are told, so the index takes in the same bytes.
        let checked = update::check_own(&update, &self.index)
            .map_err(|rejected| Fault::Broken(rejected.to_string()))?;
        self.index.accept(checked);
        self.index.lose(lost);
        self.state = None;
        Ok(Written { update, changes })
    }

    /// How much the server wrote since the room was opened: its own client's clock.
    #[must_use]
    pub fn own_clock(&self) -> u32 {
        self.index.own_clock()
    }

    /// What the document has, encoded, but what the server wrote from a clock on.
    #[must_use]
    pub fn state_vector_but(&self, own_clock: u32) -> Bytes {
        self.index.state_vector_but(own_clock)
    }

    /// Whether a root is something else than a collection.
    #[must_use]
    pub fn is_free_form(&self, root: &str) -> bool {
        let mut roots = self.index.roots();
        roots.any(|(name, kind)| **name == *root && kind != RootKind::Map)
    }

    /// What a place holds.
    #[must_use]
    pub fn holds(&self, place: &Place) -> Holds {
        match self.at(&self.doc.transact(), place) {
            None | Some(Out::Any(Any::Undefined)) => Holds::Nothing,
            Some(Out::YMap(_)) => Holds::Record,
            Some(_) => Holds::Other,
        }
    }

    /// A field of a record, up to a bound.
    #[must_use]
    pub fn field(&self, place: &Place, field: &str, bytes_max: usize) -> Value {
        let txn = self.doc.transact();
        match self.at(&txn, place) {
            Some(Out::YMap(map)) => match map.get(&txn, field) {
                Some(value) => read_bounded(&txn, &value, bytes_max),
                None => Value::Absent,
            },
            _ => Value::Absent,
        }
    }

    /// The names of a record's fields.
    #[must_use]
    pub fn field_names(&self, place: &Place) -> Vec<Arc<str>> {
        let txn = self.doc.transact();
        match self.at(&txn, place) {
            Some(Out::YMap(map)) => map.keys(&txn).map(Arc::from).collect(),
            _ => Vec::new(),
        }
    }

    /// A record as a JSON object, whole.
    #[must_use]
    pub fn record(&self, place: &Place) -> Option<Json> {
        let txn = self.doc.transact();
        let value = self.at(&txn, place)?;
        match (&value, read_bounded(&txn, &value, usize::MAX)) {
            (Out::YMap(_), Value::Json(json)) => Some(json),
            _ => None,
        }
    }

    /// All records, with their fields as change events tell them.
    #[must_use]
    pub fn records(&self) -> Vec<(Place, BTreeMap<Arc<str>, Value>)> {
        let txn = self.doc.transact();
        let roots = self.index.roots();
        let maps = roots.filter(|(_, kind)| *kind == RootKind::Map);
        let mut records = Vec::new();
        for (collection, _) in maps {
            let Some(map) = txn.get_map(collection.clone()) else {
                continue;
            };
            for record in map.keys(&txn) {
                if let Cell::Record(fields) = read_cell(&txn, collection, record) {
                    let place = Place {
                        collection: collection.clone(),
                        record: record.into(),
                    };
                    records.push((place, fields));
                }
            }
        }
        records
    }

    fn at<T: ReadTxn>(&self, txn: &T, place: &Place) -> Option<Out> {
        txn.get_map(place.collection.clone())?
            .get(txn, &place.record)
    }
}
