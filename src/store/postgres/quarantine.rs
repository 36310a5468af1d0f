//! Owns quarantine in Postgres.

use async_trait::async_trait;
use bytes::Bytes;

use super::super::Failure;
use super::super::quarantine::{Case, CaseId, Finding, Quarantine};
use super::super::sql::case::{self, CaseColumns};
use super::super::sql::{count, within};
use super::Postgres;
use crate::ids::{RoomId, UnixMillis};

#[async_trait]
impl Quarantine for Postgres {
    async fn confine(&self, finding: &Finding) -> Result<CaseId, Failure> {
        let mut lent = self.others.lend().await?;
        let id: i64 = within(self.patience.call, async {
            Ok(sqlx::query_scalar(case::CONFINE)
                .bind(finding.room.as_str())
                .bind(finding.kind.word())
                .bind(finding.reason.as_str())
                .bind(&finding.hash[..])
                .bind(&finding.marks[..])
                .bind(&finding.bytes[..])
                .bind(finding.at.0)
                .fetch_one(lent.connection())
                .await?)
        })
        .await?;
        lent.give_back();
        Ok(CaseId(id))
    }

    async fn held(&self, room: &RoomId) -> Result<Vec<Case>, Failure> {
        let mut lent = self.others.lend().await?;
        let lines: Vec<CaseColumns> = within(self.patience.call, async {
            let held = sqlx::query_as(case::HELD).bind(room.as_str());
            Ok(held.fetch_all(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        lines.into_iter().map(case::case).collect()
    }

    async fn cases(&self, after: CaseId, limit: usize) -> Result<Vec<Case>, Failure> {
        let mut lent = self.others.lend().await?;
        let lines: Vec<CaseColumns> = within(self.patience.call, async {
            let cases = sqlx::query_as(case::CASES).bind(after.0).bind(count(limit));
            Ok(cases.fetch_all(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        lines.into_iter().map(case::case).collect()
    }

    async fn case(&self, id: CaseId) -> Result<Option<(Case, Option<Bytes>)>, Failure> {
        let mut lent = self.others.lend().await?;
        let found: Option<(CaseColumns, Option<Vec<u8>>)> = within(self.patience.call, async {
            let case = sqlx::query_as(case::CASE).bind(id.0);
            let Some(columns) = case.fetch_optional(lent.connection()).await? else {
                return Ok(None);
            };
            let bytes = sqlx::query_scalar(case::BYTES).bind(id.0);
            let bytes = bytes.fetch_optional(lent.connection()).await?;
            Ok(Some((columns, bytes.flatten())))
        })
        .await?;
        lent.give_back();
        found
            .map(|(columns, bytes)| Ok((case::case(columns)?, bytes.map(Bytes::from))))
            .transpose()
    }

    async fn release(&self, id: CaseId, at: UnixMillis) -> Result<bool, Failure> {
        let mut lent = self.others.lend().await?;
        let done = within(self.patience.call, async {
            let release = sqlx::query(case::RELEASE).bind(id.0).bind(at.0);
            Ok(release.execute(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        Ok(done.rows_affected() > 0)
    }

    async fn forget(&self, id: CaseId) -> Result<bool, Failure> {
        let mut lent = self.others.lend().await?;
        let done = within(self.patience.call, async {
            let forget = sqlx::query(case::FORGET).bind(id.0);
            Ok(forget.execute(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        Ok(done.rows_affected() > 0)
    }

    async fn remove(&self, id: CaseId) -> Result<bool, Failure> {
        let mut lent = self.others.lend().await?;
        let done = within(self.patience.call, async {
            let remove = sqlx::query(case::REMOVE).bind(id.0);
            Ok(remove.execute(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        Ok(done.rows_affected() > 0)
    }

    async fn held_rooms(&self) -> Result<u64, Failure> {
        let mut lent = self.others.lend().await?;
        let rooms: i64 = within(self.patience.call, async {
            let rooms = sqlx::query_scalar(case::HELD_ROOMS);
            Ok(rooms.fetch_one(lent.connection()).await?)
        })
        .await?;
        lent.give_back();
        Ok(u64::try_from(rooms).unwrap_or_default())
    }
}
