//! Owns what the ids of a document stand for: clocks, places, types, what is deleted.
//! Knows nothing of values; [`crate::room::update`] reads it to judge an update before it is applied.

mod state_vector;

use std::collections::{BTreeMap, HashMap};
use std::mem::size_of;
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::room::update::Checked;

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
/// Per client it has the known clocks, runs of ids that lie in one place, and deleted ranges; beside them the types
/// (where they are, how deep) and the roots. It grows with runs, not with characters: typing costs nothing.
#[derive(Debug, Default)]
pub struct Index {
    pub(in crate::room) histories: FxHashMap<u64, History>,
    pub(in crate::room) nodes: Vec<Node>,
    pub(in crate::room) keys: Names,
    pub(in crate::room) roots: Vec<Root>,
    pub(in crate::room) root_names: HashMap<Arc<str>, u32>,
    pub(in crate::room) former: StateVector,
    pub(in crate::room) reserved: Option<u64>,
    /// Counts accepted updates, so that a [`Checked`] is only accepted by the state it was checked against.
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

    /// Whether a peer with this state vector has content of a deleted epoch that the document does not have.
    #[must_use]
    pub fn is_foreign(&self, peer: &StateVector) -> bool {
        peer.iter()
            .any(|(client, clock)| clock.min(self.former.clock(client)) > self.clock(client))
    }

    /// The roots whose content tells what they are, in the order in which they came.
    ///
    /// Read a root as the kind it has here: the CRDT keeps the kind by which a root was first asked for, and its
    /// array reader never returns from a text.
    pub fn roots(&self) -> impl Iterator<Item = (&Arc<str>, RootKind)> {
        self.roots
            .iter()
            .filter_map(|root| Some((&root.name, root.shape.kind()?)))
    }

    /// Keeps `client` for the server: from now on only [`crate::room::update::check_own`] takes new blocks of it.
    pub fn reserve_client(&mut self, client: u64) {
        self.reserved = Some(client);
    }

    /// Takes in what an update adds, after the CRDT took the update.
    ///
    /// # Panics
    ///
    /// When `checked` was made from another state of the index: that is a bug of the caller.
    pub fn accept(&mut self, checked: Checked) {
        let staged = checked.staged;
        assert_eq!(
            staged.generation, self.generation,
            "an update is accepted right after its check"
        );
        self.generation += 1;
        self.nodes.extend(staged.nodes);
        for name in staged.keys {
            self.keys.push(name);
        }
        for root in staged.roots {
            self.root_names
                .insert(root.name.clone(), self.roots.len() as u32);
            self.roots.push(root);
        }
        for (root, shape) in staged.shapes {
            self.roots[root as usize].shape = shape;
        }
        for addition in staged.additions {
            self.histories
                .entry(addition.client)
                .or_default()
                .append(addition);
        }
        for range in staged.deletes {
            let history = self.histories.entry(range.client).or_default();
            history.delete(range.start, range.end);
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

/// Where an item lies: in a type, and there under a key or in the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::room) struct Place {
    /// The parent's number in `nodes`.
    pub(in crate::room) parent: u32,
    /// The key's number in `keys`, or [`SEQUENCE`].
    pub(in crate::room) key: u32,
}

/// Stands for "no key": the item is in the sequence of its parent, or the target has no such part.
pub(in crate::room) const SEQUENCE: u32 = u32::MAX;

impl Place {
    /// Nowhere: collected, or put beside or into something collected.
    pub(in crate::room) const GONE: Self = Self {
        parent: u32::MAX,
        key: SEQUENCE,
    };

    pub(in crate::room) fn is_gone(self) -> bool {
        self == Self::GONE
    }
}

/// What an id may be a parent of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::room) enum Holds {
    /// A value: of nothing.
    Value,
    /// Deleted content, which may have been a type: whatever is put into it is gone.
    Blank,
    /// A type, by its number in `nodes`.
    Node(u32),
}

/// Consecutive ids of one client that lie in one place. It ends where the next run begins.
#[derive(Debug, Clone, Copy)]
pub(in crate::room) struct Run {
    pub(in crate::room) clock: u32,
    place: Place,
    holds: u32,
}

impl Run {
    const VALUE: u32 = u32::MAX;
    const BLANK: u32 = u32::MAX - 1;

    pub(in crate::room) fn new(clock: u32, place: Place, holds: Holds) -> Self {
        let holds = match holds {
            Holds::Value => Self::VALUE,
            Holds::Blank => Self::BLANK,
            Holds::Node(node) => node,
        };
        Self {
            clock,
            place,
            holds,
        }
    }

    pub(in crate::room) fn place(&self) -> Place {
        self.place
    }

    pub(in crate::room) fn holds(&self) -> Holds {
        match self.holds {
            Self::VALUE => Holds::Value,
            Self::BLANK => Holds::Blank,
            node => Holds::Node(node),
        }
    }

    /// Whether `next` says nothing that this run does not say already.
    pub(in crate::room) fn goes_on_in(&self, next: &Self) -> bool {
        self.place == next.place && self.holds == next.holds && self.holds >= Self::BLANK
    }
}

/// The run that `clock` lies in. The clock must not be before the first run.
pub(in crate::room) fn run_at(runs: &[Run], clock: u32) -> &Run {
    let last = &runs[runs.len() - 1];
    if last.clock <= clock {
        return last;
    }
    &runs[runs.partition_point(|run| run.clock <= clock) - 1]
}

/// The same, faster when the run is one of the last: what an update refers to in itself is mostly just before.
pub(in crate::room) fn run_at_recent(runs: &[Run], clock: u32) -> &Run {
    let mut back = 1;
    while back < runs.len() && runs[runs.len() - back].clock > clock {
        back *= 2;
    }
    run_at(&runs[runs.len().saturating_sub(back)..], clock)
}

/// What is known of one client.
#[derive(Debug, Default)]
pub(in crate::room) struct History {
    pub(in crate::room) clock: u32,
    pub(in crate::room) runs: Vec<Run>,
    /// Start to end of what is known to be deleted; neither overlapping nor touching.
    deleted: BTreeMap<u32, u32>,
}

/// New blocks of one client, from its known clock on.
#[derive(Debug)]
pub(in crate::room) struct Addition {
    pub(in crate::room) client: u64,
    pub(in crate::room) end: u32,
    pub(in crate::room) runs: SmallVec<[Run; 1]>,
}

/// A range of one client's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::room) struct ClockRange {
    pub(in crate::room) client: u64,
    pub(in crate::room) start: u32,
    pub(in crate::room) end: u32,
}

impl History {
    fn append(&mut self, addition: Addition) {
        self.clock = addition.end;
        let goes_on = match (self.runs.last(), addition.runs.first()) {
            (Some(last), Some(next)) => last.goes_on_in(next),
            _ => false,
        };
        if self.runs.is_empty() {
            self.runs = addition.runs.into_vec();
        } else {
            self.runs
                .extend(addition.runs.into_iter().skip(usize::from(goes_on)));
        }
    }

    /// The parts of `start..end` that are not known to be deleted.
    pub(in crate::room) fn alive(&self, start: u32, end: u32, mut part: impl FnMut(u32, u32)) {
        let mut from = start;
        if let Some((_, before)) = self.deleted.range(..=start).next_back() {
            from = from.max(*before);
        }
        if from >= end {
            return;
        }
        for (next, next_end) in self.deleted.range(from..end) {
            if *next > from {
                part(from, *next);
            }
            from = *next_end;
        }
        if from < end {
            part(from, end);
        }
    }

    fn delete(&mut self, start: u32, end: u32) {
        let (mut start, mut end) = (start, end);
        if let Some((before, before_end)) = self.deleted.range(..start).next_back()
            && *before_end >= start
        {
            start = *before;
            end = end.max(*before_end);
        }
        while let Some((next, next_end)) = self.deleted.range(start..=end).next() {
            let (next, next_end) = (*next, *next_end);
            end = end.max(next_end);
            self.deleted.remove(&next);
        }
        self.deleted.insert(start, end);
    }

    fn bytes(&self) -> usize {
        // A B-tree node is about two thirds full and has an edge for each entry.
        size_of::<Self>() + 16 + self.runs.capacity() * size_of::<Run>() + self.deleted.len() * 16
    }
}

/// The kinds of types that a document may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::room) enum Kind {
    /// A root; [`Root::shape`] says the rest.
    Root,
    Array,
    Map,
    Text,
    XmlElement,
    XmlFragment,
    XmlText,
}

impl Kind {
    pub(in crate::room) fn is_xml(self) -> bool {
        matches!(self, Self::XmlElement | Self::XmlFragment | Self::XmlText)
    }
}

/// How much of a [`Target`] a type's own keys decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::room) enum Level {
    /// A root: its keys are records, if it is a map.
    Root,
    /// A `Y.Map` that is a record: its keys are fields.
    Record,
    /// Anything below: its keys decide nothing.
    Within,
}

/// What a change shows up in: root, record and field by number, [`SEQUENCE`] where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::room) struct Target {
    pub(in crate::room) root: u32,
    pub(in crate::room) record: u32,
    pub(in crate::room) field: u32,
}

/// A type: a root or the content of an item.
#[derive(Debug, Clone, Copy)]
pub(in crate::room) struct Node {
    pub(in crate::room) kind: Kind,
    /// Zero for roots.
    pub(in crate::room) depth: u8,
    pub(in crate::room) level: Level,
    /// What a change of this type's sequence shows up in.
    pub(in crate::room) target: Target,
}

impl Node {
    pub(in crate::room) fn root(number: u32) -> Self {
        let target = Target {
            root: number,
            record: SEQUENCE,
            field: SEQUENCE,
        };
        Self {
            kind: Kind::Root,
            depth: 0,
            level: Level::Root,
            target,
        }
    }

    /// What a change under `key` of this type shows up in; `shape` is that of the type's root.
    pub(in crate::room) fn target(&self, key: u32, shape: Shape) -> Target {
        match self.level {
            Level::Root if shape == Shape::Map => Target {
                record: key,
                ..self.target
            },
            Level::Record => Target {
                field: key,
                ..self.target
            },
            Level::Root | Level::Within => self.target,
        }
    }

    /// The type that an item under `key` of this type holds.
    pub(in crate::room) fn child(&self, kind: Kind, key: u32, shape: Shape) -> Self {
        let target = self.target(key, shape);
        let is_record = self.level == Level::Root && target.record != SEQUENCE && kind == Kind::Map;
        let level = if is_record {
            Level::Record
        } else {
            Level::Within
        };
        Self {
            kind,
            depth: self.depth + 1,
            level,
            target,
        }
    }
}

/// What is known about a root's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::room) enum Shape {
    /// Nothing: it has no content.
    Unknown,
    /// It has a sequence, of which only deleted parts were seen.
    Blank,
    /// Keys and no sequence.
    Map,
    /// A sequence of types alone, of whatever kind: an array, or a text whose characters are deleted.
    Types,
    /// The same, and all of them are XML.
    XmlTypes,
    /// A sequence with values.
    Array,
    /// A sequence with characters, formats or embedded values.
    Text,
}

impl Shape {
    pub(in crate::room) fn kind(self) -> Option<RootKind> {
        match self {
            Self::Unknown | Self::Blank => None,
            Self::Map => Some(RootKind::Map),
            Self::Types | Self::Array => Some(RootKind::Array),
            Self::Text => Some(RootKind::Text),
            Self::XmlTypes => Some(RootKind::Xml),
        }
    }
}

/// A root: its name, its node and what it looks like.
#[derive(Debug, Clone)]
pub(in crate::room) struct Root {
    pub(in crate::room) name: Arc<str>,
    pub(in crate::room) node: u32,
    pub(in crate::room) shape: Shape,
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

    fn alive(history: &History, start: u32, end: u32) -> Vec<(u32, u32)> {
        let mut parts = Vec::new();
        history.alive(start, end, |from, to| parts.push((from, to)));
        parts
    }

    #[test]
    fn deleted_ranges_join_and_leave_the_rest_alive() {
        let mut history = History {
            clock: 100,
            ..History::default()
        };
        history.delete(10, 20);
        history.delete(30, 40);
        assert_eq!(alive(&history, 0, 50), [(0, 10), (20, 30), (40, 50)]);
        assert_eq!(alive(&history, 12, 18), []);
        assert_eq!(alive(&history, 15, 35), [(20, 30)]);
        history.delete(20, 30);
        assert_eq!(history.deleted.len(), 1);
        history.delete(5, 60);
        assert_eq!(alive(&history, 0, 100), [(0, 5), (60, 100)]);
        assert_eq!(history.deleted.len(), 1);
    }

    #[test]
    fn deleted_ranges_agree_with_a_set_of_clocks() {
        let mut history = History {
            clock: 64,
            ..History::default()
        };
        let mut clocks = [false; 64];
        let mut seed = 1_u64;
        for _ in 0..400 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let start = (seed >> 33) as u32 % 60;
            let end = start + 1 + (seed >> 40) as u32 % 4;
            let mut seen = Vec::new();
            history.alive(start, end, |from, to| seen.extend(from..to));
            let expected: Vec<_> = (start..end).filter(|at| !clocks[*at as usize]).collect();
            assert_eq!(seen, expected);
            history.delete(start, end);
            clocks[start as usize..end as usize].fill(true);
            if seed % 50 == 0 {
                (history.deleted, clocks) = (BTreeMap::new(), [false; 64]);
            }
        }
    }

    #[test]
    fn a_peer_is_foreign_when_it_has_clocks_of_the_former_epoch() {
        let index = Index::with_former([(1, 5), (2, 3)].into_iter().collect());
        assert!(index.is_foreign(&[(1, 5)].into_iter().collect()));
        assert!(index.is_foreign(&[(2, 1), (9, 4)].into_iter().collect()));
        assert!(!index.is_foreign(&[(9, 4)].into_iter().collect()));
        assert!(!index.is_foreign(&StateVector::default()));
    }
}
