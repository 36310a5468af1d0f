//! Owns the judgement of an update against a document: every reference known, every place sound.
//! Stages what the update adds; writes nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use crate::room::index::{
    Addition, ClockRange, History, Holds, Index, Kind, Level, Node, Place, Root, Run, SEQUENCE,
    Shape, Target, run_at, run_at_recent,
};
use crate::room::update::parse::{Block, Content, Id, Parent, Parsed, Section};
use crate::room::update::walk::Walk;
use crate::room::update::{Author, Rejected, TYPE_DEPTH_MAX, Touch};

/// What an update adds to an index.
#[derive(Debug, Default)]
pub(in crate::room) struct Staged {
    pub(in crate::room) generation: u64,
    pub(in crate::room) additions: SmallVec<[Addition; 1]>,
    pub(in crate::room) deletes: SmallVec<[ClockRange; 1]>,
    pub(in crate::room) nodes: Vec<Node>,
    pub(in crate::room) keys: Vec<Arc<str>>,
    pub(in crate::room) roots: Vec<Root>,
    /// Shapes of roots that are not new.
    pub(in crate::room) shapes: FxHashMap<u32, Shape>,
}

/// Judges one update.
pub(super) struct Resolver<'i, 'p, 's, 'a> {
    index: &'i Index,
    parsed: &'p Parsed<'a>,
    author: Author,
    progress: SmallVec<[Progress<'i>; 1]>,
    staged: &'s mut Staged,
    /// What is touched, in the order in which it came, each once.
    targets: SmallVec<[Target; 1]>,
    /// Made when first needed: most updates add characters or a value and need none of it.
    scratch: Option<Box<Scratch<'a>>>,
}

/// Look-up tables over what is staged. Names are hashed by chance, because peers choose them.
#[derive(Default)]
struct Scratch<'a> {
    key_numbers: HashMap<&'a str, u32>,
    root_numbers: HashMap<&'a str, u32>,
    /// Roots to whose sequence the update adds; made when first asked for.
    sequences: Option<HashSet<&'a str>>,
    /// The targets, once they are many.
    targets_seen: FxHashSet<Target>,
}

/// How far a section has come.
struct Progress<'i> {
    history: Option<&'i History>,
    /// Up to where the index knows the client.
    known: u32,
    /// Up to where blocks are known or staged.
    end: u32,
    runs: SmallVec<[Run; 1]>,
}

/// What a reference leads to.
#[derive(Clone, Copy)]
struct Spot {
    place: Place,
    holds: Holds,
}

impl<'i, 'p, 's, 'a> Resolver<'i, 'p, 's, 'a> {
    /// Begins with nothing staged.
    pub(super) fn new(
        index: &'i Index,
        parsed: &'p Parsed<'a>,
        author: Author,
        staged: &'s mut Staged,
    ) -> Self {
        staged.generation = index.generation;
        Self {
            index,
            parsed,
            author,
            progress: SmallVec::new(),
            staged,
            targets: SmallVec::new(),
            scratch: None,
        }
    }

    /// Goes through all blocks and delete ranges; what they add is in `staged` after that.
    pub(super) fn run(&mut self) -> Result<(), Rejected> {
        for section in &self.parsed.sections {
            self.begin(section)?;
        }
        if let [section] = &self.parsed.sections[..] {
            // The blocks of one client are in order as they stand.
            let known = self.progress[0].known;
            let blocks = &self.parsed.blocks[section.first as usize..];
            for block in blocks.iter().filter(|block| block.end() > known) {
                self.block(0, block)?;
            }
        } else {
            self.walk()?;
        }
        for range in &self.parsed.deletes {
            self.delete(*range)?;
        }
        for (section, progress) in self.parsed.sections.iter().zip(&mut self.progress) {
            if progress.end > progress.known {
                let (client, end) = (section.client, progress.end);
                let runs = std::mem::take(&mut progress.runs);
                self.staged.additions.push(Addition { client, end, runs });
            }
        }
        Ok(())
    }

    fn walk(&mut self) -> Result<(), Rejected> {
        let mut walk = Walk::new(self.parsed);
        while let Some((section, block)) = walk.next()? {
            if block.end() > self.progress[section].known {
                self.block(section, block)?;
            }
        }
        Ok(())
    }

    /// What the update touches, by name, in the order in which it came.
    pub(super) fn touched(&self) -> impl Iterator<Item = Touch> {
        self.targets.iter().map(|target| self.touch(*target))
    }

    /// Checks that a section goes on where the index ends, and that its client may say so.
    fn begin(&mut self, section: &Section) -> Result<(), Rejected> {
        let index = self.index;
        let history = index.histories.get(&section.client);
        let known = history.map_or(0, |history| history.clock);
        if section.start > known {
            return Err(missing(index, section.client, known));
        }
        if section.end > known {
            if known < index.former.clock(section.client) {
                return Err(Rejected::Former);
            }
            if self.author == Author::Client && index.reserved == Some(section.client) {
                return Err(Rejected::Forged);
            }
        }
        self.progress.push(Progress {
            history,
            known,
            end: known,
            runs: SmallVec::new(),
        });
        Ok(())
    }

    /// Stages a block that is not wholly known.
    fn block(&mut self, section: usize, block: &Block<'a>) -> Result<(), Rejected> {
        let place = self.place(section, block)?;
        let Progress { known, .. } = self.progress[section];
        if block.clock < known && block.content != Content::Gone {
            // The CRDT ties the new part of the block to the known part before it.
            let client = self.parsed.sections[section].client;
            let before = Id {
                client,
                clock: known - 1,
            };
            if self.locate(section, before)?.place != place {
                return Err(Rejected::Malformed("block in two places"));
            }
        }
        let mut holds = Holds::Value;
        if !place.is_gone() {
            self.permit(place, block.content)?;
            holds = self.holds(place, block.content)?;
            self.target(place);
        }
        let run = Run::new(block.clock.max(known), place, holds);
        let progress = &mut self.progress[section];
        progress.end = block.end();
        if !progress
            .runs
            .last()
            .is_some_and(|last| last.goes_on_in(&run))
        {
            progress.runs.push(run);
        }
        Ok(())
    }

    fn place(&mut self, section: usize, block: &Block<'a>) -> Result<Place, Rejected> {
        if block.content == Content::Gone {
            return Ok(Place::GONE);
        }
        let left = block
            .origin
            .map(|id| self.locate(section, id))
            .transpose()?;
        let right = block
            .right_origin
            .map(|id| self.locate(section, id))
            .transpose()?;
        match (left, right) {
            (Some(left), Some(right)) if left.place != right.place => {
                Err(Rejected::Malformed("origins in two places"))
            }
            (Some(origin), _) | (None, Some(origin)) => Ok(origin.place),
            (None, None) => self.place_in_parent(section, block),
        }
    }

    fn place_in_parent(&mut self, section: usize, block: &Block<'a>) -> Result<Place, Rejected> {
        let parent = match block.parent {
            Parent::Root(name) => self.root(name),
            Parent::Type(id) => {
                let spot = self.locate(section, id)?;
                match spot.holds {
                    _ if spot.place.is_gone() => return Ok(Place::GONE),
                    Holds::Blank => return Ok(Place::GONE),
                    Holds::Value => return Err(Rejected::Malformed("parent is not a type")),
                    Holds::Node(node) => node,
                }
            }
            Parent::Inherited => return Err(Rejected::Malformed("block without a parent")),
        };
        let key = block.key.map_or(SEQUENCE, |key| self.key(key));
        Ok(Place { parent, key })
    }

    /// Where an id lies that a block of `section` refers to.
    #[inline]
    fn locate(&self, section: usize, id: Id) -> Result<Spot, Rejected> {
        let sections = &self.parsed.sections;
        if sections[section].client == id.client {
            return self.locate_in(section, id);
        }
        if let Some(section) = self.parsed.section_of(id.client) {
            return self.locate_in(section, id);
        }
        match self.index.histories.get(&id.client) {
            Some(history) if id.clock < history.clock => Ok(spot(run_at(&history.runs, id.clock))),
            _ => Err(missing(self.index, id.client, id.clock)),
        }
    }

    fn locate_in(&self, section: usize, id: Id) -> Result<Spot, Rejected> {
        let progress = &self.progress[section];
        if let Some(history) = progress.history
            && id.clock < history.clock
        {
            Ok(spot(run_at(&history.runs, id.clock)))
        } else if id.clock < progress.end {
            Ok(spot(run_at_recent(&progress.runs, id.clock)))
        } else if id.clock < self.parsed.sections[section].end {
            Err(Rejected::Malformed("block that needs a later one"))
        } else {
            Err(missing(self.index, id.client, id.clock))
        }
    }

    /// What an item in `place` is a parent of; stages a type.
    fn holds(&mut self, place: Place, content: Content) -> Result<Holds, Rejected> {
        let kind = match content {
            Content::Deleted => return Ok(Holds::Blank),
            Content::Type(kind) => kind,
            Content::Gone
            | Content::Binary
            | Content::String
            | Content::Embed
            | Content::Format
            | Content::Any => return Ok(Holds::Value),
        };
        let parent = self.node(place.parent);
        if usize::from(parent.depth) == TYPE_DEPTH_MAX {
            return Err(Rejected::TooDeep("type"));
        }
        let child = parent.child(kind, place.key, self.shape(parent.target.root));
        let number = self.index.nodes.len() + self.staged.nodes.len();
        self.staged.nodes.push(child);
        Ok(Holds::Node(number as u32))
    }

    /// Checks that the parent takes such content there; a root learns what it is.
    fn permit(&mut self, place: Place, content: Content) -> Result<(), Rejected> {
        let parent = self.node(place.parent);
        if place.key == SEQUENCE {
            return match parent.kind {
                Kind::Root => self.permit_in_root(parent.target.root, content),
                kind if takes(kind, content) => Ok(()),
                _ => Err(Rejected::Malformed("content that its parent does not take")),
            };
        }
        match content {
            Content::Deleted | Content::Binary | Content::Any | Content::Type(_) => {}
            Content::Gone | Content::String | Content::Embed | Content::Format => {
                return Err(Rejected::Malformed("text under a key"));
            }
        }
        match parent.kind {
            Kind::Map | Kind::Text | Kind::XmlElement | Kind::XmlText => Ok(()),
            Kind::Array | Kind::XmlFragment => Err(Rejected::Malformed("key in a sequence")),
            Kind::Root => {
                self.permit_key_in_root(parent.target.root);
                Ok(())
            }
        }
    }

    /// A root with keys and nothing else is a map; beside a sequence, whichever came first, keys are attributes.
    fn permit_key_in_root(&mut self, root: u32) {
        if self.shape(root) == Shape::Unknown {
            let has_sequence = self.has_sequence(root);
            self.set_shape(
                root,
                if has_sequence {
                    Shape::Blank
                } else {
                    Shape::Map
                },
            );
        }
    }

    /// A root learns what it is, the same from the same contents in whatever order they come: a state that is
    /// loaded must give what its updates gave one by one.
    fn permit_in_root(&mut self, root: u32, content: Content) -> Result<(), Rejected> {
        let before = self.shape(root);
        let after = match (before, content) {
            (Shape::Map, _) => return Err(Rejected::Malformed("sequence in a map")),
            (Shape::Unknown, Content::Deleted) => Shape::Blank,
            (shape, Content::Deleted | Content::Gone) => shape,
            (shape @ (Shape::Text | Shape::Array | Shape::Types), Content::Type(_)) => shape,
            (Shape::Unknown | Shape::Blank | Shape::XmlTypes, Content::Type(kind)) => {
                if kind.is_xml() {
                    Shape::XmlTypes
                } else {
                    Shape::Types
                }
            }
            (Shape::Text, Content::Any | Content::Binary) => {
                return Err(Rejected::Malformed("array content in a text"));
            }
            (_, Content::Any | Content::Binary) => Shape::Array,
            (Shape::Array, Content::String | Content::Embed | Content::Format) => {
                return Err(Rejected::Malformed("text in an array"));
            }
            (_, Content::String | Content::Embed | Content::Format) => Shape::Text,
        };
        if after != before {
            self.set_shape(root, after);
        }
        Ok(())
    }

    fn delete(&mut self, range: ClockRange) -> Result<(), Rejected> {
        let index = self.index;
        let section = self.parsed.section_of(range.client);
        let known = index.clock(range.client);
        let end = section.map_or(known, |section| self.progress[section].end);
        if range.end > end {
            return Err(missing(index, range.client, end));
        }
        let mut alive: SmallVec<[(u32, u32); 4]> = SmallVec::new();
        match index.histories.get(&range.client) {
            Some(history) => {
                history.alive(range.start, range.end, |from, to| alive.push((from, to)));
            }
            None => alive.push((range.start, range.end)),
        }
        if alive.is_empty() {
            return Ok(());
        }
        self.staged.deletes.push(range);
        if self.author == Author::Store {
            return Ok(());
        }
        for (from, to) in alive {
            if let Some(history) = index.histories.get(&range.client) {
                for place in places(&history.runs, from, to.min(known)) {
                    self.target(place);
                }
            }
            if let Some(section) = section {
                let runs = std::mem::take(&mut self.progress[section].runs);
                for place in places(&runs, from.max(known), to) {
                    self.target(place);
                }
                self.progress[section].runs = runs;
            }
        }
        Ok(())
    }

    fn target(&mut self, place: Place) {
        if self.author == Author::Store || place.is_gone() {
            return;
        }
        let node = self.node(place.parent);
        let shape = match node.level {
            Level::Root => self.shape(node.target.root),
            Level::Record | Level::Within => Shape::Unknown,
        };
        let target = node.target(place.key, shape);
        if self.targets.len() < TARGETS_FEW {
            if !self.targets.contains(&target) {
                self.targets.push(target);
            }
        } else if self.targets.last() != Some(&target) {
            let seen = &mut self.scratch.get_or_insert_default().targets_seen;
            if seen.is_empty() {
                seen.extend(self.targets.iter().copied());
            }
            if seen.insert(target) {
                self.targets.push(target);
            }
        }
    }

    fn touch(&self, target: Target) -> Touch {
        let root = match (target.root as usize).checked_sub(self.index.roots.len()) {
            None => self.index.roots[target.root as usize].name.clone(),
            Some(new) => self.staged.roots[new].name.clone(),
        };
        if target.record == SEQUENCE {
            return Touch::Root(root);
        }
        let record = self.key_name(target.record);
        if target.field == SEQUENCE {
            return Touch::Record { root, record };
        }
        Touch::Field {
            root,
            record,
            field: self.key_name(target.field),
        }
    }

    fn node(&self, number: u32) -> Node {
        match (number as usize).checked_sub(self.index.nodes.len()) {
            None => self.index.nodes[number as usize],
            Some(new) => self.staged.nodes[new],
        }
    }

    /// The node of the root named so; stages a new one.
    fn root(&mut self, name: &'a str) -> u32 {
        if let Some(number) = self.index.root_names.get(name) {
            return self.index.roots[*number as usize].node;
        }
        let numbers = &mut self.scratch.get_or_insert_default().root_numbers;
        if let Some(new) = numbers.get(name) {
            return self.staged.roots[*new as usize].node;
        }
        let new = self.staged.roots.len() as u32;
        let node = (self.index.nodes.len() + self.staged.nodes.len()) as u32;
        self.staged
            .nodes
            .push(Node::root(self.index.roots.len() as u32 + new));
        self.staged.roots.push(Root {
            name: name.into(),
            node,
            shape: Shape::Unknown,
        });
        numbers.insert(name, new);
        node
    }

    fn shape(&self, root: u32) -> Shape {
        match (root as usize).checked_sub(self.index.roots.len()) {
            Some(new) => self.staged.roots[new].shape,
            None if self.staged.shapes.is_empty() => self.index.roots[root as usize].shape,
            None => match self.staged.shapes.get(&root) {
                Some(shape) => *shape,
                None => self.index.roots[root as usize].shape,
            },
        }
    }

    fn set_shape(&mut self, root: u32, shape: Shape) {
        match (root as usize).checked_sub(self.index.roots.len()) {
            Some(new) => self.staged.roots[new].shape = shape,
            None => {
                self.staged.shapes.insert(root, shape);
            }
        }
    }

    fn has_sequence(&mut self, root: u32) -> bool {
        let blocks = &self.parsed.blocks;
        let scratch = self.scratch.get_or_insert_default();
        let sequences = scratch.sequences.get_or_insert_with(|| {
            let roots = blocks.iter().filter_map(|block| match block.parent {
                Parent::Root(name) if block.key.is_none() => Some(name),
                Parent::Root(_) | Parent::Type(_) | Parent::Inherited => None,
            });
            roots.collect()
        });
        match (root as usize).checked_sub(self.index.roots.len()) {
            Some(new) => sequences.contains(&*self.staged.roots[new].name),
            None => sequences.contains(&*self.index.roots[root as usize].name),
        }
    }

    /// The number of a key; stages a new one.
    fn key(&mut self, name: &'a str) -> u32 {
        if let Some(number) = self.index.keys.number(name) {
            return number;
        }
        let staged = &mut *self.staged;
        let known = self.index.keys.names.len();
        let numbers = &mut self.scratch.get_or_insert_default().key_numbers;
        *numbers.entry(name).or_insert_with(|| {
            staged.keys.push(name.into());
            (known + staged.keys.len() - 1) as u32
        })
    }

    fn key_name(&self, number: u32) -> Arc<str> {
        match (number as usize).checked_sub(self.index.keys.names.len()) {
            None => self.index.keys.names[number as usize].clone(),
            Some(new) => self.staged.keys[new].clone(),
        }
    }
}

/// Up to this many targets are searched one by one.
const TARGETS_FEW: usize = 16;

fn spot(run: &Run) -> Spot {
    Spot {
        place: run.place(),
        holds: run.holds(),
    }
}

/// Whether a type takes such content in its sequence.
fn takes(kind: Kind, content: Content) -> bool {
    match content {
        Content::Gone => true,
        Content::Deleted => kind != Kind::Map,
        Content::String | Content::Embed | Content::Format => {
            matches!(kind, Kind::Text | Kind::XmlText)
        }
        Content::Any | Content::Binary => kind == Kind::Array,
        Content::Type(inner) => match kind {
            Kind::Array | Kind::Text | Kind::XmlText => true,
            Kind::XmlElement | Kind::XmlFragment => inner.is_xml(),
            Kind::Map | Kind::Root => false,
        },
    }
}

/// The places of the clocks `from..to`.
fn places(runs: &[Run], from: u32, to: u32) -> impl Iterator<Item = Place> {
    let first = runs
        .partition_point(|run| run.clock <= from)
        .saturating_sub(1);
    let runs = if from < to { &runs[first..] } else { &[] };
    runs.iter()
        .take_while(move |run| run.clock < to)
        .map(Run::place)
}

fn missing(index: &Index, client: u64, clock: u32) -> Rejected {
    if clock < index.former.clock(client) {
        Rejected::Former
    } else {
        Rejected::Gap
    }
}
