//! Owns reading from Postgres.

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::super::sql::{self, HeadColumns, ListedColumns, RowColumns, count};
use super::super::{Failure, Listed, Loaded, Page, Row};
use crate::ids::{Epoch, RoomId, Version};

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

/// `$1` from, `$2` up to, `$3` after, `$4` limit.
const LIST: &str = "
    SELECT name, epoch, head, oldest, created_at, updated_at FROM rooms
    WHERE name >= $1 AND name < $2 AND name > $3 ORDER BY name LIMIT $4";

pub(super) async fn load(connection: &mut PgConnection, room: &RoomId) -> Result<Loaded, Failure> {
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

pub(super) async fn read(
    connection: &mut PgConnection,
    room: &RoomId,
    epoch: Epoch,
    after: Version,
    page: Page,
) -> Result<Vec<Row>, Failure> {
    // No row follows on what a column cannot hold.
    let from = match i64::try_from(after.0) {
        Ok(from) if from < i64::MAX => from,
        _ => return Ok(Vec::new()),
    };
    let columns: Vec<RowColumns> = sqlx::query_as(READ)
        .bind(room.as_str())
        .bind(epoch.0)
        .bind(from)
        .bind(count(page.rows.max(1)).min(i64::MAX - from))
        .bind(count(page.bytes))
        .fetch_all(connection)
        .await?;
    sql::rows(room, after, columns)
}

pub(super) async fn list(
    connection: &mut PgConnection,
    prefix: &str,
    after: Option<&RoomId>,
    limit: usize,
) -> Result<Vec<Listed>, Failure> {
    // Postgres has no text with a NUL; nor has any name.
    if prefix.contains('\0') {
        return Ok(Vec::new());
    }
    let (from, up_to) = sql::names(prefix);
    let lines: Vec<ListedColumns> = sqlx::query_as(LIST)
        .bind(from)
        .bind(up_to)
        .bind(after.map_or("", RoomId::as_str))
        .bind(count(limit))
        .fetch_all(connection)
        .await?;
    lines.into_iter().map(sql::listed).collect()
}
