//! Owns which of a document's submissions its client still counts as unsaved. Pure.
//!
//! A provider counts one for each update that it makes, starts anew at one when it asks to be
//! synced, and takes one off for each sync status. So each is answered once, when it is durable;
//! an update with a gap is answered by the answer that closes the gap.
//!
//! What a provider made while it was away it sends after it asked, though its count began anew with
//! that: updates that the question's state vector has are answered by the sync alone. Those that
//! only delete do not say when they were made: they are answered late, when nothing else is on its
//! way that the client would take for saved by that.

use std::collections::VecDeque;

use crate::lib0::{Reader, Unreadable};
use crate::room::index::StateVector;
use crate::room::{Occasion, Ticket};

/// No room gives this ticket.
const STRANDED: Ticket = Ticket(0);

/// Submissions that wait, in the order in which they were sent.
#[derive(Debug, Default)]
pub struct Ledger {
    waiting: VecDeque<Entry>,
    /// SyncStep1s of the client that the room has not answered with its own.
    turns: u32,
    /// Answers to come that the client does not count: it was asked because of a gap.
    uncounted: u32,
    /// Answers for when nothing is on its way.
    late: usize,
    /// What the client had when its count began, until it answers.
    began_with: Option<StateVector>,
}

#[derive(Debug)]
struct Entry {
    ticket: Ticket,
    occasion: Occasion,
    is_counted: bool,
    /// It may be older than the count.
    is_late: bool,
}

/// When an update was made, as far as that can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// Before a state vector: that has it.
    Before,
    /// After it.
    After,
    /// It only deletes.
    Unknown,
}

/// When an update was made. Any bytes will do: the room judges them.
pub fn made(update: &[u8], state_vector: &StateVector) -> Made {
    let first = |update| -> Result<Option<(u64, u64)>, Unreadable> {
        let mut reader = Reader::new(update);
        if reader.var_uint()? == 0 {
            return Ok(None);
        }
        reader.var_uint()?;
        Ok(Some((reader.var_uint()?, reader.var_uint()?)))
    };
    match first(update) {
        Ok(Some((client, clock))) if clock < u64::from(state_vector.clock(client)) => Made::Before,
        Ok(Some(_)) | Err(_) => Made::After,
        Ok(None) => Made::Unknown,
    }
}

impl Ledger {
    /// The client asked to be synced: what it counted before, it counts no more.
    pub fn began(&mut self, state_vector: &[u8]) {
        self.waiting.clear();
        self.late = 0;
        self.turns += 1;
        // One that cannot be read ends the session.
        self.began_with = StateVector::parse(state_vector).ok();
    }

    /// The client was asked for what the room lacks.
    pub fn asked(&mut self) {
        match self.turns.checked_sub(1) {
            Some(turns) => self.turns = turns,
            None => self.uncounted += 1,
        }
    }

    /// The client sent something to the room.
    pub fn submitted(&mut self, ticket: Ticket, occasion: Occasion, update: &[u8]) {
        let (mut is_counted, mut is_late) = (true, false);
        match (occasion, &self.began_with) {
            (Occasion::Edit, None) => {}
            (Occasion::Edit, Some(began_with)) => {
                let made = made(update, began_with);
                is_counted = made != Made::Before;
                is_late = made == Made::Unknown;
            }
            (Occasion::Answer, _) if self.uncounted > 0 => {
                self.uncounted -= 1;
                is_counted = false;
            }
            (Occasion::Answer, _) => self.began_with = None,
        }
        self.waiting.push_back(Entry {
            ticket,
            occasion,
            is_counted,
            is_late,
        });
    }

    /// The room is left: what still waits is answered once something closes the gap.
    pub fn strand(&mut self) {
        for entry in &mut self.waiting {
            entry.ticket = STRANDED;
        }
        self.turns = 0;
        self.uncounted = 0;
        self.began_with = None;
    }

    /// So many edits were not sent to the room; the client's next answer has them.
    pub fn pass_over(&mut self, edits: usize) {
        let passed = || Entry {
            ticket: STRANDED,
            occasion: Occasion::Edit,
            is_counted: true,
            is_late: false,
        };
        self.waiting
            .extend(std::iter::repeat_with(passed).take(edits));
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// These are durable; how often the client is told so.
    pub fn kept(&mut self, tickets: &[Ticket]) -> usize {
        tickets.iter().map(|&ticket| self.keep(ticket)).sum()
    }

    fn keep(&mut self, ticket: Ticket) -> usize {
        let Some(place) = self.place(ticket) else {
            return 0;
        };
        // What the room passed over because of a gap is in the answer that follows.
        let first = match self.waiting[place].occasion {
            Occasion::Answer => 0,
            Occasion::Edit => place,
        };
        let mut told = 0;
        for done in self.waiting.drain(first..=place) {
            let counts = usize::from(done.is_counted);
            match done.is_late {
                true => self.late += counts,
                false => told += counts,
            }
        }
        told
    }

    /// It changed nothing; whether the client is told so. What was no submission is not known here.
    pub fn refused(&mut self, ticket: Ticket) -> Option<bool> {
        let place = self.place(ticket)?;
        let refused = self.waiting.remove(place)?;
        Some(refused.is_counted)
    }

    /// Whether the client is still to be told of something that is kept.
    pub fn is_late(&self) -> bool {
        self.late > 0
    }

    /// Nothing came for a while; how often the client is told now that something is kept.
    pub fn catch_up(&mut self) -> usize {
        match self.waiting.is_empty() {
            true => std::mem::take(&mut self.late),
            false => 0,
        }
    }

    fn place(&self, ticket: Ticket) -> Option<usize> {
        self.waiting.iter().position(|it| it.ticket == ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Client 7 had 5 clocks when its count began.
    const STATE_VECTOR: [u8; 3] = [1, 7, 5];
    const OLD: [u8; 4] = [1, 1, 7, 4];
    const NEW: [u8; 4] = [1, 1, 7, 5];
    const DELETES: [u8; 5] = [0, 1, 7, 1, 0];

    fn edit(ledger: &mut Ledger, ticket: u64) {
        ledger.submitted(Ticket(ticket), Occasion::Edit, &NEW);
    }

    fn answer(ledger: &mut Ledger, ticket: u64) {
        ledger.submitted(Ticket(ticket), Occasion::Answer, &OLD);
    }

    fn kept<const N: usize>(ledger: &mut Ledger, tickets: [u64; N]) -> usize {
        ledger.kept(&tickets.map(Ticket))
    }

    #[test]
    fn hp7_each_submission_is_answered_once_when_it_is_kept() {
        let mut ledger = Ledger::default();
        ledger.began(&STATE_VECTOR);
        ledger.asked();
        answer(&mut ledger, 2);
        edit(&mut ledger, 3);
        edit(&mut ledger, 4);
        assert_eq!(kept(&mut ledger, [2]), 1);
        assert_eq!(kept(&mut ledger, [3, 4]), 2);
        assert_eq!(kept(&mut ledger, [3, 4]), 0);
        edit(&mut ledger, 5);
        assert_eq!(ledger.refused(Ticket(5)), Some(true));
        assert_eq!(ledger.refused(Ticket(6)), None, "no submission");
        answer(&mut ledger, 7);
        assert_eq!(kept(&mut ledger, [7]), 1, "nobody asked for it");
    }

    #[test]
    fn hp8_updates_with_a_gap_are_answered_by_what_closes_it() {
        let mut ledger = Ledger::default();
        ledger.began(&STATE_VECTOR);
        ledger.asked();
        edit(&mut ledger, 2);
        edit(&mut ledger, 3);
        answer(&mut ledger, 4);
        assert_eq!(kept(&mut ledger, [4]), 3, "two edits and the answer");

        edit(&mut ledger, 5);
        ledger.asked();
        edit(&mut ledger, 6);
        answer(&mut ledger, 7);
        edit(&mut ledger, 8);
        assert_eq!(kept(&mut ledger, [7, 8]), 3, "it counts edits alone");
    }

    #[test]
    fn hp8_what_was_not_sent_is_answered_by_what_has_it() {
        let mut ledger = Ledger::default();
        edit(&mut ledger, 1);
        ledger.strand();
        ledger.pass_over(2);
        ledger.asked();
        answer(&mut ledger, 1);
        assert_eq!(ledger.len(), 4);
        let told = kept(&mut ledger, [1]);
        assert_eq!(told, 3, "three edits, and an answer that nobody counts");
        assert_eq!(ledger.len(), 0);
    }

    #[test]
    fn hp9_who_asks_to_be_synced_counts_anew() {
        let mut ledger = Ledger::default();
        edit(&mut ledger, 1);
        ledger.began(&STATE_VECTOR);
        assert_eq!(kept(&mut ledger, [1]), 0);
        ledger.asked();
        answer(&mut ledger, 3);
        ledger.began(&STATE_VECTOR);
        ledger.asked();
        answer(&mut ledger, 5);
        assert_eq!(kept(&mut ledger, [3]), 0);
        assert_eq!(kept(&mut ledger, [5]), 1);
    }

    #[test]
    fn hp9_what_was_made_before_it_asked_is_answered_by_the_sync_alone() {
        let mut ledger = Ledger::default();
        let send = |ledger: &mut Ledger, ticket, update: &[u8]| {
            ledger.submitted(Ticket(ticket), Occasion::Edit, update);
        };
        ledger.began(&STATE_VECTOR);
        ledger.asked();
        send(&mut ledger, 1, &OLD);
        send(&mut ledger, 2, &DELETES);
        send(&mut ledger, 3, &NEW);
        assert_eq!(kept(&mut ledger, [1, 2, 3]), 1, "the new one");
        answer(&mut ledger, 4);
        send(&mut ledger, 5, &DELETES);
        assert_eq!(kept(&mut ledger, [4]), 1);
        assert_eq!((ledger.is_late(), ledger.catch_up()), (true, 0));
        assert_eq!(kept(&mut ledger, [5]), 1, "it was made after the answer");
        assert_eq!((ledger.catch_up(), ledger.is_late()), (1, false));

        send(&mut ledger, 6, &DELETES);
        ledger.began(&STATE_VECTOR);
        ledger.asked();
        send(&mut ledger, 7, &DELETES);
        answer(&mut ledger, 8);
        assert_eq!(ledger.refused(Ticket(8)), Some(true));
        assert_eq!(kept(&mut ledger, [6, 7]), 0);
        assert_eq!((ledger.catch_up(), ledger.len()), (1, 0));
    }

    #[test]
    fn hp9_any_bytes_were_made_at_some_time() {
        let state_vector = StateVector::parse(&STATE_VECTOR).expect("well formed");
        let when = |update: &[u8]| made(update, &state_vector);
        assert_eq!(when(&[]), Made::After);
        assert_eq!(when(&[1, 0xFF]), Made::After);
        assert_eq!(when(&[1, 1, 8, 0]), Made::After, "another client");
        assert_eq!(when(&[0]), Made::Unknown);
        assert_eq!(when(&OLD), Made::Before);
        assert_eq!(when(&NEW), Made::After);
    }
}
