//! Owns one Socket.IO session as a carrier of JSON messages: events become asks, notices become
//! events, and as much is given to the engine as it writes.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use socketioxide::SendError;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::handler::Value;

use super::flow::{Flow, Left};
use super::racks::Racks;
use crate::hub::Hub;
use crate::ids::{Millis, Now, UnixMillis};
use crate::room::{End, Identity};
use crate::transport::alarm::Alarm;
use crate::transport::carrier::Carrier;
use crate::transport::jsonws::Budget;
use crate::transport::line::{GOODBYE_MS, Moved, READY_BYTES, Stop, UNTAKEN_BYTES_MAX};
use crate::wire::notice::Notice;
use crate::wire::socketio::{Dialogue, Out};
use crate::wire::{Code, close_code};

/// Close codes from here on say: come back.
const COME_BACK: u16 = 4500;

/// One session.
pub struct Session {
    socket: SocketRef,
    flow: Arc<Flow>,
    hub: Hub,
    racks: Arc<Racks>,
    dialogue: Dialogue<AckSender>,
    ready: VecDeque<Out<AckSender>>,
    ready_bytes: usize,
    budget: Budget,
    expires_at: Option<UnixMillis>,
    now: Now,
    /// When the peer last took something, while something waits for it.
    taken_at: Millis,
    alarm: Alarm,
}

impl Session {
    /// A session of somebody who was let in.
    pub fn new(
        socket: SocketRef,
        flow: Arc<Flow>,
        hub: Hub,
        racks: Arc<Racks>,
        (identity, device): (Arc<Identity>, Arc<str>),
    ) -> Self {
        let now = hub.now();
        Self {
            socket,
            flow,
            racks,
            dialogue: Dialogue::new(identity, device, hub.fresh_id()),
            ready: VecDeque::new(),
            ready_bytes: 0,
            budget: Budget::new(now.mono, hub.limits()),
            expires_at: None,
            now,
            taken_at: now.mono,
            alarm: Alarm::new(now.mono),
            hub,
        }
    }

    /// What is made ready, and what the engine was given.
    fn untaken_bytes(&self) -> usize {
        self.ready_bytes + self.flow.given_bytes()
    }

    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.flow.given_bytes() == 0
    }

    /// Takes what the dialogue has to say.
    fn collect(&mut self) {
        let was_empty = self.is_empty();
        while let Some(out) = self.dialogue.next_out() {
            self.ready_bytes += out.bytes();
            self.ready.push_back(out);
        }
        for (room, op, luggage) in self.dialogue.luggage() {
            self.racks.put(&room, &op, luggage);
        }
        if was_empty {
            self.taken_at = self.now.mono;
        }
    }

    /// Gives the engine what it takes; returns the bytes.
    fn give(&mut self) -> usize {
        let mut bytes = 0;
        while self.flow.takes()
            && let Some(out) = self.ready.pop_front()
        {
            let of_this = out.bytes();
            self.ready_bytes -= of_this;
            bytes += of_this;
            self.flow.give(of_this);
            // One that is closed is noticed by itself; one that is full does not come to pass.
            let _ = self.send(out);
        }
        bytes
    }

    fn send(&self, out: Out<AckSender>) -> Result<(), SendError> {
        match out {
            Out::Emit(event, Some(body)) => self.socket.emit(event, &(body,)),
            Out::Emit(event, None) => self.socket.emit(event, &[(); 0]),
            Out::Ack(ack, body) => ack.send(&(body,)),
        }
    }

    /// Gives all that is left, as far as the peer takes it in time; then it is gone, if that is
    /// waited for.
    async fn farewell(&mut self, is_gone: bool) {
        let (flow, wait) = (self.flow.clone(), Duration::from_millis(GOODBYE_MS));
        let goodbye = async {
            loop {
                self.give();
                if flow.left().is_some() || (self.is_empty() && !is_gone) {
                    return;
                }
                std::future::poll_fn(|cx| flow.poll_taken(cx)).await;
            }
        };
        // Whether the peer waits for it is its own affair.
        let _ = tokio::time::timeout(wait, goodbye).await;
    }
}

impl Carrier for Session {
    fn now(&self) -> Now {
        self.now
    }

    fn tick(&mut self) {
        self.now = self.hub.now();
    }

    fn next(&mut self) -> Result<Option<Bytes>, Stop> {
        loop {
            if let Some(end) = self.flow.end() {
                return Err(Stop::End(end));
            }
            if let Some(ask) = self.dialogue.next_ask() {
                return Ok(Some(ask.into()));
            }
            let Some(heard) = self.flow.next() else {
                return match self.flow.left() {
                    None => Ok(None),
                    Some(Left::Goodbye) => Err(Stop::Goodbye),
                    Some(Left::Lost) => Err(Stop::Lost),
                };
            };
            if !self.budget.take(self.now.mono, self.hub.limits()) {
                return Err(Stop::End(End::TooFast));
            }
            match &heard.value {
                Value::Str(text, None) if text.len() > self.hub.limits().frame_bytes_max => {
                    return Err(Stop::End(End::TooLarge));
                }
                Value::Str(text, None) => self.dialogue.hear(text, heard.ack, self.now.wall),
                Value::Str(..) | Value::Bytes(_) => self.dialogue.hear_binary(heard.ack),
            }
            self.collect();
            if !self.takes() {
                return Ok(None);
            }
        }
    }

    fn tell(&mut self, notice: &Notice) {
        self.dialogue
            .tell(&notice.payload(), self.now.wall, &*self.racks);
        self.collect();
    }

    fn takes(&self) -> bool {
        self.untaken_bytes() < UNTAKEN_BYTES_MAX
    }

    fn wants(&self) -> usize {
        READY_BYTES.saturating_sub(self.untaken_bytes())
    }

    fn is_drained(&self) -> bool {
        self.is_empty()
    }

    fn expires_at(&mut self, at: Option<UnixMillis>) {
        self.expires_at = at;
    }

    /// Whether the peer is there, the engine finds out.
    fn wind(&mut self, _may_take: bool, until: Option<Millis>) -> Result<(), End> {
        let now = self.now.mono;
        let mut due = now.plus(self.hub.limits().idle_ms_max);
        if !self.is_empty() {
            let stalled_at = self.taken_at.plus(self.hub.limits().write_stall_ms_max);
            if stalled_at <= now {
                return Err(End::Idle);
            }
            due = due.min(stalled_at);
        }
        let expires_ms = match self.expires_at {
            Some(at) if at <= self.now.wall => return Err(End::Expired),
            Some(at) => at.0.abs_diff(self.now.wall.0),
            None => u64::MAX,
        };
        if let Some(until) = until {
            due = due.min(until.max(now.plus(1)));
        }
        self.alarm.set(now, (due.0 - now.0).min(expires_ms));
        Ok(())
    }

    fn poll_move(&mut self, may_take: bool, cx: &mut Context<'_>) -> Poll<io::Result<Moved>> {
        let given = self.give();
        if given > 0 {
            return Poll::Ready(Ok(Moved::Wrote(given)));
        }
        self.flow.poll_moved(may_take, cx).map(|has_taken| {
            Ok(match has_taken {
                true => Moved::Wrote(0),
                false => Moved::Read(0),
            })
        })
    }

    fn note(&mut self, moved: &Moved) -> Result<(), Stop> {
        if let Some(end) = self.flow.end() {
            return Err(Stop::End(end));
        }
        match moved {
            Moved::Wrote(0) => self.taken_at = self.now.mono,
            // That there is something to be heard; `next` tells whether it is the end.
            Moved::Wrote(_) | Moved::Read(_) | Moved::Rung => {}
        }
        Ok(())
    }

    fn poll_rung(&mut self, cx: &mut Context<'_>) -> Poll<Moved> {
        self.alarm.poll_rung(cx).map(|()| Moved::Rung)
    }

    async fn end(&mut self, stop: Stop) -> Option<u16> {
        let code = match stop {
            // The last is of another protocol.
            Stop::Goodbye | Stop::Lost | Stop::Reset(_) => None,
            Stop::End(end) => {
                self.flow.end_with(end.clone());
                let code = close_code(&end);
                let body = json!({
                    "message": message(&end),
                    "code": end.code(),
                    "retryable": code >= COME_BACK,
                });
                let body = serde_json::value::to_raw_value(&body).ok();
                let error = Out::Emit("error".into(), body);
                self.ready_bytes += error.bytes();
                self.ready.push_back(error);
                self.farewell(false).await;
                if code < COME_BACK {
                    // Told so by us, a client does not come back by itself.
                    let _ = self.socket.clone().disconnect();
                    self.farewell(true).await;
                }
                self.flow.cut();
                Some(code)
            }
        };
        self.flow.close();
        code
    }
}

/// What was wrong, for people.
fn message(end: &End) -> &'static str {
    match end {
        End::Malformed(what) => what,
        End::Expired => "the token has expired",
        End::Forbidden => "the token does not grant this",
        End::RoomDeleted => "the room was deleted",
        End::EpochChanged => "the room has another epoch",
        End::TooLarge => "there is more in it than the limit",
        End::Internal => "the server failed",
        End::Unavailable => "the server goes away: come back",
        End::Idle => "nothing was taken for too long",
        End::TooFast => "too many messages",
    }
}
