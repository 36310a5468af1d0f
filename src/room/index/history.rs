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

/// Consecutive ids of one client that lie in one place. It ends where the next run begins. A run
/// that was deleted as a whole says so itself: a value that is overwritten costs nothing more.
#[derive(Debug, Clone, Copy)]
pub(in crate::room) struct Run {
    pub(in crate::room) clock: u32,
    place: Place,
    holds: u32,
}

impl Run {
    const DELETED: u32 = 1 << 31;
    const VALUE: u32 = Self::DELETED - 1;
    const BLANK: u32 = Self::DELETED - 2;

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
        match self.holds & !Self::DELETED {
            Self::VALUE => Holds::Value,
            Self::BLANK => Holds::Blank,
            node => Holds::Node(node),
        }
    }

    fn is_deleted(&self) -> bool {
        self.holds & Self::DELETED != 0
    }

    /// Whether `next` says nothing that this run does not say already.
    pub(in crate::room) fn goes_on_in(&self, next: &Self) -> bool {
        self.place == next.place && self.holds == next.holds && self.holds >= Self::BLANK
    }
}

/// The number of the run that `clock` lies in. The clock must not be before the first run.
pub(in crate::room) fn run_at(runs: &[Run], clock: u32) -> usize {
    let last = runs.len() - 1;
    if runs[last].clock <= clock {
        return last;
    }
    runs.partition_point(|run| run.clock <= clock) - 1
}

/// The same, faster when the run is one of the last: what an update refers to in itself is mostly
/// just before.
pub(in crate::room) fn run_at_recent(runs: &[Run], clock: u32) -> usize {
    let mut back = 1;
    while back < runs.len() && runs[runs.len() - back].clock > clock {
        back *= 2;
    }
    let from = runs.len().saturating_sub(back);
    from + run_at(&runs[from..], clock)
}

/// What is known of one client.
#[derive(Debug, Default)]
pub(in crate::room) struct History {
    pub(in crate::room) clock: u32,
    pub(in crate::room) runs: Vec<Run>,
    /// Start to end of what is known to be deleted beside whole runs; neither overlapping nor
    /// touching.
    deleted: BTreeMap<u32, u32>,
}

/// Deleted clocks of one client.
#[derive(Debug)]
pub(in crate::room) struct Deletion {
    pub(in crate::room) range: ClockRange,
    /// The run in which it begins, if that was known when it was staged.
    pub(in crate::room) run: usize,
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

    /// The parts of `start..end`, which begins in the run of that number, that are not known to be
    /// deleted.
    pub(in crate::room) fn alive(
        &self,
        run: usize,
        start: u32,
        end: u32,
        mut part: impl FnMut(u32, u32),
    ) {
        let mut from = start;
        let runs = self.runs[run..].iter().take_while(|run| run.clock < end);
        for (number, deleted) in (run..).zip(runs).filter(|(_, run)| run.is_deleted()) {
            if from < deleted.clock {
                self.alive_beside_runs(from, deleted.clock, &mut part);
            }
            from = from.max(self.run_end(number));
        }
        if from < end {
            self.alive_beside_runs(from, end, part);
        }
    }

    fn alive_beside_runs(&self, start: u32, end: u32, mut part: impl FnMut(u32, u32)) {
        if !self.has_deleted(start, end) {
            return part(start, end);
        }
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

    /// Whether something between these clocks is known to be deleted: mostly not.
    fn has_deleted(&self, start: u32, end: u32) -> bool {
        let last = self.deleted.range(..end).next_back();
        last.is_some_and(|(_, last_end)| *last_end > start)
    }

    fn run_end(&self, run: usize) -> u32 {
        self.runs.get(run + 1).map_or(self.clock, |next| next.clock)
    }

    /// Records a deletion of known clocks.
    pub(super) fn delete(&mut self, deletion: &Deletion) {
        let ClockRange { start, end, .. } = deletion.range;
        let run = match self.runs.get(deletion.run) {
            Some(run) if run.clock == start => deletion.run,
            _ => run_at(&self.runs, start),
        };
        if self.runs[run].clock == start && self.run_end(run) == end {
            self.runs[run].holds |= Run::DELETED;
        } else {
            self.delete_beside_runs(start, end);
        }
    }

    /// Records that known clocks are deleted, as far as they are not known to be.
    pub(super) fn lose(&mut self, range: ClockRange) {
        let run = run_at(&self.runs, range.start);
        let mut alive: SmallVec<[ClockRange; 2]> = SmallVec::new();
        self.alive(run, range.start, range.end, |start, end| {
            alive.push(ClockRange {
                start,
                end,
                ..range
            });
        });
        for range in alive {
            self.delete(&Deletion { range, run });
        }
    }

    fn delete_beside_runs(&mut self, start: u32, end: u32) {
        if !self.has_deleted(start.saturating_sub(1), end + 1) {
            self.deleted.insert(start, end);
            return;
        }
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

    /// 100 clocks in runs that begin at these.
    fn history(runs: &[u32]) -> History {
        let run = |(key, clock)| Run::new(clock, Place { parent: 0, key }, Holds::Value);
        History {
            clock: 100,
            runs: (0..).zip(runs.iter().copied()).map(run).collect(),
            deleted: BTreeMap::new(),
        }
    }

    fn delete(history: &mut History, start: u32, end: u32) {
        let client = 1;
        history.delete(&Deletion {
            range: ClockRange { client, start, end },
            run: 0,
        });
    }

    fn alive(history: &History, start: u32, end: u32) -> Vec<(u32, u32)> {
        let mut parts = Vec::new();
        let run = run_at(&history.runs, start);
        history.alive(run, start, end, |from, to| parts.push((from, to)));
        parts
    }

    #[test]
    fn deleted_ranges_join_and_leave_the_rest_alive() {
        let mut history = history(&[0]);
        delete(&mut history, 10, 20);
        delete(&mut history, 30, 40);
        assert_eq!(alive(&history, 0, 50), [(0, 10), (20, 30), (40, 50)]);
        assert_eq!(alive(&history, 12, 18), []);
        assert_eq!(alive(&history, 15, 35), [(20, 30)]);
        delete(&mut history, 20, 30);
        assert_eq!(history.deleted.len(), 1);
        delete(&mut history, 5, 60);
        assert_eq!(alive(&history, 0, 100), [(0, 5), (60, 100)]);
        assert_eq!(history.deleted.len(), 1);
    }

    #[test]
    fn whole_runs_are_deleted_without_a_range() {
        let mut history = history(&[0, 1, 2, 90]);
        delete(&mut history, 1, 2);
        delete(&mut history, 90, 100);
        assert_eq!(history.deleted.len(), 0);
        assert_eq!(alive(&history, 0, 120), [(0, 1), (2, 90), (100, 120)]);
        // What is typed after a text was emptied is not deleted with it.
        let place = history.runs[3].place();
        let run = Run::new(100, place, Holds::Value);
        history.append(Addition {
            client: 1,
            end: 105,
            runs: [run].into_iter().collect(),
        });
        assert_eq!(alive(&history, 95, 105), [(100, 105)]);
    }

    #[test]
    fn deleted_ranges_agree_with_a_set_of_clocks() {
        let fresh = || (history(&[0, 3, 4, 5, 6, 20, 22, 40, 41, 63]), [false; 100]);
        let (mut history, mut clocks) = fresh();
        let mut seed = 1_u64;
        for _ in 0..800 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let start = (seed >> 33) as u32 % 66;
            let end = start + 1 + (seed >> 40) as u32 % 4;
            let mut seen = Vec::new();
            for (from, to) in alive(&history, start, end) {
                seen.extend(from..to);
            }
            let expected: Vec<_> = (start..end).filter(|at| !clocks[*at as usize]).collect();
            assert_eq!(seen, expected);
            delete(&mut history, start, end);
            clocks[start as usize..end as usize].fill(true);
            if seed.is_multiple_of(50) {
                (history, clocks) = fresh();
            }
        }
    }
}
