//! Owns what a document's client says before it is let in: as much of it as is needed then.

use std::collections::VecDeque;
use std::mem::discriminant;

use bytes::Bytes;

use super::documents::{Entered, Errand, Shut};
use super::ledger::{Made, made};
use crate::auth::Secret;
use crate::room::Occasion;
use crate::room::index::StateVector;
use crate::room::message::Presented;
use crate::wire::Request;
use crate::wire::hocuspocus::Ask;

/// About what an ask takes in memory besides its bytes.
const ASK_BYTES: usize = 64;

/// A document outside its room.
#[derive(Default)]
pub struct Outside {
    held: VecDeque<Ask>,
    bytes: usize,
    /// A token is checked, and the room opened.
    pub entering: Option<Errand<Result<Entered, Shut>>>,
    /// What came meanwhile.
    pub next_token: Option<Secret>,
    /// It was told so: of what comes, only what a token would need is held.
    is_turned_away: bool,
    /// It was inside before: its client may go on without asking to be synced anew.
    pub was_inside: bool,
    /// Edits that were not held.
    pub passed_over: usize,
}

impl Outside {
    /// One whose session ended.
    pub fn after_inside() -> Self {
        Self {
            is_turned_away: true,
            was_inside: true,
            ..Self::default()
        }
    }

    /// Holds what came, or as much of it as will be needed.
    pub fn hold(&mut self, ask: Ask) {
        if matches!(ask, Ask::Room(Request::Sync { .. })) {
            // The client counts anew.
            self.passed_over = 0;
        }
        if !self.is_turned_away {
            self.bytes += weight(&ask);
            self.held.push_back(ask);
            return;
        }
        match &ask {
            Ask::Room(Request::Sync { .. } | Request::Present(_)) => {}
            Ask::Room(Request::Submit { occasion, update }) => {
                // The answer to the next question has it.
                let is_counted = *occasion == Occasion::Edit && !self.is_older(update);
                self.passed_over += usize::from(is_counted);
                return;
            }
            Ask::Room(Request::AskPresence)
            | Ask::Stateless(_)
            | Ask::Token(_)
            | Ask::Close
            | Ask::Unknown => return,
        }
        self.held.retain(|held| !is_alike(held, &ask));
        self.held.push_back(ask);
        self.bytes = self.held.iter().map(weight).sum();
    }

    /// A token came: what follows on it is held.
    pub fn begin(&mut self, entering: Errand<Result<Entered, Shut>>) {
        self.entering = Some(entering);
        self.is_turned_away = false;
    }

    /// Whether an update was made before its client asked to be synced.
    fn is_older(&self, update: &[u8]) -> bool {
        let asked = self.held.iter().find_map(|ask| match ask {
            Ask::Room(Request::Sync { state_vector }) => StateVector::parse(state_vector).ok(),
            _ => None,
        });
        asked.is_some_and(|state_vector| made(update, &state_vector) == Made::Before)
    }

    /// It is told that it is not let in: what it would say inside is held no more.
    pub fn turn_away(&mut self) {
        self.is_turned_away = true;
        self.bytes = 0;
        for ask in std::mem::take(&mut self.held) {
            self.hold(ask);
        }
    }

    /// What is held, in bytes and messages.
    pub fn waiting(&self) -> (usize, usize) {
        (self.bytes, self.held.len())
    }

    /// What was held.
    pub fn unhold(&mut self) -> VecDeque<Ask> {
        std::mem::take(&mut self.held)
    }

    /// Whether it asked to be synced.
    pub fn asks_to_sync(&self) -> bool {
        let is_sync = |ask: &Ask| matches!(ask, Ask::Room(Request::Sync { .. }));
        self.held.iter().any(is_sync)
    }
}

/// Whether a later one says all that an earlier one did.
fn is_alike(held: &Ask, ask: &Ask) -> bool {
    match (held, ask) {
        (Ask::Room(held), Ask::Room(ask)) => discriminant(held) == discriminant(ask),
        _ => false,
    }
}

fn weight(ask: &Ask) -> usize {
    let of = |state: &Presented| ASK_BYTES + state.state.as_ref().map_or(0, Bytes::len);
    ASK_BYTES
        + match ask {
            Ask::Room(Request::Sync { state_vector }) => state_vector.len(),
            Ask::Room(Request::Submit { update, .. }) => update.len(),
            Ask::Room(Request::Present(states)) => states.iter().map(of).sum(),
            Ask::Stateless(text) | Ask::Token(text) => text.len(),
            Ask::Room(Request::AskPresence) | Ask::Close | Ask::Unknown => 0,
        }
}
