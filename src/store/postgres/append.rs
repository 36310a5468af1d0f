//! Owns appending to Postgres: one statement for all rooms, and a second for those it moved.

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::super::sql::{self, number};
use super::super::{Append, Appended, Failure, Row};
use crate::ids::Epoch;

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
