//! Owns the contract of keeping: what a store promises about rooms, their log and their snapshots.
//!
//! # The contract
//!
//! A store keeps, for each room, an **epoch**, a **head** (the last version), the **oldest**
//! version that is still in the log, the log itself (one [`Row`] per version) and snapshots of the
//! document's state at some versions. Every implementation keeps these promises, and one suite of
//! tests holds all of them to it:
//!
//! - **A room comes into being with its first append.** Loading, reading and listing never make
//!   one.
//! - **An append is atomic and durable.** When [`Store::append`] returns [`Appended::Kept`] for a
//!   room, all of its rows survive a crash and a power cut; otherwise none of them is there. Rooms
//!   of one call are independent of one another: one room's `Moved` leaves the others kept.
//! - **Versions are dense.** An append names the head it expects and its rows are numbered
//!   `expected + 1 ..`. When the room's head or epoch is another, nothing is written for it and the
//!   answer is [`Appended::Moved`].
//! - **An append happens once.** A retry under the same [`AppendId`] after an unclear answer finds
//!   the rows that the first try wrote and is answered [`Appended::Kept`] without writing again,
//!   even when others appended since. It finds them as long as they are in the log: rows are kept
//!   longer than retries go on.
//! - **A failure says nothing about the outcome.** After `Err` the caller does not know whether the
//!   rows are kept, and tries again under the same id.
//! - **Reads see what was kept**, in version order and without gaps, from the version asked for.
//! - **Snapshots never run ahead.** A snapshot of a version after the head is refused; an older one
//!   than the newest kept is ignored. Saving the same twice changes nothing.
//! - **An append without rows keeps operations.** It is held to epoch and head as every other, and
//!   moves neither. Of a room that was never written it keeps nothing, makes no room, and is
//!   answered [`Appended::Kept`]. A retry of it that comes when others appended since is moved:
//!   [`records::Records::recall`] says what is known.
//! - **Pruning keeps recovery exact.** Only rows that a snapshot covers and that are projected are
//!   dropped, oldest first, and `oldest` moves in the same transaction, so that `oldest ..= head`
//!   are always all there.
//! - **Deleting ends an epoch.** The room, its log and its snapshots are gone, the state vector of
//!   what it held is kept (merged by the caller with earlier ones), and the next first append makes
//!   a room with another epoch: under the one deleted last, as a late retry would, it is moved.

pub mod audit;
mod filter;
pub mod group;
pub mod memory;
pub mod postgres;
pub mod quarantine;
pub mod records;
mod sql;
pub mod sqlite;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use self::audit::Audit;
use self::quarantine::Quarantine;
use self::records::{ConflictRow, OpRow, Records};
use crate::ids::{AppendId, Epoch, RoomId, UnixMillis, Version};

/// One entry of the log as a store sees it: numbers, and three columns that it carries unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The entry's version.
    pub version: Version,
    /// When the entry was made.
    pub at: UnixMillis,
    /// JSON: who is behind it, `[{"userId", "clientId"}]`.
    pub actors: String,
    /// JSON: the ids of its operations, `[]` for Yjs edits.
    pub ops: String,
    /// The Yjs updates it consists of, in the stored form of `docs/PROTOCOLS.md`.
    pub update: Bytes,
    /// JSON: its change events.
    pub events: String,
}

/// The state of a room's document after `version`, as one Yjs update (v1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The version that the state includes.
    pub version: Version,
    /// The state.
    pub state: Bytes,
}

/// What a store knows of a room that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The room's history.
    pub epoch: Epoch,
    /// The last version.
    pub version: Version,
    /// The oldest version still in the log; `version + 1` when the log is empty.
    pub oldest: Version,
    /// When the room was first written.
    pub created_at: UnixMillis,
    /// When it was last written.
    pub updated_at: UnixMillis,
}

/// What opening a room needs, but for the log after the snapshot, which is read in pages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// Nothing, when the room was never written or was deleted.
    pub head: Option<Head>,
    /// The newest snapshot, if there is one.
    pub snapshot: Option<Snapshot>,
    /// The state vector (Yjs v1) of what the room held in epochs that were deleted; empty if none
    /// was.
    pub former: Bytes,
}

/// New rows for one room.
#[derive(Debug, Clone)]
pub struct Append {
    /// The room.
    pub room: RoomId,
    /// The epoch that the rows belong to; a first append (`expected` zero) makes the room with it.
    pub epoch: Epoch,
    /// Marks this append over all its tries.
    pub id: AppendId,
    /// The head that the room has if nobody else wrote: the rows are `expected + 1 ..`, dense.
    pub expected: Version,
    /// At least one row, unless there are operations.
    pub rows: Vec<Row>,
    /// What operations came to, those that changed nothing included.
    pub ops: Vec<OpRow>,
    /// What they wrote over.
    pub conflicts: Vec<ConflictRow>,
}

impl Append {
    /// Whether there is anything to keep beside rows.
    fn has_more(&self) -> bool {
        !self.ops.is_empty() || !self.conflicts.is_empty()
    }
}

/// What became of one room's append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The rows are durable.
    Kept,
    /// Nothing was written: the room stands elsewhere. `None` when it does not exist (any more).
    Moved(Option<(Epoch, Version)>),
}

/// How much one read may return. At least one row is returned, however large.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// At most so many rows.
    pub rows: usize,
    /// No further row once their updates and events have so many bytes.
    pub bytes: usize,
}

/// One line of the list of rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The room.
    pub room: RoomId,
    /// Where it stands.
    pub head: Head,
}

/// The world broke. Says nothing about whether a write took place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The database is away or overloaded: the same call may succeed later.
    #[error("reach the database: {0}")]
    Unavailable(String),
    /// The database refuses this very data: the same call fails again.
    #[error("store this: {0}")]
    Refused(String),
    /// What the database holds breaks the contract.
    #[error("make sense of what is stored: {0}")]
    Corrupt(String),
}

/// What may go of a room's log: rows made before a time, and however young those before a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Rows made before are too old.
    pub before: UnixMillis,
    /// Rows before are too many.
    pub below: Version,
}

impl Retention {
    /// By age alone.
    #[must_use]
    pub fn since(before: UnixMillis) -> Self {
        let below = Version::ZERO;
        Self { before, below }
    }
}

/// Keeps rooms. See the module for what every implementation promises.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Brings the tables up to date. Safe to call from several processes at once, and again.
    async fn migrate(&self) -> Result<(), Failure>;

    /// Answers when the database can be read from and written to.
    async fn ping(&self) -> Result<(), Failure>;

    /// What opening the room needs.
    async fn load(&self, room: &RoomId) -> Result<Loaded, Failure>;

    /// Keeps the rows of many rooms in one transaction; answers in their order. A room occurs at
    /// most once.
    async fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, Failure>;

    /// The rows after a version, in order. Empty when there are none, when the room has another
    /// epoch, and when the row right after `after` was pruned.
    async fn read(
        &self,
        room: &RoomId,
        epoch: Epoch,
        after: Version,
        page: Page,
    ) -> Result<Vec<Row>, Failure>;

    /// Keeps a snapshot; ignored when the epoch is not the room's, and when a newer one is kept.
    async fn save_snapshot(
        &self,
        room: &RoomId,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> Result<(), Failure>;

    /// Drops rows that are covered by the newest snapshot, projected, and out of retention;
    /// snapshots older than the newest; and of operations and deleted records those that are too
    /// old, and older than the oldest row that is left. Returns the version of that row, `None`
    /// when the room has another epoch.
    async fn prune(
        &self,
        room: &RoomId,
        epoch: Epoch,
        retention: Retention,
    ) -> Result<Option<Version>, Failure>;

    /// Rooms whose name begins with `prefix`, by name in byte order, after a name.
    async fn list(
        &self,
        prefix: &str,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Listed>, Failure>;

    /// Ends a room's epoch and keeps `former`. Returns whether the room was there in that epoch.
    async fn delete(&self, room: &RoomId, epoch: Epoch, former: &Bytes) -> Result<bool, Failure>;

    /// What is kept out of rooms, and which rooms are kept closed.
    fn quarantine(&self) -> &dyn Quarantine;

    /// Records, results of operations, conflicts.
    fn records(&self) -> &dyn Records;

    /// Who was let in or refused, and what admins did.
    fn audit(&self) -> &dyn Audit;
}

/// How long a store waits before it answers [`Failure::Unavailable`]. A database that hangs must
/// look like one that is away, so that rooms can go on and try again.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a free connection, or a new one.
    pub connect: Duration,
    /// For one call on it: people wait for the answer, and a retry is safe.
    pub call: Duration,
    /// For one step of what nobody waits for and may touch a whole log: migrating, deleting.
    pub upkeep: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            call: Duration::from_secs(5),
            upkeep: Duration::from_secs(120),
        }
    }
}

/// Opens the store that a URL names: `postgres://` or `postgresql://`, `sqlite://` and a path (the
/// file and its folders are made), or `memory:` for tests.
///
/// # Errors
///
/// `Refused` when the URL makes no sense, `Unavailable` when the database cannot be reached. The
/// URL is not repeated, as it may have a password.
pub async fn open(url: &str) -> Result<Arc<dyn Store>, Failure> {
    open_with(url, Patience::default()).await
}

/// As [`open`], with another patience.
///
/// # Errors
///
/// As [`open`].
pub async fn open_with(url: &str, patience: Patience) -> Result<Arc<dyn Store>, Failure> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "postgres" | "postgresql" => Ok(Arc::new(postgres::Postgres::open(url, patience).await?)),
        "sqlite" => Ok(Arc::new(sqlite::Sqlite::open(url, patience).await?)),
        "memory" => Ok(Arc::new(memory::Memory::open())),
        _ => Err(Failure::Refused(
            "the database URL begins with none of postgres://, sqlite:// and memory:".into(),
        )),
    }
}

/// The folder of the file that a URL names, if it names one.
#[must_use]
pub fn folder(url: &str) -> Option<std::path::PathBuf> {
    url.starts_with("sqlite:").then(|| sqlite::folder(url))?
}

/// Holds a caller to what [`Append`] says of itself.
fn checked(appends: &[Append]) -> Result<(), Failure> {
    let mut rooms = HashSet::with_capacity(appends.len());
    for append in appends {
        let Append {
            room,
            expected,
            rows,
            ops,
            conflicts,
            ..
        } = append;
        if !rooms.insert(room) {
            return Err(Failure::Refused(format!("{room} occurs twice in one call")));
        }
        if rows.is_empty() && ops.is_empty() {
            return Err(Failure::Refused(format!("an append of nothing to {room}")));
        }
        let mut versions = (1..).map(|step| expected.0.checked_add(step));
        if !rows
            .iter()
            .all(|row| versions.next() == Some(Some(row.version.0)))
        {
            return Err(Failure::Refused(format!(
                "rows of {room} do not follow on {expected}"
            )));
        }
        let versions = rows.iter().map(|row| row.version);
        let versions = versions
            .chain(ops.iter().map(|op| op.version))
            .chain(conflicts.iter().flat_map(ConflictRow::versions));
        if versions.chain([*expected]).any(is_beyond_sql) {
            return Err(Failure::Refused(format!(
                "rows of {room} end beyond what SQL can count"
            )));
        }
        if conflicts.iter().any(ConflictRow::has_nul) {
            return Err(Failure::Refused(format!(
                "a name in a conflict of {room} has U+0000"
            )));
        }
    }
    Ok(())
}

/// Both databases count with a sign.
fn is_beyond_sql(version: Version) -> bool {
    i64::try_from(version.0).is_err()
}

/// A snapshot, or a projection, of what is not there.
fn ahead(room: &RoomId, version: Version, head: Version) -> Failure {
    Failure::Refused(format!("{room} has no {version}: its head is {head}"))
}
