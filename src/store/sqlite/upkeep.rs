//! Owns what is done to SQLite beside appending: migrations, snapshots, pruning, deleting.

use bytes::Bytes;
use sqlx::Connection;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnection;

use super::super::sql::{self, PRUNE_ROWS_MAX, Pruned, number};
use super::super::{Failure, Retention, Snapshot, ahead};
use super::BEGIN;
use crate::ids::{Epoch, RoomId};

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

/// Drops operations: `$1` room, `$2` the oldest version that is left, `$3` before, `$4` at most so
/// many.
const PRUNE_OPS: &str = "
    DELETE FROM ops WHERE rowid IN (
        SELECT rowid FROM ops WHERE room = $1 AND version < $2 AND at < $3 LIMIT $4
    )";

/// As [`PRUNE_OPS`], deleted records.
const PRUNE_DELETED: &str = "
    DELETE FROM records WHERE rowid IN (
        SELECT rowid FROM records
        WHERE room = $1 AND version < $2 AND deleted_at < $3 AND deleted_at IS NOT NULL LIMIT $4
    )";

/// sqlx takes no lock on SQLite, so the whole run is one transaction: a second process waits, and
/// finds everything done.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), Failure> {
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

pub(super) async fn save_snapshot(
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
pub(super) async fn prune(
    connection: &mut SqliteConnection,
    room: &RoomId,
    epoch: Epoch,
    retention: Retention,
) -> Result<Option<(i64, Pruned)>, Failure> {
    let mut writing = connection.begin_with(BEGIN).await?;
    let found: Option<(i64, i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT id, oldest, projected, (SELECT max(version) FROM snapshots WHERE room = id)
         FROM rooms WHERE name = $1 AND epoch = $2",
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
    connection: &mut SqliteConnection,
    room: &RoomId,
    epoch: Epoch,
    former: &Bytes,
) -> Result<bool, Failure> {
    let mut writing = connection.begin_with(BEGIN).await?;
    // All that refers to the room goes with it.
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
