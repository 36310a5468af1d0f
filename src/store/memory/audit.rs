//! Owns the audit log in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::super::Failure;
use super::super::audit::{Audit, AuditEvent, AuditLine, AuditQuery, FORGET_MAX, kept};
use super::{Memory, is_json};
use crate::ids::UnixMillis;

/// Lines by number.
#[derive(Default)]
pub(super) struct Lines {
    given: i64,
    lines: BTreeMap<i64, AuditEvent>,
}

#[async_trait]
impl Audit for Memory {
    async fn record(&self, events: &[AuditEvent]) -> Result<(), Failure> {
        for event in events {
            is_json(&event.detail)?;
        }
        let mut kept_lines = self.lines.lock();
        for event in events {
            kept_lines.given += 1;
            let id = kept_lines.given;
            kept_lines.lines.insert(id, kept(event));
        }
        Ok(())
    }

    async fn lines(&self, query: &AuditQuery) -> Result<Vec<AuditLine>, Failure> {
        let query = query.kept();
        let kept_lines = self.lines.lock();
        let newest_first = kept_lines.lines.iter().rev();
        let asked_for = newest_first.filter(|(id, event)| {
            query.before.is_none_or(|before| **id < before)
                && (query.room.is_none() || event.room == query.room)
                && (query.user.is_none() || event.user == query.user)
        });
        let lines = asked_for.take(query.limit).map(|(id, event)| AuditLine {
            id: *id,
            event: event.clone(),
        });
        Ok(lines.collect())
    }

    async fn forget(&self, before: UnixMillis) -> Result<u64, Failure> {
        let mut kept_lines = self.lines.lock();
        let mut old: Vec<(UnixMillis, i64)> = kept_lines
            .lines
            .iter()
            .filter(|(_, event)| event.at < before)
            .map(|(id, event)| (event.at, *id))
            .collect();
        old.sort_unstable();
        old.truncate(FORGET_MAX);
        for (_, id) in &old {
            kept_lines.lines.remove(id);
        }
        Ok(old.len() as u64)
    }
}
