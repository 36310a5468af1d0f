//! Owns records and conflicts in SQLite.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::super::records::{
    Conflict, ConflictQuery, Recall, RecordKey, RecordQuery, RecordRow, Records, Resolved, checked,
    checked_resolution,
};
use super::super::sql::records::{self, ConflictColumns, Line, ListText, RESOLVE, asked, patience};
use super::super::sql::{self, count, json, number, within};
use super::super::{Failure, ahead};
use super::Sqlite;
use crate::ids::{Epoch, OpId, RoomId, Version};

/// See [`Line`]. `$1` room, `$2` epoch, `$3` ids of operations, `$4` `[[collection, record]]`. A
/// `CROSS JOIN` is taken in the order that it is written in: what is asked for, then its row.
const RECALL: &str = "
    WITH room AS (SELECT id, projected FROM rooms WHERE name = $1 AND epoch = $2)
    SELECT 0, '', '', projected, '', '', '', 0, '', 0, '', NULL FROM room
    UNION ALL
    SELECT 1, o.op_id, '', o.version, o.result, '', '', o.at, '', 0, '', NULL
    FROM json_each($3) g CROSS JOIN ops o
    WHERE o.room = (SELECT id FROM room) AND o.op_id = g.value
    UNION ALL
    SELECT 2, c.collection, c.record, c.version, c.data, c.untold, c.field_versions,
        c.created_at, c.created_by, c.updated_at, c.updated_by, c.deleted_at
    FROM json_each($4) g CROSS JOIN records c
    WHERE c.room = (SELECT id FROM room)
        AND c.collection = g.value ->> 0 AND c.record = g.value ->> 1";

/// See [`Line`].
const LIST: ListText = ListText {
    begin: "
        WITH room AS (SELECT id, projected FROM rooms WHERE name = $1 AND epoch = $2)
        SELECT 0, '', '', projected, '', '', '', 0, '', 0, '', NULL FROM room
        UNION ALL
        SELECT * FROM (
            SELECT 2, c.collection, c.record, c.version, c.data, c.untold, c.field_versions,
                c.created_at, c.created_by, c.updated_at, c.updated_by, c.deleted_at
            FROM records c
            WHERE c.room = (SELECT id FROM room) AND c.collection = $3 AND c.deleted_at IS NULL",
    // SQLite takes a boolean for a number: only numbers are asked for at the last place.
    meets: "
                AND NOT EXISTS (
                    SELECT 1 FROM json_each($7) f
                    WHERE NOT EXISTS (
                        SELECT 1 FROM json_each(c.data) d
                        WHERE d.key = f.value ->> 0 AND CASE d.type
                            WHEN 'text' THEN d.value = f.value ->> 1
                            WHEN 'true' THEN f.value ->> 1 = 'true'
                            WHEN 'false' THEN f.value ->> 1 = 'false'
                            WHEN 'integer' THEN d.value = f.value ->> 3
                            WHEN 'real' THEN d.value = f.value ->> 3
                        END
                    )
                )",
};

/// Writes the records and moves `projected`, if the room stands where it is expected; answers with
/// a line if it does. `$1` records, `$2` name, `$3` epoch, `$4` from, `$5` to.
const PROJECT: &str = "
    BEGIN IMMEDIATE;
    INSERT INTO records (
        room, collection, record, version, data, untold, field_versions,
        created_at, created_by, updated_at, updated_by, deleted_at
    )
    SELECT r.id, g.value ->> 0, g.value ->> 1, g.value ->> 2, g.value ->> 3, g.value ->> 4,
        g.value ->> 5, g.value ->> 6, g.value ->> 7, g.value ->> 8, g.value ->> 9,
        g.value ->> 10
    FROM rooms r CROSS JOIN json_each($1) g
    WHERE r.name = $2 AND r.epoch = $3 AND r.projected = $4 AND r.head >= $5
    ON CONFLICT (room, collection, record) DO UPDATE SET
        version = excluded.version, data = excluded.data, untold = excluded.untold,
        field_versions = excluded.field_versions,
        created_at = excluded.created_at, created_by = excluded.created_by,
        updated_at = excluded.updated_at, updated_by = excluded.updated_by,
        deleted_at = excluded.deleted_at;
    UPDATE rooms SET projected = $5
    WHERE name = $2 AND epoch = $3 AND projected = $4 AND head >= $5 RETURNING head;
    COMMIT";

const CONFLICTS: &str = "
    SELECT r.name, c.id, c.collection, c.record, c.field, c.version, c.mine, c.theirs,
        c.theirs_version, c.\"user\", c.client, c.at, l.actors,
        c.resolution, c.resolved_by, c.resolved_at
    FROM conflicts c JOIN rooms r ON r.id = c.room
    LEFT JOIN log l ON l.room = c.room AND l.version = c.theirs_version";

const OF_ROOMS: &str =
    " AND c.room IN (SELECT n.id FROM rooms n JOIN json_each($1) g ON n.name = g.value)";

#[async_trait]
impl Records for Sqlite {
    async fn recall(
        &self,
        room: &RoomId,
        epoch: Epoch,
        ops: &[OpId],
        records: &[RecordKey],
    ) -> Result<Recall, Failure> {
        let ops: Vec<&str> = ops.iter().map(OpId::as_str).collect();
        let keys: Vec<_> = records
            .iter()
            .map(|key| (&key.collection, &key.record))
            .collect();
        let mut lent = self.readers.lend().await?;
        let lines: Vec<Line> = within(self.patience.call, async {
            let recall = sqlx::query_as(RECALL)
                .bind(room.as_str())
                .bind(epoch.0)
                .bind(json(&ops)?)
                .bind(json(&keys)?);
            Ok(recall.fetch_all(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        records::recall(room, lines)
    }

    async fn project(
        &self,
        room: &RoomId,
        epoch: Epoch,
        from: Version,
        to: Version,
        records: &[RecordRow],
    ) -> Result<bool, Failure> {
        checked(room, from, to, records)?;
        let mut lent = self.writer.lend().await?;
        let projecting = project(lent.connection(), room, epoch, (from, to), records);
        let projected = within(patience(&self.patience, records), projecting).await?;
        lent.give_back();
        Ok(projected)
    }

    async fn list(
        &self,
        room: &RoomId,
        epoch: Epoch,
        query: &RecordQuery,
    ) -> Result<(Version, Vec<RecordRow>), Failure> {
        let mut lent = self.readers.lend().await?;
        let listing = list(lent.connection(), room, epoch, query);
        let lines = within(self.patience.call, listing).await?;
        lent.give_back();
        records::page(room, query.order, lines)
    }

    async fn conflicts(&self, query: &ConflictQuery) -> Result<Vec<Conflict>, Failure> {
        let rooms: Option<Vec<&str>> =
            (query.rooms.as_ref()).map(|rooms| rooms.iter().map(RoomId::as_str).collect());
        let text = records::conflicts_text(CONFLICTS, OF_ROOMS, query);
        let mut lent = self.readers.lend().await?;
        let lines: Vec<ConflictColumns> = within(self.patience.call, async {
            let conflicts = sqlx::query_as(AssertSqlSafe(text))
                .bind(json(&rooms)?)
                .bind(query.after)
                .bind(count(query.limit));
            Ok(conflicts.fetch_all(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        lines.into_iter().map(records::conflict).collect()
    }

    async fn conflict(&self, id: Uuid) -> Result<Option<Conflict>, Failure> {
        let mut lent = self.readers.lend().await?;
        let line: Option<ConflictColumns> = within(self.patience.call, async {
            let text = format!("{CONFLICTS} WHERE c.id = $1");
            let conflict = sqlx::query_as(AssertSqlSafe(text)).bind(id);
            Ok(conflict.fetch_optional(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        line.map(records::conflict).transpose()
    }

    async fn resolve(&self, id: Uuid, resolved: &Resolved) -> Result<bool, Failure> {
        checked_resolution(resolved)?;
        let mut lent = self.writer.lend().await?;
        let done = within(self.patience.call, async {
            let resolve = sqlx::query(RESOLVE)
                .bind(id)
                .bind(resolved.resolution.as_str())
                .bind(resolved.by.as_str())
                .bind(resolved.at.0);
            Ok(resolve.execute(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        Ok(done.rows_affected() > 0)
    }
}

async fn project(
    connection: &mut SqliteConnection,
    room: &RoomId,
    epoch: Epoch,
    (from, to): (Version, Version),
    records: &[RecordRow],
) -> Result<bool, Failure> {
    let mut lines = Vec::with_capacity(records.len());
    for row in records {
        lines.push((
            &row.key.collection,
            &row.key.record,
            number(row.version)?,
            &row.data,
            &row.untold,
            &row.field_versions,
            row.created_at.0,
            &row.created_by,
            row.updated_at.0,
            &row.updated_by,
            row.deleted_at.map(|at| at.0),
        ));
    }
    // All is fetched, as the text ends after the line.
    let moved: Vec<i64> = sqlx::query_scalar(PROJECT)
        .bind(json(&lines)?)
        .bind(room.as_str())
        .bind(epoch.0)
        .bind(number(from)?)
        .bind(number(to)?)
        .fetch_all(&mut *connection)
        .await?;
    if !moved.is_empty() {
        return Ok(true);
    }
    let stands = "SELECT head FROM rooms WHERE name = $1 AND epoch = $2 AND projected = $3";
    let head: Option<i64> = sqlx::query_scalar(stands)
        .bind(room.as_str())
        .bind(epoch.0)
        .bind(number(from)?)
        .fetch_optional(connection)
        .await?;
    match head {
        Some(head) if head < number(to)? => Err(ahead(room, to, sql::version(room, head)?)),
        _ => Ok(false),
    }
}

async fn list(
    connection: &mut SqliteConnection,
    room: &RoomId,
    epoch: Epoch,
    query: &RecordQuery,
) -> Result<Vec<Line>, Failure> {
    let asked = asked(query)?;
    let lines = sqlx::query_as(AssertSqlSafe(LIST.of(query)))
        .bind(room.as_str())
        .bind(epoch.0)
        .bind(asked.collection)
        .bind(asked.after_version)
        .bind(asked.after_record)
        .bind(asked.since)
        .bind(asked.filters)
        .bind(asked.limit)
        .fetch_all(connection)
        .await?;
    Ok(lines)
}
