//! Owns what the ids of a document stand for: clocks, places, types, what is deleted. Knows nothing
//! of values; [`crate::room::update`] reads it to judge an update before it is applied.

mod history;
mod node;
mod state_vector;

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use crate::room::update::{Checked, New};

pub(in crate::room) use history::{
    Addition, ClockRange, Deletion, History, Holds, Run, run_at, run_at_recent,
};
pub(in crate::room) use node::{Kind, Level, Node, Place, Root, SEQUENCE, Shape, Target};
pub use state_vector::{InvalidStateVector, StateVector};

/// The largest clock: the CRDT computes with signed 32-bit differences.
pub const CLOCK_MAX: u32 = i32::MAX as u32;

/// What a root of the document is, as far as its content tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RootKind {
    /// Keyed entries and nothing else: a collection.
    Map,
    /// A sequence of values.
    Array,
    /// A sequence of characters, formats and embedded values.
    Text,
    /// A sequence of XML types.
    Xml,
}

/// What every id of one document stands for, kept beside the CRDT and always in step with it.
///
/// Per client it has the known clocks, runs of ids that lie in one place, and deleted ranges;
/// beside them the types (where they are, how deep) and the roots. It grows with runs, not with
/// characters: typing costs nothing.
#[derive(Debug, Default)]
pub struct Index {
    pub(in crate::room) histories: FxHashMap<u64, History>,
    pub(in crate::room) nodes: Vec<Node>,
    pub(in crate::room) keys: Names,
    pub(in crate::room) roots: Vec<Root>,
    pub(in crate::room) root_names: HashMap<Arc<str>, u32>,
    pub(in crate::room) former: StateVector,
    pub(in crate::room) reserved: Option<u64>,
    /// Counts accepted updates, so that a [`Checked`] is only accepted by the state it was checked
    /// against.
    pub(in crate::room) generation: u64,
}

impl Index {
    /// The index of an empty document.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The index of an empty document in a room whose deleted epochs had the clocks of `former`.
    #[must_use]
    pub fn with_former(former: StateVector) -> Self {
        Self {
            former,
            ..Self::default()
        }
    }

    /// The first clock of `client` that the document does not have.
    #[must_use]
    pub fn clock(&self, client: u64) -> u32 {
        self.histories
            .get(&client)
            .map_or(0, |history| history.clock)
    }

    /// The document's state vector, in its v1 encoding.
    #[must_use]
    pub fn state_vector(&self) -> Bytes {
        self.clocks().encode()
    }

    /// The document's state vector.
    #[must_use]
    pub fn clocks(&self) -> StateVector {
        self.histories
            .iter()
            .map(|(client, history)| (*client, history.clock))
            .collect()
    }

    /// What the document and the epochs before it hold, encoded: what the next epoch refuses.
    #[must_use]
    pub fn epitaph(&self) -> Bytes {
        let mut all = self.clocks();
        all.merge(&self.former);
        all.encode()
    }

    /// Whether a peer with this state vector has content of a deleted epoch that the document does
    /// not have.
    #[must_use]
    pub fn is_foreign(&self, peer: &StateVector) -> bool {
        peer.iter()
            .any(|(client, clock)| clock.min(self.former.clock(client)) > self.clock(client))
    }

    /// The roots whose content tells what they are, in the order in which they came.
    ///
    /// Read a root as the kind it has here: the CRDT keeps the kind by which a root was first asked
    /// for, and its array reader never returns from a text.
    pub fn roots(&self) -> impl Iterator<Item = (&Arc<str>, RootKind)> {
        self.roots
            .iter()
            .filter_map(|root| Some((&root.name, root.shape.kind()?)))
    }

    /// Keeps `client` for the server: from now on only [`crate::room::update::check_own`] takes new
    /// blocks of it.
    pub fn reserve_client(&mut self, client: u64) {
        self.reserved = Some(client);
    }

    /// Keeps the clock of the server's own client.
    #[must_use]
    pub fn own_clock(&self) -> u32 {
        let own = self.reserved.and_then(|client| self.histories.get(&client));
        own.map_or(0, |history| history.clock)
    }

    /// What is known, encoded, as if the server's own client stood at another clock.
    #[must_use]
    pub fn state_vector_but(&self, own_clock: u32) -> Bytes {
        let clocks = self.histories.iter().map(|(client, history)| {
            let is_own = self.reserved == Some(*client);
            (*client, if is_own { own_clock } else { history.clock })
        });
        clocks
            .filter(|(_, clock)| *clock > 0)
            .collect::<StateVector>()
            .encode()
    }

    /// Takes in what an update adds, after the CRDT took the update.
    ///
    /// # Panics
    ///
    /// When `checked` was made from another state of the index: that is a bug of the caller.
    pub fn accept(&mut self, checked: Checked) {
        let mut staged = checked.staged;
        assert_eq!(
            staged.generation, self.generation,
            "an update is accepted right after its check"
        );
        self.generation += 1;
        if let Some(new) = staged.new.take() {
            self.grow(*new);
        }
        for addition in staged.additions {
            self.histories
                .entry(addition.client)
                .or_default()
                .append(addition);
        }
        for deletion in staged.deletions {
            let history = self.histories.get_mut(&deletion.range.client);
            history
                .expect("only what is known is deleted")
                .delete(&deletion);
        }
    }

    /// Takes in what the CRDT deleted when it took an update, also what the update did not name:
    /// what lost its place to another write, and what lay in something that was deleted. Every
    /// client that has the update says of it that it is deleted.
    pub(in crate::room) fn lose(&mut self, ranges: impl IntoIterator<Item = ClockRange>) {
        for range in ranges {
            let history = self.histories.get_mut(&range.client);
            history.expect("only what is known is lost").lose(range);
        }
    }

    fn grow(&mut self, new: New) {
        self.nodes.extend(new.nodes);
        for name in new.keys {
            self.keys.push(name);
        }
        for root in new.roots {
            self.root_names
                .insert(root.name.clone(), self.roots.len() as u32);
            self.roots.push(root);
        }
        for (root, shape) in new.shapes {
            self.roots[root as usize].shape = shape;
        }
    }

    /// About how much memory the index takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let histories: usize = self.histories.values().map(History::bytes).sum();
        let names = |name: &Arc<str>| name.len() + size_of::<Arc<str>>() * 2 + 24;
        histories
            + self.nodes.capacity() * size_of::<Node>()
            + self.keys.names.iter().map(names).sum::<usize>()
            + self
                .roots
                .iter()
                .map(|root| names(&root.name) + size_of::<Root>())
                .sum::<usize>()
    }
}

/// Keys by number and back. The hash is keyed by chance, because peers choose the keys.
#[derive(Debug, Default)]
pub(in crate::room) struct Names {
    numbers: HashMap<Arc<str>, u32>,
    pub(in crate::room) names: Vec<Arc<str>>,
}

impl Names {
    pub(in crate::room) fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    fn push(&mut self, name: Arc<str>) {
        self.numbers.insert(name.clone(), self.names.len() as u32);
        self.names.push(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_foreign_when_it_has_clocks_of_the_former_epoch() {
        let index = Index::with_former([(1, 5), (2, 3)].into_iter().collect());
        assert!(index.is_foreign(&[(1, 5)].into_iter().collect()));
        assert!(index.is_foreign(&[(2, 1), (9, 4)].into_iter().collect()));
        assert!(!index.is_foreign(&[(9, 4)].into_iter().collect()));
        assert!(!index.is_foreign(&StateVector::default()));
    }
}
