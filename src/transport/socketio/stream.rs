//! Owns the bytes of a Socket.IO session's WebSocket: nothing is read beyond what is heard, and
//! what was written is seen.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::flow::Flow;
use super::frames::{Frames, Seen};
use super::packets::is_counted;
use crate::hub::Hub;
use crate::room::End;
use crate::transport::listener::Place;

/// A stream that waits for its session.
pub struct Metered<S> {
    io: S,
    /// What came along with the handshake.
    early: BytesMut,
    flow: Arc<Flow>,
    hub: Hub,
    incoming: Frames,
    outgoing: Frames,
    /// One of the connections that are counted.
    _place: Option<Place>,
}

impl<S> Metered<S> {
    /// A stream whose handshake is done.
    pub fn new(io: S, early: BytesMut, flow: Arc<Flow>, hub: Hub, place: Option<Place>) -> Self {
        Self {
            io,
            early,
            flow,
            hub,
            incoming: Frames::new(),
            outgoing: Frames::new(),
            _place: place,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let is_cut = ready!(this.flow.poll_room(cx));
        if is_cut {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        if this.early.is_empty() {
            ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        } else {
            let step = this.early.len().min(buffer.remaining());
            buffer.put_slice(&this.early[..step]);
            this.early.advance(step);
        }
        let read = &buffer.filled()[before..];
        this.hub.meter().received(read.len());
        let bytes_max = this.hub.limits().frame_bytes_max as u64;
        let flow = &this.flow;
        this.incoming.pass(read, |seen| {
            if matches!(seen, Seen::Begin(bytes) if bytes > bytes_max) {
                flow.end_with(End::TooLarge);
            }
        });
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, bytes))?;
        this.hub.meter().sent(written);
        let mut packets = 0;
        this.outgoing.pass(&bytes[..written], |seen| {
            if matches!(seen, Seen::Text(lead) if is_counted(&lead)) {
                packets += 1;
            }
        });
        this.flow.took(packets);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
