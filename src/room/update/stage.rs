//! Owns what an update adds, seen as one with the index that it is judged against: types, roots,
//! keys. Decides which content a type takes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::room::index::{
    Addition, ClockRange, Holds, Index, Kind, Node, Place, Root, SEQUENCE, Shape, Target,
};
use crate::room::update::parse::{Content, Parent, Parsed};
use crate::room::update::{Rejected, TYPE_DEPTH_MAX, Touch};

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

/// An index and what is staged on top of it. Numbers go on where the index ends.
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
        staged.generation = index.generation;
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
        let number = self.index.nodes.len() + self.staged.nodes.len();
        self.staged.nodes.push(child);
        Ok(Holds::Node(number as u32))
    }

    /// Checks that the parent takes such content there; a root learns what it is.
    pub(super) fn permit(&mut self, place: Place, content: Content) -> Result<(), Rejected> {
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

    pub(super) fn node(&self, number: u32) -> Node {
        match (number as usize).checked_sub(self.index.nodes.len()) {
            None => self.index.nodes[number as usize],
            Some(new) => self.staged.nodes[new],
        }
    }

    /// The node of the root named so; stages a new one.
    pub(super) fn root(&mut self, name: &'a str) -> u32 {
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

    pub(super) fn shape(&self, root: u32) -> Shape {
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
    pub(super) fn key(&mut self, name: &'a str) -> u32 {
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

    /// A target by name.
    pub(super) fn touch(&self, target: Target) -> Touch {
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
