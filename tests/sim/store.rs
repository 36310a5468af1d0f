//! Owns a store that takes its time: each call waits until the world says how it ends.
//!
//! What is kept is kept by the reference store, so the contract is its own; here it fails before a
//! write, after it, or goes on after whoever asked is gone.

use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::poll_fn;
use parking_lot::Mutex;
use roundtable::ids::{Epoch, OpId, RoomId, Version};
use roundtable::room::Document;
use roundtable::room::index::StateVector;
use roundtable::store::audit::Audit;
use roundtable::store::memory::Memory;
use roundtable::store::quarantine::Quarantine;
use roundtable::store::records::{
    Conflict, ConflictQuery, Recall, RecordKey, RecordQuery, RecordRow, Records, Resolved,
};
use roundtable::store::{
    Append, Appended, Failure, Listed, Loaded, Page, Retention, Row, Snapshot, Store,
};
use roundtable::wire::stored;
use uuid::Uuid;

use crate::faults::Fault;

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Done,
    /// Nothing is done, and the answer is a failure.
    FailedBefore,
    /// It is done, and the answer is a failure: the unclear case.
    FailedAfter,
}

/// The reference store behind a queue.
#[derive(Default)]
pub struct SlowStore {
    memory: Memory,
    verdict: Mutex<Option<Verdict>>,
    fault: Option<Fault>,
}

/// Everything after a version, whatever it weighs.
const ALL: Page = Page {
    rows: usize::MAX,
    bytes: usize::MAX,
};

impl SlowStore {
    pub fn new(fault: Option<Fault>) -> Self {
        Self {
            fault,
            ..Self::default()
        }
    }

    /// The next call that is polled ends so.
    pub fn allow(&self, verdict: Verdict) {
        *self.verdict.lock() = Some(verdict);
    }

    /// Whether the last verdict was not used.
    pub fn take_back(&self) -> bool {
        self.verdict.lock().take().is_some()
    }

    /// What is stored of a room now, as nobody but a model may know.
    pub fn look(&self, room: &RoomId) -> Loaded {
        at_once(self.memory.load(room))
    }

    /// The rows after a version.
    pub fn rows(&self, room: &RoomId, epoch: Epoch, after: Version) -> Vec<Row> {
        at_once(self.memory.read(room, epoch, after, ALL))
    }

    /// Somebody beside the server writes.
    pub fn write_beside(&self, append: Append) -> Appended {
        at_once(self.memory.append(&[append]))[0]
    }

    /// The power goes: what was kept stays, unless the disk lied.
    pub fn lose_power(&self, rooms: &[RoomId]) {
        if self.fault == Some(Fault::VersionReused) {
            rooms.iter().for_each(|room| self.memory.lose_last(room));
        }
    }

    async fn turn(&self) -> Verdict {
        poll_fn(|_| match self.verdict.lock().take() {
            Some(verdict) => Poll::Ready(verdict),
            None => Poll::Pending,
        })
        .await
    }

    async fn call<T>(&self, act: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let away = || Failure::Unavailable("as the world wants it".into());
        match self.turn().await {
            Verdict::Done => act.await,
            Verdict::FailedBefore => Err(away()),
            Verdict::FailedAfter => {
                act.await?;
                Err(away())
            }
        }
    }

    /// The state one entry before a snapshot's, if there is one.
    fn one_short(&self, room: &RoomId, epoch: Epoch, snapshot: &Snapshot) -> Option<Bytes> {
        let before = self.look(room).snapshot;
        let mut document = Document::new(1, StateVector::default());
        let mut at = Version::ZERO;
        if let Some(before) = before {
            document.load(&before.state).ok()?;
            at = before.version;
        }
        let rows = self.rows(room, epoch, at);
        for row in rows.iter().filter(|row| row.version < snapshot.version) {
            for update in stored::unpack(&row.update).ok()? {
                document.load(&update).ok()?;
            }
        }
        Some(document.state())
    }
}

fn at_once<T>(call: impl Future<Output = Result<T, Failure>>) -> T {
    let answer = call.now_or_never();
    answer
        .expect("the reference store answers at once")
        .expect("and does not fail")
}

#[async_trait]
impl Store for SlowStore {
    async fn migrate(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn ping(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn quarantine(&self) -> &dyn Quarantine {
        self.memory.quarantine()
    }

    fn records(&self) -> &dyn Records {
        self
    }

    fn audit(&self) -> &dyn Audit {
        self.memory.audit()
    }

    async fn load(&self, room: &RoomId) -> Result<Loaded, Failure> {
        let mut loaded = self.call(self.memory.load(room)).await?;
        if self.fault == Some(Fault::OldEpochAccepted) {
            loaded.former = Bytes::new();
        }
        Ok(loaded)
    }

    async fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, Failure> {
        let mut appends = appends.to_vec();
        if self.fault == Some(Fault::ResultLost) {
            let with_rows = appends.iter_mut().filter(|append| !append.rows.is_empty());
            with_rows.for_each(|append| append.ops.clear());
        }
        self.call(self.memory.append(&appends)).await
    }

    async fn read(
        &self,
        room: &RoomId,
        epoch: Epoch,
        after: Version,
        page: Page,
    ) -> Result<Vec<Row>, Failure> {
        self.call(self.memory.read(room, epoch, after, page)).await
    }

    async fn save_snapshot(
        &self,
        room: &RoomId,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> Result<(), Failure> {
        let mut snapshot = snapshot.clone();
        if self.fault == Some(Fault::SnapshotShort)
            && let Some(state) = self.one_short(room, epoch, &snapshot)
        {
            snapshot.state = state;
        }
        let save = self.memory.save_snapshot(room, epoch, &snapshot);
        self.call(save).await
    }

    async fn prune(
        &self,
        room: &RoomId,
        epoch: Epoch,
        retention: Retention,
    ) -> Result<Option<Version>, Failure> {
        self.call(self.memory.prune(room, epoch, retention)).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Listed>, Failure> {
        self.call(Store::list(&self.memory, prefix, after, limit))
            .await
    }

    async fn delete(&self, room: &RoomId, epoch: Epoch, former: &Bytes) -> Result<bool, Failure> {
        self.call(self.memory.delete(room, epoch, former)).await
    }
}

/// The store as rooms are given it.
pub type Shared = Arc<SlowStore>;

#[async_trait]
impl Records for SlowStore {
    async fn recall(
        &self,
        room: &RoomId,
        epoch: Epoch,
        ops: &[OpId],
        records: &[RecordKey],
    ) -> Result<Recall, Failure> {
        let recall = self.memory.records().recall(room, epoch, ops, records);
        self.call(recall).await
    }

    async fn project(
        &self,
        room: &RoomId,
        epoch: Epoch,
        from: Version,
        to: Version,
        records: &[RecordRow],
    ) -> Result<bool, Failure> {
        let project = self
            .memory
            .records()
            .project(room, epoch, from, to, records);
        self.call(project).await
    }

    async fn list(
        &self,
        room: &RoomId,
        epoch: Epoch,
        query: &RecordQuery,
    ) -> Result<(Version, Vec<RecordRow>), Failure> {
        self.memory.records().list(room, epoch, query).await
    }

    async fn conflicts(&self, query: &ConflictQuery) -> Result<Vec<Conflict>, Failure> {
        self.memory.records().conflicts(query).await
    }

    async fn conflict(&self, id: Uuid) -> Result<Option<Conflict>, Failure> {
        self.memory.records().conflict(id).await
    }

    async fn resolve(&self, id: Uuid, resolved: &Resolved) -> Result<bool, Failure> {
        self.memory.records().resolve(id, resolved).await
    }
}
