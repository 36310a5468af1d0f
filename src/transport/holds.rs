//! Owns the rooms that one JSON socket holds: who reads them, which pushes wait, who was woken.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::value::RawValue;

use super::turn::Turn;
use crate::hub::reader::Reader;
use crate::ids::RoomId;
use crate::room::Ticket;
use crate::wire::notice::{MessageId, Notice};
use crate::wire::push::Misfits;

/// A push that waits for its results.
pub struct Waiting {
    /// Its message.
    pub id: Option<MessageId>,
    /// What of it was not judged.
    pub misfits: Misfits,
}

/// One room of a socket.
pub struct Hold {
    /// The room.
    pub room: RoomId,
    /// Who reads it.
    pub reader: Reader,
    /// The device, if the client named one.
    pub client: Option<Arc<str>>,
    /// Pushes by ticket.
    pub pushes: HashMap<Ticket, Waiting>,
    /// There may be something to tell.
    pub is_woken: bool,
}

impl Hold {
    /// A room that was just entered.
    pub fn new(room: RoomId, reader: Reader, client: Option<Arc<str>>) -> Self {
        Self {
            room,
            reader,
            client,
            pushes: HashMap::new(),
            is_woken: true,
        }
    }

    /// What those are told whose pushes will not be answered any more.
    pub fn unanswered(&mut self, code: &str, message: &str, is_retryable: bool) -> Vec<Notice> {
        let waiting = self.pushes.drain();
        let told = waiting.map(|(_, waiting)| {
            let id: Option<&RawValue> = waiting.id.as_deref();
            Notice::error(id, Some(&self.room), code, message, is_retryable)
        });
        told.collect()
    }
}

/// All rooms of a socket.
#[derive(Default)]
pub struct Holds {
    all: Vec<Hold>,
    /// Who is told next.
    turn: Turn,
    /// Who catches up next.
    behind: Turn,
}

impl Holds {
    /// How many.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The place of a room.
    pub fn find(&self, room: &RoomId) -> Option<usize> {
        self.all.iter().position(|hold| hold.room == *room)
    }

    /// A room by its place.
    pub fn at(&mut self, place: usize) -> &mut Hold {
        &mut self.all[place]
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Hold> {
        self.all.iter_mut()
    }

    /// Adds a room; says its place.
    pub fn add(&mut self, hold: Hold) -> usize {
        self.all.push(hold);
        self.all.len() - 1
    }

    /// Takes a room out.
    pub fn remove(&mut self, place: usize) -> Hold {
        self.all.swap_remove(place)
    }

    /// Pushes that wait.
    pub fn pushes(&self) -> usize {
        self.all.iter().map(|hold| hold.pushes.len()).sum()
    }

    /// The next one that was woken, and is not any more; each in turn.
    pub fn next_woken(&mut self) -> Option<usize> {
        let all = &mut self.all;
        let place = self.turn.next(all.len(), |place| all[place].is_woken)?;
        all[place].is_woken = false;
        Some(place)
    }

    /// The next one that has to catch up: first who is not told of anything before that.
    pub fn next_behind(&mut self) -> Option<usize> {
        let all = &self.all;
        all.iter()
            .position(|hold| hold.reader.is_entering())
            .or_else(|| {
                self.behind
                    .next(all.len(), |place| all[place].reader.is_behind())
            })
    }

    /// Whether a subscription has not begun.
    pub fn are_entering(&self) -> bool {
        self.all.iter().any(|hold| hold.reader.is_entering())
    }

    /// Bytes of answers that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.all
            .iter()
            .map(|hold| hold.reader.waiting_bytes())
            .sum()
    }

    /// Ready when there may be something to tell of a room.
    pub fn poll_woken(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut is_woken = false;
        for hold in &mut self.all {
            if hold.reader.poll_woken(cx).is_ready() {
                hold.is_woken = true;
                is_woken = true;
            }
        }
        match is_woken {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}
