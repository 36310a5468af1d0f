//! Owns places and types: what lies in what, how deep, and what a change there shows up in.

use std::sync::Arc;

use crate::room::index::RootKind;

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
    /// A sequence of types alone, of whatever kind: an array, or a text whose characters are
    /// deleted.
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
