//! Owns what is known of one client: where its ids lie and which of them are deleted.

use std::collections::BTreeMap;
use std::mem::size_of;

use smallvec::SmallVec;

use crate::room::index::node::Place;

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

/// The same, faster when the run is one of the last: what an update refers to in itself is mostly
/// just before.
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
    pub(super) fn append(&mut self, addition: Addition) {
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

    pub(super) fn delete(&mut self, start: u32, end: u32) {
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

    pub(super) fn bytes(&self) -> usize {
        // A B-tree node is about two thirds full and has an edge for each entry.
        size_of::<Self>() + 16 + self.runs.capacity() * size_of::<Run>() + self.deleted.len() * 16
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
            if seed.is_multiple_of(50) {
                (history.deleted, clocks) = (BTreeMap::new(), [false; 64]);
            }
        }
    }
}
