//! Owns how a room is made from what is stored: the newest snapshot, and the log after it.

use std::sync::Arc;

use crate::ids::{Epoch, RoomId, Version};
use crate::room::index::StateVector;
use crate::room::{Document, Fault, Standing};
use crate::store::{Failure, Loaded, Page, Store};
use crate::wire::stored;

/// One step of reading the log: some megabytes at a time, however long it is.
pub const PAGE: Page = Page {
    rows: 5_000,
    bytes: 8 << 20,
};

/// A document and where its room stands.
#[derive(Debug)]
pub struct Opened {
    /// The fold of snapshot and log.
    pub document: Document,
    /// Where the room stands.
    pub standing: Standing,
}

/// Loads a room; one that was never written is empty and gets `epoch`.
///
/// # Errors
///
/// When the store cannot be read, or holds what cannot be folded ([`Failure::Corrupt`]).
pub async fn load(
    store: &Arc<dyn Store>,
    room: &RoomId,
    client: u32,
    epoch: Epoch,
) -> Result<Opened, Failure> {
    let loaded = store.load(room).await?;
    let former = former(&loaded)?;
    let Some(head) = loaded.head else {
        let standing = Standing {
            room: room.clone(),
            epoch,
            head: Version::ZERO,
            oldest: Version(1),
            snapshot: Version::ZERO,
        };
        return Ok(Opened {
            document: Document::new(client, former),
            standing,
        });
    };
    let snapshot = loaded
        .snapshot
        .as_ref()
        .map_or(Version::ZERO, |snapshot| snapshot.version);
    let mut document = Document::new(client, former);
    if let Some(snapshot) = &loaded.snapshot {
        document
            .load(&snapshot.state)
            .map_err(|fault| unsound(snapshot.version, &fault))?;
    }
    let mut at = snapshot;
    while at < head.version {
        at = step(store, room, head.epoch, at, head.version, &mut document).await?;
    }
    let standing = Standing {
        room: room.clone(),
        epoch: head.epoch,
        head: head.version,
        oldest: head.oldest,
        snapshot,
    };
    Ok(Opened { document, standing })
}

/// Folds one page of the log after `at` into the document, up to `through`; returns how far it
/// came.
pub async fn step(
    store: &Arc<dyn Store>,
    room: &RoomId,
    epoch: Epoch,
    at: Version,
    through: Version,
    document: &mut Document,
) -> Result<Version, Failure> {
    let rows = store.read(room, epoch, at, PAGE).await?;
    let mut reached = at;
    for row in rows.iter().take_while(|row| row.version <= through) {
        if row.version != reached.next() {
            return Err(Failure::Corrupt(format!(
                "version {} is missing",
                reached.next()
            )));
        }
        reached = row.version;
        let updates = stored::unpack(&row.update)
            .map_err(|reason| Failure::Corrupt(format!("version {reached}: {reason}")))?;
        for update in updates {
            document
                .load(&update)
                .map_err(|fault| unsound(reached, &fault))?;
        }
    }
    if reached == at {
        return Err(Failure::Corrupt(format!(
            "version {} is missing",
            at.next()
        )));
    }
    Ok(reached)
}

fn former(loaded: &Loaded) -> Result<StateVector, Failure> {
    if loaded.former.is_empty() {
        return Ok(StateVector::default());
    }
    StateVector::parse(&loaded.former)
        .map_err(|_| Failure::Corrupt("state vector of a deleted epoch".into()))
}

fn unsound(version: Version, fault: &Fault) -> Failure {
    Failure::Corrupt(format!("version {version} cannot be folded: {fault:?}"))
}
