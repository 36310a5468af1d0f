//! Owns the audit log in Postgres.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::super::Failure;
use super::super::audit::{Audit, AuditEvent, AuditLine, AuditQuery, FORGET_MAX, kept};
use super::super::sql::audit::{FORGET, LineColumns, line, lines_text};
use super::super::sql::{count, within};
use super::Postgres;
use crate::ids::UnixMillis;

/// `$1` at, `$2` action, `$3` user, `$4` room, `$5` allowed, `$6` address, `$7` detail.
const RECORD: &str = "
    INSERT INTO audit (at, action, \"user\", room, is_allowed, address, detail)
    SELECT at, action, \"user\", room, is_allowed, address, detail::json
    FROM UNNEST(
        $1::int8[], $2::text[], $3::text[], $4::text[], $5::bool[], $6::text[], $7::text[]
    ) WITH ORDINALITY AS g (at, action, \"user\", room, is_allowed, address, detail, ordinal)
    ORDER BY ordinal";

#[async_trait]
impl Audit for Postgres {
    async fn record(&self, events: &[AuditEvent]) -> Result<(), Failure> {
        let events: Vec<AuditEvent> = events.iter().map(kept).collect();
        let of = |part: fn(&AuditEvent) -> Option<&str>| events.iter().map(part).collect();
        let (users, rooms, addresses): (Vec<_>, Vec<_>, Vec<_>) = (
            of(|event| event.user.as_deref()),
            of(|event| event.room.as_deref()),
            of(|event| event.address.as_deref()),
        );
        let ats: Vec<i64> = events.iter().map(|event| event.at.0).collect();
        let actions: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
        let allowed: Vec<bool> = events.iter().map(|event| event.is_allowed).collect();
        let details: Vec<&str> = events.iter().map(|event| event.detail.as_str()).collect();
        let mut lent = self.others.lend().await?;
        within(self.patience.call, async {
            let record = sqlx::query(RECORD)
                .bind(ats)
                .bind(actions)
                .bind(users)
                .bind(rooms)
                .bind(allowed)
                .bind(addresses)
                .bind(details);
            Ok(record.execute(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        Ok(())
    }

    async fn lines(&self, query: &AuditQuery) -> Result<Vec<AuditLine>, Failure> {
        let query = query.kept();
        let mut lent = self.others.lend().await?;
        let lines: Vec<LineColumns> = within(self.patience.call, async {
            let lines = sqlx::query_as(AssertSqlSafe(lines_text("detail::text", &query)))
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
        let mut lent = self.others.lend().await?;
        let done = within(self.patience.call, async {
            let forget = sqlx::query(FORGET).bind(before.0).bind(count(FORGET_MAX));
            Ok(forget.execute(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        Ok(done.rows_affected())
    }
}
