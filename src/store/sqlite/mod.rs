//! Owns keeping in SQLite: one file beside the server, one connection that writes.

mod append;
mod audit;
mod quarantine;
mod read;
mod records;
mod upkeep;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use super::audit::Audit;
use super::quarantine::Quarantine;
use super::records::Records;
use super::sql::{self, Lanes, Pruned, within};
use super::{
    Append, Appended, Failure, Listed, Loaded, Page, Patience, Retention, Row, Snapshot, Store,
    checked,
};
use crate::ids::{Epoch, RoomId, Version};

/// Reads go beside one another and beside the writer; more than the cores they run on is no use.
const READERS: usize = 4;

/// Tries at opening the file, and the pause between them: turning it to WAL takes milliseconds.
const OPEN_TRIES_MAX: usize = 50;

const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// Takes the write lock at once: a transaction that reads first and writes later could not wait
/// for another writer and would fail.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// Keeps rooms in one SQLite file.
pub struct Sqlite {
    writer: Lanes<SqliteConnection>,
    readers: Lanes<SqliteConnection>,
    patience: Patience,
}

impl Sqlite {
    /// Opens the file of a URL `sqlite://path`; makes it and its folders if they are missing.
    ///
    /// # Errors
    ///
    /// `Refused` for a database in memory and for a URL that makes no sense, `Unavailable` when
    /// the file cannot be made or opened.
    pub async fn open(url: &str, patience: Patience) -> Result<Self, Failure> {
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(Failure::Refused(
                "an SQLite database in memory keeps nothing: name a file, or use memory:".into(),
            ));
        }
        let options: SqliteConnectOptions = url.parse().map_err(|error: sqlx::Error| {
            Failure::Refused(format!("the URL of an SQLite database: {error}"))
        })?;
        if options.get_filename().as_os_str().is_empty() {
            return Err(Failure::Refused(
                "the URL of an SQLite database names no file".into(),
            ));
        }
        make_folder(options.get_filename())?;
        let writing = options
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // In WAL mode only FULL writes through at every commit; NORMAL may lose the last ones.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(patience.call)
            .disable_statement_logging();
        let reading = options
            .read_only(true)
            .busy_timeout(patience.call)
            .disable_statement_logging();
        let store = Self {
            writer: lanes(1, &patience, writing),
            readers: lanes(READERS, &patience, reading),
            patience,
        };
        store.make_file().await?;
        Ok(store)
    }

    /// Opens the file for the first time. Of processes that make it at once, each turns it to WAL,
    /// for which SQLite waits for nobody and answers that it is locked.
    async fn make_file(&self) -> Result<(), Failure> {
        let mut tries = 0;
        loop {
            match self.writer.lend().await {
                Ok(lent) => {
                    lent.give_back();
                    return Ok(());
                }
                Err(Failure::Unavailable(_)) if tries < OPEN_TRIES_MAX => {
                    tries += 1;
                    tokio::time::sleep(OPEN_PAUSE).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn migrate(&self) -> Result<(), Failure> {
        let mut lent = self.writer.lend().await?;
        within(self.patience.upkeep, upkeep::migrate(lent.connection())).await?;
        lent.give_back();
        Ok(())
    }

    async fn ping(&self) -> Result<(), Failure> {
        let mut lent = self.writer.lend().await?;
        within(self.patience.call, async {
            let mut writing = lent.connection().begin_with(BEGIN).await?;
            sqlx::query("SELECT 1 FROM rooms LIMIT 1")
                .execute(&mut *writing)
                .await?;
            Ok(writing.rollback().await?)
        })
        .await?;
        lent.give_back();
        Ok(())
    }

    async fn load(&self, room: &RoomId) -> Result<Loaded, Failure> {
        let mut lent = self.readers.lend().await?;
        let loaded = within(self.patience.call, read::load(lent.connection(), room)).await?;
        lent.give_back();
        Ok(loaded)
    }

    async fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, Failure> {
        checked(appends)?;
        if appends.is_empty() {
            return Ok(Vec::new());
        }
        let mut lent = self.writer.lend().await?;
        let kept = within(
            self.patience.call,
            append::append(lent.connection(), appends),
        )
        .await?;
        lent.give_back();
        Ok(kept)
    }

    async fn read(
        &self,
        room: &RoomId,
        epoch: Epoch,
        after: Version,
        page: Page,
    ) -> Result<Vec<Row>, Failure> {
        let mut lent = self.readers.lend().await?;
        let reading = read::read(lent.connection(), room, epoch, after, page);
        let rows = within(self.patience.call, reading).await?;
        lent.give_back();
        Ok(rows)
    }

    async fn save_snapshot(
        &self,
        room: &RoomId,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> Result<(), Failure> {
        let mut lent = self.writer.lend().await?;
        let saving = upkeep::save_snapshot(lent.connection(), room, epoch, snapshot);
        within(self.patience.call, saving).await?;
        lent.give_back();
        Ok(())
    }

    async fn prune(
        &self,
        room: &RoomId,
        epoch: Epoch,
        retention: Retention,
    ) -> Result<Option<Version>, Failure> {
        loop {
            let mut lent = self.writer.lend().await?;
            let step = upkeep::prune(lent.connection(), room, epoch, retention);
            let step = within(self.patience.upkeep, step).await?;
            lent.give_back();
            match step {
                None => return Ok(None),
                Some((oldest, Pruned::All)) => return sql::version(room, oldest).map(Some),
                Some((_, Pruned::Some)) => {}
            }
        }
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Listed>, Failure> {
        let mut lent = self.readers.lend().await?;
        let listing = read::list(lent.connection(), prefix, after, limit);
        let listed = within(self.patience.call, listing).await?;
        lent.give_back();
        Ok(listed)
    }

    async fn delete(&self, room: &RoomId, epoch: Epoch, former: &Bytes) -> Result<bool, Failure> {
        let mut lent = self.writer.lend().await?;
        let deleting = upkeep::delete(lent.connection(), room, epoch, former);
        let deleted = within(self.patience.upkeep, deleting).await?;
        lent.give_back();
        Ok(deleted)
    }

    fn quarantine(&self) -> &dyn Quarantine {
        self
    }

    fn records(&self) -> &dyn Records {
        self
    }

    fn audit(&self) -> &dyn Audit {
        self
    }
}

fn lanes(
    count: usize,
    patience: &Patience,
    options: SqliteConnectOptions,
) -> Lanes<SqliteConnection> {
    let connect = move || {
        let options = options.clone();
        let connecting: futures_util::future::BoxFuture<'static, _> =
            Box::pin(async move { options.connect().await });
        connecting
    };
    Lanes::new(count, patience, Box::new(connect))
}

/// The folder of the file that a URL names.
pub(super) fn folder(url: &str) -> Option<PathBuf> {
    let options: SqliteConnectOptions = url.parse().ok()?;
    let folder = options.get_filename().parent()?;
    Some(folder.to_owned())
}

fn make_folder(file: &Path) -> Result<(), Failure> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::create_dir_all(folder)
            .map_err(|error| Failure::Unavailable(format!("{}: {error}", folder.display()))),
        _ => Ok(()),
    }
}
