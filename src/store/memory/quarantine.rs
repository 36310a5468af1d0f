//! Owns quarantine in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;

use super::super::Failure;
use super::super::quarantine::{Case, CaseId, Finding, Kind, Quarantine};
use super::Memory;
use crate::ids::{RoomId, UnixMillis};

/// Cases by number, and the bytes of those that still have them.
#[derive(Default)]
pub(super) struct Cases {
    given: i64,
    cases: BTreeMap<CaseId, Case>,
    bytes: BTreeMap<CaseId, Bytes>,
    /// How many findings are not taken.
    pub(super) faults: usize,
}

impl Cases {
    fn held(&self) -> impl Iterator<Item = &Case> {
        let cases = self.cases.values();
        cases.filter(|case| case.released_at.is_none())
    }
}

#[async_trait]
impl Quarantine for Memory {
    async fn confine(&self, finding: &Finding) -> Result<CaseId, Failure> {
        let mut cases = self.cases.lock();
        if cases.faults > 0 {
            cases.faults -= 1;
            return Err(Failure::Unavailable("as told".into()));
        }
        let same = cases.held().find(|case| {
            (&case.room, case.kind, &case.hash) == (&finding.room, finding.kind, &finding.hash)
        });
        if let Some(case) = same {
            return Ok(case.id);
        }
        cases.given += 1;
        let id = CaseId(cases.given);
        let case = Case {
            id,
            room: finding.room.clone(),
            kind: finding.kind,
            reason: finding.reason.clone(),
            hash: finding.hash.clone(),
            marks: finding.marks.clone(),
            size: Some(finding.bytes.len() as u64),
            created_at: finding.at,
            released_at: None,
        };
        cases.cases.insert(id, case);
        cases.bytes.insert(id, finding.bytes.clone());
        Ok(id)
    }

    async fn held(&self, room: &RoomId) -> Result<Vec<Case>, Failure> {
        let cases = self.cases.lock();
        let of_room = cases.held().filter(|case| case.room == *room);
        Ok(of_room.cloned().collect())
    }

    async fn cases(&self, after: CaseId, limit: usize) -> Result<Vec<Case>, Failure> {
        let cases = self.cases.lock();
        let later = cases.cases.values().filter(|case| case.id > after);
        Ok(later.take(limit).cloned().collect())
    }

    async fn case(&self, id: CaseId) -> Result<Option<(Case, Option<Bytes>)>, Failure> {
        let cases = self.cases.lock();
        let case = cases.cases.get(&id).cloned();
        Ok(case.map(|case| (case, cases.bytes.get(&id).cloned())))
    }

    async fn release(&self, id: CaseId, at: UnixMillis) -> Result<bool, Failure> {
        let mut cases = self.cases.lock();
        let case = cases.cases.get_mut(&id);
        Ok(case
            .map(|case| case.released_at.get_or_insert(at))
            .is_some())
    }

    async fn forget(&self, id: CaseId) -> Result<bool, Failure> {
        let mut cases = self.cases.lock();
        cases.bytes.remove(&id);
        let case = cases.cases.get_mut(&id);
        Ok(case.map(|case| case.size = None).is_some())
    }

    async fn remove(&self, id: CaseId) -> Result<bool, Failure> {
        let mut cases = self.cases.lock();
        cases.bytes.remove(&id);
        Ok(cases.cases.remove(&id).is_some())
    }

    async fn held_rooms(&self) -> Result<u64, Failure> {
        let cases = self.cases.lock();
        let rooms = cases.held().filter(|case| case.kind == Kind::Room);
        Ok(rooms.count() as u64)
    }
}
