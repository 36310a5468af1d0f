//! Owns the contract of stores: every promise of `roundtable::store`, held against every store.
//!
//! The rules are numbered in `docs/SPEC.md`.

mod audit;
mod conflicts;
mod group;
mod keep;
mod listing;
mod ops;
mod quarantine;
mod read;
mod records;
mod world;

use std::sync::Arc;

use bytes::Bytes;
use roundtable::ids::{AppendId, Epoch, RoomId, UnixMillis, Version};
use roundtable::store::memory::Memory;
use roundtable::store::{self, Append, Page, Row, Store};
use uuid::Uuid;

use crate::support::postgres::Database;

/// Where a store keeps: opening twice is two stores on the same rooms.
pub(crate) enum World {
    Memory(Arc<Memory>),
    Sqlite(tempfile::TempDir),
    Postgres(Database),
}

impl World {
    pub(crate) fn memory() -> Self {
        Self::Memory(Arc::new(Memory::open()))
    }

    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) async fn postgres() -> Self {
        Self::Postgres(Database::fresh().await)
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Memory(_) => "memory:".to_owned(),
            Self::Sqlite(folder) => {
                format!("sqlite://{}/some/folder/rooms.db", folder.path().display())
            }
            Self::Postgres(database) => database.url(),
        }
    }

    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        let store = match self {
            Self::Memory(memory) => Arc::clone(memory) as Arc<dyn Store>,
            Self::Sqlite(_) | Self::Postgres(_) => store::open(&self.url()).await.unwrap(),
        };
        store.migrate().await.unwrap();
        store
    }
}

pub(crate) const ALL: Page = Page {
    rows: 10_000,
    bytes: 1 << 30,
};

pub(crate) fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

pub(crate) fn epoch(number: u128) -> Epoch {
    Epoch(Uuid::from_u128(number))
}

pub(crate) fn row(version: u64) -> Row {
    Row {
        version: Version(version),
        at: UnixMillis(1_000 + version as i64),
        actors: format!(r#"[{{"userId":"u{version}","clientId":"c"}}]"#),
        ops: format!(r#"["op{version}"]"#),
        update: Bytes::from(format!("update {version}")),
        events: format!(r#"[{{"index":{version}}}]"#),
    }
}

/// An append of `rows` rows after `expected`, under a new id.
pub(crate) fn append(name: &str, epoch: Epoch, expected: u64, rows: u64) -> Append {
    Append {
        room: room(name),
        epoch,
        id: AppendId(Uuid::new_v4()),
        expected: Version(expected),
        rows: (expected + 1..=expected + rows).map(row).collect(),
        ops: Vec::new(),
        conflicts: Vec::new(),
    }
}

/// Tells the store that records are told up to a version, from wherever that was.
pub(crate) async fn project(store: &dyn Store, name: &str, epoch: Epoch, to: u64) {
    let (records, name) = (store.records(), room(name));
    let recall = records.recall(&name, epoch, &[], &[]).await.unwrap();
    let projected = records
        .project(&name, epoch, recall.projected, Version(to), &[])
        .await;
    assert_eq!(projected, Ok(true));
}

/// Runs every rule against every store, each on tables of its own.
macro_rules! on_every_store {
    ($($rule:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                super::$rule(&$crate::contract::World::memory()).await;
            })*
        }

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                super::$rule(&$crate::contract::World::sqlite()).await;
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                super::$rule(&$crate::contract::World::postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_every_store;
