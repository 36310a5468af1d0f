//! Owns compaction: fold the log up to a version into a snapshot, then prune. Reads the store,
//! never a live room.

use std::sync::Arc;

use crate::ids::{Epoch, RoomId, UnixMillis, Version};
use crate::room::Document;
use crate::room::index::StateVector;
use crate::store::{Failure, Retention, Snapshot, Store};

use super::{loader, projector};

/// How much of a log is kept.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Rows made before are too old.
    pub before: UnixMillis,
    /// More versions than so many are too many.
    pub versions_max: u64,
}

/// Makes a snapshot at `through` and drops rows that it covers and that need not be kept.
///
/// Returns the version of the snapshot and the oldest version that is left in the log.
pub async fn compact(
    store: &Arc<dyn Store>,
    room: &RoomId,
    epoch: Epoch,
    through: Version,
    keep: Keep,
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
        let (mut document, bytes) = fold(store, room, epoch, loaded.snapshot, through).await?;
        let state = loader::aside(bytes, move || Ok(document.state())).await?;
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
    // What is not written to the records yet is not pruned.
    projector::project(store, room, epoch, head.version).await?;
    let retention = Retention {
        before: keep.before,
        below: Version(head.version.0.saturating_sub(keep.versions_max) + 1),
    };
    let pruned = store.prune(room, epoch, retention).await?;
    let oldest = pruned.ok_or_else(gone)?;
    Ok((newest.max(through), oldest))
}

/// The document at a version, and about how many bytes it is made of.
async fn fold(
    store: &Arc<dyn Store>,
    room: &RoomId,
    epoch: Epoch,
    snapshot: Option<Snapshot>,
    through: Version,
) -> Result<(Document, usize), Failure> {
    let (mut at, mut bytes) = snapshot.as_ref().map_or((Version::ZERO, 0), |snapshot| {
        (snapshot.version, snapshot.state.len())
    });
    let mut document = loader::begin(0, StateVector::default(), snapshot).await?;
    while at < through {
        let stepped = loader::step(store, room, epoch, at, through, document).await?;
        bytes += stepped.page.bytes as usize;
        (document, at) = (stepped.document, stepped.at);
    }
    Ok((document, bytes))
}
