//! Owns the y-websocket pump: one task and small buffers per connection. Bytes move; nothing is
//! decided here.

use std::future::poll_fn;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::line::{Line, Moved, READY_BYTES, Stop, UNTAKEN_BYTES_MAX};
use super::speech;
use crate::hub::{Attachment, Gathered, Hub, attachment::Gone};
use crate::ids::UnixMillis;
use crate::room::{End, Event};
use crate::wire::websocket::Message;
use crate::wire::{Request, yjs};

/// One connection of the y-websocket dialect.
pub struct Socket<S> {
    line: Line<S>,
    hub: Hub,
    attachment: Attachment,
    /// Diffs that were asked for and have not come: nothing more is read until they do.
    awaited_diffs: usize,
    /// The peer fell out of the ring at this state vector.
    behind: Option<Bytes>,
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
        let mut heartbeat = Vec::new();
        yjs::write_presence(&mut heartbeat, &[]);
        Self {
            line: Line::new(io, hub.clone(), expires_at, early).beating(heartbeat.into()),
            hub,
            attachment,
            awaited_diffs: 0,
            behind: None,
        }
    }

    /// Moves bytes until the peer leaves, breaks the protocol, or the room ends the session, as it
    /// does when the process drains. Returns the close code, if we closed.
    pub async fn run(&mut self) -> Option<u16> {
        let Err(stop) = self.pump().await;
        if matches!(stop, Stop::Goodbye) {
            self.attachment.say_goodbye();
        }
        self.line.end(stop).await
    }

    async fn pump(&mut self) -> Result<std::convert::Infallible, Stop> {
        loop {
            self.requests().await?;
            self.refill().await?;
            let may_take = self.may_take();
            self.line.wind(may_take, None).map_err(Stop::End)?;
            let moved = self.step().await?;
            self.line.tick();
            if let Some(moved) = moved {
                self.line.note(&moved)?;
            }
        }
    }

    /// Hands whole messages to the room. It waits while the room is busy, and so does the peer.
    async fn requests(&mut self) -> Result<(), Stop> {
        while self.may_take() {
            let bytes = match self.line.next()? {
                None => break,
                Some(Message::Binary(bytes)) => bytes,
                Some(_) => return Err(Stop::End(End::Malformed("text message"))),
            };
            let awareness_max = self.hub.limits().awareness_bytes_max;
            let request = yjs::receive(&bytes, awareness_max)
                .map_err(|violation| Stop::End(violation.into()))?;
            self.request(request).await?;
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
        self.line.tick();
        Ok(())
    }

    fn may_take(&self) -> bool {
        self.awaited_diffs == 0
            && self.line.takes()
            && self.attachment.waiting_bytes() < UNTAKEN_BYTES_MAX
    }

    /// Makes ready what the peer is to be told next, as far as it takes it.
    async fn refill(&mut self) -> Result<(), Stop> {
        while self.line.wants() > 0 {
            let Some(event) = self.attachment.next_event() else {
                break;
            };
            self.tell(event)?;
        }
        // What comes before an awaited diff would rest on what the peer does not have yet.
        let may_gather = self.behind.is_none() && self.awaited_diffs == 0;
        if self.line.wants() > 0 && may_gather {
            let attachment = &mut self.attachment;
            let gather = |frames: &mut _| attachment.gather(READY_BYTES, frames);
            if let Gathered::Behind(state_vector) = self.line.fill(gather) {
                self.behind = Some(state_vector);
            }
        }
        // A reader that fell behind catches up once it has taken all it was sent before.
        if self.line.is_drained()
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
        let said = self.line.fill(|frames| speech::say(event, frames));
        said.map_err(Stop::End)
    }

    /// Waits until something happens; `None` is that the room has something to tell.
    async fn step(&mut self) -> Result<Option<Moved>, Stop> {
        let may_take = self.may_take();
        let moved = poll_fn(|cx| {
            if let Poll::Ready(moved) = self.line.poll_move(may_take, cx) {
                return Poll::Ready(moved.map(Some));
            }
            if self.attachment.poll_woken(cx).is_ready() {
                return Poll::Ready(Ok(None));
            }
            self.line.poll_rung(cx).map(|rung| Ok(Some(rung)))
        });
        Ok(moved.await?)
    }
}
