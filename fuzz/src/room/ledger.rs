//! Owns what the store keeps beside the log: what operations came to, and what is known of records,
//! which is written behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roundtable::hub::rows;
use roundtable::ids::{OpId, Version};
use roundtable::room::Entry;
use roundtable::room::operate::Recalled;
use roundtable::room::operation::{Done, OpResult, Place, RecordMeta, Status};
use roundtable::wire::results;

use super::super::log::place_of;

/// A result as a client reads it, whether it is the first one or not, without the record.
pub fn said(result: &OpResult) -> (Box<str>, bool) {
    let result = OpResult {
        status: Status::Duplicate,
        portrayal: None,
        ..result.clone()
    };
    (results::result(&result).get().into(), result.is_made)
}

/// Both of one epoch.
#[derive(Default)]
pub struct Ledger {
    results: BTreeMap<OpId, OpResult>,
    /// Operations whose results were not kept, as nobody had written the room.
    passed_over: BTreeSet<OpId>,
    records: BTreeMap<Place, RecordMeta>,
    projected: Version,
    /// What was read and is on its way to the room.
    pub underway: Option<Recalled>,
}

impl Ledger {
    /// Keeps what operations came to, in its stored form. What is there stays as it was.
    pub fn keep(&mut self, done: &[Done]) {
        for done in done {
            let is_done = matches!(done.result.status, Status::Applied | Status::Merged);
            assert!(is_done, "nothing else is kept: {done:?}");
            let result = rows::result(&rows::op(done)).expect("what is stored can be read");
            assert_eq!(said(&result), said(&done.result), "OP25");
            self.results
                .entry(result.id.clone())
                .or_insert_with(|| result);
        }
    }

    /// Does not keep what operations came to.
    pub fn pass_over(&mut self, done: &[Done]) {
        let ids = done.iter().map(|done| done.result.id.clone());
        self.passed_over.extend(ids);
    }

    /// Whether an operation may be judged anew, though it was told to be applied.
    pub fn is_passed_over(&self, id: &OpId) -> bool {
        self.passed_over.contains(id)
    }

    /// What an operation came to first.
    pub fn first(&self, id: &OpId) -> Option<&OpResult> {
        self.results.get(id)
    }

    /// Writes the records up to a version.
    pub fn project(&mut self, log: &[Arc<Entry>], through: Version) {
        let through = (through.0.max(self.projected.0) as usize).min(log.len());
        for entry in &log[self.projected.0 as usize..through] {
            for event in &entry.events {
                let Some(place) = place_of(&event.change) else {
                    continue;
                };
                let (before, user) = (self.records.remove(&place), &event.actor.user);
                let meta = RecordMeta::fold(before, &event.change, entry.version, entry.at, user);
                self.records.extend(meta.map(|meta| (place, meta)));
            }
            self.projected = entry.version;
        }
    }

    /// What is known of these, at one moment.
    pub fn recall(&self, operations: &[OpId], places: &[Place]) -> Recalled {
        let results = operations.iter().filter_map(|id| self.results.get(id));
        let records = places.iter();
        let records = records.filter_map(|it| Some((it.clone(), self.records.get(it)?.clone())));
        Recalled {
            as_of: self.projected,
            results: results.cloned().collect(),
            records: records.collect(),
        }
    }
}
