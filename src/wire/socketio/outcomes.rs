//! Owns what clients are told of what became of their changes.

use std::borrow::Cow;

use serde::Deserialize;

use super::shapes::{Ack, Trouble};
use super::tell::{Told, in_room};
use super::{Asked, Dialogue, Out};
use crate::ids::RoomId;

/// A result of an operation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome<'a> {
    #[serde(borrow, default)]
    op_id: Option<Cow<'a, str>>,
    status: &'a str,
    #[serde(borrow, default)]
    record_id: Option<Cow<'a, str>>,
    #[serde(default)]
    version: Option<u64>,
    #[serde(borrow, default)]
    error: Option<OutcomeError<'a>>,
}

#[derive(Deserialize)]
struct OutcomeError<'a> {
    code: &'a str,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

impl Outcome<'_> {
    /// Why it was not applied: a code and a message.
    fn refusal(&self) -> Option<(&str, &str)> {
        let error = self.error.as_ref();
        match self.status {
            "applied" | "merged" | "duplicate" => None,
            "conflict" => Some(("conflict", "the record changed meanwhile")),
            _ => Some(error.map_or(("internal", ""), |it| (it.code, &*it.message))),
        }
    }
}

impl<A> Dialogue<A> {
    /// Operations were judged.
    pub(super) fn pushed(&mut self, told: &Told<'_>, asked: Option<Asked<A>>) {
        match asked {
            Some(Asked::Change {
                room,
                names_record,
                ack,
            }) => {
                let Some(outcome) = told.results.first() else {
                    return self.refuse(ack, "internal", "there is no result");
                };
                if !self.is_applied(&room, outcome) {
                    return self.answer_refused(ack, outcome);
                }
                let record = outcome.record_id.as_deref().filter(|_| names_record);
                let done = Ack {
                    record_id: record,
                    ..Ack::done(outcome.version)
                };
                self.acknowledge(ack, &done);
            }
            Some(Asked::Offline { batch }) => {
                let Ok(room) = RoomId::parse(&told.room) else {
                    return;
                };
                let mut is_ok = true;
                let mut version = 0;
                for outcome in &told.results {
                    is_ok &= self.is_applied(&room, outcome);
                    version = version.max(outcome.version.unwrap_or(0));
                }
                self.batch_answered(batch, is_ok, version);
            }
            _ => {}
        }
    }

    /// Whether an operation was applied; if not, that is said.
    fn is_applied(&mut self, room: &RoomId, outcome: &Outcome<'_>) -> bool {
        let Some((code, message)) = outcome.refusal() else {
            return true;
        };
        let trouble = Trouble {
            record_id: outcome.record_id.as_deref(),
            id: outcome.op_id.as_deref(),
            ..in_room(room.as_str(), code, message)
        };
        self.trouble(None, &trouble);
        false
    }

    fn answer_refused(&mut self, ack: Option<A>, outcome: &Outcome<'_>) {
        if let Some((code, message)) = outcome.refusal() {
            let refused = Ack {
                version: outcome.version,
                ..Ack::refused(code, message)
            };
            self.acknowledge(ack, &refused);
        }
    }

    pub(super) fn batch_answered(&mut self, batch: u64, is_ok: bool, version: u64) {
        if let Some(it) = self.batches.get_mut(&batch) {
            it.waiting = it.waiting.saturating_sub(1);
            it.is_ok &= is_ok;
            it.version = it.version.max(version);
        }
        self.finish_batch(batch);
    }

    /// Says that what was made offline is done, once it is.
    pub(super) fn finish_batch(&mut self, batch: u64) {
        if self.batches.get(&batch).is_some_and(|it| it.waiting == 0)
            && let Some(it) = self.batches.remove(&batch)
        {
            self.outs
                .push_back(Out::Emit("offline_sync_complete".into(), None));
            let ack = Ack {
                ok: it.is_ok,
                ..Ack::done(Some(it.version))
            };
            self.acknowledge(it.ack, &ack);
        }
    }
}
