//! Owns keeping in SQLite: one file beside the server, one connection that writes.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use uuid::Uuid;

use super::sql::{
    self, HeadColumns, Lanes, ListedColumns, PRUNE_ROWS_MAX, Pruned, RowColumns, count, number,
    within,
};
use super::{
    Append, Appended, Failure, Listed, Loaded, Page, Patience, Row, Snapshot, Store, ahead, checked,
};
use crate::ids::{Epoch, RoomId, UnixMillis, Version};

/// Reads go beside one another and beside the writer; more than the cores they run on is no use.
const READERS: usize = 4;

/// Tries at opening the file, and the pause between them: turning it to WAL takes milliseconds.
const OPEN_TRIES_MAX: usize = 50;
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// Rows in one `INSERT`: far below SQLite's 32,766 parameters, and few different statements.
const INSERT_ROWS_MAX: usize = 256;

/// Takes the write lock at once: a transaction that reads first and writes later could not wait
/// for another writer and would fail.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// Where rooms stand: `$1` is `[[name, expected]]`.
const STANDING: &str = "
    SELECT g.key, r.id, r.epoch, r.head, l.append_id, f.epoch
    FROM json_each($1) g
    LEFT JOIN rooms r ON r.name = g.value ->> 0
    LEFT JOIN log l ON l.room = r.id AND l.version = (g.value ->> 1) + 1
    LEFT JOIN former f ON f.room = g.value ->> 0";

/// Makes and moves heads: `$1` is `[[name, epoch in hex, head, first at, last at]]`.
const MOVE_HEADS: &str = "
    INSERT INTO rooms (name, epoch, head, oldest, created_at, updated_at)
    SELECT value ->> 0, unhex(value ->> 1), value ->> 2, 1, value ->> 3, value ->> 4
    FROM json_each($1) WHERE true
    ON CONFLICT (name) DO UPDATE SET head = excluded.head, updated_at = excluded.updated_at
    RETURNING name, id";

const LOAD: &str = "
    SELECT r.epoch, r.head, r.oldest, r.created_at, r.updated_at, s.version, s.state,
        f.state_vector
    FROM (SELECT $1 AS name) n
    LEFT JOIN rooms r ON r.name = n.name
    LEFT JOIN snapshots s ON s.room = r.id
        AND s.version = (SELECT max(version) FROM snapshots WHERE room = r.id)
    LEFT JOIN former f ON f.room = n.name";

/// `$1` room, `$2` epoch, `$3` after, `$4` rows, `$5` bytes.
const READ: &str = r#"
    SELECT version, at, actors, ops, "update", events
    FROM (
        SELECT l.*, coalesce(
            sum(octet_length(l."update") + octet_length(l.events))
                OVER (ORDER BY l.version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0
        ) AS bytes_before
        FROM rooms r JOIN log l ON l.room = r.id
        WHERE r.name = $1 AND r.epoch = $2 AND r.oldest <= $3 + 1
            AND l.version > $3 AND l.version <= $3 + $4
    )
    WHERE bytes_before < $5 OR version = $3 + 1
    ORDER BY version"#;

const SAVE_SNAPSHOT: &str = "
    INSERT INTO snapshots (room, version, state, at)
    SELECT r.id, $2, $3, coalesce(l.at, r.updated_at)
    FROM rooms r LEFT JOIN log l ON l.room = r.id AND l.version = $2
    WHERE r.id = $1
        AND NOT EXISTS (SELECT 1 FROM snapshots s WHERE s.room = r.id AND s.version >= $2)";

/// The first of the next rows that has to stay: `$1` room, `$2` oldest, `$3` one past the last row
/// of this step, `$4` before.
const FIRST_TO_STAY: &str = "
    SELECT version FROM log
    WHERE room = $1 AND version >= $2 AND version < $3 AND at >= $4
    ORDER BY version LIMIT 1";

/// `$1` from, `$2` up to, `$3` after, `$4` limit.
const LIST: &str = "
    SELECT name, epoch, head, oldest, created_at, updated_at FROM rooms
    WHERE name >= $1 AND name < $2 AND name > $3 ORDER BY name LIMIT $4";

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
        within(self.patience.upkeep, migrate(lent.connection())).await?;
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
        let loaded = within(self.patience.call, load(lent.connection(), room)).await?;
        lent.give_back();
        Ok(loaded)
    }

    async fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, Failure> {
        checked(appends)?;
        if appends.is_empty() {
            return Ok(Vec::new());
        }
        let mut lent = self.writer.lend().await?;
        let kept = within(self.patience.call, append(lent.connection(), appends)).await?;
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
        let Ok(from) = number(after) else {
            return Ok(Vec::new());
        };
        let mut lent = self.readers.lend().await?;
        let columns: Vec<RowColumns> = within(self.patience.call, async {
            Ok(sqlx::query_as(READ)
                .bind(room.as_str())
                .bind(epoch.0)
                .bind(from)
                .bind(count(page.rows.max(1)).min(i64::MAX - from))
                .bind(count(page.bytes))
                .fetch_all(lent.connection())
                .await?)
        })
        .await?;
        lent.give_back();
        sql::rows(room, after, columns)
    }

    async fn save_snapshot(
        &self,
        room: &RoomId,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> Result<(), Failure> {
        let mut lent = self.writer.lend().await?;
        let saving = save_snapshot(lent.connection(), room, epoch, snapshot);
        within(self.patience.call, saving).await?;
        lent.give_back();
        Ok(())
    }

    async fn prune(
        &self,
        room: &RoomId,
        epoch: Epoch,
        before: UnixMillis,
    ) -> Result<Option<Version>, Failure> {
        loop {
            let mut lent = self.writer.lend().await?;
            let step = prune(lent.connection(), room, epoch, before);
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
        let (from, up_to) = sql::names(prefix);
        let mut lent = self.readers.lend().await?;
        let lines: Vec<ListedColumns> = within(self.patience.call, async {
            Ok(sqlx::query_as(LIST)
                .bind(from)
                .bind(up_to)
                .bind(after.map_or("", RoomId::as_str))
                .bind(count(limit))
                .fetch_all(lent.connection())
                .await?)
        })
        .await?;
        lent.give_back();
        lines.into_iter().map(sql::listed).collect()
    }

    async fn delete(&self, room: &RoomId, epoch: Epoch, former: &Bytes) -> Result<bool, Failure> {
        let mut lent = self.writer.lend().await?;
        let deleting = delete(lent.connection(), room, epoch, former);
        let deleted = within(self.patience.upkeep, deleting).await?;
        lent.give_back();
        Ok(deleted)
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

fn make_folder(file: &Path) -> Result<(), Failure> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::create_dir_all(folder)
            .map_err(|error| Failure::Unavailable(format!("{}: {error}", folder.display()))),
        _ => Ok(()),
    }
}

/// sqlx takes no lock on SQLite, so the whole run is one transaction: a second process waits, and
/// finds everything done.
async fn migrate(connection: &mut SqliteConnection) -> Result<(), Failure> {
    let mut writing = connection.begin_with(BEGIN).await?;
    migrations().run_direct(None, &mut *writing, false).await?;
    Ok(writing.commit().await?)
}

/// A database that is ahead of the program is accepted: after a roll-back, old starts on new.
fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("migrations/sqlite");
    migrations.set_ignore_missing(true);
    migrations
}

async fn load(connection: &mut SqliteConnection, room: &RoomId) -> Result<Loaded, Failure> {
    type Columns = (
        Option<Uuid>,
        Option<i64>,
        Option<i64>,
        Option<i64>,
        Option<i64>,
        Option<i64>,
        Option<Vec<u8>>,
        Option<Vec<u8>>,
    );
    let (epoch, head, oldest, created_at, updated_at, version, state, former): Columns =
        sqlx::query_as(LOAD)
            .bind(room.as_str())
            .fetch_one(connection)
            .await?;
    let columns: Option<HeadColumns> =
        (|| Some((epoch?, head?, oldest?, created_at?, updated_at?)))();
    let head = columns
        .map(|columns| sql::head(room, columns))
        .transpose()?;
    sql::loaded(room, head, version.zip(state), former)
}

async fn append(
    connection: &mut SqliteConnection,
    appends: &[Append],
) -> Result<Vec<Appended>, Failure> {
    let mut writing = connection.begin_with(BEGIN).await?;
    let (answers, ids) = judge(&mut writing, appends).await?;
    let accepted: Vec<&Append> = (appends.iter().zip(&answers))
        .filter(|(_, answer)| answer.is_none())
        .map(|(append, _)| append)
        .collect();
    if !accepted.is_empty() {
        let ids = move_heads(&mut writing, &accepted, ids).await?;
        insert_rows(&mut writing, &accepted, &ids).await?;
    }
    writing.commit().await?;
    Ok(answers
        .into_iter()
        .map(|answer| answer.unwrap_or(Appended::Kept))
        .collect())
}

/// What to answer for each append, nothing for those that are to be written, and the ids of the
/// rooms that are there. The write lock is held, so nothing moves after this look.
async fn judge(
    connection: &mut SqliteConnection,
    appends: &[Append],
) -> Result<(Vec<Option<Appended>>, HashMap<String, i64>), Failure> {
    type Standing = (
        i64,
        Option<i64>,
        Option<Uuid>,
        Option<i64>,
        Option<Uuid>,
        Option<Uuid>,
    );
    let mut asked = Vec::with_capacity(appends.len());
    for append in appends {
        asked.push((append.room.as_str(), number(append.expected)?));
    }
    let standings: Vec<Standing> = sqlx::query_as(STANDING)
        .bind(json(&asked)?)
        .fetch_all(connection)
        .await?;
    let mut answers = vec![None; appends.len()];
    let mut ids = HashMap::new();
    for (key, id, epoch, head, append_id, ended) in standings {
        let (Some(append), Some(answer)) = (
            usize::try_from(key).ok().and_then(|key| appends.get(key)),
            usize::try_from(key)
                .ok()
                .and_then(|key| answers.get_mut(key)),
        ) else {
            continue;
        };
        *answer = match (id, epoch, head) {
            (Some(id), Some(epoch), Some(head)) => {
                let stands = (Epoch(epoch), sql::version(&append.room, head)?);
                if stands == (append.epoch, append.expected) {
                    ids.insert(append.room.as_str().to_owned(), id);
                    None
                } else if append_id == Some(append.id.0) {
                    Some(Appended::Kept)
                } else {
                    Some(Appended::Moved(Some(stands)))
                }
            }
            _ if append.expected == Version::ZERO && ended != Some(append.epoch.0) => None,
            _ => Some(Appended::Moved(None)),
        };
    }
    Ok((answers, ids))
}

/// Makes the rooms that are new and moves the heads of the others; answers with the ids of all.
async fn move_heads(
    connection: &mut SqliteConnection,
    accepted: &[&Append],
    mut ids: HashMap<String, i64>,
) -> Result<HashMap<String, i64>, Failure> {
    let mut heads = Vec::with_capacity(accepted.len());
    for append in accepted {
        if let (Some(first), Some(last)) = (append.rows.first(), append.rows.last()) {
            let epoch = append.epoch.0.simple().to_string();
            let head = number(last.version)?;
            heads.push((append.room.as_str(), epoch, head, first.at.0, last.at.0));
        }
    }
    let moved: Vec<(String, i64)> = sqlx::query_as(MOVE_HEADS)
        .bind(json(&heads)?)
        .fetch_all(connection)
        .await?;
    ids.extend(moved);
    Ok(ids)
}

/// Writes the log rows in few statements: every statement is a hop to SQLite's thread and back.
async fn insert_rows(
    connection: &mut SqliteConnection,
    accepted: &[&Append],
    ids: &HashMap<String, i64>,
) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for append in accepted {
        let id = ids.get(append.room.as_str()).copied();
        let id = id.ok_or_else(|| Failure::Corrupt(format!("{} has no id", append.room)))?;
        rows.extend(append.rows.iter().map(|row| (id, append.id.0, row)));
    }
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        // Powers of two, so that nine texts serve every number of rows and stay prepared.
        let most = rest.len().min(INSERT_ROWS_MAX);
        let (chunk, others) = rest.split_at(1 << most.ilog2());
        rest = others;
        let mut insert = sqlx::query(AssertSqlSafe(insert_text(chunk.len())));
        for (id, append_id, row) in chunk {
            insert = insert
                .bind(*id)
                .bind(number(row.version)?)
                .bind(*append_id)
                .bind(row.at.0)
                .bind(row.actors.as_str())
                .bind(row.ops.as_str())
                .bind(&row.update[..])
                .bind(row.events.as_str());
        }
        insert.execute(&mut *connection).await?;
    }
    Ok(())
}

fn insert_text(rows: usize) -> String {
    let values = vec!["(?, ?, ?, ?, ?, ?, ?, ?)"; rows].join(", ");
    format!(
        "INSERT INTO log (room, version, append_id, at, actors, ops, \"update\", events) \
         VALUES {values}"
    )
}

async fn save_snapshot(
    connection: &mut SqliteConnection,
    room: &RoomId,
    epoch: Epoch,
    snapshot: &Snapshot,
) -> Result<(), Failure> {
    let mut writing = connection.begin_with(BEGIN).await?;
    let found: Option<(i64, i64)> =
        sqlx::query_as("SELECT id, head FROM rooms WHERE name = $1 AND epoch = $2")
            .bind(room.as_str())
            .bind(epoch.0)
            .fetch_optional(&mut *writing)
            .await?;
    if let Some((id, head)) = found {
        let head = sql::version(room, head)?;
        if snapshot.version > head {
            return Err(ahead(room, snapshot.version, head));
        }
        sqlx::query(SAVE_SNAPSHOT)
            .bind(id)
            .bind(number(snapshot.version)?)
            .bind(&snapshot.state[..])
            .execute(&mut *writing)
            .await?;
    }
    Ok(writing.commit().await?)
}

/// One step: drops at most [`PRUNE_ROWS_MAX`] rows. Answers with the oldest version that is left.
async fn prune(
    connection: &mut SqliteConnection,
    room: &RoomId,
    epoch: Epoch,
    before: UnixMillis,
) -> Result<Option<(i64, Pruned)>, Failure> {
    let mut writing = connection.begin_with(BEGIN).await?;
    let found: Option<(i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT id, oldest, (SELECT max(version) FROM snapshots WHERE room = id)
         FROM rooms WHERE name = $1 AND epoch = $2",
    )
    .bind(room.as_str())
    .bind(epoch.0)
    .fetch_optional(&mut *writing)
    .await?;
    let Some((id, oldest, newest)) = found else {
        return Ok(None);
    };
    let Some(newest) = newest else {
        return Ok(Some((oldest, Pruned::All)));
    };
    let end = (newest + 1).min(oldest + PRUNE_ROWS_MAX).max(oldest);
    let stays: Option<i64> = sqlx::query_scalar(FIRST_TO_STAY)
        .bind(id)
        .bind(oldest)
        .bind(end)
        .bind(before.0)
        .fetch_optional(&mut *writing)
        .await?;
    let oldest = stays.unwrap_or(end);
    for (statement, version) in [
        ("UPDATE rooms SET oldest = $2 WHERE id = $1", oldest),
        ("DELETE FROM log WHERE room = $1 AND version < $2", oldest),
        (
            "DELETE FROM snapshots WHERE room = $1 AND version < $2 AND name IS NULL",
            newest,
        ),
    ] {
        sqlx::query(statement)
            .bind(id)
            .bind(version)
            .execute(&mut *writing)
            .await?;
    }
    writing.commit().await?;
    let all = stays.is_some() || end > newest;
    Ok(Some((oldest, if all { Pruned::All } else { Pruned::Some })))
}

async fn delete(
    connection: &mut SqliteConnection,
    room: &RoomId,
    epoch: Epoch,
    former: &Bytes,
) -> Result<bool, Failure> {
    let mut writing = connection.begin_with(BEGIN).await?;
    // The log and the snapshots go with their room.
    let deleted = sqlx::query("DELETE FROM rooms WHERE name = $1 AND epoch = $2")
        .bind(room.as_str())
        .bind(epoch.0)
        .execute(&mut *writing)
        .await?
        .rows_affected();
    if deleted > 0 {
        sqlx::query(
            "INSERT INTO former (room, epoch, state_vector) VALUES ($1, $2, $3)
             ON CONFLICT (room) DO UPDATE
             SET epoch = excluded.epoch, state_vector = excluded.state_vector",
        )
        .bind(room.as_str())
        .bind(epoch.0)
        .bind(&former[..])
        .execute(&mut *writing)
        .await?;
    }
    writing.commit().await?;
    Ok(deleted > 0)
}

fn json(rows: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(rows).map_err(|error| Failure::Refused(error.to_string()))
}
