//! Owns what a connection has made ready and its peer has not taken yet.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// Frames in one vectored write.
const WRITE_SLICES: usize = 64;

/// Frames in order; the first may be taken in part.
#[derive(Debug, Default)]
pub struct Outgoing {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl Outgoing {
    /// Whether the peer has taken everything.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// How much waits.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a frame.
    pub fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    /// Lets somebody add frames; returns their bytes.
    pub fn fill<T>(&mut self, add: impl FnOnce(&mut VecDeque<Bytes>) -> T) -> (T, usize) {
        let before = self.frames.len();
        let result = add(&mut self.frames);
        let bytes = self.frames.range(before..).map(Bytes::len).sum();
        self.bytes += bytes;
        (result, bytes)
    }

    /// Writes as much as goes, several frames at once; answers with the bytes, or an error when the
    /// peer takes nothing more.
    pub fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); WRITE_SLICES];
        let mut count = 0;
        for (slice, frame) in slices.iter_mut().zip(&self.frames) {
            *slice = IoSlice::new(frame);
            count += 1;
        }
        let written = Pin::new(io).poll_write_vectored(cx, &slices[..count]);
        match std::task::ready!(written)? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            taken => {
                self.drop_front(taken);
                Poll::Ready(Ok(taken))
            }
        }
    }

    fn drop_front(&mut self, taken: usize) {
        self.bytes -= taken;
        let mut rest = taken;
        while rest > 0 {
            let Some(first) = self.frames.front_mut() else {
                break;
            };
            let step = rest.min(first.len());
            first.advance(step);
            rest -= step;
            if first.is_empty() {
                self.frames.pop_front();
            }
        }
    }
}
