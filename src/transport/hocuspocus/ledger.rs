//! Owns which of a document's submissions its client still counts as unsaved. Pure.
//!
//! A provider counts one for each update that it sends, starts anew at one when it asks to be
//! synced, and takes one off for each sync status. So each is answered once, when it is durable;
//! an update with a gap is answered by the answer that closes the gap.

use std::collections::VecDeque;

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
}

#[derive(Debug)]
struct Entry {
    ticket: Ticket,
    occasion: Occasion,
    is_counted: bool,
}

impl Ledger {
    /// The client asked to be synced: what it counted before, it counts no more.
    pub fn began(&mut self) {
        self.waiting.clear();
        self.turns += 1;
    }

    /// The client was asked for what the room lacks.
    pub fn asked(&mut self) {
        match self.turns.checked_sub(1) {
            Some(turns) => self.turns = turns,
            None => self.uncounted += 1,
        }
    }

    /// The client sent something to the room.
    pub fn submitted(&mut self, ticket: Ticket, occasion: Occasion) {
        let is_counted = match occasion {
            Occasion::Edit => true,
            Occasion::Answer => {
                let was_due = self.uncounted > 0;
                self.uncounted -= u32::from(was_due);
                !was_due
            }
        };
        self.waiting.push_back(Entry {
            ticket,
            occasion,
            is_counted,
        });
    }

    /// The room is left: what still waits is answered once something closes the gap.
    pub fn strand(&mut self) {
        for entry in &mut self.waiting {
            entry.ticket = STRANDED;
        }
        self.turns = 0;
        self.uncounted = 0;
    }

    /// So many edits were not sent to the room; the client's next answer has them.
    pub fn pass_over(&mut self, edits: usize) {
        for _ in 0..edits {
            self.submitted(STRANDED, Occasion::Edit);
        }
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
        let done = self.waiting.drain(first..=place);
        done.filter(|entry| entry.is_counted).count()
    }

    /// It changed nothing; whether the client is told so. What was no submission is not known here.
    pub fn refused(&mut self, ticket: Ticket) -> Option<bool> {
        let place = self.place(ticket)?;
        let refused = self.waiting.remove(place)?;
        Some(refused.is_counted)
    }

    fn place(&self, ticket: Ticket) -> Option<usize> {
        self.waiting.iter().position(|it| it.ticket == ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(ledger: &mut Ledger, ticket: u64) {
        ledger.submitted(Ticket(ticket), Occasion::Edit);
    }

    fn answer(ledger: &mut Ledger, ticket: u64) {
        ledger.submitted(Ticket(ticket), Occasion::Answer);
    }

    fn kept<const N: usize>(ledger: &mut Ledger, tickets: [u64; N]) -> usize {
        ledger.kept(&tickets.map(Ticket))
    }

    #[test]
    fn hp7_each_submission_is_answered_once_when_it_is_kept() {
        let mut ledger = Ledger::default();
        ledger.began();
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
        ledger.began();
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
        assert_eq!(
            kept(&mut ledger, [1]),
            3,
            "three edits, and an answer that nobody counts"
        );
        assert_eq!(ledger.len(), 0);
    }

    #[test]
    fn hp9_who_asks_to_be_synced_counts_anew() {
        let mut ledger = Ledger::default();
        edit(&mut ledger, 1);
        ledger.began();
        assert_eq!(kept(&mut ledger, [1]), 0);
        ledger.asked();
        answer(&mut ledger, 3);
        ledger.began();
        ledger.asked();
        answer(&mut ledger, 5);
        assert_eq!(kept(&mut ledger, [3]), 0);
        assert_eq!(kept(&mut ledger, [5]), 1);
    }
}
