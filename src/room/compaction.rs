//! Owns when the next snapshot of a room is worth making. Knows nothing of how it is made.

use super::entry::Entry;
use super::standing::Tail;
use crate::ids::{Millis, Version};
use crate::limits::Limits;

/// After a snapshot the room waits this many times as long as that took: a tenth of the time at
/// most goes into them, however large the document and however fast its edits.
const RESTS_PER_WORK: u64 = 9;

/// The newest snapshot, what follows on it, and the compaction that is running.
#[derive(Debug)]
pub(super) struct Compaction {
    snapshot: Version,
    /// What follows on the snapshot, as far as it was seen.
    tail: Tail,
    /// When the tail last grew, or the room began.
    grown_at: Option<Millis>,
    running: Option<Running>,
    /// None is begun before this, so that they do not take all the time.
    not_before: Millis,
    /// One failed, and the next is not tried before this.
    failed_until: Option<Millis>,
}

#[derive(Debug)]
struct Running {
    since: Millis,
    /// What it takes in.
    tail: Tail,
}

impl Compaction {
    /// As of the opening of a room.
    pub(super) fn new(snapshot: Version, tail: Tail) -> Self {
        Self {
            snapshot,
            tail,
            grown_at: None,
            running: None,
            not_before: Millis(0),
            failed_until: None,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether the last one failed a moment ago.
    pub(super) fn has_failed(&self) -> bool {
        self.failed_until.is_some()
    }

    /// Whether nothing follows on the newest snapshot.
    pub(super) fn covers(&self, head: Version) -> bool {
        // Another server's snapshot may be ahead of what this one knows.
        self.snapshot >= head
    }

    /// Learns of an entry that is durable.
    pub(super) fn push(&mut self, entry: &Entry, now: Millis) {
        let bytes = entry.updates.iter().map(|update| update.len() as u64);
        self.tail.bytes += bytes.sum::<u64>();
        self.tail.updates += entry.updates.len() as u64;
        self.grown_at = Some(now);
    }

    /// Learns what time it is: a failure is forgotten after its pause.
    pub(super) fn pass_to(&mut self, now: Millis) {
        self.grown_at.get_or_insert(now);
        self.failed_until = self.failed_until.filter(|until| *until > now);
    }

    /// Whether one is to be begun, though the room goes on.
    pub(super) fn is_due(&self, head: Version, limits: &Limits, now: Millis) -> bool {
        self.due(head, limits).is_some_and(|due| due <= now)
    }

    /// When one is to be begun, or a failed one to be forgotten.
    pub(super) fn deadline(&self, head: Version, limits: &Limits) -> Option<Millis> {
        self.failed_until.or_else(|| self.due(head, limits))
    }

    /// A room that is busy gets one for all that follows on the last; one that has gone quiet, for
    /// less.
    fn due(&self, head: Version, limits: &Limits) -> Option<Millis> {
        if self.is_running() || self.has_failed() || self.covers(head) {
            return None;
        }
        let grown_at = self.grown_at?;
        let entries = head.0 - self.snapshot.0;
        let is_long = entries >= limits.snapshot_every_entries
            || self.tail.bytes >= limits.snapshot_every_bytes
            || self.tail.updates >= limits.snapshot_every_updates;
        if is_long {
            return Some(self.not_before.max(grown_at));
        }
        let is_worth_it = self.tail.updates >= limits.snapshot_quiet_updates;
        let quiet_at = grown_at.plus(limits.snapshot_quiet_ms);
        is_worth_it.then(|| self.not_before.max(quiet_at))
    }

    /// One begins, with all that is known.
    pub(super) fn begin(&mut self, now: Millis) {
        let tail = self.tail;
        self.running = Some(Running { since: now, tail });
    }

    /// The one that was running made a snapshot.
    pub(super) fn succeed(&mut self, snapshot: Version, now: Millis) {
        if let Some(Running { since, tail }) = self.running.take() {
            self.tail.bytes -= tail.bytes;
            self.tail.updates -= tail.updates;
            let took_ms = now.0.saturating_sub(since.0);
            self.not_before = now.plus(took_ms.saturating_mul(RESTS_PER_WORK));
        }
        self.snapshot = self.snapshot.max(snapshot);
    }

    /// The one that was running made none.
    pub(super) fn fail(&mut self, until: Millis) {
        self.running = None;
        self.failed_until = Some(until);
    }
}
