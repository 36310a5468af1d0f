//! Owns what the pump of JSON messages asks of the connection that carries them: a WebSocket, or a
//! session of Socket.IO.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::line::{Line, Moved, Stop};
use crate::ids::{Millis, Now, UnixMillis};
use crate::room::End;
use crate::wire::notice::Notice;
use crate::wire::websocket::Message;

/// A connection that carries JSON messages.
pub trait Carrier: Send {
    /// What time it was at the last step.
    fn now(&self) -> Now;
    /// Looks at the clock.
    fn tick(&mut self);
    /// Takes the next message, if one is there.
    fn next(&mut self) -> Result<Option<Bytes>, Stop>;
    /// Makes a message ready for the peer.
    fn tell(&mut self, notice: &Notice);
    /// Whether the peer takes what it is sent.
    fn takes(&self) -> bool;
    /// How much more is to be made ready.
    fn wants(&self) -> usize;
    /// Whether the peer has taken everything.
    fn is_drained(&self) -> bool;
    /// When it ends unless it is renewed.
    fn expires_at(&mut self, at: Option<UnixMillis>);
    /// Says what is due by itself, and sets the alarm for what will be next, no later than `until`;
    /// or says that the end is due. `may_take` is whether the peer is read from.
    fn wind(&mut self, may_take: bool, until: Option<Millis>) -> Result<(), End>;
    /// Moves what can be moved.
    fn poll_move(&mut self, may_take: bool, cx: &mut Context<'_>) -> Poll<io::Result<Moved>>;
    /// Takes note of what happened.
    fn note(&mut self, moved: &Moved) -> Result<(), Stop>;
    /// Ready when the alarm rings.
    fn poll_rung(&mut self, cx: &mut Context<'_>) -> Poll<Moved>;
    /// Ends the connection as it should be; returns the close code, if we closed.
    fn end(&mut self, stop: Stop) -> impl Future<Output = Option<u16>> + Send;
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Carrier for Line<S> {
    fn now(&self) -> Now {
        self.now()
    }

    fn tick(&mut self) {
        self.tick();
    }

    fn next(&mut self) -> Result<Option<Bytes>, Stop> {
        match self.next()? {
            None => Ok(None),
            Some(Message::Text(bytes)) => Ok(Some(bytes)),
            Some(_) => Err(Stop::End(End::Malformed("binary message"))),
        }
    }

    fn tell(&mut self, notice: &Notice) {
        self.fill(|frames| frames.push_back(notice.frame()));
    }

    fn takes(&self) -> bool {
        self.takes()
    }

    fn wants(&self) -> usize {
        self.wants()
    }

    fn is_drained(&self) -> bool {
        self.is_drained()
    }

    fn expires_at(&mut self, at: Option<UnixMillis>) {
        self.expires_at = at;
    }

    fn wind(&mut self, may_take: bool, until: Option<Millis>) -> Result<(), End> {
        self.wind(may_take, until)
    }

    fn poll_move(&mut self, may_take: bool, cx: &mut Context<'_>) -> Poll<io::Result<Moved>> {
        self.poll_move(may_take, cx)
    }

    fn note(&mut self, moved: &Moved) -> Result<(), Stop> {
        self.note(moved)
    }

    fn poll_rung(&mut self, cx: &mut Context<'_>) -> Poll<Moved> {
        self.poll_rung(cx)
    }

    fn end(&mut self, stop: Stop) -> impl Future<Output = Option<u16>> + Send {
        self.end(stop)
    }
}
