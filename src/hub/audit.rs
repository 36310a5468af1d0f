//! Owns the way of audit lines to the store: written behind, in batches, never waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Denial, Hub};
use crate::ids::UnixMillis;
use crate::limits::Limits;
use crate::metric;
use crate::store::audit::{AuditEvent, AuditLine, AuditQuery, FORGET_MAX};
use crate::store::{Failure, Store};

/// Lines in one statement.
const BATCH_MAX: usize = 500;

/// Where what happened is noted. Whoever notes never waits: what finds no place is counted.
#[derive(Debug)]
pub struct AuditLog {
    queue: mpsc::Sender<AuditEvent>,
    lost: Counter,
    is_losing: AtomicBool,
    ending: CancellationToken,
    task: TaskTracker,
}

impl AuditLog {
    /// A log whose lines go to a store.
    #[must_use]
    pub fn start(store: Arc<dyn Store>, limits: &Limits) -> Self {
        let (queue, events) = mpsc::channel(limits.audit_waiting_max);
        let ending = CancellationToken::new();
        let task = TaskTracker::new();
        let writer = Writer {
            store,
            events,
            ending: ending.clone(),
            pause_ms: limits.retry_ms_min,
            pause_ms_max: limits.retry_ms_max,
        };
        task.spawn(writer.run());
        task.close();
        Self {
            queue,
            lost: counter!(metric::AUDIT_LOST),
            is_losing: AtomicBool::new(false),
            ending,
            task,
        }
    }

    /// Notes what happened. `event` must have no token in it.
    pub fn note(&self, event: AuditEvent) {
        if self.queue.try_send(event).is_ok() {
            if self.is_losing.swap(false, Ordering::Relaxed) {
                tracing::info!("audit lines find their place again");
            }
            return;
        }
        self.lost.increment(1);
        if !self.is_losing.swap(true, Ordering::Relaxed) {
            tracing::warn!("audit lines are lost: too many wait for the database");
        }
    }

    /// Writes what waits, and takes nothing more. May be dropped, and then some is lost.
    pub async fn end(&self) {
        self.ending.cancel();
        self.task.wait().await;
    }
}

struct Writer {
    store: Arc<dyn Store>,
    events: mpsc::Receiver<AuditEvent>,
    ending: CancellationToken,
    pause_ms: u64,
    pause_ms_max: u64,
}

impl Writer {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut is_ending = false;
        loop {
            tokio::select! {
                count = self.events.recv_many(&mut batch, BATCH_MAX) => {
                    if count == 0 {
                        return;
                    }
                    self.write(&mut batch).await;
                }
                () = self.ending.cancelled(), if !is_ending => {
                    is_ending = true;
                    // What waits is still given out, then there is nothing more.
                    self.events.close();
                }
            }
        }
    }

    /// Tries until the lines are kept, or can never be.
    async fn write(&self, batch: &mut Vec<AuditEvent>) {
        let mut pause_ms = self.pause_ms;
        loop {
            match self.store.audit().record(batch).await {
                Ok(()) => break,
                Err(Failure::Unavailable(_)) => {
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                    pause_ms = (pause_ms * 2).min(self.pause_ms_max);
                }
                Err(failure @ (Failure::Refused(_) | Failure::Corrupt(_))) => {
                    let lines = batch.len();
                    tracing::error!(lines, %failure, "audit lines cannot be kept");
                    counter!(metric::AUDIT_LOST).increment(lines as u64);
                    break;
                }
            }
        }
        batch.clear();
    }
}

impl Hub {
    /// Where what happened is noted.
    #[must_use]
    pub fn audit(&self) -> &AuditLog {
        &self.shared.audit
    }

    /// Lines of the audit log, the newest first. What was noted just now may be missing.
    pub async fn audit_lines(&self, query: &AuditQuery) -> Result<Vec<AuditLine>, Denial> {
        let lines = self.shared.store.audit().lines(query).await;
        self.told("audit", lines)
    }

    /// Drops lines that are older than the retention. Returns how many.
    pub async fn forget_audit(&self) -> Result<u64, Denial> {
        let retention_ms = self.limits().audit_retention_ms as i64;
        let before = UnixMillis(self.now().wall.0.saturating_sub(retention_ms));
        let mut forgotten = 0;
        loop {
            let count = self.shared.store.audit().forget(before).await;
            let count = self.told("audit", count)?;
            forgotten += count;
            if (count as usize) < FORGET_MAX || self.is_leaving() {
                return Ok(forgotten);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Memory;

    fn event(number: i64) -> AuditEvent {
        AuditEvent {
            at: UnixMillis(number),
            action: "test".into(),
            user: Some("ada".into()),
            room: None,
            is_allowed: true,
            address: None,
            detail: "{}".into(),
        }
    }

    async fn noted(store: &Memory) -> Vec<i64> {
        let query = AuditQuery {
            limit: 10_000,
            ..AuditQuery::default()
        };
        let lines = store.audit().lines(&query).await.expect("readable");
        lines.iter().rev().map(|line| line.event.at.0).collect()
    }

    #[tokio::test]
    async fn au1_what_is_noted_is_written_behind_in_its_order_and_at_the_end() {
        let store = Arc::new(Memory::open());
        let log = AuditLog::start(store.clone(), &Limits::default());
        for number in 0..1_200 {
            log.note(event(number));
        }
        assert_eq!(noted(&store).await, [] as [i64; 0]);
        log.end().await;
        assert_eq!(noted(&store).await, (0..1_200).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn au2_what_finds_no_place_is_lost_and_blocks_nobody() {
        let store = Arc::new(Memory::open());
        let limits = Limits {
            audit_waiting_max: 3,
            ..Limits::default()
        };
        let log = AuditLog::start(store.clone(), &limits);
        for number in 0..5 {
            log.note(event(number));
        }
        assert!(log.is_losing.load(Ordering::Relaxed));
        log.end().await;
        log.note(event(6));
        assert_eq!(noted(&store).await, [0, 1, 2]);
    }

    struct At(i64);

    impl crate::hub::Clock for At {
        fn now(&self) -> crate::ids::Now {
            crate::ids::Now {
                wall: UnixMillis(self.0),
                ..crate::ids::Now::default()
            }
        }

        fn random(&self) -> u128 {
            7
        }
    }

    #[tokio::test]
    async fn au6_what_is_older_than_the_retention_is_forgotten() {
        let store = Arc::new(Memory::open());
        let lines: Vec<AuditEvent> = (0..6_000).map(event).collect();
        store.audit().record(&lines).await.expect("kept");
        let limits = Limits {
            audit_retention_ms: 1_000,
            ..Limits::default()
        };
        let hub = Hub::new(store.clone(), Arc::new(At(6_990)), Arc::new(limits));
        assert_eq!(hub.forget_audit().await, Ok(5_990));
        assert_eq!(noted(&store).await, (5_990..6_000).collect::<Vec<_>>());
        assert_eq!(hub.forget_audit().await, Ok(0));
    }
}
