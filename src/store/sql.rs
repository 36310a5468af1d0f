//! Owns what the two SQL stores share: connections on loan, patience, failures and columns.

pub(super) mod audit;
pub(super) mod case;
pub(super) mod records;

use std::future::Future;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Failure, Head, Listed, Loaded, Patience, Row, Snapshot};
use crate::ids::{Epoch, RoomId, UnixMillis, Version};

/// Rows that one transaction of a pruning drops: other writers get their turn in between.
pub(super) const PRUNE_ROWS_MAX: i64 = 5_000;

/// Whether a step of a pruning was the last.
pub(super) enum Pruned {
    /// Nothing more is to be dropped.
    All,
    /// There may be more.
    Some,
}

/// Opens one connection, ready for use.
pub(super) type Connect<C> =
    Box<dyn Fn() -> BoxFuture<'static, Result<C, sqlx::Error>> + Send + Sync>;

/// A few connections, opened when needed and lent to one call at a time.
///
/// A connection comes back only from a call that went well. What an error or a dropped call leaves
/// behind (an open transaction, an answer still under way) is closed with it, so that the next call
/// never waits for what an earlier one left. sqlx's own pool asks the database after every call
/// whether the connection is still good, which costs as much as the call, and waits for the answer
/// without a limit.
pub(super) struct Lanes<C> {
    connect: Connect<C>,
    idle: Mutex<Vec<C>>,
    permits: Semaphore,
    patience: Duration,
}

/// A connection on loan; see [`Lanes`].
pub(super) struct Lent<'a, C> {
    lanes: &'a Lanes<C>,
    connection: Option<C>,
    _permit: SemaphorePermit<'a>,
}

impl<C: Send> Lanes<C> {
    /// At most `count` connections, opened by `connect`; a loan waits as long as `patience` says.
    pub(super) fn new(count: usize, patience: &Patience, connect: Connect<C>) -> Self {
        Self {
            connect,
            idle: Mutex::new(Vec::new()),
            permits: Semaphore::new(count),
            patience: patience.connect,
        }
    }

    /// Lends a connection, once one is free.
    pub(super) async fn lend(&self) -> Result<Lent<'_, C>, Failure> {
        within(self.patience, async {
            let permit = self.permits.acquire().await;
            let permit = permit.map_err(|_| Failure::Unavailable("the store is closed".into()))?;
            let idle = self.idle.lock().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => (self.connect)().await?,
            };
            Ok(Lent {
                lanes: self,
                connection: Some(connection),
                _permit: permit,
            })
        })
        .await
    }
}

impl<C> Lent<'_, C> {
    /// The connection.
    pub(super) fn connection(&mut self) -> &mut C {
        self.connection
            .as_mut()
            .expect("a loan has its connection until it is given back")
    }

    /// Gives the connection back after a call that went well.
    pub(super) fn give_back(mut self) {
        if let Some(connection) = self.connection.take() {
            self.lanes.idle.lock().push(connection);
        }
    }
}

impl<C> Drop for Lent<'_, C> {
    /// After a restart of the database all connections are stale: one call notices for all.
    fn drop(&mut self) {
        if self.connection.is_some() {
            self.lanes.idle.lock().clear();
        }
    }
}

/// Gives up on what takes longer than `patience`.
pub(super) async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, Failure>> + Send,
) -> Result<T, Failure> {
    match tokio::time::timeout(patience, work).await {
        Ok(result) => result,
        Err(_) => Err(Failure::Unavailable(format!(
            "no answer within {} ms",
            patience.as_millis()
        ))),
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error;
        match &error {
            Error::Database(database) => {
                if let Some(postgres) = database.try_downcast_ref::<PgDatabaseError>() {
                    return postgres_failure(postgres, &error);
                }
                match database.try_downcast_ref::<SqliteError>() {
                    Some(_) => sqlite_failure(database.code().as_deref(), &error),
                    None => Self::Unavailable(error.to_string()),
                }
            }
            Error::ColumnDecode { .. }
            | Error::Decode(_)
            | Error::ColumnNotFound(_)
            | Error::ColumnIndexOutOfBounds { .. }
            | Error::TypeNotFound { .. }
            | Error::RowNotFound => Self::Corrupt(error.to_string()),
            Error::Encode(_) | Error::InvalidArgument(_) => Self::Refused(error.to_string()),
            // Nothing here is about the data: connections, pools, TLS, settings.
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for Failure {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError;
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            error => Self::Corrupt(error.to_string()),
        }
    }
}

/// Judges a Postgres error by its SQLSTATE
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn postgres_failure(database: &PgDatabaseError, error: &sqlx::Error) -> Failure {
    let text = error.to_string();
    let state = database.code();
    match state {
        // The queue of notifications is full, and gets empty; other limits are those of a value.
        "54000" if database.file() == Some("async.c") => Failure::Unavailable(text),
        // Data exceptions, violated constraints, limits of a value.
        _ if ["22", "23", "54"].contains(&state.get(..2).unwrap_or_default()) => {
            Failure::Refused(text)
        }
        // The tables are not those that the migrations made.
        "42P01" | "42703" | "42883" | "42804" | "XX001" | "XX002" => Failure::Corrupt(text),
        // Connections (08), access (28, 3D, 42501), a standby (25), rollbacks and deadlocks (40),
        // resources (53), interventions (55, 57), the system (58): an operator or time helps.
        _ => Failure::Unavailable(text),
    }
}

/// Judges an SQLite error by its primary result code (<https://www.sqlite.org/rescode.html>).
fn sqlite_failure(code: Option<&str>, error: &sqlx::Error) -> Failure {
    let text = error.to_string();
    let extended: i32 = code.and_then(|code| code.parse().ok()).unwrap_or_default();
    match extended & 0xff {
        // TOOBIG, CONSTRAINT, MISMATCH, RANGE.
        18 | 19 | 20 | 25 => Failure::Refused(text),
        // ERROR (no such table), CORRUPT, SCHEMA, FORMAT, NOTADB.
        1 | 11 | 17 | 24 | 26 => Failure::Corrupt(text),
        // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PERM, AUTH.
        _ => Failure::Unavailable(text),
    }
}

/// A version as a column: both databases count with a sign.
pub(super) fn number(version: Version) -> Result<i64, Failure> {
    i64::try_from(version.0)
        .map_err(|_| Failure::Refused(format!("version {version} is larger than a column")))
}

/// A column as a version.
pub(super) fn version(room: &RoomId, number: i64) -> Result<Version, Failure> {
    u64::try_from(number)
        .map(Version)
        .map_err(|_| Failure::Corrupt(format!("version {number} of {room}")))
}

/// A count of rows or bytes as a parameter; what is too large for one is as good as no limit.
pub(super) fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Many values as one parameter.
pub(super) fn json(values: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(values).map_err(|error| Failure::Refused(error.to_string()))
}

/// The columns of a head, in the order of every statement that selects them.
pub(super) type HeadColumns = (uuid::Uuid, i64, i64, i64, i64);

/// A head out of its columns, if they agree with the contract.
pub(super) fn head(room: &RoomId, columns: HeadColumns) -> Result<Head, Failure> {
    let (epoch, head, oldest, created_at, updated_at) = columns;
    if head < 1 || oldest < 1 || oldest > head.saturating_add(1) {
        return Err(Failure::Corrupt(format!(
            "head {head} and oldest {oldest} of {room}"
        )));
    }
    Ok(Head {
        epoch: Epoch(epoch),
        version: version(room, head)?,
        oldest: version(room, oldest)?,
        created_at: UnixMillis(created_at),
        updated_at: UnixMillis(updated_at),
    })
}

/// The columns of a line of the list of rooms.
pub(super) type ListedColumns = (String, uuid::Uuid, i64, i64, i64, i64);

/// A line of the list of rooms out of its columns.
pub(super) fn listed(columns: ListedColumns) -> Result<Listed, Failure> {
    let (name, epoch, version, oldest, created_at, updated_at) = columns;
    let room = RoomId::parse(&name)
        .map_err(|invalid| Failure::Corrupt(format!("the name {name:?}: {invalid}")))?;
    let head = head(&room, (epoch, version, oldest, created_at, updated_at))?;
    Ok(Listed { room, head })
}

/// What was loaded, if its parts agree: the snapshot is within the head, and reaches the log.
pub(super) fn loaded(
    room: &RoomId,
    head: Option<Head>,
    snapshot: Option<(i64, Vec<u8>)>,
    former: Option<Vec<u8>>,
) -> Result<Loaded, Failure> {
    let snapshot = match snapshot {
        Some((number, state)) => Some(Snapshot {
            version: version(room, number)?,
            state: state.into(),
        }),
        None => None,
    };
    if let Some(head) = &head {
        let covered = snapshot
            .as_ref()
            .map_or(Version::ZERO, |snapshot| snapshot.version);
        if covered > head.version || head.oldest > covered.next() {
            return Err(Failure::Corrupt(format!(
                "snapshot {covered} of {room}, whose log has {} to {}",
                head.oldest, head.version
            )));
        }
    }
    Ok(Loaded {
        head,
        snapshot,
        former: former.unwrap_or_default().into(),
    })
}

/// The columns of a log row, in the order of every statement that selects them.
pub(super) type RowColumns = (i64, i64, String, String, Vec<u8>, String);

/// Log rows out of their columns, if they follow one another.
pub(super) fn rows(
    room: &RoomId,
    after: Version,
    columns: Vec<RowColumns>,
) -> Result<Vec<Row>, Failure> {
    let mut expected = after;
    let mut rows = Vec::with_capacity(columns.len());
    for (number, at, actors, ops, update, events) in columns {
        expected = expected.next();
        let version = version(room, number)?;
        if version != expected {
            return Err(Failure::Corrupt(format!(
                "{room} has {version} where {expected} is due"
            )));
        }
        rows.push(Row {
            version,
            at: UnixMillis(at),
            actors,
            ops,
            update: update.into(),
            events,
        });
    }
    Ok(rows)
}

/// The range of names, from and up to, that begin with a prefix.
///
/// Names compare by bytes, and UTF-8 keeps the order of characters, so the range ends where the
/// last character of the prefix that has a successor is replaced by it.
pub(super) fn names(prefix: &str) -> (String, String) {
    let mut rest: Vec<char> = prefix.chars().collect();
    while let Some(last) = rest.pop() {
        // The range of characters steps over the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            rest.push(next);
            return (prefix.to_owned(), rest.into_iter().collect());
        }
    }
    // Longer than any name of 255 bytes that consists of the last character.
    (prefix.to_owned(), char::MAX.to_string().repeat(64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_range_of_names() {
        let end = |prefix: &str| names(prefix).1;
        assert_eq!(end("a"), "b");
        assert_eq!(end("a%_"), "a%`");
        assert_eq!(end("\u{d7ff}"), "\u{e000}");
        assert_eq!(end("a\u{10ffff}"), "b");
        assert_eq!(end("").len(), 256);
        assert_eq!(end("\u{10ffff}").len(), 256);
    }
}
