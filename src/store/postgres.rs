//! Owns keeping in Postgres: one statement per group of appends.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection};
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

/// Connections for everything but appends, which have one of their own: a group commit needs no
/// more, and a long reading never stands before it. Postgres allows 100 in all by default, and
/// several nodes share them.
const OTHERS: usize = 8;

/// How much longer than the server this side waits for the end of a statement: in time the server
/// answers, and the connection stays.
const GRACE: Duration = Duration::from_secs(1);

/// Keeps what may be kept, and answers with the ordinals of those rooms.
///
/// One statement is one round trip, and its own transaction. Rooms come in the order of their
/// names; existing ones are locked in this order before new ones are made in this order, so that
/// two nodes never wait for each other in a circle. A room that was there when the statement began
/// is never made, even if a deletion ends while the statement waits for it.
const APPEND: &str = "
    WITH given AS MATERIALIZED (
        SELECT * FROM UNNEST(
            $1::text[], $2::uuid[], $3::int8[], $4::int8[], $5::uuid[], $6::int8[], $7::int8[]
        ) WITH ORDINALITY
            AS g (name, epoch, expected, head, append_id, first_at, last_at, ordinal)
    ), locked AS MATERIALIZED (
        SELECT g.ordinal, g.append_id, g.head, g.last_at, r.id
        FROM given g CROSS JOIN LATERAL (
            SELECT id FROM rooms
            WHERE name = g.name AND epoch = g.epoch AND rooms.head = g.expected
            FOR NO KEY UPDATE
        ) r
    ), extended AS (
        UPDATE rooms r SET head = l.head, updated_at = l.last_at
        FROM locked l WHERE r.id = l.id
        RETURNING l.ordinal, l.append_id, r.id
    ), made AS (
        INSERT INTO rooms (name, epoch, head, oldest, created_at, updated_at)
        SELECT g.name, g.epoch, g.head, 1, g.first_at, g.last_at
        FROM given g
        WHERE g.expected = 0
          AND (SELECT count(*) FROM extended) >= 0
          AND (SELECT r.id FROM rooms r WHERE r.name = g.name) IS NULL
          AND (SELECT f.epoch FROM former f WHERE f.room = g.name) IS DISTINCT FROM g.epoch
        ORDER BY g.ordinal
        ON CONFLICT (name) DO NOTHING
        RETURNING name, id
    ), kept AS MATERIALIZED (
        SELECT ordinal, append_id, id FROM extended
        UNION ALL
        SELECT g.ordinal, g.append_id, m.id FROM made m JOIN given g ON g.name = m.name
    ), written AS (
        INSERT INTO log (room, version, append_id, at, actors, ops, update, events)
        SELECT k.id, v.version, k.append_id, v.at, v.actors::json, v.ops::json, v.update,
            v.events::json
        FROM UNNEST(
            $8::int8[], $9::int8[], $10::int8[], $11::text[], $12::text[], $13::bytea[], $14::text[]
        ) AS v (ordinal, version, at, actors, ops, update, events)
        JOIN kept k ON k.ordinal = v.ordinal
    )
    SELECT ordinal FROM kept";

/// Where rooms stand, and who wrote after the version that they are expected at: `$1` names, `$2`
/// expected versions.
const STANDING: &str = "
    SELECT g.ordinal, r.epoch, r.head, l.append_id
    FROM UNNEST($1::text[], $2::int8[]) WITH ORDINALITY AS g (name, expected, ordinal)
    JOIN rooms r ON r.name = g.name
    LEFT JOIN log l ON l.room = r.id AND l.version = g.expected + 1";

const LOAD: &str = "
    SELECT r.epoch, r.head, r.oldest, r.created_at, r.updated_at, s.version, s.state,
        f.state_vector
    FROM (SELECT $1::text AS name) n
    LEFT JOIN rooms r ON r.name = n.name
    LEFT JOIN LATERAL (
        SELECT version, state FROM snapshots WHERE room = r.id ORDER BY version DESC LIMIT 1
    ) s ON true
    LEFT JOIN former f ON f.room = n.name";

/// `$1` room, `$2` epoch, `$3` after, `$4` rows, `$5` bytes.
const READ: &str = "
    SELECT version, at, actors, ops, update, events
    FROM (
        SELECT l.version, l.at, l.actors::text, l.ops::text, l.update, l.events::text, coalesce(
            sum(octet_length(l.update) + octet_length(l.events::text))
                OVER (ORDER BY l.version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0
        ) AS bytes_before
        FROM rooms r JOIN log l ON l.room = r.id
        WHERE r.name = $1 AND r.epoch = $2 AND r.oldest <= $3::int8 + 1
            AND l.version > $3 AND l.version <= $3 + $4
    ) page
    WHERE bytes_before < $5 OR version = $3 + 1
    ORDER BY version";

/// `$1` room, `$2` epoch, `$3` version, `$4` state. The lock keeps the room until it is done.
const SAVE_SNAPSHOT: &str = "
    WITH target AS (
        SELECT id, head, updated_at FROM rooms WHERE name = $1 AND epoch = $2 FOR KEY SHARE
    ), saved AS (
        INSERT INTO snapshots (room, version, state, at)
        SELECT t.id, $3::int8, $4, coalesce(l.at, t.updated_at)
        FROM target t LEFT JOIN log l ON l.room = t.id AND l.version = $3
        WHERE t.head >= $3
            AND NOT EXISTS (SELECT FROM snapshots s WHERE s.room = t.id AND s.version >= $3)
        ON CONFLICT DO NOTHING
    )
    SELECT head FROM target";

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

/// Keeps rooms in a Postgres database.
pub struct Postgres {
    writer: Lanes<PgConnection>,
    others: Lanes<PgConnection>,
    options: PgConnectOptions,
    patience: Patience,
}

impl Postgres {
    /// Opens the database of a URL `postgres://user:password@host:port/database`.
    ///
    /// # Errors
    ///
    /// `Refused` when the URL makes no sense, `Unavailable` when the database cannot be reached or
    /// lets nobody in.
    pub async fn open(url: &str, patience: Patience) -> Result<Self, Failure> {
        let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| {
            Failure::Refused(format!("the URL of a Postgres database: {error}"))
        })?;
        let options = options.disable_statement_logging();
        let store = Self {
            writer: lanes(1, &patience, &options),
            others: lanes(OTHERS, &patience, &options),
            options,
            patience,
        };
        store.writer.lend().await?.give_back();
        Ok(store)
    }
}

#[async_trait]
impl Store for Postgres {
    async fn migrate(&self) -> Result<(), Failure> {
        // A connection of its own has no limit on statements, and takes sqlx's lock with it when
        // something fails.
        within(self.patience.upkeep, async {
            let mut connection = self.options.connect().await?;
            migrations()
                .run_direct(None, &mut connection, false)
                .await?;
            Ok(connection.close().await?)
        })
        .await
    }

    async fn ping(&self) -> Result<(), Failure> {
        let mut lent = self.others.lend().await?;
        within(self.patience.call, async {
            // On a standby even this is refused.
            let nothing = "UPDATE rooms SET head = head WHERE false";
            Ok(sqlx::query(nothing).execute(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        Ok(())
    }

    async fn load(&self, room: &RoomId) -> Result<Loaded, Failure> {
        let mut lent = self.others.lend().await?;
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
        if from == i64::MAX {
            return Ok(Vec::new());
        }
        let mut lent = self.others.lend().await?;
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
        let version = number(snapshot.version)?;
        let mut lent = self.others.lend().await?;
        let head: Option<i64> = within(self.patience.call, async {
            Ok(sqlx::query_scalar(SAVE_SNAPSHOT)
                .bind(room.as_str())
                .bind(epoch.0)
                .bind(version)
                .bind(&snapshot.state[..])
                .fetch_optional(lent.connection())
                .await?)
        })
        .await?;
        lent.give_back();
        match head {
            Some(head) if head < version => {
                Err(ahead(room, snapshot.version, sql::version(room, head)?))
            }
            _ => Ok(()),
        }
    }

    async fn prune(
        &self,
        room: &RoomId,
        epoch: Epoch,
        before: UnixMillis,
    ) -> Result<Option<Version>, Failure> {
        loop {
            let mut lent = self.others.lend().await?;
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
        // Postgres has no text with a NUL, and so no name either.
        if prefix.contains('\0') {
            return Ok(Vec::new());
        }
        let (from, up_to) = sql::names(prefix);
        let mut lent = self.others.lend().await?;
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
        let mut lent = self.others.lend().await?;
        let deleting = delete(lent.connection(), room, epoch, former, self.patience.upkeep);
        let deleted = within(self.patience.upkeep + GRACE, deleting).await?;
        lent.give_back();
        Ok(deleted)
    }
}

fn lanes(count: usize, patience: &Patience, options: &PgConnectOptions) -> Lanes<PgConnection> {
    let (options, settings) = (options.clone(), settings(patience.call));
    let connect = move || {
        let (options, settings) = (options.clone(), settings.clone());
        let connecting: BoxFuture<'static, _> = Box::pin(async move {
            let mut connection = options.connect().await?;
            sqlx::raw_sql(AssertSqlSafe(settings))
                .execute(&mut connection)
                .await?;
            Ok(connection)
        });
        connecting
    };
    Lanes::new(count, patience, Box::new(connect))
}

/// What every connection is set to, whatever the database's defaults are.
///
/// A commit that was not written through is not durable. The statements are all look-ups by index:
/// one plan serves every call, and must not be a scan because the tables were empty when it was
/// made. `work_mem` holds a group of appends.
fn settings(call: Duration) -> String {
    format!(
        "SET statement_timeout = {};
         SET default_transaction_isolation = 'read committed';
         SET plan_cache_mode = force_generic_plan;
         SET enable_seqscan = off;
         SET jit = off;
         SET work_mem = '32MB';
         SELECT set_config('synchronous_commit', 'on', false)
         WHERE current_setting('synchronous_commit') = 'off'",
        call.saturating_sub(GRACE).max(call / 2).as_millis()
    )
}

/// A database that is ahead of the program is accepted: after a roll-back, old starts on new.
fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("migrations/postgres");
    migrations.set_ignore_missing(true);
    migrations
}

async fn load(connection: &mut PgConnection, room: &RoomId) -> Result<Loaded, Failure> {
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
    connection: &mut PgConnection,
    appends: &[Append],
) -> Result<Vec<Appended>, Failure> {
    let mut order: Vec<usize> = (0..appends.len()).collect();
    order.sort_unstable_by_key(|&at| &appends[at].room);
    let ordered: Vec<&Append> = order.iter().map(|&at| &appends[at]).collect();
    let kept = write(connection, &ordered).await?;
    let mut answers = vec![Appended::Moved(None); appends.len()];
    let mut moved = Vec::new();
    for ((&at, &append), kept) in order.iter().zip(&ordered).zip(kept) {
        if kept {
            answers[at] = Appended::Kept;
        } else {
            moved.push((at, append));
        }
    }
    if !moved.is_empty() {
        judge(connection, &moved, &mut answers).await?;
    }
    Ok(answers)
}

/// Runs [`APPEND`]; answers which of the appends it kept.
async fn write(connection: &mut PgConnection, appends: &[&Append]) -> Result<Vec<bool>, Failure> {
    let mut heads = Heads::default();
    let mut rows = Rows::default();
    for (append, ordinal) in appends.iter().zip(1..) {
        heads.push(append)?;
        for row in &append.rows {
            rows.push(ordinal, row)?;
        }
    }
    let ordinals: Vec<i64> = sqlx::query_scalar(APPEND)
        .bind(heads.name)
        .bind(heads.epoch)
        .bind(heads.expected)
        .bind(heads.head)
        .bind(heads.append_id)
        .bind(heads.first_at)
        .bind(heads.last_at)
        .bind(rows.ordinal)
        .bind(rows.version)
        .bind(rows.at)
        .bind(rows.actors)
        .bind(rows.ops)
        .bind(rows.update)
        .bind(rows.events)
        .fetch_all(connection)
        .await?;
    let mut kept = vec![false; appends.len()];
    for ordinal in ordinals {
        let at = usize::try_from(ordinal - 1).ok();
        if let Some(kept) = at.and_then(|at| kept.get_mut(at)) {
            *kept = true;
        }
    }
    Ok(kept)
}

/// The columns of the rooms of one call.
#[derive(Default)]
struct Heads<'a> {
    name: Vec<&'a str>,
    epoch: Vec<Uuid>,
    expected: Vec<i64>,
    head: Vec<i64>,
    append_id: Vec<Uuid>,
    first_at: Vec<i64>,
    last_at: Vec<i64>,
}

impl<'a> Heads<'a> {
    fn push(&mut self, append: &'a Append) -> Result<(), Failure> {
        if let (Some(first), Some(last)) = (append.rows.first(), append.rows.last()) {
            self.name.push(append.room.as_str());
            self.epoch.push(append.epoch.0);
            self.expected.push(number(append.expected)?);
            self.head.push(number(last.version)?);
            self.append_id.push(append.id.0);
            self.first_at.push(first.at.0);
            self.last_at.push(last.at.0);
        }
        Ok(())
    }
}

/// The columns of the rows of one call; `ordinal` is the place of their room, from 1.
#[derive(Default)]
struct Rows<'a> {
    ordinal: Vec<i64>,
    version: Vec<i64>,
    at: Vec<i64>,
    actors: Vec<&'a str>,
    ops: Vec<&'a str>,
    update: Vec<&'a [u8]>,
    events: Vec<&'a str>,
}

impl<'a> Rows<'a> {
    fn push(&mut self, ordinal: i64, row: &'a Row) -> Result<(), Failure> {
        self.ordinal.push(ordinal);
        self.version.push(number(row.version)?);
        self.at.push(row.at.0);
        self.actors.push(&row.actors);
        self.ops.push(&row.ops);
        self.update.push(&row.update);
        self.events.push(&row.events);
        Ok(())
    }
}

/// Answers for the appends that were not written: by an earlier try, or not at all.
///
/// A statement after the first, since the first saw the tables as they were before it waited for
/// another node's.
async fn judge(
    connection: &mut PgConnection,
    moved: &[(usize, &Append)],
    answers: &mut [Appended],
) -> Result<(), Failure> {
    let mut names = Vec::with_capacity(moved.len());
    let mut expected = Vec::with_capacity(moved.len());
    for (_, append) in moved {
        names.push(append.room.as_str());
        expected.push(number(append.expected)?);
    }
    let standings: Vec<(i64, Uuid, i64, Option<Uuid>)> = sqlx::query_as(STANDING)
        .bind(names)
        .bind(expected)
        .fetch_all(connection)
        .await?;
    for (ordinal, epoch, head, append_id) in standings {
        let at = usize::try_from(ordinal - 1).ok();
        if let Some((at, append)) = at.and_then(|at| moved.get(at)) {
            answers[*at] = if append_id == Some(append.id.0) {
                Appended::Kept
            } else {
                Appended::Moved(Some((Epoch(epoch), sql::version(&append.room, head)?)))
            };
        }
    }
    Ok(())
}

/// One step: drops at most [`PRUNE_ROWS_MAX`] rows. Answers with the oldest version that is left.
async fn prune(
    connection: &mut PgConnection,
    room: &RoomId,
    epoch: Epoch,
    before: UnixMillis,
) -> Result<Option<(i64, Pruned)>, Failure> {
    let mut writing = connection.begin().await?;
    let found: Option<(i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT id, oldest, (SELECT max(version) FROM snapshots WHERE room = id)
         FROM rooms WHERE name = $1 AND epoch = $2 FOR NO KEY UPDATE",
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
    connection: &mut PgConnection,
    room: &RoomId,
    epoch: Epoch,
    former: &Bytes,
    patience: Duration,
) -> Result<bool, Failure> {
    let mut writing = connection.begin().await?;
    let limit = format!("SET LOCAL statement_timeout = {}", patience.as_millis());
    sqlx::raw_sql(AssertSqlSafe(limit))
        .execute(&mut *writing)
        .await?;
    // Waits for an append under way; the next statement sees the rows that it wrote.
    let deleted: Option<i64> =
        sqlx::query_scalar("DELETE FROM rooms WHERE name = $1 AND epoch = $2 RETURNING id")
            .bind(room.as_str())
            .bind(epoch.0)
            .fetch_optional(&mut *writing)
            .await?;
    let Some(id) = deleted else {
        writing.rollback().await?;
        return Ok(false);
    };
    sqlx::query("DELETE FROM log WHERE room = $1")
        .bind(id)
        .execute(&mut *writing)
        .await?;
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
    writing.commit().await?;
    Ok(true)
}
