//! Owns a store that remembers which appends came in one call, and can make them wait.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use roundtable::ids::{Epoch, RoomId, Version};
use roundtable::store::audit::Audit;
use roundtable::store::quarantine::Quarantine;
use roundtable::store::records::Records;
use roundtable::store::{
    Append, Appended, Failure, Listed, Loaded, Page, Retention, Row, Snapshot, Store,
};
use tokio::sync::Semaphore;

/// Passes everything on to another store.
pub(crate) struct Recorder {
    store: Arc<dyn Store>,
    calls: Mutex<Vec<Vec<String>>>,
    /// How many calls have begun.
    pub(crate) begun: Semaphore,
    /// How many calls may go on.
    pub(crate) gate: Semaphore,
}

impl Recorder {
    /// A recorder whose gate is open for `calls` appends.
    pub(crate) fn new(store: Arc<dyn Store>, calls: usize) -> Arc<Self> {
        Arc::new(Self {
            store,
            calls: Mutex::new(Vec::new()),
            begun: Semaphore::new(0),
            gate: Semaphore::new(calls),
        })
    }

    /// The rooms of each append call so far.
    pub(crate) fn calls(&self) -> Vec<Vec<String>> {
        self.calls.lock().clone()
    }
}

#[async_trait]
impl Store for Recorder {
    async fn migrate(&self) -> Result<(), Failure> {
        self.store.migrate().await
    }

    async fn ping(&self) -> Result<(), Failure> {
        self.store.ping().await
    }

    async fn load(&self, room: &RoomId) -> Result<Loaded, Failure> {
        self.store.load(room).await
    }

    async fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, Failure> {
        let rooms = appends
            .iter()
            .map(|append| append.room.to_string())
            .collect();
        self.calls.lock().push(rooms);
        self.begun.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        self.store.append(appends).await
    }

    async fn read(
        &self,
        room: &RoomId,
        epoch: Epoch,
        after: Version,
        page: Page,
    ) -> Result<Vec<Row>, Failure> {
        self.store.read(room, epoch, after, page).await
    }

    async fn save_snapshot(
        &self,
        room: &RoomId,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> Result<(), Failure> {
        self.store.save_snapshot(room, epoch, snapshot).await
    }

    async fn prune(
        &self,
        room: &RoomId,
        epoch: Epoch,
        retention: Retention,
    ) -> Result<Option<Version>, Failure> {
        self.store.prune(room, epoch, retention).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Listed>, Failure> {
        self.store.list(prefix, after, limit).await
    }

    async fn delete(&self, room: &RoomId, epoch: Epoch, former: &Bytes) -> Result<bool, Failure> {
        self.store.delete(room, epoch, former).await
    }

    fn quarantine(&self) -> &dyn Quarantine {
        self.store.quarantine()
    }

    fn records(&self) -> &dyn Records {
        self.store.records()
    }

    fn audit(&self) -> &dyn Audit {
        self.store.audit()
    }
}
