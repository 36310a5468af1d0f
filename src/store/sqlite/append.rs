//! Owns appending to SQLite: look where the rooms stand, move their heads, write their rows.
//!
//! Every text is a hop to SQLite's thread and back, which costs more than the statements do: a
//! small transaction is two texts. One that fails in between is undone with its connection, which
//! nobody gets back.

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::super::sql::{self, number};
use super::super::{Append, Appended, Failure};
use crate::ids::{Epoch, Version};

/// Rows in one `INSERT`: far below SQLite's 32,766 parameters, and few different statements.
const INSERT_ROWS_MAX: usize = 256;

/// Takes the write lock, then looks where rooms stand: `$1` is `[[name, expected]]`.
const STANDING: &str = "
    BEGIN IMMEDIATE;
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

pub(super) async fn append(
    connection: &mut SqliteConnection,
    appends: &[Append],
) -> Result<Vec<Appended>, Failure> {
    let answers = judge(connection, appends).await?;
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

/// What to answer for each append, nothing for those that are to be written. The write lock is
/// held, so nothing moves after this look.
async fn judge(
    connection: &mut SqliteConnection,
    appends: &[Append],
) -> Result<Vec<Option<Appended>>, Failure> {
    type Standing = (i64, Option<Uuid>, Option<i64>, Option<Uuid>, Option<Uuid>);
    let mut asked = Vec::with_capacity(appends.len());
    for append in appends {
        asked.push((append.room.as_str(), number(append.expected)?));
    }
    let standings: Vec<Standing> = sqlx::query_as(STANDING)
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
        // Powers of two, so that few texts serve every number of rows and stay prepared.
        let most = rest.len().min(INSERT_ROWS_MAX);
        let (chunk, others) = rest.split_at(1 << most.ilog2());
        rest = others;
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
