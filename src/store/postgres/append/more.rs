//! Owns the columns of what is appended beside rows: operations and conflicts.

use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::QueryScalar;
use uuid::Uuid;

use super::super::super::records::{ConflictRow, OpRow};
use super::super::super::sql::number;
use super::super::super::{Append, Failure};

type Query<'q> = QueryScalar<'q, Postgres, i64, PgArguments>;

/// Binds operations and conflicts, after the rows.
pub(super) fn bind<'q>(query: Query<'q>, appends: &[&'q Append]) -> Result<Query<'q>, Failure> {
    let mut ops = Ops::default();
    let mut conflicts = Conflicts::default();
    for (append, ordinal) in appends.iter().zip(1..) {
        for op in &append.ops {
            ops.push(ordinal, op)?;
        }
        for row in &append.conflicts {
            conflicts.push(ordinal, row)?;
        }
    }
    Ok(query
        .bind(ops.ordinal)
        .bind(ops.id)
        .bind(ops.version)
        .bind(ops.at)
        .bind(ops.result)
        .bind(conflicts.ordinal)
        .bind(conflicts.id)
        .bind(conflicts.collection)
        .bind(conflicts.record)
        .bind(conflicts.field)
        .bind(conflicts.version)
        .bind(conflicts.mine)
        .bind(conflicts.theirs)
        .bind(conflicts.theirs_version)
        .bind(conflicts.user)
        .bind(conflicts.client)
        .bind(conflicts.at))
}

/// `ordinal` is the place of their room, from 1.
#[derive(Default)]
struct Ops<'a> {
    ordinal: Vec<i64>,
    id: Vec<&'a str>,
    version: Vec<i64>,
    at: Vec<i64>,
    result: Vec<&'a str>,
}

impl<'a> Ops<'a> {
    fn push(&mut self, ordinal: i64, op: &'a OpRow) -> Result<(), Failure> {
        self.ordinal.push(ordinal);
        self.id.push(op.id.as_str());
        self.version.push(number(op.version)?);
        self.at.push(op.at.0);
        self.result.push(&op.result);
        Ok(())
    }
}

/// As [`Ops`].
#[derive(Default)]
struct Conflicts<'a> {
    ordinal: Vec<i64>,
    id: Vec<Uuid>,
    collection: Vec<&'a str>,
    record: Vec<&'a str>,
    field: Vec<&'a str>,
    version: Vec<i64>,
    mine: Vec<Option<&'a str>>,
    theirs: Vec<Option<&'a str>>,
    theirs_version: Vec<i64>,
    user: Vec<&'a str>,
    client: Vec<&'a str>,
    at: Vec<i64>,
}

impl<'a> Conflicts<'a> {
    fn push(&mut self, ordinal: i64, row: &'a ConflictRow) -> Result<(), Failure> {
        self.ordinal.push(ordinal);
        self.id.push(row.id);
        self.collection.push(&row.key.collection);
        self.record.push(&row.key.record);
        self.field.push(&row.field);
        self.version.push(number(row.version)?);
        self.mine.push(row.mine.as_deref());
        self.theirs.push(row.theirs.as_deref());
        self.theirs_version.push(number(row.theirs_version)?);
        self.user.push(&row.user);
        self.client.push(&row.client);
        self.at.push(row.at.0);
        Ok(())
    }
}
