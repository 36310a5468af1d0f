//! Owns what an update adds, seen as one with the index that it is judged against: types, roots,
//! keys. Decides which content a type takes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::room::index::{
    Addition, Deletion, Holds, Index, Kind, Node, Place, Root, RootKind, SEQUENCE, Shape, Target,
};
use crate::room::update::parse::{Content, Parent, Parsed};
use crate::room::update::{Author, Rejected, TYPE_DEPTH_MAX, Touch};

/// What an update adds to an index, and what that touches.
#[derive(Debug)]
pub(in crate::room) struct Staged {
    pub(in crate::room) generation: u64,
    pub(in crate::room) additions: SmallVec<[Addition; 1]>,
    pub(in crate::room) deletions: SmallVec<[Deletion; 1]>,
    /// In the order in which they came, each once.
    pub(in crate::room) targets: SmallVec<[Target; 1]>,
    /// Most updates add characters or a value and have none.
    pub(in crate::room) new: Option<Box<New>>,
}

/// Types, roots and keys that an index does not have. Numbers go on where the index ends.
#[derive(Debug, Default)]
pub(in crate::room) struct New {
    pub(in crate::room) nodes: Vec<Node>,
    pub(in crate::room) keys: Vec<Arc<str>>,
    pub(in crate::room) roots: Vec<Root>,
    /// Shapes of roots that are not new.
    pub(in crate::room) shapes: FxHashMap<u32, Shape>,
    /// The roots whose kind is new or another.
    pub(in crate::room) kinds: Vec<(Arc<str>, RootKind)>,
}

impl Staged {
    /// Nothing, on top of `index`.
    pub(super) fn on(index: &Index) -> Self {
        Self {
            generation: index.generation,
            additions: SmallVec::new(),
            deletions: SmallVec::new(),
            targets: SmallVec::new(),
            new: None,
        }
    }

    /// A target by name.
    pub(super) fn touch<'a>(&'a self, target: Target, index: &'a Index) -> Touch<'a> {
        let root = match (target.root as usize).checked_sub(index.roots.len()) {
            None => &index.roots[target.root as usize].name,
            Some(new) => &self.fresh().roots[new].name,
        };
        if target.record == SEQUENCE {
            return Touch::Root(root);
        }
        let record = self.key_name(target.record, index);
        if target.field == SEQUENCE {
            return Touch::Record { root, record };
        }
        Touch::Field {
            root,
            record,
            field: self.key_name(target.field, index),
        }
    }

    /// Names the kinds that the staged shapes show.
    pub(super) fn name_kinds(&mut self, index: &Index) {
        let Some(new) = &mut self.new else { return };
        let roots = new.roots.iter();
        new.kinds = roots
            .filter_map(|root| Some((root.name.clone(), root.shape.kind()?)))
            .collect();
        let mut changed: Vec<_> = new.shapes.iter().collect();
        changed.sort_unstable_by_key(|(number, _)| **number);
        for (number, shape) in changed {
            let root = &index.roots[*number as usize];
            if shape.kind() != root.shape.kind() {
                new.kinds
                    .extend(shape.kind().map(|kind| (root.name.clone(), kind)));
            }
        }
    }

    fn key_name<'a>(&'a self, number: u32, index: &'a Index) -> &'a Arc<str> {
        match (number as usize).checked_sub(index.keys.names.len()) {
            None => &index.keys.names[number as usize],
            Some(new) => &self.fresh().keys[new],
        }
    }

    fn nodes(&self) -> usize {
        self.new.as_ref().map_or(0, |new| new.nodes.len())
    }

    fn roots(&self) -> usize {
        self.new.as_ref().map_or(0, |new| new.roots.len())
    }

    /// What is new. Only a number that was staged leads here.
    fn fresh(&self) -> &New {
        self.new
            .as_ref()
            .expect("a staged number is of something new")
    }

    fn fresh_mut(&mut self) -> &mut New {
        self.new.get_or_insert_default()
    }
}

/// An index and what is staged on top of it.
pub(super) struct Stage<'i, 'p, 's, 'a> {
    index: &'i Index,
    parsed: &'p Parsed<'a>,
    pub(super) staged: &'s mut Staged,
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
}

impl<'i, 'p, 's, 'a> Stage<'i, 'p, 's, 'a> {
    /// Begins with nothing staged.
    pub(super) fn new(index: &'i Index, parsed: &'p Parsed<'a>, staged: &'s mut Staged) -> Self {
        Self {
            index,
            parsed,
            staged,
            scratch: None,
        }
    }

    /// What an item in `place` is a parent of; stages a type.
    pub(super) fn holds(&mut self, place: Place, content: Content) -> Result<Holds, Rejected> {
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
        let number = self.index.nodes.len() + self.staged.nodes();
        self.staged.fresh_mut().nodes.push(child);
        Ok(Holds::Node(number as u32))
    }

    /// Checks that the parent takes such content there; a root learns what it is.
    pub(super) fn permit(
        &mut self,
        place: Place,
        content: Content,
        author: Author,
    ) -> Result<(), Rejected> {
        let parent = self.node(place.parent);
        if place.key == SEQUENCE {
            return match parent.kind {
                Kind::Root => self.permit_in_root(parent.target.root, content, author),
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

    /// A root with keys and nothing else is a map; beside a sequence, whichever came first, keys
    /// are attributes.
    fn permit_key_in_root(&mut self, root: u32) {
        if self.shape(root) == Shape::Unknown {
            let has_sequence = self.has_sequence(root);
            let shape = if has_sequence {
                Shape::Blank
            } else {
                Shape::Map
            };
            self.set_shape(root, shape);
        }
    }

    /// A root learns what it is, the same from the same contents in whatever order they come: a
    /// state that is loaded must give what its updates gave one by one.
    ///
    /// A map takes no sequence, unless that is what was kept: two servers may have taken one each,
    /// and the log has them in this order. Its keys are attributes then, as in the other order.
    fn permit_in_root(
        &mut self,
        root: u32,
        content: Content,
        author: Author,
    ) -> Result<(), Rejected> {
        let before = match self.shape(root) {
            Shape::Map if author == Author::Store => Shape::Unknown,
            shape => shape,
        };
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

    pub(super) fn node(&self, number: u32) -> Node {
        match (number as usize).checked_sub(self.index.nodes.len()) {
            None => self.index.nodes[number as usize],
            Some(new) => self.staged.fresh().nodes[new],
        }
    }

    /// The node of the root named so; stages a new one.
    pub(super) fn root(&mut self, name: &'a str) -> u32 {
        if let Some(number) = self.index.root_names.get(name) {
            return self.index.roots[*number as usize].node;
        }
        let numbers = &mut self.scratch.get_or_insert_default().root_numbers;
        if let Some(new) = numbers.get(name) {
            return self.staged.fresh().roots[*new as usize].node;
        }
        let new = self.staged.roots() as u32;
        let node = (self.index.nodes.len() + self.staged.nodes()) as u32;
        let staged = self.staged.fresh_mut();
        staged
            .nodes
            .push(Node::root(self.index.roots.len() as u32 + new));
        staged.roots.push(Root {
            name: name.into(),
            node,
            shape: Shape::Unknown,
        });
        numbers.insert(name, new);
        node
    }

    pub(super) fn shape(&self, root: u32) -> Shape {
        match (root as usize).checked_sub(self.index.roots.len()) {
            Some(new) => self.staged.fresh().roots[new].shape,
            None => {
                let new = self.staged.new.as_ref();
                let staged = new.and_then(|new| new.shapes.get(&root).copied());
                staged.unwrap_or(self.index.roots[root as usize].shape)
            }
        }
    }

    fn set_shape(&mut self, root: u32, shape: Shape) {
        match (root as usize).checked_sub(self.index.roots.len()) {
            Some(new) => self.staged.fresh_mut().roots[new].shape = shape,
            None => {
                self.staged.fresh_mut().shapes.insert(root, shape);
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
            Some(new) => sequences.contains(&*self.staged.fresh().roots[new].name),
            None => sequences.contains(&*self.index.roots[root as usize].name),
        }
    }

    /// The number of a key; stages a new one.
    pub(super) fn key(&mut self, name: &'a str) -> u32 {
        if let Some(number) = self.index.keys.number(name) {
            return number;
        }
        let staged = self.staged.fresh_mut();
        let known = self.index.keys.names.len();
        let numbers = &mut self.scratch.get_or_insert_default().key_numbers;
        *numbers.entry(name).or_insert_with(|| {
            staged.keys.push(name.into());
            (known + staged.keys.len() - 1) as u32
        })
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
