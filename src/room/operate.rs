//! Owns how operations come into a room: they wait for what the store knows of them, are judged in
//! order, and become entries.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::document::Fault;
use super::entry::{Actor, Change};
use super::gate::Pushed;
use super::grant::Access;
use super::message::{Effect, End, Event, Refusal, Ticket};
use super::operation::{Done, OpResult, Operation, Place, RecordMeta, Status};
use super::stamps::Stamps;
use super::verdict::{Draft, Verdict, portray};
use super::{Phase, Room};
use crate::ids::{Now, OpId, SessionId, UnixMillis, Version};

/// As many operations are looked up with one read of the store.
const RECALL_OPERATIONS_MAX: usize = 1_000;

/// What the store knows of operations and records.
#[derive(Debug, Clone, Default)]
pub struct Recalled {
    /// The version up to which it knows.
    pub as_of: Version,
    /// Results of operations that it knows.
    pub results: Vec<OpResult>,
    /// What it knows of records.
    pub records: Vec<(Place, RecordMeta)>,
}

/// Operations on their way into the room.
#[derive(Debug, Default)]
pub(super) struct Operations {
    waiting: VecDeque<Push>,
    /// How many operations wait.
    count: usize,
    /// About how many bytes of memory they take.
    bytes: usize,
    /// How many of the pushes the store was asked about.
    asked: usize,
    /// Results that the store may not know yet.
    pending: FxHashMap<OpId, OpResult>,
    /// Those of them that became durable while the store is asked: it may have looked before.
    settled: Vec<OpId>,
    stamps: Option<Stamps>,
}

/// Operations that one session sent together.
#[derive(Debug)]
struct Push {
    session: SessionId,
    ticket: Ticket,
    actor: Actor,
    operations: Vec<Operation>,
}

/// What the store knows, ready to be looked up.
struct Known {
    as_of: Version,
    results: FxHashMap<OpId, OpResult>,
    records: FxHashMap<Place, RecordMeta>,
}

impl Known {
    /// What the store knows beyond the head, the room will hear of: it is behind what it holds
    /// itself, and what others wrote counts as written at the head.
    fn of(recalled: Recalled, head: Version) -> Self {
        let results = recalled.results.into_iter().map(|mut result| {
            result.is_recalled = true;
            (result.id.clone(), result)
        });
        let records = recalled.records.into_iter().map(|(place, mut meta)| {
            meta.cap(head);
            (place, meta)
        });
        Self {
            as_of: recalled.as_of.min(head),
            results: results.collect(),
            records: records.collect(),
        }
    }
}

impl Operations {
    /// Whether none is on its way in.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What changed since the store's records were written.
    pub(super) fn stamps(&mut self) -> Option<&mut Stamps> {
        self.stamps.as_mut()
    }

    /// Others were faster than what is behind the gate.
    pub(super) fn shift(&mut self, head: Version, by: u64) {
        self.pending.values_mut().for_each(|it| it.shift(head, by));
        if let Some(stamps) = &mut self.stamps {
            stamps.shift(head, by);
        }
    }

    /// These are durable: whenever the store is asked from now on, it knows them.
    pub(super) fn kept(&mut self, done: &[Done]) {
        let ids = done.iter().map(|done| done.result.id.clone());
        self.settled.extend(ids);
        if self.asked == 0 {
            self.forget_settled();
        }
    }

    fn forget_settled(&mut self) {
        for id in self.settled.drain(..) {
            self.pending.remove(&id);
        }
    }

    fn take(&mut self) -> Option<Push> {
        let push = self.waiting.pop_front()?;
        self.count -= push.operations.len();
        self.bytes -= push.operations.iter().map(Operation::weight).sum::<usize>();
        Some(push)
    }
}

impl Room {
    /// Operations come; they wait until the store has said what it knows of them.
    pub(super) fn operate(
        &mut self,
        session: SessionId,
        ticket: Ticket,
        client: Option<Arc<str>>,
        operations: Vec<Operation>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(found) = self.sessions.find(session) else {
            return;
        };
        let mut actor = found.actor();
        actor.client = client.unwrap_or(actor.client);
        let bytes = operations.iter().map(Operation::weight).sum::<usize>();
        let may = found
            .require(Access::Write, now.wall)
            .and_then(|()| self.takes(bytes))
            .and_then(|()| self.queues(operations.len(), bytes));
        if let Err(refusal) = may {
            let event = Event::Refused { ticket, refusal };
            return effects.push(Effect::Tell { session, event });
        }
        self.operations.count += operations.len();
        self.operations.bytes += bytes;
        self.operations.waiting.push_back(Push {
            session,
            ticket,
            actor,
            operations,
        });
    }

    fn queues(&self, count: usize, bytes: usize) -> Result<(), Refusal> {
        let waiting = &self.operations;
        let is_over = waiting.count + count > self.limits.operations_waiting_max
            || waiting.bytes + bytes > self.limits.backlog_bytes_max;
        if is_over && !waiting.is_empty() {
            return Err(Refusal::Unavailable);
        }
        Ok(())
    }

    /// Asks the store about the operations that wait, unless it is being asked.
    pub(super) fn recall(&mut self, now: Now, effects: &mut Vec<Effect>) {
        // Who waits to catch up comes first: more operations would make it wait longer.
        self.eased_until = self.eased_until.filter(|until| now.mono < *until);
        let is_eased = self.eased_until.is_some();
        let is_due = self.operations.asked == 0 && self.held.is_empty() && !is_eased;
        if !is_due || self.operations.is_empty() {
            return;
        }
        let through = self.follow();
        let mut operations = Vec::new();
        let mut places = FxHashSet::default();
        for push in &self.operations.waiting {
            let more = push.operations.len();
            if self.operations.asked > 0 && operations.len() + more > RECALL_OPERATIONS_MAX {
                break;
            }
            self.operations.asked += 1;
            operations.extend(push.operations.iter().map(|it| it.id.clone()));
            places.extend(push.operations.iter().map(|it| it.place.clone()));
        }
        effects.push(Effect::Recall {
            through,
            operations,
            places: places.into_iter().collect(),
        });
    }

    /// Begins to remember what changes, unless it does; says up to which version the store's
    /// records have to be written then.
    fn follow(&mut self) -> Option<Version> {
        if self
            .operations
            .stamps
            .as_ref()
            .is_some_and(|it| !it.is_overfull())
        {
            return None;
        }
        let head = self.timeline.head();
        let mut stamps = Stamps::after(head);
        for (ahead, at, event) in self.gate.events() {
            let version = Version(head.0 + ahead);
            stamps.note(&event.change, version, at, &event.actor.user);
        }
        self.operations.stamps = Some(stamps);
        Some(head)
    }

    /// The store answered; `None` when it could not. Those that it was asked about are judged.
    pub(super) fn recalled(
        &mut self,
        recalled: Option<Recalled>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let asked = std::mem::take(&mut self.operations.asked);
        let stamps = self.operations.stamps.as_ref();
        let recalled =
            recalled.filter(|it| stamps.is_some_and(|stamps| it.as_of >= stamps.since()));
        let head = self.timeline.head();
        let known = recalled.map(|recalled| Known::of(recalled, head));
        for _ in 0..asked {
            let Some(push) = self.operations.take() else {
                break;
            };
            let refusal = match (&known, self.phase) {
                (Some(known), Phase::Open) => {
                    self.judge_push(push, known, now, effects);
                    continue;
                }
                (_, Phase::Erasing) => Refusal::RoomDeleted,
                _ => Refusal::Unavailable,
            };
            let (session, ticket) = (push.session, push.ticket);
            let event = Event::Refused { ticket, refusal };
            effects.push(Effect::Tell { session, event });
        }
        self.operations.forget_settled();
        match (&known, &mut self.operations.stamps) {
            (Some(known), Some(stamps)) => stamps.forget(known.as_of),
            // What it was to write before it answered is perhaps not written: from the beginning.
            _ => self.operations.stamps = None,
        }
    }

    fn judge_push(&mut self, push: Push, known: &Known, now: Now, effects: &mut Vec<Effect>) {
        let mut results = Vec::with_capacity(push.operations.len());
        for operation in &push.operations {
            let first = known.results.get(&operation.id);
            let result = match first.or_else(|| self.operations.pending.get(&operation.id)) {
                Some(first) => self.again(operation, first, known),
                None => match self.perform(operation, &push.actor, known, now) {
                    Ok(result) => result,
                    Err(reason) => return self.broke(reason, effects),
                },
            };
            results.push(result);
        }
        let pushed = Pushed {
            session: push.session,
            ticket: push.ticket,
            results,
        };
        if let Some(pushed) = self.gate.attend_results(pushed) {
            effects.push(self.tell_pushed(pushed));
        }
    }

    /// The results of a push, once all they rest on is durable.
    pub(super) fn tell_pushed(&self, pushed: Pushed) -> Effect {
        Effect::Tell {
            session: pushed.session,
            event: Event::Pushed {
                ticket: pushed.ticket,
                results: pushed.results,
                position: self.timeline.position(),
            },
        }
    }

    /// The first result of an operation; a record that goes with it is as it stands now.
    fn again(&self, operation: &Operation, first: &OpResult, known: &Known) -> OpResult {
        let place = Place {
            collection: operation.place.collection.clone(),
            record: first.record.clone(),
        };
        let portrayal = operation
            .wants_record
            .then(|| portray(&place, self.meta(&place, known), &self.document));
        OpResult {
            status: Status::Duplicate,
            portrayal: portrayal.flatten(),
            ..first.clone()
        }
    }

    fn meta(&self, place: &Place, known: &Known) -> Option<RecordMeta> {
        let told = known.records.get(place).cloned();
        match &self.operations.stamps {
            Some(stamps) => stamps.over(place, told, known.as_of),
            None => told,
        }
    }

    fn perform(
        &mut self,
        operation: &Operation,
        actor: &Actor,
        known: &Known,
        now: Now,
    ) -> Result<OpResult, String> {
        let place = &operation.place;
        let meta = self.meta(place, known);
        let verdict = Verdict::of(operation, meta, &self.document, self.timeline.head());
        if !verdict.is_applied() {
            return Ok(verdict.result);
        }
        let mut result = verdict.result;
        if !self.has_untold() {
            self.told_clock = self.document.own_clock();
        }
        let written = match verdict.write.as_ref().map(Draft::lend) {
            None => None,
            Some(write) => match self.document.write(place, write) {
                Ok(written) => Some(written),
                Err(Fault::Broken(reason)) => return Err(reason),
                Err(Fault::Rejected(rejected)) => return Err(rejected.to_string()),
            },
        };
        let mut meta = verdict.meta;
        if let Some(written) = &written {
            let version = Version(self.timeline.head().0 + self.gate.entries() + 1);
            result.version = version;
            for change in &written.changes {
                self.note(change, version, now.wall, &actor.user);
                meta = RecordMeta::fold(meta, change, version, now.wall, &actor.user);
            }
        }
        if operation.wants_record {
            result.portrayal = portray(place, meta, &self.document);
        }
        let done = Done {
            result: result.clone(),
            collection: place.collection.clone(),
            actor: actor.clone(),
            at: now.wall,
        };
        self.gate.push_operation(done, written);
        self.operations
            .pending
            .insert(operation.id.clone(), result.clone());
        Ok(result)
    }

    /// Remembers what an edit of so many bytes did, if anybody asks.
    pub(super) fn note_all(&mut self, changes: &[Change], bytes: usize, now: Now, user: &Arc<str>) {
        if self.operations.stamps.is_some() {
            let version = Version(self.timeline.head().0 + self.gate.ahead(bytes));
            let at = self.gate.begun(bytes).unwrap_or(now.wall);
            for change in changes {
                self.note(change, version, at, user);
            }
        }
    }

    /// Remembers a change whose version the store's records do not tell yet.
    fn note(&mut self, change: &Change, version: Version, at: UnixMillis, user: &Arc<str>) {
        if let Some(stamps) = self.operations.stamps() {
            stamps.note(change, version, at, user);
        }
    }

    fn broke(&mut self, reason: String, effects: &mut Vec<Effect>) {
        self.phase = Phase::Over;
        debug_assert!(false, "the server's own write broke the document: {reason}");
        effects.push(Effect::Abandon { end: End::Internal });
    }
}
