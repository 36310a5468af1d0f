//! Owns the WebSocket pump: one task and small buffers per connection. Bytes move; nothing is
//! decided here.
//!
//! Frames that many share are written as they are, several with one vectored write. While a peer
//! does not take what it was sent, nothing more is read from it.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::outgoing::Outgoing;
use super::speech;
use crate::hub::{Attachment, Gathered, Hub, attachment::Gone};
use crate::ids::{Millis, Now, UnixMillis};
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

/// After our close frame, a peer has so long to say its own.
const GOODBYE_MS: u64 = 2_000;

/// One connection of the y-websocket dialect.
pub struct Socket<S> {
    io: S,
    hub: Hub,
    attachment: Attachment,
    decoder: Decoder,
    incoming: BytesMut,
    outgoing: Outgoing,
    /// Diffs that were asked for and have not come: nothing more is read until they do.
    awaited_diffs: usize,
    /// The peer fell out of the ring at this state vector.
    behind: Option<Bytes>,
    expires_at: Option<UnixMillis>,
    /// As of the last step.
    now: Now,
    heard_at: Millis,
    told_at: Millis,
    /// When the peer last took something, while something waits for it.
    taken_at: Millis,
    is_pinged: bool,
    /// Rings no later than something is due.
    alarm: Pin<Box<Sleep>>,
    alarm_at: Millis,
}

enum Step {
    Read(usize),
    Wrote(usize),
    Woken,
    Rung,
}

/// Why the pump stops.
enum Stop {
    /// The peer said goodbye.
    Goodbye,
    /// The connection broke.
    Lost,
    /// We end it.
    End(End),
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Lost
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
            outgoing: Outgoing::default(),
            awaited_diffs: 0,
            behind: None,
            expires_at,
            now,
            heard_at: now.mono,
            told_at: now.mono,
            taken_at: now.mono,
            is_pinged: false,
            alarm: Box::pin(tokio::time::sleep(Duration::ZERO)),
            alarm_at: now.mono,
        }
    }

    /// Moves bytes until the peer leaves, breaks the protocol, or the room ends the session, as it
    /// does when the process drains. Returns the close code, if we closed.
    pub async fn run(mut self) -> Option<u16> {
        let stop = match self.pump().await {
            Ok(never) => match never {},
            Err(stop) => stop,
        };
        match stop {
            Stop::Goodbye => {
                self.attachment.say_goodbye();
                self.push(websocket::control(Opcode::Close, &[]));
                self.farewell().await;
                None
            }
            Stop::Lost => None,
            Stop::End(end) => {
                let code = close_code(&end);
                self.push(websocket::close(code, &reason(&end, &self.hub)));
                self.farewell().await;
                Some(code)
            }
        }
    }

    async fn pump(&mut self) -> Result<std::convert::Infallible, Stop> {
        loop {
            self.requests().await?;
            self.refill().await?;
            self.wind().map_err(Stop::End)?;
            let step = self.step().await?;
            self.now = self.hub.now();
            match step {
                Step::Read(0) => return Err(Stop::Lost),
                Step::Read(bytes) => {
                    self.hub.meter().received(bytes);
                    self.heard_at = self.now.mono;
                    self.is_pinged = false;
                }
                Step::Wrote(bytes) => {
                    self.hub.meter().sent(bytes);
                    self.taken_at = self.now.mono;
                }
                Step::Woken | Step::Rung => {}
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
                    self.push(websocket::control(Opcode::Pong, &payload));
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
        if let Err(Gone) = self.attachment.request(request).await {
            // The room has said its last word: acks first, then how it ends.
            while let Some(event) = self.attachment.next_event() {
                self.tell(event)?;
            }
            return Err(Stop::End(End::Internal));
        }
        // A busy room may have kept it waiting.
        self.now = self.hub.now();
        Ok(())
    }

    fn may_take(&self) -> bool {
        self.awaited_diffs == 0 && self.outgoing.bytes() < UNTAKEN_BYTES_MAX
    }

    /// Makes ready what the peer is to be told next, as far as it takes it.
    async fn refill(&mut self) -> Result<(), Stop> {
        while self.outgoing.bytes() < READY_BYTES {
            let Some(event) = self.attachment.next_event() else {
                break;
            };
            self.tell(event)?;
        }
        // What comes before an awaited diff would rest on what the peer does not have yet.
        let may_gather = self.behind.is_none() && self.awaited_diffs == 0;
        if self.outgoing.bytes() < READY_BYTES && may_gather {
            let gather = |frames: &mut _| self.attachment.gather(READY_BYTES, frames);
            let (gathered, bytes) = self.outgoing.fill(gather);
            self.note_told(bytes);
            if let Gathered::Behind(state_vector) = gathered {
                self.behind = Some(state_vector);
            }
        }
        // A reader that fell behind catches up once it has taken all it was sent before.
        if self.outgoing.is_empty()
            && let Some(state_vector) = self.behind.take()
        {
            self.request(Request::Sync { state_vector }).await?;
        }
        Ok(())
    }

    fn tell(&mut self, event: Event) -> Result<(), Stop> {
        if let Event::Diff { as_of, .. } = &event {
            self.awaited_diffs = self.awaited_diffs.saturating_sub(1);
            self.attachment.jump(*as_of);
        }
        let (said, bytes) = self.outgoing.fill(|frames| speech::say(event, frames));
        self.note_told(bytes);
        said.map_err(Stop::End)
    }

    fn push(&mut self, frame: Vec<u8>) {
        let bytes = frame.len();
        self.outgoing.push(frame.into());
        self.note_queued(bytes);
    }

    fn note_told(&mut self, bytes: usize) {
        if bytes > 0 {
            self.told_at = self.now.mono;
            self.note_queued(bytes);
        }
    }

    fn note_queued(&mut self, bytes: usize) {
        if self.outgoing.bytes() == bytes {
            self.taken_at = self.now.mono;
        }
    }

    /// Says what is due by itself, and sets the alarm for what will be next; or says that the end
    /// is due.
    fn wind(&mut self) -> Result<(), End> {
        let limits = self.hub.limits().clone();
        let now = self.now.mono;
        // Who is not read from shows by taking that it is there.
        let seen_at = match self.may_take() {
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
            self.push(websocket::control(Opcode::Ping, &[]));
        }
        if self.told_at.plus(limits.heartbeat_ms) <= now {
            self.told_at = now;
            if self.outgoing.is_empty() {
                let mut frame = Vec::new();
                yjs::write_presence(&mut frame, &[]);
                self.push(frame);
            }
        }
        let mut due = self.told_at.plus(limits.heartbeat_ms);
        due = due.min(if self.is_pinged { lost_at } else { ask_at });
        if !self.outgoing.is_empty() {
            due = due.min(stalled_at.max(now.plus(1)));
        }
        let wait_ms = (due.0 - now.0).min(expires_ms);
        self.set_alarm(wait_ms);
        Ok(())
    }

    /// An alarm that rings too early costs one look; setting it costs more, so it is only moved
    /// forward.
    fn set_alarm(&mut self, wait_ms: u64) {
        let at = self.now.mono.plus(wait_ms);
        if self.alarm.is_elapsed() || at < self.alarm_at {
            let wait = Duration::from_millis(wait_ms);
            self.alarm.set(tokio::time::sleep(wait));
            self.alarm_at = at;
        }
    }

    async fn step(&mut self) -> Result<Step, Stop> {
        let may_read = self.may_take();
        let step = poll_fn(|cx| {
            if !self.outgoing.is_empty()
                && let Poll::Ready(wrote) = self.outgoing.poll_write(&mut self.io, cx)
            {
                return Poll::Ready(wrote.map(Step::Wrote));
            }
            if may_read && let Poll::Ready(read) = self.poll_read(cx) {
                return Poll::Ready(read.map(Step::Read));
            }
            if self.attachment.poll_woken(cx).is_ready() {
                return Poll::Ready(Ok(Step::Woken));
            }
            self.alarm.as_mut().poll(cx).map(|()| Ok(Step::Rung))
        });
        Ok(step.await?)
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
