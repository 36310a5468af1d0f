//! Owns records and conflicts in Postgres.

use async_trait::async_trait;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use uuid::Uuid;

use super::super::records::{
    Conflict, ConflictQuery, Recall, RecordKey, RecordQuery, RecordRow, Records, Resolved, checked,
    checked_resolution,
};
use super::super::sql::records::{
    self, ConflictColumns, Line, ListText, RESOLVE, asked, is_prompt, patience,
};
use super::super::sql::{self, count, number, within};
use super::super::{Failure, ahead};
use super::{GRACE, Postgres};
use crate::ids::{Epoch, OpId, RoomId, Version};

/// See [`Line`]. `$1` room, `$2` epoch, `$3` ids of operations, `$4` collections, `$5` records. The
/// `OFFSET` keeps the plan from looking through all records for each that is asked for.
const RECALL: &str = "
    WITH room AS (SELECT id, projected FROM rooms WHERE name = $1 AND epoch = $2)
    SELECT 0::int8, ''::text, ''::text, projected, ''::text, ''::text, ''::text, 0::int8, ''::text,
        0::int8, ''::text, NULL::int8
    FROM room
    UNION ALL
    SELECT 1, o.op_id, '', o.version, o.result::text, '', '', o.at, '', 0, '', NULL
    FROM ops o WHERE o.room = (SELECT id FROM room) AND o.op_id = ANY($3::text[])
    UNION ALL
    SELECT 2, c.collection, c.record, c.version, c.data::text, c.untold::text,
        c.field_versions::text, c.created_at, c.created_by, c.updated_at, c.updated_by, c.deleted_at
    FROM UNNEST($4::text[], $5::text[]) AS g (collection, record)
    CROSS JOIN LATERAL (
        SELECT * FROM records r
        WHERE r.room = (SELECT id FROM room)
            AND r.collection = g.collection AND r.record = g.record
        OFFSET 0
    ) c";

/// See [`Line`].
const LIST: ListText = ListText {
    begin: "
        WITH room AS (SELECT id, projected FROM rooms WHERE name = $1 AND epoch = $2)
        SELECT 0::int8, ''::text, ''::text, projected, ''::text, ''::text, ''::text, 0::int8,
            ''::text, 0::int8, ''::text, NULL::int8
        FROM room
        UNION ALL
        SELECT * FROM (
            SELECT 2::int8, c.collection, c.record, c.version, c.data::text, c.untold::text,
                c.field_versions::text, c.created_at, c.created_by, c.updated_at, c.updated_by,
                c.deleted_at
            FROM records c
            WHERE c.room = (SELECT id FROM room) AND c.collection = $3 AND c.deleted_at IS NULL",
    meets: "
                AND NOT EXISTS (
                    SELECT FROM jsonb_array_elements($7::text::jsonb) f
                    WHERE (
                        c.data -> (f ->> 0) = f -> 1
                        OR c.data -> (f ->> 0) = NULLIF(f -> 2, 'null')
                    ) IS NOT TRUE
                )",
};

/// Moves `projected` and writes the records, if the room stands where it is expected; answers with
/// its head if it does. `$1` room, `$2` epoch, `$3` from, `$4` to. The lock keeps the room until it
/// is done, and is asked for the place again by whoever waited for it.
const PROJECT: &str = "
    WITH target AS MATERIALIZED (
        SELECT id, head FROM rooms WHERE name = $1 AND epoch = $2 AND projected = $3
        FOR NO KEY UPDATE
    ), moved AS (
        UPDATE rooms r SET projected = $4 FROM target t WHERE r.id = t.id AND t.head >= $4
        RETURNING r.id
    ), told AS (
        INSERT INTO records (
            room, collection, record, version, data, untold, field_versions,
            created_at, created_by, updated_at, updated_by, deleted_at
        )
        SELECT m.id, g.collection, g.record, g.version, g.data::jsonb, g.untold::json,
            g.field_versions::json, g.created_at, g.created_by, g.updated_at, g.updated_by,
            g.deleted_at
        FROM moved m CROSS JOIN UNNEST(
            $5::text[], $6::text[], $7::int8[], $8::text[], $9::text[], $10::text[],
            $11::int8[], $12::text[], $13::int8[], $14::text[], $15::int8[]
        ) AS g (
            collection, record, version, data, untold, field_versions,
            created_at, created_by, updated_at, updated_by, deleted_at
        )
        ON CONFLICT (room, collection, record) DO UPDATE SET
            version = excluded.version, data = excluded.data, untold = excluded.untold,
            field_versions = excluded.field_versions,
            created_at = excluded.created_at, created_by = excluded.created_by,
            updated_at = excluded.updated_at, updated_by = excluded.updated_by,
            deleted_at = excluded.deleted_at
    )
    SELECT head FROM target";

const CONFLICTS: &str = "
    SELECT r.name, c.id, c.collection, c.record, c.field, c.version, c.mine::text, c.theirs::text,
        c.theirs_version, c.\"user\", c.client, c.at, l.actors::text,
        c.resolution, c.resolved_by, c.resolved_at
    FROM conflicts c JOIN rooms r ON r.id = c.room
    LEFT JOIN log l ON l.room = c.room AND l.version = c.theirs_version";

const OF_ROOMS: &str = " AND c.room = ANY(ARRAY(SELECT id FROM rooms WHERE name = ANY($1)))";

#[async_trait]
impl Records for Postgres {
    async fn recall(
        &self,
        room: &RoomId,
        epoch: Epoch,
        ops: &[OpId],
        records: &[RecordKey],
    ) -> Result<Recall, Failure> {
        // Postgres has no text with a NUL; nor has any name.
        let keys = records
            .iter()
            .map(|key| (key.collection.as_str(), key.record.as_str()))
            .filter(|(collection, record)| !collection.contains('\0') && !record.contains('\0'));
        let (collections, records): (Vec<&str>, Vec<&str>) = keys.unzip();
        let ops: Vec<&str> = ops.iter().map(OpId::as_str).collect();
        let mut lent = self.others.lend().await?;
        let lines: Vec<Line> = within(self.patience.call, async {
            let recall = sqlx::query_as(RECALL)
                .bind(room.as_str())
                .bind(epoch.0)
                .bind(ops)
                .bind(collections)
                .bind(records);
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
        let patience = patience(&self.patience, records);
        let mut lent = self.others.lend().await?;
        let connection = lent.connection();
        let head = within(patience + GRACE, async {
            if is_prompt(records) {
                return project(connection, room, epoch, (from, to), records).await;
            }
            let mut writing = connection.begin().await?;
            let limit = format!("SET LOCAL statement_timeout = {}", patience.as_millis());
            let limit = sqlx::raw_sql(AssertSqlSafe(limit));
            limit.execute(&mut *writing).await?;
            let head = project(&mut writing, room, epoch, (from, to), records).await?;
            writing.commit().await?;
            Ok(head)
        })
        .await?;
        lent.give_back();
        match head {
            Some(head) if head < number(to)? => Err(ahead(room, to, sql::version(room, head)?)),
            Some(_) => Ok(true),
            None => Ok(false),
        }
    }

    async fn list(
        &self,
        room: &RoomId,
        epoch: Epoch,
        query: &RecordQuery,
    ) -> Result<(Version, Vec<RecordRow>), Failure> {
        let mut lent = self.others.lend().await?;
        let listing = list(lent.connection(), room, epoch, query);
        let lines = within(self.patience.call, listing).await?;
        lent.give_back();
        records::page(room, query.order, lines)
    }

    async fn conflicts(&self, query: &ConflictQuery) -> Result<Vec<Conflict>, Failure> {
        let rooms: Option<Vec<&str>> =
            (query.rooms.as_ref()).map(|rooms| rooms.iter().map(RoomId::as_str).collect());
        let text = records::conflicts_text(CONFLICTS, OF_ROOMS, query);
        let mut lent = self.others.lend().await?;
        let lines: Vec<ConflictColumns> = within(self.patience.call, async {
            let conflicts = sqlx::query_as(AssertSqlSafe(text))
                .bind(rooms)
                .bind(query.after)
                .bind(count(query.limit));
            Ok(conflicts.fetch_all(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        lines.into_iter().map(records::conflict).collect()
    }

    async fn conflict(&self, id: Uuid) -> Result<Option<Conflict>, Failure> {
        let mut lent = self.others.lend().await?;
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
        let mut lent = self.others.lend().await?;
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

/// Runs [`PROJECT`].
async fn project(
    connection: &mut PgConnection,
    room: &RoomId,
    epoch: Epoch,
    (from, to): (Version, Version),
    records: &[RecordRow],
) -> Result<Option<i64>, Failure> {
    let text =
        |column: fn(&RecordRow) -> &str| -> Vec<&str> { records.iter().map(column).collect() };
    let numbers =
        |column: fn(&RecordRow) -> i64| -> Vec<i64> { records.iter().map(column).collect() };
    let versions: Result<Vec<i64>, _> = records.iter().map(|row| number(row.version)).collect();
    let deleted: Vec<Option<i64>> = (records.iter())
        .map(|row| row.deleted_at.map(|at| at.0))
        .collect();
    let head = sqlx::query_scalar(PROJECT)
        .bind(room.as_str())
        .bind(epoch.0)
        .bind(number(from)?)
        .bind(number(to)?)
        .bind(text(|row| &row.key.collection))
        .bind(text(|row| &row.key.record))
        .bind(versions?)
        .bind(text(|row| &row.data))
        .bind(text(|row| &row.untold))
        .bind(text(|row| &row.field_versions))
        .bind(numbers(|row| row.created_at.0))
        .bind(text(|row| &row.created_by))
        .bind(numbers(|row| row.updated_at.0))
        .bind(text(|row| &row.updated_by))
        .bind(deleted)
        .fetch_optional(connection)
        .await?;
    Ok(head)
}

async fn list(
    connection: &mut PgConnection,
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
