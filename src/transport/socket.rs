//! Owns the WebSocket pump: one task and small buffers per connection. Bytes move; nothing is
//! decided here.
//!
//! Frames that many share are written as they are, several with one vectored write. While a peer
//! does not take what it was sent, nothing more is read from it.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::speech;
use crate::hub::{Attachment, Gathered, Hub, attachment::Gone};
use crate::ids::{Millis, Now, UnixMillis};
use crate::limits::Limits;
use crate::room::{End, Event};
use crate::wire::websocket::{self, Decoder, Message, Opcode};
use crate::wire::{Code, Request, close_code, yjs};

/// What is made ready for a peer before it takes some of it: about what a socket's own buffer
/// holds.
const READY_BYTES: usize = 64 * 1024;

/// A peer that takes so little of what it asked for is not read from until it does.
const UNTAKEN_BYTES_MAX: usize = 1024 * 1024;

/// Bytes read at a time; a connection that says nothing has no buffer at all.
const READ_BYTES: usize = 16 * 1024;

/// Frames in one vectored write.
const WRITE_SLICES: usize = 64;

/// After our close frame, a peer has so long to say its own.
const GOODBYE_MS: u64 = 2_000;

/// One connection of the y-websocket dialect.
pub struct Socket<S> {
    io: S,
    hub: Hub,
    attachment: Attachment,
    decoder: Decoder,
    incoming: BytesMut,
    outgoing: VecDeque<Bytes>,
    outgoing_bytes: usize,
    /// Diffs that were asked for and have not come: nothing more is read until they do.
    awaited_diffs: usize,
    /// The peer fell out of the ring at this state vector.
    behind: Option<Bytes>,
    expires_at: Option<UnixMillis>,
    /// The time of this turn of the pump.
    now: Now,
    heard_at: Millis,
    told_at: Millis,
    /// When the peer last took something, while something waits for it.
    taken_at: Millis,
    pinged: bool,
}

enum Step {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Woken,
    Late,
    Draining,
}

/// Why the loop ends.
enum Stop {
    /// The peer said goodbye.
    Goodbye,
    /// The connection broke.
    Lost,
    /// We end it.
    End(End),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Self {
        Self::End(End::Internal)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A socket whose handshake is done. `early` is what the peer sent along with it.
    pub fn new(
        io: S,
        hub: Hub,
        attachment: Attachment,
        expires_at: Option<UnixMillis>,
        early: BytesMut,
    ) -> Self {
        let now = hub.now();
        let decoder = Decoder::new(hub.limits().frame_bytes_max);
        Self {
            io,
            hub,
            attachment,
            decoder,
            incoming: early,
            outgoing: VecDeque::new(),
            outgoing_bytes: 0,
            awaited_diffs: 0,
            behind: None,
            expires_at,
            now,
            heard_at: now.mono,
            told_at: now.mono,
            taken_at: now.mono,
            pinged: false,
        }
    }

    /// Moves bytes until the peer leaves, breaks the protocol, or the room or the process ends.
    /// Returns the close code, if we closed.
    pub async fn run(mut self, draining: CancellationToken) -> Option<u16> {
        match self.pump(&draining).await {
            Stop::Goodbye => {
                self.attachment.say_goodbye();
                self.push(websocket::control(Opcode::Close, &[]).into());
                self.farewell().await;
                None
            }
            Stop::Lost => None,
            Stop::End(end) => {
                let code = close_code(&end);
                self.push(websocket::close(code, &reason(&end, &self.hub)).into());
                self.farewell().await;
                Some(code)
            }
        }
    }

    async fn pump(&mut self, draining: &CancellationToken) -> Stop {
        let mut is_draining = false;
        loop {
            if let Err(stop) = self.requests().await {
                return stop;
            }
            if let Err(stop) = self.refill().await {
                return stop;
            }
            let due = match self.due() {
                Ok(due) => due,
                Err(end) => return Stop::End(end),
            };
            let step = self.step(due, draining, is_draining).await;
            self.now = self.hub.now();
            match step {
                Step::Read(Ok(0)) | Step::Read(Err(_)) | Step::Wrote(Err(_)) => return Stop::Lost,
                Step::Read(Ok(_)) => {
                    self.heard_at = self.now.mono;
                    self.pinged = false;
                }
                Step::Wrote(Ok(0)) => return Stop::Lost,
                Step::Wrote(Ok(count)) => self.took(count),
                Step::Woken => {}
                // The room ends the session once all it holds is durable; until then acks still go
                // out.
                Step::Draining => is_draining = true,
                Step::Late => self.chime(),
            }
        }
    }

    /// Hands whole messages to the room. It waits while the room is busy, and so does the peer.
    async fn requests(&mut self) -> Result<(), Stop> {
        while self.may_take() {
            let message = self.decoder.next(&mut self.incoming);
            let Some(message) = message.map_err(|violation| Stop::End(violation.into()))? else {
                break;
            };
            match message {
                Message::Binary(bytes) => {
                    let awareness_max = self.hub.limits().awareness_bytes_max;
                    let request = yjs::receive(&bytes, awareness_max)
                        .map_err(|violation| Stop::End(violation.into()))?;
                    self.request(request).await?;
                }
                Message::Text(_) => return Err(Stop::End(End::Malformed("text message"))),
                Message::Ping(payload) => {
                    self.push(websocket::control(Opcode::Pong, &payload).into());
                }
                Message::Pong => {}
                Message::Close(_) => return Err(Stop::Goodbye),
            }
        }
        if self.incoming.is_empty() {
            self.incoming = BytesMut::new();
        }
        Ok(())
    }

    async fn request(&mut self, request: Request) -> Result<(), Stop> {
        if matches!(request, Request::Sync { .. }) {
            self.awaited_diffs += 1;
        }
        self.attachment.request(request).await?;
        // A busy room may have kept it waiting.
        self.now = self.hub.now();
        Ok(())
    }

    fn may_take(&self) -> bool {
        self.awaited_diffs == 0 && self.outgoing_bytes < UNTAKEN_BYTES_MAX
    }

    /// Makes ready what the peer is to be told next, as far as it takes it.
    async fn refill(&mut self) -> Result<(), Stop> {
        while self.outgoing_bytes < READY_BYTES {
            let Some(event) = self.attachment.next_event() else {
                break;
            };
            self.tell(event)?;
        }
        if self.outgoing_bytes < READY_BYTES && self.behind.is_none() {
            let before = self.outgoing.len();
            let gathered = self.attachment.gather(READY_BYTES, &mut self.outgoing);
            let added = self.outgoing.range(before..);
            let bytes: usize = added.map(Bytes::len).sum();
            if bytes > 0 {
                self.note_told(bytes);
            }
            if let Gathered::Behind(state_vector) = gathered {
                self.behind = Some(state_vector);
            }
        }
        // A reader that fell behind catches up once it has taken all it was sent before.
        if self.outgoing.is_empty()
            && let Some(state_vector) = self.behind.take()
        {
            self.request(Request::Sync { state_vector }).await?;
            self.request(Request::AskPresence).await?;
        }
        Ok(())
    }

    fn tell(&mut self, event: Event) -> Result<(), Stop> {
        if let Event::Diff { as_of, .. } = &event {
            self.awaited_diffs = self.awaited_diffs.saturating_sub(1);
            self.attachment.jump(*as_of);
        }
        let before = self.outgoing.len();
        speech::say(event, &mut self.outgoing).map_err(Stop::End)?;
        let bytes = self.outgoing.range(before..).map(Bytes::len).sum();
        self.note_told(bytes);
        Ok(())
    }

    fn push(&mut self, frame: Bytes) {
        let bytes = frame.len();
        self.outgoing.push_back(frame);
        self.note_queued(bytes);
    }

    fn note_told(&mut self, bytes: usize) {
        self.told_at = self.now.mono;
        self.note_queued(bytes);
    }

    fn note_queued(&mut self, bytes: usize) {
        if self.outgoing_bytes == 0 {
            self.taken_at = self.now.mono;
        }
        self.outgoing_bytes += bytes;
    }

    fn took(&mut self, count: usize) {
        self.taken_at = self.now.mono;
        self.outgoing_bytes -= count;
        let mut rest = count;
        while rest > 0 {
            let Some(first) = self.outgoing.front_mut() else {
                break;
            };
            let step = rest.min(first.len());
            first.advance(step);
            rest -= step;
            if first.is_empty() {
                self.outgoing.pop_front();
            }
        }
    }

    /// How long nothing needs to happen by itself; or the end, if it should have happened by now.
    fn due(&self) -> Result<Duration, End> {
        let limits: &Limits = self.hub.limits();
        let now = self.now;
        let mut due = self.told_at.plus(limits.heartbeat_ms);
        let silent_until = self.heard_at.plus(limits.idle_ms_max);
        if silent_until <= now.mono {
            return Err(End::Idle);
        }
        let ask_at = self.heard_at.plus(limits.idle_ms_max / 2);
        due = due.min(if self.pinged { silent_until } else { ask_at });
        if self.outgoing_bytes > 0 {
            let stalled_at = self.taken_at.plus(limits.write_stall_ms_max);
            if stalled_at <= now.mono {
                return Err(End::Idle);
            }
            due = due.min(stalled_at);
        }
        let mut wait = due.0.saturating_sub(now.mono.0);
        if let Some(expires_at) = self.expires_at {
            if expires_at <= now.wall {
                return Err(End::Expired);
            }
            wait = wait.min((expires_at.0 - now.wall.0).unsigned_abs());
        }
        Ok(Duration::from_millis(wait))
    }

    /// Says something, or asks whether anybody is there.
    fn chime(&mut self) {
        let now = self.now.mono;
        let limits = self.hub.limits().clone();
        if self.heard_at.plus(limits.idle_ms_max / 2) <= now && !self.pinged {
            self.pinged = true;
            self.push(websocket::control(Opcode::Ping, &[]).into());
        }
        if self.told_at.plus(limits.heartbeat_ms) <= now {
            self.told_at = now;
            if self.outgoing.is_empty() {
                let mut frame = Vec::new();
                yjs::write_presence(&mut frame, &[]);
                self.push(frame.into());
            }
        }
    }

    async fn step(&mut self, due: Duration, drain: &CancellationToken, is_draining: bool) -> Step {
        let may_read = self.may_take();
        let sleep = tokio::time::sleep(due);
        let drained = drain.cancelled();
        tokio::pin!(sleep, drained);
        poll_fn(|cx| {
            if !self.outgoing.is_empty()
                && let Poll::Ready(wrote) = self.poll_write(cx)
            {
                return Poll::Ready(Step::Wrote(wrote));
            }
            if may_read && let Poll::Ready(read) = self.poll_read(cx) {
                return Poll::Ready(Step::Read(read));
            }
            if self.attachment.poll_woken(cx).is_ready() {
                return Poll::Ready(Step::Woken);
            }
            if !is_draining && drained.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Step::Draining);
            }
            sleep.as_mut().poll(cx).map(|()| Step::Late)
        })
        .await
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); WRITE_SLICES];
        let mut count = 0;
        for (slice, frame) in slices.iter_mut().zip(&self.outgoing) {
            *slice = IoSlice::new(frame);
            count += 1;
        }
        Pin::new(&mut self.io).poll_write_vectored(cx, &slices[..count])
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

    /// Writes what is left, then waits for the peer's own goodbye, so that it gets to read ours.
    async fn farewell(mut self) {
        let goodbye = async {
            while !self.outgoing.is_empty() {
                match poll_fn(|cx| self.poll_write(cx)).await {
                    Ok(0) | Err(_) => return,
                    Ok(count) => self.took(count),
                }
            }
            if poll_fn(|cx| Pin::new(&mut self.io).poll_flush(cx))
                .await
                .is_err()
            {
                return;
            }
            loop {
                self.incoming.clear();
                match poll_fn(|cx| self.poll_read(cx)).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(GOODBYE_MS), goodbye).await;
    }
}

/// The close reason: the stable word, what was wrong, and when to come back.
fn reason(end: &End, hub: &Hub) -> String {
    match end {
        End::Malformed(what) => format!("malformed: {what}"),
        End::Unavailable => {
            let window = hub.limits().drain_ms.max(1_000);
            format!("unavailable; retry after {} ms", hub.jitter_ms(window))
        }
        end => end.code().to_owned(),
    }
}
