//! Owns the core: one room on one node, pure and synchronous. No clock, no dice, no IO.
//!
//! A [`Room`] is told ([`Input`]) and answers ([`Effect`]); it cannot fail. The *live lane* leaves
//! at once, because merging is commutative; the *kept lane* leaves only when the append it depends
//! on is durable.

mod announce;
mod asking;
pub mod barred;
mod before;
mod compaction;
pub mod document;
pub mod entry;
#[cfg(any(test, feature = "fault-injection"))]
mod fault;
pub mod gate;
pub mod grant;
pub mod index;
mod kept;
mod live;
pub mod message;
pub mod operate;
pub mod operation;
pub mod presence;
pub mod record;
mod refusal;
pub mod sessions;
mod stamps;
mod standing;
pub mod timeline;
pub mod update;
mod verdict;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

pub use document::{Document, Fault};
pub use entry::Entry;
pub use grant::{Access, Grant, Identity};
pub use message::{
    Departure, Effect, End, Event, Input, Listen, LiveEvent, Occasion, Outcome, Refusal, Ticket,
};
pub use standing::{Holdings, Portrait, Standing, Tail};
pub use timeline::{CatchUp, Reason};

use self::barred::Marks;
use self::compaction::Compaction;
use self::gate::Gate;
use self::kept::Retry;
use self::operate::Operations;
use self::presence::Presence;
use self::sessions::Sessions;
use self::timeline::Timeline;
use crate::ids::{AppendId, Epoch, Millis, Now, Position, SessionId, UnixMillis, Version};
use crate::limits::Limits;

/// Where a room is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It takes edits.
    Open,
    /// It takes no more edits; it ends when everything is durable.
    Draining,
    /// It is being erased from the store.
    Erasing,
    /// It has said its last word.
    Over,
}

/// One room on one node.
#[derive(Debug)]
pub struct Room {
    document: Document,
    timeline: Timeline,
    gate: Gate,
    presence: Presence,
    sessions: Sessions,
    limits: Arc<Limits>,
    phase: Phase,
    /// How many live events there were: the place of a live cursor.
    live_count: u64,
    /// How many of them told presence.
    presence_count: u64,
    /// How often a state was encoded for who caught up.
    encodings: u64,
    /// The whole state as it is sent to who joins.
    join: Option<Join>,
    append_ids: AppendIds,
    retry: Retry,
    compaction: Compaction,
    presence_due: Millis,
    operations: Operations,
    /// Who waits to catch up until operations are durable.
    held: Vec<(SessionId, Bytes)>,
    /// Operations wait so long for somebody who wants to be told everything.
    eased_until: Option<Millis>,
    /// The clock of the server's own client up to which everybody was told.
    told_clock: u32,
    idle_since: Option<Millis>,
}

/// The whole state, encoded once for many, and the updates since.
#[derive(Debug)]
struct Join {
    chunks: Arc<[Bytes]>,
    since: Vec<Bytes>,
    bytes_since: usize,
}

/// Gives each append of this opening of the room an id of its own.
#[derive(Debug)]
struct AppendIds {
    seed: u128,
    given: u128,
}

impl AppendIds {
    fn next(&mut self) -> AppendId {
        self.given += 1;
        AppendId(uuid::Uuid::from_u128(self.seed.wrapping_add(self.given)))
    }
}

impl Room {
    /// A room whose document was loaded. `append_seed` is random.
    #[must_use]
    pub fn open(
        standing: &Standing,
        document: Document,
        append_seed: u128,
        limits: Arc<Limits>,
    ) -> Self {
        Self {
            document,
            timeline: Timeline::new(
                standing.epoch,
                standing.head,
                standing.oldest,
                limits.recent_entries_max,
                limits.recent_bytes_max,
            ),
            gate: Gate::new(limits.entry_bytes_max),
            presence: Presence::default(),
            sessions: Sessions::default(),
            phase: Phase::Open,
            live_count: 0,
            presence_count: 0,
            encodings: 0,
            join: None,
            append_ids: AppendIds {
                seed: append_seed,
                given: 0,
            },
            retry: Retry::default(),
            compaction: Compaction::new(standing.snapshot, standing.tail),
            presence_due: Millis(0),
            operations: Operations::default(),
            held: Vec::new(),
            eased_until: None,
            told_clock: 0,
            idle_since: None,
            limits,
        }
    }

    /// Takes one input. Effects are added in the order in which they are to be performed.
    pub fn handle(&mut self, input: Input, now: Now, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Over {
            return;
        }
        match input {
            Input::Attach {
                session,
                grant,
                client,
                listen,
            } => {
                self.attach(session, grant, client, listen, effects);
            }
            Input::Renew { session, grant } => {
                if let Some(found) = self.sessions.find(session) {
                    found.grant = grant;
                }
            }
            Input::Detach { session, departure } => self.detach(session, departure, now),
            Input::Sync {
                session,
                state_vector,
            } => {
                self.sync(session, &state_vector, now, effects);
            }
            Input::Submit {
                session,
                ticket,
                occasion,
                update,
            } => {
                self.submit(session, ticket, occasion, update, now, effects);
            }
            Input::Operate {
                session,
                ticket,
                client,
                operations,
            } => self.operate(session, ticket, client, operations, now, effects),
            Input::Recalled { recalled } => self.recalled(recalled, now, effects),
            Input::Present { session, states } => self.present(session, states, now, effects),
            Input::Appear {
                session,
                ticket,
                appearance,
            } => self.appear(session, ticket, &appearance, now, effects),
            Input::Say {
                session,
                ticket,
                utterance,
            } => self.say(session, ticket, utterance, now, effects),
            Input::AskPresence { session } => self.tell_presence(session, now, effects),
            Input::Appended { id, outcome } => self.appended(id, outcome, now, effects),
            Input::Fetched { entries } => self.fetched(entries, now, effects),
            Input::Compacted { kept } => self.compacted(kept, now),
            Input::Delete { session } => self.delete(session, now, effects),
            Input::Erased { is_done } => self.erased(is_done, effects),
            // What is being erased says first how that ended.
            Input::Drain if self.phase == Phase::Open => self.phase = Phase::Draining,
            Input::Drain | Input::Tick => {}
        }
    }

    /// Says what has gathered: to be called when no input waits.
    pub fn settle(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Over {
            return;
        }
        self.show_presence(now, effects);
        self.serve_held(now, effects);
        self.recall(now, effects);
        self.keep(now, effects);
        self.rest(now, effects);
    }

    /// When the room wants to be told the time, if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        if self.phase == Phase::Over {
            return None;
        }
        let presence = self.presence.has_changes().then_some(self.presence_due);
        let idle = self
            .idle_since
            .filter(|_| !self.compaction.is_running())
            .map(|since| since.plus(self.limits.room_idle_ms));
        let compaction = self.compaction.deadline(self.timeline.head(), &self.limits);
        let eased = self.eased_until.filter(|_| !self.operations.is_empty());
        let keeping = [self.retry.due(), compaction, eased];
        [presence, self.presence.deadline(), idle]
            .into_iter()
            .chain(keeping)
            .flatten()
            .min()
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.timeline.epoch()
    }

    /// Whether the document has what nobody may be told yet: operations that are not durable. Who
    /// was told would give them back after a crash, beside a retry that applies them again.
    #[must_use]
    pub fn has_untold(&self) -> bool {
        self.gate.operations() > 0
    }

    /// Where the room stands: its last durable entry.
    #[must_use]
    pub fn position(&self) -> Position {
        self.timeline.position()
    }

    /// Whether the room has ever had an entry, or is about to have its first.
    #[must_use]
    pub fn was_written(&self) -> bool {
        self.timeline.head() > Version::ZERO || self.gate.entries() > 0
    }

    /// How many live events there were.
    #[must_use]
    pub fn live_count(&self) -> u64 {
        self.live_count
    }

    /// How often a state was encoded for who caught up.
    #[must_use]
    pub fn encodings(&self) -> u64 {
        self.encodings
    }

    /// Whether the store works and is behind: no more is to be taken in before it has caught up.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.gate.backlog_bytes() > self.limits.backlog_bytes_max && !self.retry.is_away()
    }

    /// About how many bytes of memory wait to become durable.
    #[must_use]
    pub fn backlog_bytes(&self) -> usize {
        self.gate.backlog_bytes()
    }

    /// What the room holds in memory besides its document.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        let (recent_entries, recent_bytes) = self.timeline.holds();
        let (present, gone) = self.presence.holds();
        Holdings {
            backlog_bytes: self.gate.backlog_bytes(),
            attending: self.gate.attending(),
            held: self.held.len(),
            recent_entries,
            recent_bytes,
            present,
            gone,
            sessions: self.sessions.len(),
        }
    }

    /// The users who are attached, each once.
    #[must_use]
    pub fn users(&self, wall: UnixMillis) -> BTreeSet<Arc<str>> {
        self.sessions.users(wall).cloned().collect()
    }

    /// The updates that are merged and not durable yet, unless they take more memory than that.
    pub fn unkept(&self, bytes_max: usize) -> impl Iterator<Item = &Bytes> + Clone {
        let is_little = self.gate.backlog_bytes() <= bytes_max;
        let count = if is_little { usize::MAX } else { 0 };
        self.gate.updates().take(count)
    }

    /// What an update would add, to recognise it by.
    #[must_use]
    pub fn marks(&self, update: &[u8]) -> Marks {
        self.document.marks(update)
    }

    /// How a kept cursor catches up.
    #[must_use]
    pub fn since(&self, since: Option<(Option<Epoch>, Version)>) -> CatchUp {
        self.timeline.since(since)
    }

    /// The document as JSON, with everything that was merged so far.
    #[must_use]
    pub fn json(&self) -> String {
        self.document.json()
    }

    /// A field of a record, whole.
    #[must_use]
    pub fn value(&self, place: &operation::Place, field: &str) -> entry::Value {
        self.document.field(place, field, usize::MAX)
    }

    /// The whole state as one Yjs update.
    pub fn state(&mut self) -> Bytes {
        self.document.state()
    }

    /// What a peer with this state vector lacks, and what the room has.
    pub fn diff(&mut self, state_vector: &[u8]) -> Result<(Bytes, Bytes), Refusal> {
        if state_vector.len() > self.limits.state_vector_bytes_max {
            return Err(Refusal::TooLarge);
        }
        let peer = index::StateVector::parse(state_vector)
            .map_err(|_| Refusal::Malformed("state vector"))?;
        if self.document.is_foreign(&peer) {
            return Err(Refusal::EpochChanged);
        }
        Ok((self.document.diff(&peer), self.document.state_vector()))
    }

    /// What the room says of itself.
    pub fn portrait(&mut self) -> Portrait {
        Portrait {
            position: self.timeline.position(),
            oldest: self.timeline.oldest(),
            collections: self.document.collections(),
            bytes: self.document.state().len(),
            sessions: self.sessions.len(),
        }
    }
}

#[cfg(test)]
mod tests;
