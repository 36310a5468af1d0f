//! Owns what may not be said yet: the open batch, the batch in flight, and the answers that wait
//! for it.

mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::document::Written;
use super::entry::{Actor, Change, ChangeEvent, ChangeKind, Entry};
use super::message::Ticket;
use super::operation::{Done, OpResult};
use super::timeline;
use crate::ids::{AppendId, SessionId, UnixMillis, Version};

pub use waiting::{Answer, Pending, Pushed};

/// The most entries that one append carries, so that a long backlog is kept in steps.
const APPEND_ENTRIES_MAX: usize = 64;

/// What an edit takes in memory besides its bytes and what is said of it.
const EDIT_BYTES: usize = 256;

/// The batch in flight.
#[derive(Debug)]
pub struct Flight {
    /// Marks the append over all its tries.
    pub id: AppendId,
    /// The head that the store should have.
    pub expected: Version,
    /// Numbered from `expected + 1`.
    pub entries: Arc<[Arc<Entry>]>,
    /// What operations came to, that of such without an entry included.
    pub done: Arc<[Done]>,
    /// Who waits for their edits.
    pub answers: Vec<Answer>,
    /// Who waits for their operations.
    pub pushed: Vec<Pushed>,
    cost: usize,
    attending: usize,
}

#[derive(Debug, Default)]
struct Draft {
    updates: Vec<Bytes>,
    events: Vec<ChangeEvent>,
    actors: Vec<Actor>,
    waiting: Vec<(SessionId, Ticket, Bytes)>,
    /// What an operation came to: nothing joins it.
    done: Option<Done>,
    pushed: Vec<Pushed>,
    at: UnixMillis,
    /// Of the updates.
    bytes: usize,
    /// Of memory.
    cost: usize,
    /// How many wait without an update of their own.
    attending: usize,
}

impl Draft {
    /// Whether edits may join it. What results say of a version is all of it: nothing is added.
    fn is_open(&self) -> bool {
        self.done.is_none() && self.pushed.is_empty()
    }

    /// Adds an event. That somebody goes on editing what is no collection is one event: it says
    /// nothing of how.
    fn add(&mut self, event: ChangeEvent) {
        let goes_on =
            event.change.kind == ChangeKind::Document && self.events.last() == Some(&event);
        if !goes_on {
            self.events.push(event);
        }
    }
}

/// The open batch and the one in flight.
#[derive(Debug)]
pub struct Gate {
    open: VecDeque<Draft>,
    /// How many of them become entries.
    open_entries: u64,
    /// How many entries behind the gate are operations.
    operations: usize,
    flight: Option<Flight>,
    cost: usize,
    attending: usize,
    entry_bytes_max: usize,
}

impl Gate {
    /// A gate with nothing behind it, whose entries grow up to so many bytes by joining edits.
    #[must_use]
    pub fn new(entry_bytes_max: usize) -> Self {
        Self {
            open: VecDeque::new(),
            open_entries: 0,
            operations: 0,
            flight: None,
            cost: 0,
            attending: 0,
            entry_bytes_max,
        }
    }

    /// About how many bytes of memory wait to become durable.
    #[must_use]
    pub fn backlog_bytes(&self) -> usize {
        self.cost
    }

    /// The updates that are not durable yet, in the order in which they were merged.
    pub fn updates(&self) -> impl Iterator<Item = &Bytes> + Clone {
        let entries = self.flight.iter().flat_map(|flight| flight.entries.iter());
        let flying = entries.flat_map(|entry| entry.updates.iter());
        flying.chain(self.open.iter().flat_map(|draft| draft.updates.iter()))
    }

    /// How many answers wait for what others sent.
    #[must_use]
    pub fn attending(&self) -> usize {
        self.attending
    }

    /// Whether everything is durable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.flight.is_none()
    }

    /// How many entries are behind the gate: the newest edit's version is so far after the head.
    #[must_use]
    pub fn entries(&self) -> u64 {
        let flying = self
            .flight
            .as_ref()
            .map_or(0, |flight| flight.entries.len() as u64);
        flying + self.open_entries
    }

    /// How many entries behind the gate are operations: nobody was told of them.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// How far after the head an edit of so many bytes would be.
    #[must_use]
    pub fn ahead(&self, bytes: usize) -> u64 {
        self.entries() + u64::from(!self.joins(bytes))
    }

    /// When the entry was begun that an edit of so many bytes joins, if it joins one.
    #[must_use]
    pub fn begun(&self, bytes: usize) -> Option<UnixMillis> {
        let last = self.open.back().filter(|_| self.joins(bytes));
        last.map(|draft| draft.at)
    }

    fn joins(&self, bytes: usize) -> bool {
        let last = self.open.back();
        last.is_some_and(|it| it.is_open() && it.bytes + bytes <= self.entry_bytes_max)
    }

    /// The change events behind the gate, and how far after the head they are.
    pub fn events(&self) -> impl Iterator<Item = (u64, UnixMillis, &ChangeEvent)> {
        let entries = self.flight.iter().flat_map(|flight| flight.entries.iter());
        let flying = entries.map(|entry| (entry.at, &entry.events));
        let open = self.open.iter().filter(|draft| !draft.updates.is_empty());
        let all = flying.chain(open.map(|draft| (draft.at, &draft.events)));
        (1..)
            .zip(all)
            .flat_map(|(ahead, (at, events))| events.iter().map(move |it| (ahead, at, it)))
    }

    /// Takes an edit in. Edits that wait together become one entry, up to its size.
    pub fn push(&mut self, edit: Pending) {
        if !self.joins(edit.update.len()) {
            self.open(edit.at);
            self.open_entries += 1;
        }
        self.add(edit.actor, edit.changes, &edit.update);
        let draft = self.open.back_mut().expect("a draft was just made");
        draft.waiting.push((edit.session, edit.ticket, edit.update));
    }

    /// Takes an operation in: an entry of its own, or none when it changed nothing.
    pub fn push_operation(&mut self, done: Done, written: Option<Written>) {
        self.open(done.at);
        let cost = EDIT_BYTES + done.result.clashes.len() * EDIT_BYTES;
        self.cost += cost;
        if let Some(Written { update, changes }) = written {
            self.open_entries += 1;
            self.operations += 1;
            self.add(done.actor.clone(), changes, &update);
        }
        let draft = self.open.back_mut().expect("a draft was just made");
        draft.cost += cost;
        draft.done = Some(done);
    }

    fn open(&mut self, at: UnixMillis) {
        let draft = Draft {
            at,
            ..Draft::default()
        };
        self.open.push_back(draft);
    }

    fn add(&mut self, actor: Actor, changes: Vec<Change>, update: &Bytes) {
        let draft = self.open.back_mut().expect("a draft is open");
        let events: usize = changes.iter().map(timeline::weight_of).sum();
        let cost = EDIT_BYTES + update.len() + events;
        self.cost += cost;
        draft.bytes += update.len();
        draft.cost += cost;
        for change in changes {
            let actor = actor.clone();
            draft.add(ChangeEvent { change, actor });
        }
        if !draft.actors.contains(&actor) {
            draft.actors.push(actor);
        }
        draft.updates.push(update.clone());
    }

    /// Lets the results of a push wait for all that is behind the gate; gives them back when
    /// nothing is.
    pub fn attend_results(&mut self, pushed: Pushed) -> Option<Pushed> {
        if let Some(last) = self.open.back_mut() {
            last.pushed.push(pushed);
        } else if let Some(flight) = &mut self.flight {
            flight.pushed.push(pushed);
        } else {
            return Some(pushed);
        }
        None
    }

    /// Others were faster: results after a head that was reached by others are moved behind it.
    pub fn shift_results(&mut self, head: Version, by: u64) {
        let shift = |result: &mut OpResult| result.shift(head, by);
        if let Some(flight) = &mut self.flight {
            let mut done = flight.done.to_vec();
            done.iter_mut().for_each(|it| shift(&mut it.result));
            flight.done = done.into();
            flight
                .pushed
                .iter_mut()
                .flat_map(|it| &mut it.results)
                .for_each(shift);
        }
        for draft in &mut self.open {
            draft.done.iter_mut().for_each(|it| shift(&mut it.result));
            draft
                .pushed
                .iter_mut()
                .flat_map(|it| &mut it.results)
                .for_each(shift);
        }
    }

    /// Lets a session wait for all that is behind the gate, if anything is; `update` is given back
    /// to it then.
    pub fn attend(&mut self, session: SessionId, ticket: Ticket, update: Bytes) {
        let cost = EDIT_BYTES + update.len();
        if let Some(last) = self.open.back_mut() {
            last.cost += cost;
            last.attending += 1;
            last.waiting.push((session, ticket, update));
        } else if let Some(flight) = &mut self.flight {
            flight.cost += cost;
            flight.attending += 1;
            let version = Version(flight.expected.0 + flight.entries.len() as u64);
            flight.answers.push(Answer {
                session,
                ticket,
                update,
                version,
            });
        } else {
            return;
        }
        self.cost += cost;
        self.attending += 1;
    }

    /// Sends the next batch on its way, if none is and there is one.
    pub fn depart(&mut self, id: AppendId, head: Version) -> Option<&Flight> {
        if self.flight.is_some() || self.open.is_empty() {
            return None;
        }
        let mut flight = Flight {
            id,
            expected: head,
            entries: Arc::new([]),
            done: Arc::new([]),
            answers: Vec::new(),
            pushed: Vec::new(),
            cost: 0,
            attending: 0,
        };
        let (mut entries, mut done) = (Vec::new(), Vec::new());
        let mut version = head;
        for draft in self.open.drain(..self.open.len().min(APPEND_ENTRIES_MAX)) {
            flight.cost += draft.cost;
            flight.attending += draft.attending;
            flight.pushed.extend(draft.pushed);
            let op = draft.done.as_ref().map(|done| done.result.id.clone());
            done.extend(draft.done);
            if !draft.updates.is_empty() {
                version = version.next();
                entries.push(Arc::new(Entry {
                    version,
                    at: draft.at,
                    actors: draft.actors,
                    updates: draft.updates,
                    op,
                    events: draft.events,
                }));
            }
            let waiting = draft.waiting.into_iter();
            flight
                .answers
                .extend(waiting.map(|(session, ticket, update)| Answer {
                    session,
                    ticket,
                    update,
                    version,
                }));
        }
        self.open_entries -= entries.len() as u64;
        flight.entries = entries.into();
        if !done.is_empty() {
            flight.done = done.into();
        }
        self.flight = Some(flight);
        self.flight.as_ref()
    }

    /// The batch in flight.
    #[must_use]
    pub fn flight(&self) -> Option<&Flight> {
        self.flight.as_ref()
    }

    /// The batch in flight has arrived: what may be said now.
    pub fn arrive(&mut self) -> Option<Flight> {
        let flight = self.flight.take()?;
        self.cost -= flight.cost;
        self.attending -= flight.attending;
        self.operations -= flight.entries.iter().filter(|it| it.op.is_some()).count();
        Some(flight)
    }

    /// Others were faster: the batch in flight is numbered anew, from another head and under
    /// another id.
    pub fn renumber(&mut self, id: AppendId, head: Version) {
        let Some(flight) = &mut self.flight else {
            return;
        };
        let shift = |version: Version| Version(version.0 - flight.expected.0 + head.0);
        flight.entries = flight
            .entries
            .iter()
            .map(|entry| {
                Arc::new(Entry {
                    version: shift(entry.version),
                    ..Entry::clone(entry)
                })
            })
            .collect();
        for answer in &mut flight.answers {
            answer.version = shift(answer.version);
        }
        flight.id = id;
        flight.expected = head;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn edit(session: u64, ticket: u64, bytes: usize) -> Pending {
        Pending {
            session: SessionId(session),
            ticket: Ticket(ticket),
            actor: Actor {
                user: "ada".into(),
                client: session.to_string().into(),
            },
            update: Bytes::from(vec![0; bytes]),
            changes: Vec::new(),
            at: UnixMillis(0),
        }
    }

    fn id(n: u128) -> AppendId {
        AppendId(Uuid::from_u128(n))
    }

    #[test]
    fn ke2_edits_that_wait_together_become_one_entry_up_to_its_size() {
        let mut gate = Gate::new(10);
        for ticket in 0..3 {
            gate.push(edit(1, ticket, 4));
        }
        let flight = gate.depart(id(1), Version(7)).expect("a batch waits");
        let sizes: Vec<_> = flight
            .entries
            .iter()
            .map(|e| (e.version.0, e.updates.len()))
            .collect();
        assert_eq!(sizes, [(8, 2), (9, 1)]);
    }

    #[test]
    fn co6_what_is_not_durable_is_known_in_the_order_it_was_merged() {
        let mut gate = Gate::new(10);
        (1..=3).for_each(|bytes| gate.push(edit(1, 1, bytes)));
        let sizes = |gate: &Gate| gate.updates().map(Bytes::len).collect::<Vec<_>>();
        assert_eq!(sizes(&gate), [1, 2, 3]);
        gate.depart(id(1), Version(0));
        gate.push(edit(1, 1, 4));
        assert_eq!(sizes(&gate), [1, 2, 3, 4]);
        gate.arrive();
        assert_eq!(sizes(&gate), [4]);
    }

    #[test]
    fn ke2_that_somebody_goes_on_editing_a_text_is_one_event_of_the_entry() {
        let typed = |session| {
            let change = |kind, record: Option<&str>| Change {
                kind,
                collection: "notes".into(),
                record: record.map(Into::into),
                fields: Vec::new(),
            };
            let document = change(ChangeKind::Document, None);
            let record = change(ChangeKind::Delete, Some("r1"));
            (
                Pending {
                    changes: vec![document.clone()],
                    ..edit(session, 1, 1)
                },
                Pending {
                    changes: vec![record],
                    ..edit(session, 2, 1)
                },
            )
        };
        let mut gate = Gate::new(100);
        let edits = [
            typed(1).0,
            typed(1).0,
            typed(2).0,
            typed(2).1,
            typed(2).1,
            typed(2).0,
        ];
        edits.into_iter().for_each(|edit| gate.push(edit));
        let flight = gate.depart(id(1), Version(0)).expect("a batch waits");
        let events = flight.entries[0].events.iter();
        let told: Vec<_> = events
            .map(|event| (event.change.kind, &*event.actor.client))
            .collect();
        let (document, delete) = (ChangeKind::Document, ChangeKind::Delete);
        assert_eq!(
            told,
            [
                (document, "1"),
                (document, "2"),
                (delete, "2"),
                (delete, "2"),
                (document, "2")
            ]
        );
        assert_eq!(flight.entries[0].updates.len(), 6);
    }

    #[test]
    fn ke3_an_answer_waits_for_its_append_and_one_append_flies_at_a_time() {
        let mut gate = Gate::new(10);
        gate.push(edit(1, 1, 4));
        assert!(gate.depart(id(1), Version(0)).is_some());
        gate.push(edit(2, 2, 4));
        assert!(gate.depart(id(2), Version(1)).is_none());
        assert_eq!(gate.backlog_bytes(), 2 * (EDIT_BYTES + 4));
        let Flight {
            entries, answers, ..
        } = gate.arrive().expect("a batch was in flight");
        assert_eq!(entries.len(), 1);
        assert_eq!(answers.iter().map(|a| a.ticket.0).collect::<Vec<_>>(), [1]);
        assert_eq!(gate.backlog_bytes(), EDIT_BYTES + 4);
        assert!(!gate.is_empty());
    }

    #[test]
    fn ke4_a_lost_race_renumbers_the_batch_and_its_answers() {
        let mut gate = Gate::new(4);
        gate.push(edit(1, 1, 4));
        gate.push(edit(1, 2, 4));
        gate.depart(id(1), Version(3));
        gate.renumber(id(2), Version(9));
        let flight = gate.flight().expect("still in flight");
        assert_eq!((flight.id, flight.expected), (id(2), Version(9)));
        let Flight {
            entries, answers, ..
        } = gate.arrive().expect("a batch was in flight");
        assert_eq!(
            entries.iter().map(|e| e.version.0).collect::<Vec<_>>(),
            [10, 11]
        );
        assert_eq!(
            answers.iter().map(|a| a.version.0).collect::<Vec<_>>(),
            [10, 11]
        );
    }
}
