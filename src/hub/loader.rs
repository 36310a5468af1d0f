//! Owns how a room is made from what is stored: the newest snapshot, and the log after it.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::crash;
use crate::ids::{Epoch, RoomId, Version};
use crate::room::index::{Index, StateVector};
use crate::room::update::check_state;
use crate::room::{Document, Fault, Standing, Tail};
use crate::store::{Failure, Loaded, Page, Row, Snapshot, Store};
use crate::wire::stored;

/// One step of reading the log: some megabytes at a time, however long it is.
pub const PAGE: Page = Page {
    rows: 5_000,
    bytes: 8 << 20,
};

/// A fold of so many bytes takes less than a millisecond.
const INLINE_BYTES_MAX: usize = 16 * 1024;

/// Large folds at a time: as many as there are cores, or a thousand rooms that are opened at once
/// would leave none to those that are live.
static FOLDS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));

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
    load_until(store, room, client, epoch, Version(u64::MAX)).await
}

/// As [`load`], but only as far as `until`, if the room has this epoch and its newest snapshot is
/// not beyond.
///
/// # Errors
///
/// As [`load`].
pub async fn load_until(
    store: &Arc<dyn Store>,
    room: &RoomId,
    client: u32,
    epoch: Epoch,
    until: Version,
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
            tail: Tail::default(),
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
    let mut document = begin(client, former, loaded.snapshot).await?;
    let (mut at, mut tail) = (snapshot, Tail::default());
    let through = match head.epoch == epoch {
        true => head.version.min(until).max(snapshot),
        false => head.version,
    };
    while at < through {
        let stepped = step(store, room, head.epoch, at, through, document).await?;
        tail.updates += stepped.page.updates;
        tail.bytes += stepped.page.bytes;
        (document, at) = (stepped.document, stepped.at);
    }
    let standing = Standing {
        room: room.clone(),
        epoch: head.epoch,
        head: through,
        oldest: head.oldest,
        snapshot,
        tail,
    };
    Ok(Opened { document, standing })
}

/// A document as of a snapshot.
pub async fn begin(
    client: u32,
    former: StateVector,
    snapshot: Option<Snapshot>,
) -> Result<Document, Failure> {
    let mut document = Document::new(client, former);
    let Some(Snapshot { version, state }) = snapshot else {
        return Ok(document);
    };
    aside(state.len(), move || {
        let loaded = document.load(&state);
        loaded.map_err(|fault| unsound(version, &fault))?;
        Ok(document)
    })
    .await
}

/// A document, how far it came with one page of the log, and how much that was.
#[derive(Debug)]
pub struct Stepped {
    /// The document.
    pub document: Document,
    /// The last version that it includes.
    pub at: Version,
    /// What the page had.
    pub page: Tail,
}

/// Folds one page of the log after `at` into the document, up to `through`.
pub async fn step(
    store: &Arc<dyn Store>,
    room: &RoomId,
    epoch: Epoch,
    at: Version,
    through: Version,
    mut document: Document,
) -> Result<Stepped, Failure> {
    let rows = store.read(room, epoch, at, PAGE).await?;
    let bytes = rows.iter().map(|row| row.update.len()).sum();
    aside(bytes, move || {
        let rows = rows.iter().take_while(|row| row.version <= through);
        let (at, page) = fold(rows, at, &mut document)?;
        Ok(Stepped { document, at, page })
    })
    .await
}

fn fold<'a>(
    rows: impl Iterator<Item = &'a Row>,
    at: Version,
    document: &mut Document,
) -> Result<(Version, Tail), Failure> {
    let mut reached = at;
    let mut updates = Vec::new();
    for row in rows {
        if row.version != reached.next() {
            return Err(missing(reached.next()));
        }
        reached = row.version;
        let of_row = stored::unpack(&row.update)
            .map_err(|reason| Failure::Corrupt(format!("version {reached}: {reason}")))?;
        updates.extend(of_row.into_iter().map(|update| (reached, update)));
    }
    if reached == at {
        return Err(missing(at.next()));
    }
    let mut folding = at;
    let loaded = document.load_all(updates.iter().map(|(version, update)| {
        folding = *version;
        &**update
    }));
    loaded.map_err(|fault| unsound(folding, &fault))?;
    let bytes = updates.iter().map(|(_, update)| update.len() as u64);
    let page = Tail {
        updates: updates.len() as u64,
        bytes: bytes.sum(),
    };
    Ok((reached, page))
}

/// Does what takes long for that many bytes where it holds up no other task. Noted before, as it
/// may be the last that the process does.
pub(super) async fn aside<T: Send + 'static>(
    bytes: usize,
    fold: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let work = crash::work();
    // Without a runtime, as in a simulation, there is no other task.
    let is_alone = tokio::runtime::Handle::try_current().is_err();
    if bytes <= INLINE_BYTES_MAX || is_alone {
        let _noted = work.note();
        return fold();
    }
    // A closed semaphore would only mean that there is no queue; it is never closed.
    let _turn = FOLDS.acquire().await;
    let noted = move || {
        let _noted = work.note();
        fold()
    };
    let folded = tokio::task::spawn_blocking(noted).await;
    folded.unwrap_or_else(|_| Err(Failure::Corrupt("folding panicked".into())))
}

/// What a room that must not be opened held, for its next epoch to refuse: read from what is stored
/// without the CRDT, as far as it can be read.
#[must_use]
pub fn epitaph(loaded: &Loaded, log: &[Row]) -> Bytes {
    let mut index = Index::with_former(former(loaded).unwrap_or_default());
    let snapshot = loaded.snapshot.iter().map(|it| it.state.clone());
    let updates = log
        .iter()
        .flat_map(|row| stored::unpack(&row.update).unwrap_or_default());
    for update in snapshot.chain(updates) {
        match check_state(&update, &index) {
            Ok(checked) => index.accept(checked),
            Err(_) => break,
        }
    }
    index.epitaph()
}

fn missing(version: Version) -> Failure {
    Failure::Corrupt(format!("version {version} is missing"))
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
