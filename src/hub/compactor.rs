//! Owns compaction: fold the log up to a version into a snapshot, then prune. Reads the store,
//! never a live room.

use std::sync::Arc;

use crate::ids::{Epoch, RoomId, UnixMillis, Version};
use crate::room::Document;
use crate::room::index::StateVector;
use crate::store::{Failure, Snapshot, Store};

use super::loader;

/// Makes a snapshot at `through` and drops rows that it covers and that are older than `before`.
///
/// Returns the version of the snapshot and the oldest version that is left in the log.
pub async fn compact(
    store: &Arc<dyn Store>,
    room: &RoomId,
    epoch: Epoch,
    through: Version,
    before: UnixMillis,
) -> Result<(Version, Version), Failure> {
    let gone = || Failure::Corrupt("the room has another epoch".into());
    let loaded = store.load(room).await?;
    let head = loaded
        .head
        .filter(|head| head.epoch == epoch)
        .ok_or_else(gone)?;
    let newest = loaded
        .snapshot
        .as_ref()
        .map_or(Version::ZERO, |snapshot| snapshot.version);
    let through = through.min(head.version);
    if newest < through {
        let document = fold(store, room, epoch, loaded.snapshot, through).await?;
        let state = tokio::task::spawn_blocking(move || {
            let mut document = document;
            document.state()
        });
        let state = state
            .await
            .map_err(|_| Failure::Corrupt("encoding panicked".into()))?;
        store
            .save_snapshot(
                room,
                epoch,
                &Snapshot {
                    version: through,
                    state,
                },
            )
            .await?;
    }
    let oldest = store.prune(room, epoch, before).await?.ok_or_else(gone)?;
    Ok((newest.max(through), oldest))
}

async fn fold(
    store: &Arc<dyn Store>,
    room: &RoomId,
    epoch: Epoch,
    snapshot: Option<Snapshot>,
    through: Version,
) -> Result<Document, Failure> {
    let mut at = snapshot
        .as_ref()
        .map_or(Version::ZERO, |snapshot| snapshot.version);
    let mut document = loader::begin(0, StateVector::default(), snapshot).await?;
    while at < through {
        (document, at, _) = loader::step(store, room, epoch, at, through, document).await?;
    }
    Ok(document)
}
