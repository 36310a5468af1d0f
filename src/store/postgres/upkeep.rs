//! Owns what is done to Postgres beside appending: migrations, snapshots, pruning, deleting.

use std::time::Duration;

use bytes::Bytes;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::super::sql::{self, PRUNE_ROWS_MAX, Pruned, number};
use super::super::{Failure, Retention, Snapshot, ahead};
use crate::ids::{Epoch, RoomId};

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

/// Drops operations: `$1` room, `$2` the oldest version that is left, `$3` before, `$4` at most so
/// many.
const PRUNE_OPS: &str = "
    DELETE FROM ops WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM ops WHERE room = $1 AND version < $2 AND at < $3 LIMIT $4
    ))";

/// As [`PRUNE_OPS`], deleted records.
const PRUNE_DELETED: &str = "
    DELETE FROM records WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM records
        WHERE room = $1 AND version < $2 AND deleted_at < $3 AND deleted_at IS NOT NULL LIMIT $4
    ))";

/// A database that is ahead of the program is accepted: after a roll-back, old starts on new.
pub(super) fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("migrations/postgres");
    migrations.set_ignore_missing(true);
    migrations
}

/// Keeps the snapshot unless a newer one is kept.
pub(super) async fn save_snapshot(
    connection: &mut PgConnection,
    room: &RoomId,
    epoch: Epoch,
    snapshot: &Snapshot,
) -> Result<(), Failure> {
    let version = number(snapshot.version)?;
    let head: Option<i64> = sqlx::query_scalar(SAVE_SNAPSHOT)
        .bind(room.as_str())
        .bind(epoch.0)
        .bind(version)
        .bind(&snapshot.state[..])
        .fetch_optional(connection)
        .await?;
    match head {
        Some(head) if head < version => {
            Err(ahead(room, snapshot.version, sql::version(room, head)?))
        }
        _ => Ok(()),
    }
}

/// One step: drops at most [`PRUNE_ROWS_MAX`] rows. Answers with the oldest version that is left.
pub(super) async fn prune(
    connection: &mut PgConnection,
    room: &RoomId,
    epoch: Epoch,
    retention: Retention,
) -> Result<Option<(i64, Pruned)>, Failure> {
    let mut writing = connection.begin().await?;
    let found: Option<(i64, i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT id, oldest, projected, (SELECT max(version) FROM snapshots WHERE room = id)
         FROM rooms WHERE name = $1 AND epoch = $2 FOR NO KEY UPDATE",
    )
    .bind(room.as_str())
    .bind(epoch.0)
    .fetch_optional(&mut *writing)
    .await?;
    let Some((id, oldest, projected, newest)) = found else {
        return Ok(None);
    };
    let newest = newest.unwrap_or_default();
    let covered = newest.min(projected);
    let end = (covered + 1).min(oldest + PRUNE_ROWS_MAX).max(oldest);
    let Retention { before, below } = retention;
    let below = i64::try_from(below.0).unwrap_or(i64::MAX);
    let stays: Option<i64> = sqlx::query_scalar(FIRST_TO_STAY)
        .bind(id)
        .bind(oldest.max(below))
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
    let mut all = stays.is_some() || end > covered;
    for statement in [PRUNE_OPS, PRUNE_DELETED] {
        let dropped = sqlx::query(statement)
            .bind(id)
            .bind(oldest)
            .bind(before.0)
            .bind(PRUNE_ROWS_MAX)
            .execute(&mut *writing)
            .await?;
        all &= dropped.rows_affected() < PRUNE_ROWS_MAX as u64;
    }
    writing.commit().await?;
    Ok(Some((oldest, if all { Pruned::All } else { Pruned::Some })))
}

pub(super) async fn delete(
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
    for statement in [
        "DELETE FROM log WHERE room = $1",
        "DELETE FROM ops WHERE room = $1",
        "DELETE FROM conflicts WHERE room = $1",
    ] {
        sqlx::query(statement)
            .bind(id)
            .execute(&mut *writing)
            .await?;
    }
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
