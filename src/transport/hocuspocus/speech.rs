//! Owns how the events of a document's session are said to its client.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{HocuspocusSocket, Stop};
use crate::ids::Millis;
use crate::room::{End, Event, Refusal, Ticket};
use crate::transport::speech::{EMPTY_UPDATE, shared};
use crate::wire::Code;
use crate::wire::hocuspocus::{self, Address};

/// Longer than an update is on its way to the server.
const QUIET_MS: u64 = 1_000;

/// A stateless payload of the server: a message was not told to anybody.
#[derive(Serialize)]
struct Unsaid<'a> {
    r#type: &'static str,
    code: &'a str,
    message: &'a str,
}

impl<S: AsyncRead + AsyncWrite + Unpin> HocuspocusSocket<S> {
    /// Tells the peer of an event of a document's session.
    pub(super) fn tell(&mut self, place: usize, event: Event) -> Result<(), Stop> {
        let document = self.documents.at(place);
        let address = document.address.clone();
        let to = address.as_str();
        match event {
            Event::Diff {
                chunks,
                since,
                as_of,
            } => {
                if let Some(inside) = self.documents.inside(place) {
                    inside.awaits_diff = false;
                    inside.attachment.jump(as_of);
                }
                self.line
                    .fill(|frames| diff(&address, &chunks, &since, frames));
            }
            Event::Presence(states) => {
                self.say(|out| _ = hocuspocus::write_presence(out, to, &states));
            }
            Event::Missing { state_vector } => {
                document.ledger.asked();
                self.say(|out| hocuspocus::write_step_1(out, to, &state_vector));
            }
            Event::Kept { tickets, .. } => {
                let count = document.ledger.kept(&tickets);
                self.say_kept(&address, count);
            }
            Event::Refused { ticket, refusal } => return self.refused(place, ticket, &refusal),
            // Only who speaks JSON pushes operations.
            Event::Pushed { .. } => {}
            Event::Ended(end) => return self.end(place, &end),
        }
        Ok(())
    }

    /// Tells what is told late, where nothing came for a while; says when to look again.
    pub(super) fn catch_up(&mut self) -> Option<Millis> {
        let now = self.line.now().mono;
        let mut next: Option<Millis> = None;
        for place in 0..self.documents.len() {
            let document = self.documents.at(place);
            if !document.ledger.is_late() {
                continue;
            }
            let mut due = document.heard_at.plus(QUIET_MS);
            if due <= now {
                let count = document.ledger.catch_up();
                let address = document.address.clone();
                self.say_kept(&address, count);
                due = now.plus(QUIET_MS);
            }
            if self.documents.at(place).ledger.is_late() {
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        next
    }

    fn say_kept(&mut self, address: &Address, count: usize) {
        let to = address.as_str();
        self.say(|out| (0..count).for_each(|_| hocuspocus::write_sync_status(out, to, true)));
    }

    fn refused(&mut self, place: usize, ticket: Ticket, refusal: &Refusal) -> Result<(), Stop> {
        let document = self.documents.at(place);
        let address = document.address.clone();
        let Some(is_counted) = document.ledger.refused(ticket) else {
            self.unsaid(place, refusal.code(), &refusal.to_string());
            return match refusal {
                Refusal::Expired => self.expire(place),
                _ => Ok(()),
            };
        };
        if is_counted {
            self.say(|out| hocuspocus::write_sync_status(out, address.as_str(), false));
        }
        let end = match refusal {
            Refusal::Forbidden => return Ok(()),
            // What a room that drains does not take comes again to the next process.
            Refusal::Unavailable if self.is_leaving() => return Ok(()),
            Refusal::Expired => End::Expired,
            Refusal::Malformed(reason) => End::Malformed(reason),
            Refusal::Quarantined => End::Malformed("update in quarantine"),
            Refusal::Incomplete { .. } => End::Malformed("update leaves a gap"),
            Refusal::TooLarge => End::TooLarge,
            Refusal::EpochChanged => End::EpochChanged,
            Refusal::Unavailable => End::Unavailable,
            Refusal::RoomDeleted => End::RoomDeleted,
        };
        self.end(place, &end)
    }

    /// A document's session is over. The socket goes on unless the client has to come back for
    /// more: providers do so by themselves, but for a document that was closed.
    pub(super) fn end(&mut self, place: usize, end: &End) -> Result<(), Stop> {
        match end {
            End::Expired => self.expire(place),
            End::Unavailable if self.is_leaving() => {
                self.let_go(place);
                Ok(())
            }
            End::Internal | End::Unavailable | End::Idle => Err(Stop::End(end.clone())),
            End::Malformed(_)
            | End::Forbidden
            | End::RoomDeleted
            | End::EpochChanged
            | End::TooLarge
            | End::TooFast => {
                self.let_go(place);
                let address = self.documents.at(place).address.clone();
                self.close(address.as_str(), end);
                Ok(())
            }
        }
    }

    /// Says that a document is closed, and why.
    pub(super) fn close(&mut self, address: &str, end: &End) {
        let reason = match end {
            End::Malformed(what) => format!("malformed: {what}"),
            end => end.code().to_owned(),
        };
        self.say(|out| hocuspocus::write_close(out, address, &reason));
    }

    fn is_leaving(&self) -> bool {
        // The room may know before this socket does.
        self.is_draining || self.app.hub.draining().is_cancelled()
    }

    /// Says that a stateless payload was not told to anybody. The protocol has no other place for
    /// it.
    pub(super) fn unsaid(&mut self, place: usize, code: &str, message: &str) {
        let twin = Unsaid {
            r#type: "error",
            code,
            message,
        };
        let text = serde_json::to_string(&twin).expect("strings are JSON");
        let address = self.documents.at(place).address.clone();
        self.say(|out| _ = hocuspocus::write_stateless(out, address.as_str(), &text));
    }
}

/// A large state travels as several updates. What closes the sync comes last, when the peer has
/// everything.
fn diff(address: &Address, chunks: &[Bytes], since: &[Bytes], out: &mut VecDeque<Bytes>) {
    let to = address.as_str();
    let empty = Bytes::from_static(&EMPTY_UPDATE);
    let (last, before) = match chunks.split_last() {
        Some((last, before)) if since.is_empty() => (last, before),
        _ => (&empty, chunks),
    };
    for update in before.iter().chain(since) {
        shared(update, hocuspocus::update_header(to, update.len()), out);
    }
    shared(last, hocuspocus::step_2_header(to, last.len()), out);
}
