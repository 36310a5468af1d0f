//! Owns the strict validator that every update passes before the CRDT sees it.
//! Says which places of the document an update touches, so that their old values can be read first.
//!
//! An update is read as it stands ([`parse`]), its blocks are put in an order in which they can be
//! integrated ([`walk`]) and judged one by one against the [`Index`] ([`resolve`]). Nothing is
//! changed by that: what the update adds is staged in [`Checked`], and [`Index::accept`] takes it
//! in once the CRDT has applied the same bytes.

mod parse;
mod resolve;
mod split;
mod stage;
mod value;
mod walk;

use std::fmt;
use std::sync::Arc;

use crate::lib0::Unreadable;
use crate::room::index::{Index, RootKind};
use parse::Parsed;
use resolve::Resolver;
use stage::Staged;

pub use split::split;
pub(in crate::room) use stage::New;

/// How deep types may lie in one another. The CRDT recurses through them when a branch is deleted
/// or read.
pub const TYPE_DEPTH_MAX: usize = 100;

/// Why an update is not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// No client in order makes such an update. The session that sent it is hostile or broken.
    Malformed(&'static str),
    /// It needs clocks that the document does not have: ask the client for what is missing, apply
    /// nothing.
    Gap,
    /// It carries or needs content of a deleted epoch of the room.
    Former,
    /// It has new blocks of the server's own client id.
    Forged,
    /// It is, or includes, an update that brought the document down before.
    Barred,
    /// A value or a type lies too deep in others.
    TooDeep(&'static str),
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "malformed update: {why}"),
            Self::Gap => f.write_str("update needs clocks that the document does not have"),
            Self::Former => f.write_str("update belongs to a deleted epoch of the room"),
            Self::Forged => f.write_str("update has blocks of the server's own client id"),
            Self::Barred => f.write_str("update is in quarantine"),
            Self::TooDeep(what) => write!(f, "{what} nested too deep"),
        }
    }
}

impl std::error::Error for Rejected {}

impl From<Unreadable> for Rejected {
    fn from(why: Unreadable) -> Self {
        Self::Malformed(why.reason())
    }
}

/// A place of the document whose value an update may change.
///
/// Every value that changes is in one of the places that are named; a place may be named and keep
/// its value, as when a concurrent write loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch<'a> {
    /// Anything in a root that is a sequence.
    Root(&'a Arc<str>),
    /// An entry of a root map as a whole: set, replaced or deleted, or changed inside without being
    /// a `Y.Map`.
    Record {
        /// The root map.
        root: &'a Arc<str>,
        /// The entry's key.
        record: &'a Arc<str>,
    },
    /// A field of an entry that is a `Y.Map`, or anything below it.
    Field {
        /// The root map.
        root: &'a Arc<str>,
        /// The entry's key.
        record: &'a Arc<str>,
        /// The key in the entry.
        field: &'a Arc<str>,
    },
}

/// An update that may be applied, and what it adds.
#[derive(Debug)]
pub struct Checked {
    pub(in crate::room) staged: Staged,
}

impl Checked {
    /// What the update touches, each place once, in the order of integration; deletions come last.
    /// `index` is the one that it was checked against.
    pub fn touched<'a>(&'a self, index: &'a Index) -> impl ExactSizeIterator<Item = Touch<'a>> {
        let targets = self.staged.targets.iter();
        targets.map(|target| self.staged.touch(*target, index))
    }

    /// The roots whose kind shows for the first time, or shows to be another: what has only types
    /// in its sequence counts as an array or as XML until a character or a value comes.
    #[must_use]
    pub fn new_roots(&self) -> &[(Arc<str>, RootKind)] {
        self.staged.new.as_ref().map_or(&[], |new| &new.kinds)
    }

    /// Whether all blocks are known and all ranges recorded as deleted: there is nothing to apply.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.staged.additions.is_empty() && self.staged.deletions.is_empty()
    }
}

/// Checks an update that a client sent.
pub fn check(bytes: &[u8], index: &Index) -> Result<Checked, Rejected> {
    check_as(bytes, index, Author::Client)
}

/// Checks an update that the server made under its reserved client id.
pub fn check_own(bytes: &[u8], index: &Index) -> Result<Checked, Rejected> {
    check_as(bytes, index, Author::Server)
}

/// Checks a state that the store kept. Nothing is touched: nobody asks what a whole document
/// changed.
pub fn check_state(bytes: &[u8], index: &Index) -> Result<Checked, Rejected> {
    check_as(bytes, index, Author::Store)
}

/// Where an update comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Author {
    Client,
    Server,
    Store,
}

fn check_as(bytes: &[u8], index: &Index, author: Author) -> Result<Checked, Rejected> {
    let mut parsed = Parsed::default();
    parsed.read(bytes)?;
    let mut checked = Checked {
        staged: Staged::on(index),
    };
    Resolver::new(index, &parsed, author, &mut checked.staged).run()?;
    checked.staged.name_kinds(index);
    Ok(checked)
}

#[cfg(test)]
mod tests;
