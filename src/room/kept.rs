//! Owns the kept lane of a room: what becomes durable, what may be said then, and what happens
//! until then.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::document::{Applied, Fault};
use super::entry::{ChangeEvent, Entry};
use super::gate::Answer;
use super::grant::Access;
use super::message::{Effect, End, Event, Outcome, Ticket};
use super::{Phase, Room};
use crate::ids::{AppendId, Epoch, Millis, Now, SessionId, Version};

/// Waiting longer each time the store cannot be reached.
#[derive(Debug, Default)]
pub(super) struct Retry {
    wait_ms: u64,
    due: Option<Millis>,
    wants: Wanted,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    #[default]
    Append,
    Fetch,
}

impl Retry {
    pub(super) fn due(&self) -> Option<Millis> {
        self.due
    }

    /// Whether the store did not answer since it last kept something.
    pub(super) fn is_away(&self) -> bool {
        self.wait_ms > 0
    }
}

impl Room {
    /// Sends the open batch to the store, or the batch in flight once more.
    pub(super) fn keep(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.compaction.pass_to(now.mono);
        if self.retry.due.is_some_and(|due| due <= now.mono) {
            self.retry.due = None;
            match self.retry.wants {
                Wanted::Append => self.send_flight(effects),
                Wanted::Fetch => effects.push(Effect::Fetch {
                    after: self.timeline.head(),
                }),
            }
        }
        if self.phase != Phase::Erasing && self.gate.flight().is_none() && !self.gate.is_empty() {
            let id = self.append_ids.next();
            self.gate.depart(id, self.timeline.head());
            self.send_flight(effects);
        }
        let head = self.timeline.head();
        if self.compaction.is_due(head, &self.limits, now.mono) {
            self.compact(now, effects);
        }
    }

    fn send_flight(&self, effects: &mut Vec<Effect>) {
        if let Some(flight) = self.gate.flight() {
            let entries = flight.entries.clone();
            effects.push(Effect::Append {
                id: flight.id,
                expected: flight.expected,
                entries,
                done: flight.done.clone(),
            });
        }
    }

    pub(super) fn appended(
        &mut self,
        id: AppendId,
        outcome: Outcome,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        if self.gate.flight().is_none_or(|flight| flight.id != id) {
            return;
        }
        match outcome {
            Outcome::Kept => self.release(now, effects),
            Outcome::Unclear if self.phase == Phase::Erasing => {}
            Outcome::Unclear => self.retry(Wanted::Append, now),
            Outcome::Moved(stands) => return self.moved(stands, effects),
        }
        if self.phase == Phase::Erasing {
            self.erase(effects);
        }
    }

    fn erase(&self, effects: &mut Vec<Effect>) {
        let former = self.document.epitaph();
        effects.push(Effect::Erase { former });
    }

    fn retry(&mut self, wants: Wanted, now: Now) {
        let (min, max) = (self.limits.retry_ms_min, self.limits.retry_ms_max);
        self.retry.wait_ms = (self.retry.wait_ms * 2).clamp(min, max);
        self.retry.due = Some(now.mono.plus(self.retry.wait_ms));
        self.retry.wants = wants;
    }

    /// The batch in flight is durable: its entries are released and everyone who waited for it is
    /// answered.
    fn release(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.retry = Retry::default();
        let Some(flight) = self.gate.arrive() else {
            return;
        };
        self.operations.kept(&flight.done);
        self.push_entries(&flight.entries, now, effects);
        for entry in flight.entries.iter().filter(|entry| entry.op.is_some()) {
            for update in &entry.updates {
                self.tell_live(None, update.clone(), effects);
            }
        }
        for (session, tickets, updates, version) in by_session(flight.answers) {
            let event = Event::Kept {
                tickets,
                updates,
                version,
            };
            effects.push(Effect::Tell { session, event });
        }
        let pushed = flight.pushed.into_iter();
        effects.extend(pushed.map(|pushed| self.tell_pushed(pushed)));
    }

    fn push_entries(&mut self, entries: &Arc<[Arc<Entry>]>, now: Now, effects: &mut Vec<Effect>) {
        if entries.is_empty() {
            return;
        }
        for entry in entries.iter() {
            self.compaction.push(entry, now.mono);
            self.timeline.push(entry.clone());
        }
        effects.push(Effect::Release {
            entries: entries.clone(),
        });
    }

    /// Somebody else appended first, or the room is another one by now.
    fn moved(&mut self, stands: Option<(Epoch, Version)>, effects: &mut Vec<Effect>) {
        let head = self.timeline.head();
        match stands {
            Some((epoch, version)) if epoch == self.timeline.epoch() && version > head => {
                effects.push(Effect::Fetch { after: head });
            }
            Some((epoch, _)) if epoch == self.timeline.epoch() => {
                // The store lost versions that it had kept: it was restored under our feet.
                self.abandon(End::Internal, effects);
            }
            // Nobody was told a version of this epoch: somebody else made the room first.
            Some(_) if head == Version::ZERO => self.abandon(End::Internal, effects),
            Some(_) => self.abandon(End::EpochChanged, effects),
            None => self.abandon(End::RoomDeleted, effects),
        }
    }

    fn abandon(&mut self, end: End, effects: &mut Vec<Effect>) {
        self.phase = Phase::Over;
        effects.push(Effect::Abandon { end });
    }

    /// Takes in what others appended; when nothing more comes, the batch in flight is tried from
    /// the new head.
    pub(super) fn fetched(
        &mut self,
        entries: Option<Vec<Arc<Entry>>>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(entries) = entries else {
            if self.phase == Phase::Erasing {
                return self.erased(false, effects);
            }
            return self.retry(Wanted::Fetch, now);
        };
        if entries.is_empty() {
            let stands_where_it_stood = self
                .gate
                .flight()
                .is_some_and(|flight| flight.expected == self.timeline.head());
            if stands_where_it_stood {
                return self.abandon(End::Internal, effects);
            }
            if self.phase == Phase::Erasing {
                return self.erase(effects);
            }
            let id = self.append_ids.next();
            self.gate.renumber(id, self.timeline.head());
            return self.send_flight(effects);
        }
        let (head, others) = (self.timeline.head(), entries.len() as u64);
        self.gate.shift_results(head, others);
        self.operations.shift(head, others);
        for entry in &entries {
            for ChangeEvent { change, actor } in &entry.events {
                if let Some(stamps) = self.operations.stamps() {
                    stamps.note(change, entry.version, entry.at, &actor.user);
                }
            }
            for update in &entry.updates {
                match self.document.apply(update) {
                    Ok(Applied::Changed(_)) => self.tell_live(None, update.clone(), effects),
                    Ok(Applied::Nothing) => {}
                    Err(Fault::Rejected(_) | Fault::Broken(_)) => {
                        return self.abandon(End::Internal, effects);
                    }
                }
            }
        }
        self.push_entries(&entries.into(), now, effects);
        effects.push(Effect::Fetch {
            after: self.timeline.head(),
        });
    }

    fn compact(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.compaction.begin(now.mono);
        effects.push(Effect::Compact {
            through: self.timeline.head(),
        });
    }

    pub(super) fn compacted(&mut self, kept: Option<(Version, Version)>, now: Now) {
        match kept {
            Some((snapshot, oldest)) => {
                self.compaction.succeed(snapshot, now.mono);
                self.timeline.prune(oldest);
            }
            None => {
                let until = now.mono.plus(self.limits.retry_ms_max);
                self.compaction.fail(until);
            }
        }
    }

    pub(super) fn delete(&mut self, session: SessionId, now: Now, effects: &mut Vec<Effect>) {
        let Some(found) = self.sessions.find(session) else {
            return;
        };
        if let Err(refusal) = found.require(Access::Admin, now.wall) {
            let ticket = Ticket::default();
            effects.push(Effect::Tell {
                session,
                event: Event::Refused { ticket, refusal },
            });
            return;
        }
        if self.phase == Phase::Erasing {
            return;
        }
        self.phase = Phase::Erasing;
        let was_waiting = self.retry.due.take().is_some();
        match self.retry.wants {
            // What others wrote is to be buried, too.
            Wanted::Fetch if was_waiting => effects.push(Effect::Fetch {
                after: self.timeline.head(),
            }),
            Wanted::Append | Wanted::Fetch => {
                if was_waiting || self.gate.flight().is_none() {
                    self.erase(effects);
                }
            }
        }
    }

    pub(super) fn erased(&mut self, is_done: bool, effects: &mut Vec<Effect>) {
        let end = if is_done {
            End::RoomDeleted
        } else {
            End::Unavailable
        };
        self.abandon(end, effects);
    }

    /// Notices when nobody is here and nothing is owed, and leaves after the idle time, with a
    /// snapshot.
    pub(super) fn rest(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Draining && self.gate.is_empty() && self.operations.is_empty() {
            return self.abandon(End::Unavailable, effects);
        }
        let is_idle = self.phase == Phase::Open
            && self.sessions.is_empty()
            && self.gate.is_empty()
            && self.operations.is_empty()
            && self.presence.is_empty();
        if !is_idle {
            self.idle_since = None;
            return;
        }
        let since = *self.idle_since.get_or_insert(now.mono);
        if self.compaction.is_running() || now.mono < since.plus(self.limits.room_idle_ms) {
            return;
        }
        let has_snapshot = self.compaction.covers(self.timeline.head());
        if has_snapshot || self.compaction.has_failed() {
            // The hub may refuse when somebody is at the door; then the room is asked again later.
            self.idle_since = Some(now.mono);
            effects.push(Effect::Rest);
        } else {
            self.compact(now, effects);
        }
    }
}

type Answered = (SessionId, Vec<Ticket>, Vec<bytes::Bytes>, Version);

/// Answers of one batch, one message per session, in the order in which sessions first occur.
fn by_session(answers: Vec<Answer>) -> Vec<Answered> {
    let mut places: FxHashMap<SessionId, usize> = FxHashMap::default();
    let mut grouped: Vec<Answered> = Vec::new();
    for answer in answers {
        let place = *places.entry(answer.session).or_insert_with(|| {
            grouped.push((answer.session, Vec::new(), Vec::new(), answer.version));
            grouped.len() - 1
        });
        let (_, tickets, updates, version) = &mut grouped[place];
        tickets.push(answer.ticket);
        if !answer.update.is_empty() {
            updates.push(answer.update);
        }
        *version = (*version).max(answer.version);
    }
    grouped
}
