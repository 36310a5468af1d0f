//! Owns the order of a room's entries: epoch, head, oldest version, the recent ones; chooses how to
//! catch up.

use std::collections::VecDeque;
use std::sync::Arc;

use super::entry::{Change, Entry, Value};
use crate::ids::{Epoch, Position, Version};

/// Where a kept cursor stands, and so what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatchUp {
    /// It has everything.
    Current,
    /// These, and then it has everything.
    Replay(Vec<Arc<Entry>>),
    /// The log has them, from right after this version.
    Log(Version),
    /// Versions cannot be replayed: it needs the whole state.
    Snapshot(Reason),
}

/// Why a cursor needs the whole state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It has no position.
    New,
    /// Its position belongs to another history.
    EpochChanged,
    /// The versions after its position are gone.
    Pruned,
    /// Its position is after the head.
    Ahead,
    /// It missed more than is replayed to it.
    TooFarBehind,
}

/// Entries in version order, as far as they are known to be durable.
#[derive(Debug)]
pub struct Timeline {
    epoch: Epoch,
    head: Version,
    oldest: Version,
    recent: VecDeque<Arc<Entry>>,
    recent_bytes: usize,
    recent_entries_max: usize,
    recent_bytes_max: usize,
}

impl Timeline {
    /// A timeline with nothing recent, which keeps at most so much of it.
    #[must_use]
    pub fn new(
        epoch: Epoch,
        head: Version,
        oldest: Version,
        recent_entries_max: usize,
        recent_bytes_max: usize,
    ) -> Self {
        Self {
            epoch,
            head,
            oldest,
            recent: VecDeque::new(),
            recent_bytes: 0,
            recent_entries_max,
            recent_bytes_max,
        }
    }

    /// The history.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The last durable version.
    #[must_use]
    pub fn head(&self) -> Version {
        self.head
    }

    /// The oldest version that can be replayed; `head + 1` when there is none.
    #[must_use]
    pub fn oldest(&self) -> Version {
        self.oldest
    }

    /// Takes the entries that follow the head.
    ///
    /// # Panics
    ///
    /// When the entry is not the next one: versions are dense, or the room must not go on.
    pub fn push(&mut self, entry: Arc<Entry>) {
        assert_eq!(entry.version, self.head.next(), "versions are dense");
        self.head = entry.version;
        self.recent_bytes += weight(&entry);
        self.recent.push_back(entry);
        while self.recent.len() > self.recent_entries_max
            || (self.recent_bytes > self.recent_bytes_max && self.recent.len() > 1)
        {
            if let Some(dropped) = self.recent.pop_front() {
                self.recent_bytes -= weight(&dropped);
            }
        }
    }

    /// How many entries are in memory, and their bytes.
    #[must_use]
    pub fn holds(&self) -> (usize, usize) {
        (self.recent.len(), self.recent_bytes)
    }

    /// Learns that older versions are gone from the log.
    pub fn prune(&mut self, oldest: Version) {
        self.oldest = self.oldest.max(oldest).min(self.head.next());
    }

    /// How a cursor at `since` catches up. Without an epoch of its own it means this one.
    #[must_use]
    pub fn since(&self, since: Option<(Option<Epoch>, Version)>) -> CatchUp {
        let Some((epoch, version)) = since else {
            return CatchUp::Snapshot(Reason::New);
        };
        if epoch.is_some_and(|epoch| epoch != self.epoch) {
            return CatchUp::Snapshot(Reason::EpochChanged);
        }
        if version > self.head {
            return CatchUp::Snapshot(Reason::Ahead);
        }
        if version == self.head {
            return CatchUp::Current;
        }
        if version.next() < self.oldest {
            return CatchUp::Snapshot(Reason::Pruned);
        }
        match self.recent.front() {
            Some(first) if first.version <= version.next() => {
                let skip = (version.next().0 - first.version.0) as usize;
                CatchUp::Replay(self.recent.iter().skip(skip).cloned().collect())
            }
            _ => CatchUp::Log(version),
        }
    }

    /// Where the room stands.
    #[must_use]
    pub fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            version: self.head,
        }
    }
}

/// What an entry costs in memory, roughly.
fn weight(entry: &Entry) -> usize {
    let updates: usize = entry.updates.iter().map(|update| update.len() + 32).sum();
    256 + updates + entry.told_weight()
}

impl Entry {
    /// What its events take to be told, roughly.
    #[must_use]
    pub fn told_weight(&self) -> usize {
        let events = self.events.iter();
        events.map(|event| weight_of(&event.change)).sum()
    }
}

/// What a change costs in memory, roughly.
pub(super) fn weight_of(change: &Change) -> usize {
    let value = |value: &Value| match value {
        Value::Json(json) => json.0.len(),
        Value::Absent | Value::TooLong => 0,
    };
    let fields = change.fields.iter();
    let fields = fields.map(|field| 128 + value(&field.old) + value(&field.new));
    128 + fields.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UnixMillis;
    use uuid::Uuid;

    fn entry(version: u64) -> Arc<Entry> {
        Arc::new(Entry {
            version: Version(version),
            at: UnixMillis(0),
            actors: Vec::new(),
            updates: Vec::new(),
            op: None,
            events: Vec::new(),
        })
    }

    fn timeline() -> Timeline {
        let mut timeline = Timeline::new(
            Epoch(Uuid::from_u128(1)),
            Version(10),
            Version(5),
            3,
            1 << 20,
        );
        for version in 11..=14 {
            timeline.push(entry(version));
        }
        timeline
    }

    fn at(version: u64) -> Option<(Option<Epoch>, Version)> {
        Some((Some(Epoch(Uuid::from_u128(1))), Version(version)))
    }

    #[test]
    fn ca1_a_cursor_at_the_head_is_current() {
        assert_eq!(timeline().since(at(14)), CatchUp::Current);
    }

    #[test]
    fn ca2_a_cursor_behind_gets_every_entry_after_it_once_and_in_order() {
        assert_eq!(timeline().since(at(13)), CatchUp::Replay(vec![entry(14)]));
        assert_eq!(
            timeline().since(at(11)),
            CatchUp::Replay(vec![entry(12), entry(13), entry(14)])
        );
        assert_eq!(timeline().since(at(10)), CatchUp::Log(Version(10)));
        assert_eq!(timeline().since(at(4)), CatchUp::Log(Version(4)));
    }

    #[test]
    fn ca3_a_cursor_that_cannot_be_replayed_gets_a_snapshot_with_the_reason() {
        assert_eq!(timeline().since(None), CatchUp::Snapshot(Reason::New));
        assert_eq!(timeline().since(at(3)), CatchUp::Snapshot(Reason::Pruned));
        assert_eq!(timeline().since(at(15)), CatchUp::Snapshot(Reason::Ahead));
        let other = Some((Some(Epoch(Uuid::from_u128(2))), Version(14)));
        assert_eq!(
            timeline().since(other),
            CatchUp::Snapshot(Reason::EpochChanged)
        );
        assert_eq!(
            timeline().since(Some((None, Version(14)))),
            CatchUp::Current
        );
    }

    #[test]
    #[should_panic(expected = "versions are dense")]
    fn ke1_a_gap_in_the_versions_is_a_bug_that_stops_the_room() {
        timeline().push(entry(16));
    }
}
