//! Owns keeping in Postgres: one statement per group of appends.

mod append;
mod audit;
mod quarantine;
mod read;
mod records;
mod upkeep;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::audit::Audit;
use super::quarantine::Quarantine;
use super::records::Records;
use super::sql::{self, Lanes, Pruned, within};
use super::{
    Append, Appended, Failure, Listed, Loaded, Page, Patience, Retention, Row, Snapshot, Store,
    checked,
};
use crate::ids::{Epoch, RoomId, Version};

/// Connections for everything but appends, which have one of their own: a group commit needs no
/// more, and a long reading never stands before it. Postgres allows 100 in all by default, and
/// several nodes share them.
const OTHERS: usize = 8;

/// How much longer than the server this side waits for the end of a statement: in time the server
/// answers, and the connection stays.
const GRACE: Duration = Duration::from_secs(1);

/// Keeps rooms in a Postgres database.
pub struct Postgres {
    writer: Lanes<PgConnection>,
    others: Lanes<PgConnection>,
    options: PgConnectOptions,
    patience: Patience,
}

impl Postgres {
    /// Opens the database of a URL `postgres://user:password@host:port/database`.
    ///
    /// # Errors
    ///
    /// `Refused` when the URL makes no sense, `Unavailable` when the database cannot be reached or
    /// lets nobody in.
    pub async fn open(url: &str, patience: Patience) -> Result<Self, Failure> {
        let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| {
            Failure::Refused(format!("the URL of a Postgres database: {error}"))
        })?;
        let options = options.disable_statement_logging();
        let store = Self {
            writer: lanes(1, &patience, &options),
            others: lanes(OTHERS, &patience, &options),
            options,
            patience,
        };
        store.writer.lend().await?.give_back();
        Ok(store)
    }
}

#[async_trait]
impl Store for Postgres {
    async fn migrate(&self) -> Result<(), Failure> {
        // A connection of its own has no limit on statements, and takes sqlx's lock with it when
        // something fails.
        within(self.patience.upkeep, async {
            let mut connection = self.options.connect().await?;
            upkeep::migrations()
                .run_direct(None, &mut connection, false)
                .await?;
            Ok(connection.close().await?)
        })
        .await
    }

    async fn ping(&self) -> Result<(), Failure> {
        let mut lent = self.others.lend().await?;
        within(self.patience.call, async {
            // On a standby even this is refused.
            let nothing = "UPDATE rooms SET head = head WHERE false";
            Ok(sqlx::query(nothing).execute(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        Ok(())
    }

    async fn load(&self, room: &RoomId) -> Result<Loaded, Failure> {
        let mut lent = self.others.lend().await?;
        let loaded = within(self.patience.call, read::load(lent.connection(), room)).await?;
        lent.give_back();
        Ok(loaded)
    }

    async fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, Failure> {
        checked(appends)?;
        if appends.is_empty() {
            return Ok(Vec::new());
        }
        let mut lent = self.writer.lend().await?;
        let kept = within(
            self.patience.call,
            append::append(lent.connection(), appends),
        )
        .await?;
        lent.give_back();
        Ok(kept)
    }

    async fn read(
        &self,
        room: &RoomId,
        epoch: Epoch,
        after: Version,
        page: Page,
    ) -> Result<Vec<Row>, Failure> {
        let mut lent = self.others.lend().await?;
        let reading = read::read(lent.connection(), room, epoch, after, page);
        let rows = within(self.patience.call, reading).await?;
        lent.give_back();
        Ok(rows)
    }

    async fn save_snapshot(
        &self,
        room: &RoomId,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> Result<(), Failure> {
        let mut lent = self.others.lend().await?;
        let saving = upkeep::save_snapshot(lent.connection(), room, epoch, snapshot);
        within(self.patience.call, saving).await?;
        lent.give_back();
        Ok(())
    }

    async fn prune(
        &self,
        room: &RoomId,
        epoch: Epoch,
        retention: Retention,
    ) -> Result<Option<Version>, Failure> {
        loop {
            let mut lent = self.others.lend().await?;
            let step = upkeep::prune(lent.connection(), room, epoch, retention);
            let step = within(self.patience.upkeep, step).await?;
            lent.give_back();
            match step {
                None => return Ok(None),
                Some((oldest, Pruned::All)) => return sql::version(room, oldest).map(Some),
                Some((_, Pruned::Some)) => {}
            }
        }
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Listed>, Failure> {
        let mut lent = self.others.lend().await?;
        let listing = read::list(lent.connection(), prefix, after, limit);
        let listed = within(self.patience.call, listing).await?;
        lent.give_back();
        Ok(listed)
    }

    async fn delete(&self, room: &RoomId, epoch: Epoch, former: &Bytes) -> Result<bool, Failure> {
        let mut lent = self.others.lend().await?;
        let deleting = upkeep::delete(lent.connection(), room, epoch, former, self.patience.upkeep);
        let deleted = within(self.patience.upkeep + GRACE, deleting).await?;
        lent.give_back();
        Ok(deleted)
    }

    fn quarantine(&self) -> &dyn Quarantine {
        self
    }

    fn records(&self) -> &dyn Records {
        self
    }

    fn audit(&self) -> &dyn Audit {
        self
    }
}

fn lanes(count: usize, patience: &Patience, options: &PgConnectOptions) -> Lanes<PgConnection> {
    let (options, settings) = (options.clone(), settings(patience.call));
    let connect = move || {
        let (options, settings) = (options.clone(), settings.clone());
        let connecting: BoxFuture<'static, _> = Box::pin(async move {
            let mut connection = options.connect().await?;
            sqlx::raw_sql(AssertSqlSafe(settings))
                .execute(&mut connection)
                .await?;
            Ok(connection)
        });
        connecting
    };
    Lanes::new(count, patience, Box::new(connect))
}

/// What every connection is set to, whatever the database's defaults are.
///
/// A commit that was not written through is not durable. The statements are all look-ups by index:
/// one plan serves every call, and must not be a scan because the tables were empty when it was
/// made. `work_mem` holds a group of appends.
fn settings(call: Duration) -> String {
    format!(
        "SET statement_timeout = {};
         SET default_transaction_isolation = 'read committed';
         SET plan_cache_mode = force_generic_plan;
         SET enable_seqscan = off;
         SET jit = off;
         SET work_mem = '32MB';
         SELECT set_config('synchronous_commit', 'on', false)
         WHERE current_setting('synchronous_commit') = 'off'",
        call.saturating_sub(GRACE).max(call / 2).as_millis()
    )
}
