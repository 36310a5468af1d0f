//! Owns a memory store that is watched, and that goes away when told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use roundtable::ids::{Epoch, RoomId, Version};
use roundtable::store::audit::Audit;
use roundtable::store::memory::Memory;
use roundtable::store::quarantine::Quarantine;
use roundtable::store::records::Records;
use roundtable::store::{
    Append, Appended, Failure, Listed, Loaded, Page, Retention, Row, Snapshot, Store,
};

#[derive(Default)]
pub(crate) struct Watched {
    memory: Memory,
    loads: AtomicUsize,
    is_away: AtomicBool,
}

impl Watched {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    pub(crate) fn loads(&self) -> usize {
        self.loads.load(Ordering::Relaxed)
    }

    pub(crate) fn go_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    fn is_here(&self) -> Result<(), Failure> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(Failure::Unavailable("away".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Store for Watched {
    async fn migrate(&self) -> Result<(), Failure> {
        self.memory.migrate().await
    }

    async fn ping(&self) -> Result<(), Failure> {
        self.is_here()
    }

    async fn load(&self, room: &RoomId) -> Result<Loaded, Failure> {
        self.is_here()?;
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.memory.load(room).await
    }

    async fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, Failure> {
        self.is_here()?;
        self.memory.append(appends).await
    }

    async fn read(
        &self,
        room: &RoomId,
        epoch: Epoch,
        after: Version,
        page: Page,
    ) -> Result<Vec<Row>, Failure> {
        self.is_here()?;
        self.memory.read(room, epoch, after, page).await
    }

    async fn save_snapshot(
        &self,
        room: &RoomId,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> Result<(), Failure> {
        self.is_here()?;
        self.memory.save_snapshot(room, epoch, snapshot).await
    }

    async fn prune(
        &self,
        room: &RoomId,
        epoch: Epoch,
        retention: Retention,
    ) -> Result<Option<Version>, Failure> {
        self.is_here()?;
        self.memory.prune(room, epoch, retention).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Listed>, Failure> {
        Store::list(&self.memory, prefix, after, limit).await
    }

    async fn delete(&self, room: &RoomId, epoch: Epoch, former: &Bytes) -> Result<bool, Failure> {
        self.is_here()?;
        self.memory.delete(room, epoch, former).await
    }

    fn quarantine(&self) -> &dyn Quarantine {
        self.memory.quarantine()
    }

    fn records(&self) -> &dyn Records {
        self.memory.records()
    }

    fn audit(&self) -> &dyn Audit {
        self.memory.audit()
    }
}
