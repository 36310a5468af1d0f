//! Owns how the operations of one push are told apart: those that can be judged, and those that are
//! rejected alone.

use serde_json::value::RawValue;

use super::operations::{Push, read_operation};
use super::results;
use crate::room::operation::{OpResult, Operation};

/// The rejections of what cannot be read, with their places in the push, in order.
#[derive(Debug, Default)]
pub struct Misfits(Vec<(usize, Box<RawValue>)>);

/// What can be judged, and the rejections of the rest. `fresh` makes ids of new records.
pub fn sort(push: &Push<'_>, fresh: impl Fn() -> String) -> (Vec<Operation>, Misfits) {
    let mut operations = Vec::with_capacity(push.ops.len());
    let mut misfits = Misfits::default();
    for (place, raw) in push.ops.iter().enumerate() {
        match read_operation(raw, &fresh) {
            Ok(operation) => operations.push(operation),
            Err(unfit) => {
                let rejection = results::rejection(&unfit, "malformed");
                misfits.0.push((place, rejection));
            }
        }
    }
    (operations, misfits)
}

impl Misfits {
    /// All results in the order of the push.
    #[must_use]
    pub fn between(self, judged: &[OpResult]) -> Vec<Box<RawValue>> {
        let mut all: Vec<_> = judged.iter().map(results::result).collect();
        for (place, rejection) in self.0 {
            all.insert(place, rejection);
        }
        all
    }
}
