//! Owns the bytes of a Socket.IO session's WebSocket: nothing is read beyond what is heard, and
//! what was written is seen.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use super::flow::{Flow, Gate, Left};
use super::frames::{Frames, Seen};
use super::packets::is_counted;
use crate::room::End;
use crate::transport::App;
use crate::transport::line::GOODBYE_MS;
use crate::transport::listener::Place;

/// Bytes that are thrown away at a time.
const DISCARD_BYTES: usize = 4 * 1024;

/// A stream that waits for its session.
pub struct Metered {
    /// Until it is dropped.
    io: Option<TcpStream>,
    /// What came along with the handshake.
    early: BytesMut,
    flow: Arc<Flow>,
    app: App,
    incoming: Frames,
    outgoing: Frames,
    /// One of the connections that are counted.
    place: Option<Place>,
}

impl Metered {
    /// A stream whose handshake is done.
    pub fn new(
        io: TcpStream,
        early: BytesMut,
        flow: Arc<Flow>,
        app: App,
        place: Option<Place>,
    ) -> Self {
        Self {
            io: Some(io),
            early,
            flow,
            app,
            incoming: Frames::new(),
            outgoing: Frames::new(),
            place,
        }
    }

    fn io(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.io.as_mut().expect("it is there until it is dropped"))
    }

    /// Reads what is passed on; whether it may be.
    fn poll_pass(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let before = buffer.filled().len();
        if self.early.is_empty() {
            ready!(self.io().poll_read(cx, buffer))?;
        } else {
            let step = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early[..step]);
            self.early.advance(step);
        }
        let read = &buffer.filled()[before..];
        self.app.hub.meter().received(read.len());
        let bytes_max = self.app.hub.limits().frame_bytes_max as u64;
        let mut is_too_large = false;
        self.incoming.pass(read, |seen| {
            is_too_large |= matches!(seen, Seen::Begin(bytes) if bytes > bytes_max);
        });
        if is_too_large {
            self.flow.end_with(End::TooLarge);
            buffer.set_filled(before);
        }
        Poll::Ready(Ok(!is_too_large))
    }

    /// Throws away what comes; ready when there is no more.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut chunk = [0; DISCARD_BYTES];
            let mut buffer = ReadBuf::new(&mut chunk);
            let read = ready!(self.io().poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match this.flow.gate(cx) {
                Gate::Read => {
                    if ready!(this.poll_pass(cx, buffer))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Gate::Wait => return Poll::Pending,
                Gate::Discard => return this.poll_discard(cx).map(Ok),
                Gate::Cut => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(this.io().poll_write(cx, bytes))?;
        this.app.hub.meter().sent(written);
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
        self.get_mut().io().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().io().poll_shutdown(cx)
    }
}

impl Drop for Metered {
    /// A peer that still sends when it is closed would not get to read why: it is waited for.
    fn drop(&mut self) {
        self.flow.leave(Left::Lost);
        let (Some(mut io), Ok(runtime)) = (self.io.take(), Handle::try_current()) else {
            return;
        };
        if self.flow.end().is_none() {
            return;
        }
        let place = self.place.take();
        let farewell = async move {
            let mut chunk = [0; DISCARD_BYTES];
            io.shutdown().await?;
            while io.read(&mut chunk).await? > 0 {}
            Ok::<(), io::Error>(())
        };
        let wait = Duration::from_millis(GOODBYE_MS);
        let bounded = async move {
            // Whether the peer waits for it is its own affair.
            let _ = tokio::time::timeout(wait, farewell).await;
            drop(place);
        };
        drop(self.app.connections.spawn_on(bounded, &runtime));
    }
}
