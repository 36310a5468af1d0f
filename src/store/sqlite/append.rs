//! Owns appending to SQLite: look where the rooms stand, move their heads, write their rows.

use std::collections::HashMap;

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection};
use uuid::Uuid;

use super::super::sql::{self, number};
use super::super::{Append, Appended, Failure};
use super::BEGIN;
use crate::ids::{Epoch, Version};

/// Rows in one `INSERT`: far below SQLite's 32,766 parameters, and few different statements.
const INSERT_ROWS_MAX: usize = 256;

/// Where rooms stand: `$1` is `[[name, expected]]`.
const STANDING: &str = "
    SELECT g.key, r.id, r.epoch, r.head, l.append_id, f.epoch
    FROM json_each($1) g
    LEFT JOIN rooms r ON r.name = g.value ->> 0
    LEFT JOIN log l ON l.room = r.id AND l.version = (g.value ->> 1) + 1
    LEFT JOIN former f ON f.room = g.value ->> 0";

/// Makes and moves heads: `$1` is `[[name, epoch in hex, head, first at, last at]]`.
const MOVE_HEADS: &str = "
    INSERT INTO rooms (name, epoch, head, oldest, created_at, updated_at)
    SELECT value ->> 0, unhex(value ->> 1), value ->> 2, 1, value ->> 3, value ->> 4
    FROM json_each($1) WHERE true
    ON CONFLICT (name) DO UPDATE SET head = excluded.head, updated_at = excluded.updated_at
    RETURNING name, id";

pub(super) async fn append(
    connection: &mut SqliteConnection,
    appends: &[Append],
) -> Result<Vec<Appended>, Failure> {
    let mut writing = connection.begin_with(BEGIN).await?;
    let (answers, ids) = judge(&mut writing, appends).await?;
    let accepted: Vec<&Append> = (appends.iter().zip(&answers))
        .filter(|(_, answer)| answer.is_none())
        .map(|(append, _)| append)
        .collect();
    if !accepted.is_empty() {
        let ids = move_heads(&mut writing, &accepted, ids).await?;
        insert_rows(&mut writing, &accepted, &ids).await?;
    }
    writing.commit().await?;
    Ok(answers
        .into_iter()
        .map(|answer| answer.unwrap_or(Appended::Kept))
        .collect())
}

/// What to answer for each append, nothing for those that are to be written, and the ids of the
/// rooms that are there. The write lock is held, so nothing moves after this look.
async fn judge(
    connection: &mut SqliteConnection,
    appends: &[Append],
) -> Result<(Vec<Option<Appended>>, HashMap<String, i64>), Failure> {
    type Standing = (
        i64,
        Option<i64>,
        Option<Uuid>,
        Option<i64>,
        Option<Uuid>,
        Option<Uuid>,
    );
    let mut asked = Vec::with_capacity(appends.len());
    for append in appends {
        asked.push((append.room.as_str(), number(append.expected)?));
    }
    let standings: Vec<Standing> = sqlx::query_as(STANDING)
        .bind(json(&asked)?)
        .fetch_all(connection)
        .await?;
    let mut answers = vec![None; appends.len()];
    let mut ids = HashMap::new();
    for (key, id, epoch, head, append_id, ended) in standings {
        let (Some(append), Some(answer)) = (
            usize::try_from(key).ok().and_then(|key| appends.get(key)),
            usize::try_from(key)
                .ok()
                .and_then(|key| answers.get_mut(key)),
        ) else {
            continue;
        };
        *answer = match (id, epoch, head) {
            (Some(id), Some(epoch), Some(head)) => {
                let stands = (Epoch(epoch), sql::version(&append.room, head)?);
                if stands == (append.epoch, append.expected) {
                    ids.insert(append.room.as_str().to_owned(), id);
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
    Ok((answers, ids))
}

/// Makes the rooms that are new and moves the heads of the others; answers with the ids of all.
async fn move_heads(
    connection: &mut SqliteConnection,
    accepted: &[&Append],
    mut ids: HashMap<String, i64>,
) -> Result<HashMap<String, i64>, Failure> {
    let mut heads = Vec::with_capacity(accepted.len());
    for append in accepted {
        if let (Some(first), Some(last)) = (append.rows.first(), append.rows.last()) {
            let epoch = append.epoch.0.simple().to_string();
            let head = number(last.version)?;
            heads.push((append.room.as_str(), epoch, head, first.at.0, last.at.0));
        }
    }
    let moved: Vec<(String, i64)> = sqlx::query_as(MOVE_HEADS)
        .bind(json(&heads)?)
        .fetch_all(connection)
        .await?;
    ids.extend(moved);
    Ok(ids)
}

/// Writes the log rows in few statements: every statement is a hop to SQLite's thread and back.
async fn insert_rows(
    connection: &mut SqliteConnection,
    accepted: &[&Append],
    ids: &HashMap<String, i64>,
) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for append in accepted {
        let id = ids.get(append.room.as_str()).copied();
        let id = id.ok_or_else(|| Failure::Corrupt(format!("{} has no id", append.room)))?;
        rows.extend(append.rows.iter().map(|row| (id, append.id.0, row)));
    }
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        // Powers of two, so that nine texts serve every number of rows and stay prepared.
        let most = rest.len().min(INSERT_ROWS_MAX);
        let (chunk, others) = rest.split_at(1 << most.ilog2());
        rest = others;
        let mut insert = sqlx::query(AssertSqlSafe(insert_text(chunk.len())));
        for (id, append_id, row) in chunk {
            insert = insert
                .bind(*id)
                .bind(number(row.version)?)
                .bind(*append_id)
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

fn insert_text(rows: usize) -> String {
    let values = vec!["(?, ?, ?, ?, ?, ?, ?, ?)"; rows].join(", ");
    format!(
        "INSERT INTO log (room, version, append_id, at, actors, ops, \"update\", events) \
         VALUES {values}"
    )
}

fn json(rows: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(rows).map_err(|error| Failure::Refused(error.to_string()))
}
