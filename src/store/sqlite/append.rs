//! Owns appending to SQLite: look where the rooms stand, move their heads, write their rows.
//!
//! Every text is a hop to SQLite's thread and back, which costs more than the statements do: a
//! small transaction is one text, and two where a room is to be made. One that fails in between is
//! undone with its connection, which nobody gets back.

use std::collections::HashSet;

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::super::sql::{self, json, number};
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
/// parameter is `[[name, epoch in hex, expected, head, last at]]`, the last null without rows.
const EXTEND_HEADS: &str = "
    UPDATE rooms SET head = g.value ->> 3, updated_at = coalesce(g.value ->> 4, updated_at)
    FROM json_each(?) g
    WHERE name = g.value ->> 0 AND epoch = unhex(g.value ->> 1) AND head = g.value ->> 2
    RETURNING name;";

/// Keeps operations of rooms that stand somewhere: `[[name, epoch in hex, head, id, version, at,
/// result]]`.
const KEEP_OPS: &str = "
    INSERT INTO ops (room, op_id, version, at, result)
    SELECT r.id, g.value ->> 3, g.value ->> 4, g.value ->> 5, g.value ->> 6
    FROM json_each(?) g CROSS JOIN rooms r
    WHERE r.name = g.value ->> 0 AND r.epoch = unhex(g.value ->> 1) AND r.head = g.value ->> 2
    ON CONFLICT (room, op_id) DO NOTHING;";

/// As [`KEEP_OPS`]: `[[name, epoch in hex, head, id in hex, collection, ...]]`.
const KEEP_CONFLICTS: &str = "
    INSERT INTO conflicts (
        id, room, collection, record, field, version, mine, theirs, theirs_version, \"user\",
        client, at
    )
    SELECT unhex(g.value ->> 3), r.id, g.value ->> 4, g.value ->> 5, g.value ->> 6,
        g.value ->> 7, g.value ->> 8, g.value ->> 9, g.value ->> 10, g.value ->> 11,
        g.value ->> 12, g.value ->> 13
    FROM json_each(?) g CROSS JOIN rooms r
    WHERE r.name = g.value ->> 0 AND r.epoch = unhex(g.value ->> 1) AND r.head = g.value ->> 2
    ON CONFLICT (id) DO NOTHING;";

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
        let last = append.rows.last();
        let head = last.map_or(Ok(expected), |last| number(last.version))?;
        let at = last.map(|last| last.at.0);
        heads.push((append.room.as_str(), hex(append), expected, head, at));
        rows.extend(append.rows.iter().map(|row| (append, expected, row)));
    }
    let heads = json(&heads)?;
    // The heads have not moved yet when these are written.
    let mut more = More::of(appends.iter(), |append| append.expected)?;
    let mut is_first = true;
    let mut rest = rows.as_slice();
    loop {
        let chunk = take_chunk(&mut rest);
        let is_last = rest.is_empty();
        let text = extend_text(is_first, chunk.len(), is_last.then_some(&more));
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
        if !is_last {
            insert.fetch_all(&mut *connection).await?;
            continue;
        }
        for parameter in more.take_parameters() {
            insert = insert.bind(parameter);
        }
        let kept = insert.bind(heads).fetch_all(connection).await?;
        return Ok(kept.into_iter().collect());
    }
}

/// Takes the write lock if this is the first text of the transaction; keeps what there is beside
/// rows, moves the heads and commits if it is the last. Rows are written before the heads move:
/// only then they find their room where it is expected.
fn extend_text(is_first: bool, rows: usize, at_last: Option<&More>) -> String {
    let begin = if is_first { "BEGIN IMMEDIATE;" } else { "" };
    let row = "SELECT id, ?, ?, ?, ?, ?, ?, ? FROM rooms WHERE name = ? AND epoch = ? AND head = ?";
    let selected = vec![row; rows].join(" UNION ALL ");
    let insert = insert_into_log(&selected);
    match at_last {
        Some(more) => format!("{begin} {insert} {} {EXTEND_HEADS} COMMIT", more.text()),
        None => format!("{begin} {insert}"),
    }
}

/// The statement that writes rows, if there are any.
fn insert_into_log(rows: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "INSERT INTO log \
         (room, version, append_id, at, actors, ops, \"update\", events) {rows};"
    )
}

/// What there is to keep beside rows: operations and conflicts, each as one parameter.
struct More {
    ops: Option<String>,
    conflicts: Option<String>,
}

impl More {
    /// `head` says where a room stands when this is written.
    fn of<'a>(
        appends: impl Iterator<Item = &'a Append>,
        head: impl Fn(&Append) -> Version,
    ) -> Result<Self, Failure> {
        let mut ops = Vec::new();
        let mut conflicts = Vec::new();
        for append in appends.filter(|append| append.has_more()) {
            let (room, epoch, head) = (append.room.as_str(), hex(append), number(head(append))?);
            for op in &append.ops {
                let (id, version) = (op.id.as_str(), number(op.version)?);
                ops.push((room, epoch.clone(), head, id, version, op.at.0, &op.result));
            }
            for row in &append.conflicts {
                conflicts.push((
                    room,
                    epoch.clone(),
                    head,
                    row.id.simple().to_string(),
                    &row.key.collection,
                    &row.key.record,
                    &row.field,
                    number(row.version)?,
                    &row.mine,
                    &row.theirs,
                    number(row.theirs_version)?,
                    &row.user,
                    &row.client,
                    row.at.0,
                ));
            }
        }
        let ops = (!ops.is_empty()).then(|| json(&ops)).transpose()?;
        let conflicts = (!conflicts.is_empty()).then(|| json(&conflicts));
        Ok(Self {
            ops,
            conflicts: conflicts.transpose()?,
        })
    }

    fn text(&self) -> String {
        let ops = self.ops.as_ref().map_or("", |_| KEEP_OPS);
        let conflicts = self.conflicts.as_ref().map_or("", |_| KEEP_CONFLICTS);
        [ops, conflicts].concat()
    }

    /// The parameters of the text.
    fn take_parameters(&mut self) -> impl Iterator<Item = String> {
        [self.ops.take(), self.conflicts.take()]
            .into_iter()
            .flatten()
    }
}

fn hex(append: &Append) -> String {
    append.epoch.0.simple().to_string()
}

/// Powers of two, so that few texts serve every number of rows and stay prepared.
fn take_chunk<'a, T>(rest: &mut &'a [T]) -> &'a [T] {
    let most = rest.len().min(INSERT_ROWS_MAX);
    let (chunk, others) = rest.split_at(most.checked_ilog2().map_or(0, |power| 1 << power));
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

/// Makes the rooms that are new, moves the heads of the others, writes all there is, and commits.
async fn write(connection: &mut SqliteConnection, accepted: &[&Append]) -> Result<(), Failure> {
    let mut heads = Vec::with_capacity(accepted.len());
    let mut rows = Vec::new();
    for append in accepted {
        if let (Some(first), Some(last)) = (append.rows.first(), append.rows.last()) {
            let head = number(last.version)?;
            heads.push((
                append.room.as_str(),
                hex(append),
                head,
                first.at.0,
                last.at.0,
            ));
        }
        rows.extend(append.rows.iter().map(|row| (*append, row)));
    }
    let mut heads = Some(json(&heads)?);
    // The heads have moved when these are written; a room that is not made is not found.
    let mut more = More::of(accepted.iter().copied(), |append| {
        let last = append.rows.last();
        last.map_or(append.expected, |last| last.version)
    })?;
    let mut rest = rows.as_slice();
    loop {
        let chunk = take_chunk(&mut rest);
        let is_last = rest.is_empty();
        let text = insert_text(heads.is_some(), chunk.len(), is_last.then_some(&more));
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
        if is_last {
            for parameter in more.take_parameters() {
                insert = insert.bind(parameter);
            }
            insert.execute(connection).await?;
            return Ok(());
        }
        insert.execute(&mut *connection).await?;
    }
}

/// Moves the heads if this is the first text of the transaction; keeps what there is beside rows
/// and commits if it is the last.
fn insert_text(is_first: bool, rows: usize, at_last: Option<&More>) -> String {
    let move_heads = if is_first { MOVE_HEADS } else { "" };
    let row = "((SELECT id FROM rooms WHERE name = ?), ?, ?, ?, ?, ?, ?, ?)";
    let values = vec![row; rows].join(", ");
    let insert = match rows {
        0 => String::new(),
        _ => insert_into_log(&format!("VALUES {values}")),
    };
    match at_last {
        Some(more) => format!("{move_heads} {insert} {} COMMIT", more.text()),
        None => format!("{move_heads} {insert}"),
    }
}
