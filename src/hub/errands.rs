//! Owns what a room has others do for it: calls to the store, whose answers come back as inputs.

use std::sync::Arc;

use bytes::Bytes;

use super::compactor::Keep;
use super::{Shared, compactor, loader, projector, rows};
use crate::ids::{AppendId, Epoch, OpId, RoomId, UnixMillis, Version};
use crate::room::operation::{Done, Place};
use crate::room::{Entry, Input, Outcome};
use crate::store::{Append, Appended, Failure};

/// On behalf of which room.
#[derive(Clone)]
pub struct Errands {
    /// What the errands need.
    pub shared: Arc<Shared>,
    /// The room.
    pub name: RoomId,
    /// Its history.
    pub epoch: Epoch,
}

impl Errands {
    /// Keeps entries, together with what other rooms have to keep.
    pub async fn append(
        self,
        id: AppendId,
        expected: Version,
        entries: Arc<[Arc<Entry>]>,
        done: Arc<[Done]>,
    ) -> Input {
        let append = Append {
            room: self.name.clone(),
            epoch: self.epoch,
            id,
            expected,
            rows: entries.iter().map(|entry| rows::encode(entry)).collect(),
            ops: done.iter().map(rows::op).collect(),
            conflicts: (done.iter())
                .flat_map(|done| rows::conflicts(&self.name, done))
                .collect(),
        };
        let begun = self.shared.clock.now().mono;
        let answer = self.shared.journal.append(append).await;
        let ended = self.shared.clock.now().mono;
        self.count("append", answer.as_ref().err());
        self.shared.meter.append(ended.0 - begun.0);
        let outcome = match answer {
            Ok(Appended::Kept) => Outcome::Kept,
            Ok(Appended::Moved(stands)) => Outcome::Moved(stands),
            Err(_) => Outcome::Unclear,
        };
        Input::Appended { id, outcome }
    }

    /// Looks up what the store knows of operations and records.
    pub async fn recall(
        self,
        through: Option<Version>,
        operations: Vec<OpId>,
        places: Vec<Place>,
    ) -> Input {
        let store = &self.shared.store;
        let recalled =
            projector::recall(store, &self.name, self.epoch, through, &operations, &places);
        let recalled = recalled.await;
        self.count("recall", recalled.as_ref().err());
        Input::Recalled {
            recalled: recalled.ok(),
        }
    }

    /// Reads what others appended.
    pub async fn fetch(self, after: Version) -> Input {
        let store = &self.shared.store;
        let read = store
            .read(&self.name, self.epoch, after, loader::PAGE)
            .await;
        let entries = read.and_then(|rows| {
            let decoded = rows.iter().map(|row| rows::decode(row).map(Arc::new));
            decoded
                .collect::<Result<Vec<_>, _>>()
                .map_err(Failure::Corrupt)
        });
        self.count("read", entries.as_ref().err());
        Input::Fetched {
            entries: entries.ok(),
        }
    }

    /// Makes a snapshot and prunes.
    pub async fn compact(self, through: Version) -> Input {
        let limits = &self.shared.limits;
        let now = self.shared.clock.now().wall;
        let keep = Keep {
            before: UnixMillis(now.0.saturating_sub(limits.log_retention_ms as i64)),
            versions_max: limits.log_versions_max,
        };
        let task = {
            let Self {
                shared,
                name,
                epoch,
            } = self.clone();
            let (crash, room) = (shared.crash.clone(), name.clone());
            let compact =
                async move { compactor::compact(&shared.store, &name, epoch, through, keep).await };
            crash.during(room, compact)
        };
        // A task of its own: folding a large room takes a while, and a panic in it stays there.
        let kept = match tokio::spawn(task).await {
            Ok(kept) => kept,
            Err(_) => Err(Failure::Corrupt("folding panicked".into())),
        };
        self.count("compact", kept.as_ref().err());
        Input::Compacted { kept: kept.ok() }
    }

    /// Erases the room.
    pub async fn erase(self, former: Bytes) -> Input {
        let store = &self.shared.store;
        let erased = store.delete(&self.name, self.epoch, &former).await;
        self.count("delete", erased.as_ref().err());
        Input::Erased {
            is_done: erased.is_ok(),
        }
    }

    fn count(&self, call: &'static str, failure: Option<&Failure>) {
        self.shared.meter.outcome(call, &self.name, failure);
    }
}
