//! Owns the order in which the blocks of an update can be integrated: each after all that it refers
//! to.

use smallvec::SmallVec;

use crate::room::update::Rejected;
use crate::room::update::parse::{Block, Id, Parent, Parsed};

/// Goes through an update's blocks in an order in which the CRDT can take them. Within a client it
/// is that of the clocks; a client waits where one of its blocks needs another client's.
pub(super) struct Walk<'p, 'a> {
    parsed: &'p Parsed<'a>,
    fronts: SmallVec<[Front; 1]>,
    /// Sections that wait for the one after them.
    stack: SmallVec<[u32; 4]>,
    /// The section to begin with when none waits.
    next: usize,
}

/// How far a section has come.
struct Front {
    next: u32,
    is_waiting: bool,
}

impl<'p, 'a> Walk<'p, 'a> {
    pub(super) fn new(parsed: &'p Parsed<'a>) -> Self {
        let sections = parsed.sections.iter();
        let fronts = sections.map(|section| Front {
            next: section.first,
            is_waiting: false,
        });
        Self {
            parsed,
            fronts: fronts.collect(),
            stack: SmallVec::new(),
            next: 0,
        }
    }

    /// The next block and the number of its section; `None` at the end. Fails when blocks wait for
    /// one another.
    pub(super) fn next(&mut self) -> Result<Option<(usize, &'p Block<'a>)>, Rejected> {
        loop {
            let Some(&top) = self.stack.last() else {
                if self.next == self.fronts.len() {
                    return Ok(None);
                }
                self.stack.push(self.next as u32);
                continue;
            };
            let section = top as usize;
            let front = &mut self.fronts[section];
            if front.next == self.parsed.sections[section].last {
                // Only the section that the walk began with can end here: others stop where the
                // need is met.
                self.stack.pop();
                self.next += 1;
                continue;
            }
            let block = &self.parsed.blocks[front.next as usize];
            if let Some(needed) = self.need(section, block) {
                self.fronts[section].is_waiting = true;
                if self.fronts[needed].is_waiting {
                    return Err(Rejected::Malformed("blocks that need one another"));
                }
                self.stack.push(needed as u32);
                continue;
            }
            let front = &mut self.fronts[section];
            front.next += 1;
            front.is_waiting = false;
            if self.stack.len() > 1 {
                self.stack.pop();
            }
            return Ok(Some((section, block)));
        }
    }

    /// Another section whose front the block has to wait for.
    #[inline]
    fn need(&self, section: usize, block: &Block<'_>) -> Option<usize> {
        if self.fronts.len() == 1 {
            return None;
        }
        let parent = match block.parent {
            Parent::Type(id) => Some(id),
            Parent::Inherited | Parent::Root(_) => None,
        };
        let references = [block.origin, block.right_origin, parent];
        references
            .into_iter()
            .flatten()
            .find_map(|id| self.section_behind(section, id))
    }

    fn section_behind(&self, section: usize, id: Id) -> Option<usize> {
        // A block's references to its own client's later clocks are judged where references are
        // resolved.
        if self.parsed.sections[section].client == id.client {
            return None;
        }
        let other = self.parsed.section_of(id.client)?;
        let (other_section, front) = (&self.parsed.sections[other], &self.fronts[other]);
        let is_to_come = front.next < other_section.last
            && id.clock >= self.parsed.blocks[front.next as usize].clock
            && id.clock < other_section.end;
        is_to_come.then_some(other)
    }
}
