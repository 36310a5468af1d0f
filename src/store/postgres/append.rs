//! Owns appending to Postgres: one statement for all rooms, and a second for those it moved.

mod more;

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::super::sql::{self, number};
use super::super::{Append, Appended, Failure, Row};
use crate::ids::Epoch;

/// The statement that keeps what may be kept, up to its end, before which `kept` has the ordinals
/// of the rooms for which there is something.
///
/// One statement is one round trip, and its own transaction. Rooms come in the order of their
/// names; existing ones are locked in this order before new ones are made in this order, so that
/// two nodes never wait for each other in a circle. A room that was there when the statement began
/// is never made, even if a deletion ends while the statement waits for it. Without rows the head
/// is the one expected: it does not move, and no room is made.
macro_rules! keep {
    ($end:literal) => {
        concat!(
            "
    WITH given AS MATERIALIZED (
        SELECT * FROM UNNEST(
            $1::text[], $2::uuid[], $3::int8[], $4::int8[], $5::uuid[], $6::int8[], $7::int8[]
        ) WITH ORDINALITY
            AS g (name, epoch, expected, head, append_id, first_at, last_at, ordinal)
    ), locked AS MATERIALIZED (
        SELECT g.ordinal, g.append_id, g.expected, g.head, g.last_at, r.id
        FROM given g CROSS JOIN LATERAL (
            SELECT id FROM rooms
            WHERE name = g.name AND epoch = g.epoch AND rooms.head = g.expected
            FOR NO KEY UPDATE
        ) r
    ), extended AS (
        UPDATE rooms r SET head = l.head, updated_at = l.last_at
        FROM locked l WHERE r.id = l.id AND l.head > l.expected
    ), made AS (
        INSERT INTO rooms (name, epoch, head, oldest, created_at, updated_at)
        SELECT g.name, g.epoch, g.head, 1, g.first_at, g.last_at
        FROM given g
        WHERE g.expected = 0 AND g.head > 0
          AND (SELECT count(*) FROM locked) >= 0
          AND (SELECT r.id FROM rooms r WHERE r.name = g.name) IS NULL
          AND (SELECT f.epoch FROM former f WHERE f.room = g.name) IS DISTINCT FROM g.epoch
        ORDER BY g.ordinal
        ON CONFLICT (name) DO NOTHING
        RETURNING name, id
    ), kept AS MATERIALIZED (
        SELECT ordinal, append_id, id FROM locked
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
    )",
            $end
        )
    };
}

/// Keeps rows; answers with the ordinals of the rooms that were kept.
const APPEND: &str = keep!(" SELECT ordinal FROM kept");

/// As [`APPEND`], with operations and conflicts. Of a room that was never written there is nothing
/// to keep without rows, which is not to say no.
const APPEND_MORE: &str = keep!(
    ", known AS (
        INSERT INTO ops (room, op_id, version, at, result)
        SELECT k.id, o.op_id, o.version, o.at, o.result::json
        FROM UNNEST($15::int8[], $16::text[], $17::int8[], $18::int8[], $19::text[])
            AS o (ordinal, op_id, version, at, result)
        JOIN kept k ON k.ordinal = o.ordinal
        ON CONFLICT (room, op_id) DO NOTHING
    ), told AS (
        INSERT INTO conflicts (
            room, id, collection, record, field, version, mine, theirs, theirs_version, \"user\",
            client, at
        )
        SELECT k.id, c.id, c.collection, c.record, c.field, c.version, c.mine::json,
            c.theirs::json, c.theirs_version, c.\"user\", c.client, c.at
        FROM UNNEST(
            $20::int8[], $21::uuid[], $22::text[], $23::text[], $24::text[], $25::int8[],
            $26::text[], $27::text[], $28::int8[], $29::text[], $30::text[], $31::int8[]
        ) AS c (
            ordinal, id, collection, record, field, version, mine, theirs, theirs_version,
            \"user\", client, at
        )
        JOIN kept k ON k.ordinal = c.ordinal
        ON CONFLICT (id) DO NOTHING
    )
    SELECT ordinal FROM kept
    UNION ALL
    SELECT g.ordinal FROM given g
    WHERE g.expected = 0 AND g.head = 0
      AND (SELECT r.id FROM rooms r WHERE r.name = g.name) IS NULL
      AND (SELECT f.epoch FROM former f WHERE f.room = g.name) IS DISTINCT FROM g.epoch"
);

/// Where rooms stand, and who wrote after the version that they are expected at: `$1` names, `$2`
/// expected versions.
const STANDING: &str = "
    SELECT g.ordinal, r.epoch, r.head, l.append_id
    FROM UNNEST($1::text[], $2::int8[]) WITH ORDINALITY AS g (name, expected, ordinal)
    JOIN rooms r ON r.name = g.name
    LEFT JOIN log l ON l.room = r.id AND l.version = g.expected + 1";

pub(super) async fn append(
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

/// Runs [`APPEND`], or [`APPEND_MORE`] where there is more; answers which of the appends it kept.
async fn write(connection: &mut PgConnection, appends: &[&Append]) -> Result<Vec<bool>, Failure> {
    let mut heads = Heads::default();
    let mut rows = Rows::default();
    for (append, ordinal) in appends.iter().zip(1..) {
        heads.push(append)?;
        for row in &append.rows {
            rows.push(ordinal, row)?;
        }
    }
    let has_more = appends.iter().any(|append| append.has_more());
    let text = if has_more { APPEND_MORE } else { APPEND };
    let mut append = sqlx::query_scalar(text)
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
        .bind(rows.events);
    if has_more {
        append = more::bind(append, appends)?;
    }
    let ordinals: Vec<i64> = append.fetch_all(connection).await?;
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
        let last = append.rows.last();
        self.name.push(append.room.as_str());
        self.epoch.push(append.epoch.0);
        self.expected.push(number(append.expected)?);
        self.head
            .push(number(last.map_or(append.expected, |last| last.version))?);
        self.append_id.push(append.id.0);
        // Times of no rows are written nowhere.
        self.first_at
            .push(append.rows.first().map_or(0, |first| first.at.0));
        self.last_at.push(last.map_or(0, |last| last.at.0));
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
