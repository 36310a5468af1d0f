//! Owns a WebSocket connection's bytes and patience, the same for every dialect: reading, writing,
//! pings, and when a peer counts as gone.
//!
//! Frames that many share are written as they are, several with one vectored write. While a peer
//! does not take what it was sent, nothing more is read from it.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::alarm::Alarm;
use super::outgoing::Outgoing;
use crate::hub::Hub;
use crate::ids::{Millis, Now, UnixMillis};
use crate::room::End;
use crate::wire::websocket::{self, Decoder, Message, Opcode};
use crate::wire::{Code, close_code};

/// What is made ready for a peer before it takes some of it: about what a socket's own buffer
/// holds.
pub const READY_BYTES: usize = 64 * 1024;

/// A peer that takes so little of what it asked for is not read from until it does.
pub const UNTAKEN_BYTES_MAX: usize = 1024 * 1024;

/// Bytes read at a time; a connection that says nothing has no buffer at all.
const READ_BYTES: usize = 16 * 1024;

/// A Hocuspocus client may begin anew.
const RESET_CODE: u16 = 4205;

/// After our close frame, a peer has so long to say its own.
pub const GOODBYE_MS: u64 = 2_000;

/// The bytes of one connection.
pub struct Line<S> {
    io: S,
    hub: Hub,
    decoder: Decoder,
    incoming: BytesMut,
    outgoing: Outgoing,
    /// When it ends unless it is renewed.
    pub expires_at: Option<UnixMillis>,
    /// Said when nothing else was for a while, if the dialect wants that.
    heartbeat: Option<Bytes>,
    /// As of the last step.
    now: Now,
    heard_at: Millis,
    told_at: Millis,
    /// When the peer last took something, while something waits for it.
    taken_at: Millis,
    is_pinged: bool,
    alarm: Alarm,
}

/// What happened to the bytes.
pub enum Moved {
    /// So many came; none when the peer is gone.
    Read(usize),
    /// So many were taken.
    Wrote(usize),
    /// The alarm rang.
    Rung,
}

/// Why a connection stops.
pub enum Stop {
    /// The peer said goodbye.
    Goodbye,
    /// The connection broke.
    Lost,
    /// We end it.
    End(End),
    /// We end it, as the peer's protocol knows it: it may begin anew.
    Reset(&'static str),
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Lost
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// A connection whose handshake is done. `early` is what the peer sent along with it.
    pub fn new(io: S, hub: Hub, expires_at: Option<UnixMillis>, early: BytesMut) -> Self {
        let now = hub.now();
        let decoder = Decoder::new(hub.limits().frame_bytes_max);
        Self {
            io,
            hub,
            decoder,
            incoming: early,
            outgoing: Outgoing::default(),
            expires_at,
            heartbeat: None,
            now,
            heard_at: now.mono,
            told_at: now.mono,
            taken_at: now.mono,
            is_pinged: false,
            alarm: Alarm::new(now.mono),
        }
    }

    /// The same with something to say when nothing else is said.
    pub fn beating(mut self, heartbeat: Bytes) -> Self {
        self.heartbeat = Some(heartbeat);
        self
    }

    /// The same, and a message over the limit is told by its beginning instead of ending all.
    pub fn passing_over(mut self) -> Self {
        self.decoder = self.decoder.passing_over();
        self
    }

    /// What time it was at the last step.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Looks at the clock: something took a while.
    pub fn tick(&mut self) {
        self.now = self.hub.now();
    }

    /// Takes the next text or binary message, if all of it is there; answers pings.
    pub fn next(&mut self) -> Result<Option<Message>, Stop> {
        loop {
            let message = self.decoder.next(&mut self.incoming);
            let message = message.map_err(|violation| Stop::End(violation.into()))?;
            match message {
                None => {
                    if self.incoming.is_empty() {
                        self.incoming = BytesMut::new();
                    }
                    return Ok(None);
                }
                Some(Message::Ping(payload)) => {
                    self.push(websocket::control(Opcode::Pong, &payload).into());
                    if !self.takes() {
                        return Ok(None);
                    }
                }
                Some(Message::Pong) => {}
                Some(Message::Close(_)) => return Err(Stop::Goodbye),
                Some(message) => return Ok(Some(message)),
            }
        }
    }

    /// Whether the peer takes what it is sent.
    pub fn takes(&self) -> bool {
        self.outgoing.bytes() < UNTAKEN_BYTES_MAX
    }

    /// How much more is to be made ready.
    pub fn wants(&self) -> usize {
        READY_BYTES.saturating_sub(self.outgoing.bytes())
    }

    /// Whether the peer has taken everything.
    pub fn is_drained(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Adds a frame.
    pub fn push(&mut self, frame: Bytes) {
        let bytes = frame.len();
        self.outgoing.push(frame);
        self.note_queued(bytes);
    }

    /// Lets somebody add frames that tell something.
    pub fn fill<T>(&mut self, add: impl FnOnce(&mut std::collections::VecDeque<Bytes>) -> T) -> T {
        let (result, bytes) = self.outgoing.fill(add);
        if bytes > 0 {
            self.told_at = self.now.mono;
            self.note_queued(bytes);
        }
        result
    }

    fn note_queued(&mut self, bytes: usize) {
        if self.outgoing.bytes() == bytes {
            self.taken_at = self.now.mono;
        }
    }

    /// Says what is due by itself, and sets the alarm for what will be next, which is no later than
    /// `until`; or says that the end is due. `may_take` is whether the peer is read from.
    pub fn wind(&mut self, may_take: bool, until: Option<Millis>) -> Result<(), End> {
        let limits = self.hub.limits().clone();
        let now = self.now.mono;
        // Who is not read from shows by taking that it is there.
        let seen_at = match may_take {
            true => self.heard_at,
            false => self.heard_at.max(self.taken_at),
        };
        let lost_at = seen_at.plus(limits.idle_ms_max);
        let stalled_at = self.taken_at.plus(limits.write_stall_ms_max);
        if lost_at <= now || (!self.outgoing.is_empty() && stalled_at <= now) {
            return Err(End::Idle);
        }
        let expires_ms = match self.expires_at {
            Some(at) if at <= self.now.wall => return Err(End::Expired),
            Some(at) => at.0.abs_diff(self.now.wall.0),
            None => u64::MAX,
        };
        let ask_at = seen_at.plus(limits.idle_ms_max / 2);
        if ask_at <= now && !self.is_pinged {
            self.is_pinged = true;
            self.push(websocket::control(Opcode::Ping, &[]).into());
        }
        let mut due = if self.is_pinged { lost_at } else { ask_at };
        if let Some(heartbeat) = &self.heartbeat {
            if self.told_at.plus(limits.heartbeat_ms) <= now {
                self.told_at = now;
                if self.outgoing.is_empty() {
                    let heartbeat = heartbeat.clone();
                    self.push(heartbeat);
                }
            }
            due = due.min(self.told_at.plus(limits.heartbeat_ms));
        }
        if !self.outgoing.is_empty() {
            due = due.min(stalled_at.max(now.plus(1)));
        }
        if let Some(until) = until {
            due = due.min(until.max(now.plus(1)));
        }
        self.alarm.set(now, (due.0 - now.0).min(expires_ms));
        Ok(())
    }

    /// Moves bytes: first what waits is written.
    pub fn poll_move(&mut self, may_take: bool, cx: &mut Context<'_>) -> Poll<io::Result<Moved>> {
        if !self.outgoing.is_empty()
            && let Poll::Ready(wrote) = self.outgoing.poll_write(&mut self.io, cx)
        {
            return Poll::Ready(wrote.map(Moved::Wrote));
        }
        if may_take && let Poll::Ready(read) = self.poll_read(cx) {
            return Poll::Ready(read.map(Moved::Read));
        }
        Poll::Pending
    }

    /// Ready when the alarm rings.
    pub fn poll_rung(&mut self, cx: &mut Context<'_>) -> Poll<Moved> {
        self.alarm.poll_rung(cx).map(|()| Moved::Rung)
    }

    /// Takes note of what happened.
    pub fn note(&mut self, moved: &Moved) -> Result<(), Stop> {
        match moved {
            Moved::Read(0) => return Err(Stop::Lost),
            Moved::Read(bytes) => {
                self.hub.meter().received(*bytes);
                self.heard_at = self.now.mono;
                self.is_pinged = false;
            }
            Moved::Wrote(bytes) => {
                self.hub.meter().sent(*bytes);
                self.taken_at = self.now.mono;
            }
            Moved::Rung => {}
        }
        Ok(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // Not even zeroed: this is tried once more after every write.
        let mut chunk = [MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut chunk);
        std::task::ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        let filled = buffer.filled();
        self.incoming.extend_from_slice(filled);
        Poll::Ready(Ok(filled.len()))
    }

    /// Ends the connection as it should be; returns the close code, if we closed.
    pub async fn end(&mut self, stop: Stop) -> Option<u16> {
        match stop {
            Stop::Goodbye => {
                self.push(websocket::control(Opcode::Close, &[]).into());
                self.farewell().await;
                None
            }
            Stop::Lost => None,
            Stop::End(end) => {
                let reason = reason(&end, &self.hub);
                Some(self.close(close_code(&end), &reason).await)
            }
            Stop::Reset(what) => Some(self.close(RESET_CODE, &format!("reset: {what}")).await),
        }
    }

    async fn close(&mut self, code: u16, reason: &str) -> u16 {
        self.push(websocket::close(code, reason).into());
        self.farewell().await;
        code
    }

    /// Writes what is left, then waits for the peer's own goodbye, so that it gets to read ours.
    async fn farewell(&mut self) {
        let goodbye = async {
            while !self.outgoing.is_empty() {
                poll_fn(|cx| self.outgoing.poll_write(&mut self.io, cx)).await?;
            }
            poll_fn(|cx| Pin::new(&mut self.io).poll_flush(cx)).await?;
            loop {
                self.incoming.clear();
                if poll_fn(|cx| self.poll_read(cx)).await? == 0 {
                    return Ok::<(), io::Error>(());
                }
            }
        };
        // Whether the peer waits for it is its own affair.
        let _ = tokio::time::timeout(Duration::from_millis(GOODBYE_MS), goodbye).await;
    }
}

/// When to come back to a server that ends: spread over its drain window.
pub fn retry_after_ms(hub: &Hub) -> u64 {
    hub.jitter_ms(hub.limits().drain_ms.max(1_000))
}

/// The close reason: the stable word, what was wrong, and when to come back.
fn reason(end: &End, hub: &Hub) -> String {
    match end {
        End::Malformed(what) => format!("malformed: {what}"),
        End::Unavailable => format!("unavailable; retry after {} ms", retry_after_ms(hub)),
        end => end.code().to_owned(),
    }
}
