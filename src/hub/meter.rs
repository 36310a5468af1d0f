//! Owns what the hub counts and logs: one event per fact. The names are in [`crate::metric`].

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::ids::RoomId;
use crate::metric;
use crate::room::{LiveEvent, Refusal};
use crate::store::Failure;
use crate::wire::Code;

/// Counters that the rooms' tasks share.
pub struct Meter {
    received: Counter,
    sent: Counter,
    updates: Counter,
    deliveries: Counter,
    encodings: Counter,
    appends: Counter,
    append_seconds: Histogram,
    entries: Counter,
    snapshots: Counter,
    panics: Counter,
    failures: Counter,
    quarantined_rooms: Gauge,
    backlog_bytes: Gauge,
    is_store_away: AtomicBool,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            received: counter!(metric::BYTES_IN),
            sent: counter!(metric::BYTES_OUT),
            updates: counter!(metric::UPDATES_IN),
            deliveries: counter!(metric::DELIVERIES),
            encodings: counter!(metric::ENCODINGS),
            appends: counter!(metric::APPENDS),
            append_seconds: histogram!(metric::APPEND_SECONDS),
            entries: counter!(metric::ENTRIES),
            snapshots: counter!(metric::SNAPSHOTS),
            panics: counter!(metric::PANICS),
            failures: counter!(metric::STORE_FAILURES),
            quarantined_rooms: gauge!(metric::QUARANTINED_ROOMS),
            backlog_bytes: gauge!(metric::BACKLOG_BYTES),
            is_store_away: AtomicBool::new(false),
        }
    }
}

impl Meter {
    /// Bytes came from a WebSocket's peer.
    pub fn received(&self, bytes: usize) {
        self.received.increment(bytes as u64);
    }

    /// A WebSocket's peer took bytes.
    pub fn sent(&self, bytes: usize) {
        self.sent.increment(bytes as u64);
    }

    /// One live event for so many sessions.
    pub fn live(&self, event: &LiveEvent, sessions: usize) {
        if let LiveEvent::Update(_) = event {
            self.updates.increment(1);
        }
        self.deliveries.increment(sessions as u64);
    }

    /// States were encoded for readers that catch up.
    pub fn encodings(&self, count: u64) {
        self.encodings.increment(count);
    }

    /// Entries became durable.
    pub fn entries(&self, count: usize) {
        self.entries.increment(count as u64);
    }

    /// An append was answered.
    pub fn append(&self, ms: u64) {
        self.appends.increment(1);
        self.append_seconds.record(ms as f64 / 1_000.0);
    }

    /// Something was refused.
    pub fn refusal(&self, refusal: &Refusal) {
        counter!(metric::REFUSALS, metric::LABEL_CODE => refusal.code()).increment(1);
    }

    /// A room's backlog is so large now; `seen` is what was counted of it before.
    pub fn backlog(&self, seen: &AtomicUsize, bytes: usize) {
        let before = seen.swap(bytes, Ordering::Relaxed);
        if before != bytes {
            self.backlog_bytes.increment(bytes as f64 - before as f64);
        }
    }

    /// A room or an update is held.
    pub fn quarantined(&self, kind: &'static str) {
        counter!(metric::QUARANTINED, metric::LABEL_KIND => kind).increment(1);
    }

    /// So many rooms are held.
    pub fn quarantined_rooms(&self, rooms: u64) {
        self.quarantined_rooms.set(rooms as f64);
    }

    /// The core panicked.
    pub fn panic(&self, room: &RoomId) {
        self.panics.increment(1);
        tracing::error!(%room, "the room's core panicked: it is opened anew");
    }

    /// A call to the store ended, well or not. An absence is logged once, when it begins and when
    /// it ends.
    pub fn outcome(
        &self,
        call: &'static str,
        room: impl std::fmt::Display,
        failure: Option<&Failure>,
    ) {
        match failure {
            None => {
                if call == "compact" {
                    self.snapshots.increment(1);
                }
                if self.is_store_away.swap(false, Ordering::Relaxed) {
                    tracing::info!("the database is back");
                }
            }
            Some(failure @ Failure::Unavailable(_)) => {
                self.failures.increment(1);
                if !self.is_store_away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(call, %failure, "the database is away");
                }
            }
            Some(failure @ (Failure::Refused(_) | Failure::Corrupt(_))) => {
                self.failures.increment(1);
                tracing::error!(call, %room, %failure, "the store failed");
            }
        }
    }
}
