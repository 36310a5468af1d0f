//! Owns the audit log in SQLite.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::super::Failure;
use super::super::audit::{Audit, AuditEvent, AuditLine, AuditQuery, FORGET_MAX, kept};
use super::super::sql::audit::{FORGET, LineColumns, line, lines_text};
use super::super::sql::{count, json, within};
use super::Sqlite;
use crate::ids::UnixMillis;

/// `$1` lines.
const RECORD: &str = "
    INSERT INTO audit (at, action, \"user\", room, is_allowed, address, detail)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
        value ->> 6
    FROM json_each($1) ORDER BY key";

#[async_trait]
impl Audit for Sqlite {
    async fn record(&self, events: &[AuditEvent]) -> Result<(), Failure> {
        let mut lines = Vec::with_capacity(events.len());
        for event in events.iter().map(kept) {
            lines.push((
                event.at.0,
                event.action,
                event.user,
                event.room,
                event.is_allowed,
                event.address,
                event.detail,
            ));
        }
        let lines = json(&lines)?;
        let mut lent = self.writer.lend().await?;
        within(self.patience.call, async {
            let record = sqlx::query(RECORD).bind(lines);
            Ok(record.execute(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        Ok(())
    }

    async fn lines(&self, query: &AuditQuery) -> Result<Vec<AuditLine>, Failure> {
        let query = query.kept();
        let mut lent = self.readers.lend().await?;
        let lines: Vec<LineColumns> = within(self.patience.call, async {
            let lines = sqlx::query_as(AssertSqlSafe(lines_text("detail", &query)))
                .bind(query.room)
                .bind(query.user)
                .bind(query.before)
                .bind(count(query.limit));
            Ok(lines.fetch_all(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        Ok(lines.into_iter().map(line).collect())
    }

    async fn forget(&self, before: UnixMillis) -> Result<u64, Failure> {
        let mut lent = self.writer.lend().await?;
        let done = within(self.patience.call, async {
            let forget = sqlx::query(FORGET).bind(before.0).bind(count(FORGET_MAX));
            Ok(forget.execute(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        Ok(done.rows_affected())
    }
}
