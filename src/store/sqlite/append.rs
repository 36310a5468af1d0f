//! Owns appending to SQLite: look where the rooms stand, move their heads, write their rows.
//!
//! Every text is a hop to SQLite's thread and back, which costs more than the statements do: a
//! small transaction is one text, and two where a room is to be made. One that fails in between is
//! undone with its connection, which nobody gets back.

use std::collections::HashSet;

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::super::sql::{self, number};
use super::super::{Append, Appended, Failure};
use super::BEGIN;
use crate::ids::{Epoch, Version};

/// Rows in one `INSERT`: below SQLite's 500 parts of a compound and 32,766 parameters, and few
/// different statements.
const INSERT_ROWS_MAX: usize = 256;

/// Where rooms stand: `$1` is `[[name, expected]]`.
const STANDING: &str = "
    SELECT g.key, r.epoch, r.head, l.append_id, f.epoch
    FROM json_each($1) g
    LEFT JOIN rooms r ON r.name = g.value ->> 0
    LEFT JOIN log l ON l.room = r.id AND l.version = (g.value ->> 1) + 1
    LEFT JOIN former f ON f.room = g.value ->> 0";

/// Makes and moves heads: the parameter is `[[name, epoch in hex, head, first at, last at]]`.
const MOVE_HEADS: &str = "
    INSERT INTO rooms (name, epoch, head, oldest, created_at, updated_at)
    SELECT value ->> 0, unhex(value ->> 1), value ->> 2, 1, value ->> 3, value ->> 4
    FROM json_each(?) WHERE true
    ON CONFLICT (name) DO UPDATE SET head = excluded.head, updated_at = excluded.updated_at;";

/// Moves the heads of rooms that stand where they are expected, and answers which these are: the
/// parameter is `[[name, epoch in hex, expected, head, last at]]`.
const EXTEND_HEADS: &str = "
    UPDATE rooms SET head = g.value ->> 3, updated_at = g.value ->> 4
    FROM json_each(?) g
    WHERE name = g.value ->> 0 AND epoch = unhex(g.value ->> 1) AND head = g.value ->> 2
    RETURNING name;";

pub(super) async fn append(
    connection: &mut SqliteConnection,
    appends: &[Append],
) -> Result<Vec<Appended>, Failure> {
    if appends
        .iter()
        .any(|append| append.expected == Version::ZERO)
    {
        return make(connection, appends).await;
    }
    let kept = extend(connection, appends).await?;
    if kept.len() == appends.len() {
        return Ok(vec![Appended::Kept; appends.len()]);
    }
    let answers = judge(connection, STANDING.to_owned(), appends).await?;
    let told = appends.iter().zip(answers).map(|(append, answer)| {
        let is_kept = kept.contains(append.room.as_str());
        let answer = is_kept.then_some(Appended::Kept).or(answer);
        answer.ok_or_else(|| Failure::Unavailable(format!("{} moved meanwhile", append.room)))
    });
    told.collect()
}

/// Keeps what may be kept of rooms that are there, in one text as long as there are few rows.
/// Answers with the names of the rooms that stood where they were expected.
async fn extend(
    connection: &mut SqliteConnection,
    appends: &[Append],
) -> Result<HashSet<String>, Failure> {
    let mut heads = Vec::with_capacity(appends.len());
    let mut rows = Vec::new();
    for append in appends {
        let expected = number(append.expected)?;
        if let Some(last) = append.rows.last() {
            let epoch = append.epoch.0.simple().to_string();
            let head = number(last.version)?;
            heads.push((append.room.as_str(), epoch, expected, head, last.at.0));
        }
        rows.extend(append.rows.iter().map(|row| (append, expected, row)));
    }
    let heads = json(&heads)?;
    let mut is_first = true;
    let mut rest = rows.as_slice();
    let mut kept = Vec::new();
    while !rest.is_empty() {
        let chunk = take_chunk(&mut rest);
        let text = extend_text(is_first, chunk.len(), rest.is_empty());
        is_first = false;
        let mut insert = sqlx::query_scalar(AssertSqlSafe(text));
        for (append, expected, row) in chunk {
            insert = insert
                .bind(number(row.version)?)
                .bind(append.id.0)
                .bind(row.at.0)
                .bind(row.actors.as_str())
                .bind(row.ops.as_str())
                .bind(&row.update[..])
                .bind(row.events.as_str())
                .bind(append.room.as_str())
                .bind(append.epoch.0)
                .bind(*expected);
        }
        if rest.is_empty() {
            insert = insert.bind(heads.as_str());
        }
        kept = insert.fetch_all(&mut *connection).await?;
    }
    Ok(kept.into_iter().collect())
}

/// Takes the write lock if this is the first text of the transaction; moves the heads and commits
/// if it is the last. Rows are written before the heads move: only then they find their room where
/// it is expected.
fn extend_text(is_first: bool, rows: usize, is_last: bool) -> String {
    let begin = if is_first { "BEGIN IMMEDIATE;" } else { "" };
    let row = "SELECT id, ?, ?, ?, ?, ?, ?, ? FROM rooms WHERE name = ? AND epoch = ? AND head = ?";
    let selected = vec![row; rows].join(" UNION ALL ");
    let (extend_heads, commit) = if is_last {
        (EXTEND_HEADS, "COMMIT")
    } else {
        ("", "")
    };
    format!(
        "{begin} INSERT INTO log \
         (room, version, append_id, at, actors, ops, \"update\", events) {selected}; \
         {extend_heads} {commit}"
    )
}

/// Powers of two, so that few texts serve every number of rows and stay prepared.
fn take_chunk<'a, T>(rest: &mut &'a [T]) -> &'a [T] {
    let most = rest.len().min(INSERT_ROWS_MAX);
    let (chunk, others) = rest.split_at(1 << most.ilog2());
    *rest = others;
    chunk
}

/// As [`extend`], for rooms of which some are to be made.
async fn make(
    connection: &mut SqliteConnection,
    appends: &[Append],
) -> Result<Vec<Appended>, Failure> {
    let answers = judge(connection, format!("{BEGIN}; {STANDING}"), appends).await?;
    let accepted: Vec<&Append> = (appends.iter().zip(&answers))
        .filter(|(_, answer)| answer.is_none())
        .map(|(append, _)| append)
        .collect();
    if accepted.is_empty() {
        sqlx::query("ROLLBACK").execute(connection).await?;
    } else {
        write(connection, &accepted).await?;
    }
    Ok(answers
        .into_iter()
        .map(|answer| answer.unwrap_or(Appended::Kept))
        .collect())
}

/// What to answer for each append, nothing for those that stand where they are expected.
async fn judge(
    connection: &mut SqliteConnection,
    text: String,
    appends: &[Append],
) -> Result<Vec<Option<Appended>>, Failure> {
    type Standing = (i64, Option<Uuid>, Option<i64>, Option<Uuid>, Option<Uuid>);
    let mut asked = Vec::with_capacity(appends.len());
    for append in appends {
        asked.push((append.room.as_str(), number(append.expected)?));
    }
    let standings: Vec<Standing> = sqlx::query_as(AssertSqlSafe(text))
        .bind(json(&asked)?)
        .fetch_all(connection)
        .await?;
    let mut answers = vec![None; appends.len()];
    for (key, epoch, head, append_id, ended) in standings {
        let (Some(append), Some(answer)) = (
            usize::try_from(key).ok().and_then(|key| appends.get(key)),
            usize::try_from(key)
                .ok()
                .and_then(|key| answers.get_mut(key)),
        ) else {
            continue;
        };
        *answer = match (epoch, head) {
            (Some(epoch), Some(head)) => {
                let stands = (Epoch(epoch), sql::version(&append.room, head)?);
                if stands == (append.epoch, append.expected) {
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
    Ok(answers)
}

/// Makes the rooms that are new, moves the heads of the others, writes all rows, and commits.
async fn write(connection: &mut SqliteConnection, accepted: &[&Append]) -> Result<(), Failure> {
    let mut heads = Vec::with_capacity(accepted.len());
    let mut rows = Vec::new();
    for append in accepted {
        if let (Some(first), Some(last)) = (append.rows.first(), append.rows.last()) {
            let epoch = append.epoch.0.simple().to_string();
            let head = number(last.version)?;
            heads.push((append.room.as_str(), epoch, head, first.at.0, last.at.0));
        }
        rows.extend(append.rows.iter().map(|row| (*append, row)));
    }
    let mut heads = Some(json(&heads)?);
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        let chunk = take_chunk(&mut rest);
        let text = insert_text(heads.is_some(), chunk.len(), rest.is_empty());
        let mut insert = sqlx::query(AssertSqlSafe(text));
        if let Some(heads) = heads.take() {
            insert = insert.bind(heads);
        }
        for (append, row) in chunk {
            insert = insert
                .bind(append.room.as_str())
                .bind(number(row.version)?)
                .bind(append.id.0)
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

/// Moves the heads if this is the first text of the transaction, and commits if it is the last.
fn insert_text(is_first: bool, rows: usize, is_last: bool) -> String {
    let move_heads = if is_first { MOVE_HEADS } else { "" };
    let row = "((SELECT id FROM rooms WHERE name = ?), ?, ?, ?, ?, ?, ?, ?)";
    let values = vec![row; rows].join(", ");
    let commit = if is_last { "; COMMIT" } else { "" };
    format!(
        "{move_heads} INSERT INTO log \
         (room, version, append_id, at, actors, ops, \"update\", events) VALUES {values}{commit}"
    )
}

fn json(rows: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(rows).map_err(|error| Failure::Refused(error.to_string()))
}
