//! Owns what of one Socket.IO session is on its way, in both directions: what was heard and is not
//! answered yet, what the engine was given and has not written yet. Whoever is too far ahead waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use socketioxide::extract::AckSender;
use socketioxide::handler::Value;
use tokio::sync::Notify;

use crate::auth::Bearer;
use crate::room::End;

/// Beyond so much that waits to be heard, nothing more is read.
const HEARD_BYTES_MAX: usize = 1024 * 1024;

/// The same by number.
const HEARD_MAX: usize = 1_000;

/// Packets that the engine has at once: it holds four times as many, so that pings find a place.
pub const GIVEN_MAX: usize = 256;

/// An event of the client.
pub struct Heard {
    /// The packet's JSON: name and arguments.
    pub value: Value,
    /// The answer that it asks for, if it does.
    pub ack: Option<AckSender>,
}

impl Heard {
    fn bytes(&self) -> usize {
        64 + self.value.as_str().map_or(0, |text| text.len())
    }
}

/// How the client ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It said goodbye.
    Goodbye,
    /// The connection broke.
    Lost,
}

/// What a reader may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Read on.
    Read,
    /// Wait until there is room.
    Wait,
    /// Read, so that the peer gets to hear why it ends, and pass nothing on.
    Discard,
    /// Nothing passes any more.
    Cut,
}

/// Who was let in.
#[derive(Debug)]
pub struct Admitted {
    /// By which token.
    pub bearer: Bearer,
    /// The device that it says it is.
    pub device: Option<Arc<str>>,
}

#[derive(Default)]
struct Inner {
    admitted: Option<Admitted>,
    was_admitted: bool,
    /// Whether somebody listens.
    is_open: bool,
    heard: VecDeque<Heard>,
    heard_bytes: usize,
    left: Option<Left>,
    /// Why we end it.
    end: Option<End>,
    /// Nothing passes any more.
    is_cut: bool,
    /// Sizes of the packets that the engine was given and has not written.
    given: VecDeque<usize>,
    given_bytes: usize,
    /// Something was written since the session last looked.
    has_taken: bool,
    session: Option<Waker>,
    reader: Option<Waker>,
}

/// One session's flow.
pub struct Flow {
    inner: Mutex<Inner>,
    /// Rung when there is room for more to be heard, and when it is cut.
    room: Notify,
    heard_max: usize,
    live: Arc<AtomicUsize>,
}

impl Flow {
    /// A session that begins. More than `heard_max` events at once are a flood.
    pub fn new(heard_max: usize, live: Arc<AtomicUsize>) -> Self {
        live.fetch_add(1, Ordering::Relaxed);
        Self {
            inner: Mutex::default(),
            room: Notify::new(),
            heard_max,
            live,
        }
    }

    /// Somebody was let in; once. Whoever comes again comes on a new connection.
    pub fn admit(&self, admitted: Admitted) -> bool {
        let mut inner = self.inner.lock();
        if inner.was_admitted {
            return false;
        }
        (inner.was_admitted, inner.is_open) = (true, true);
        inner.admitted = Some(admitted);
        true
    }

    /// Who was let in; once.
    pub fn admitted(&self) -> Option<Admitted> {
        self.inner.lock().admitted.take()
    }

    /// Takes an event from the client.
    pub fn hear(&self, heard: Heard) {
        let mut inner = self.inner.lock();
        if !inner.is_open || inner.end.is_some() {
            return;
        }
        if inner.heard.len() >= self.heard_max {
            inner.end.get_or_insert(End::TooFast);
        } else {
            inner.heard_bytes += heard.bytes();
            inner.heard.push_back(heard);
        }
        inner.wake();
    }

    /// The next event that was heard.
    pub fn next(&self) -> Option<Heard> {
        let mut inner = self.inner.lock();
        let heard = inner.heard.pop_front()?;
        inner.heard_bytes -= heard.bytes();
        if inner.has_room() {
            if let Some(reader) = inner.reader.take() {
                reader.wake();
            }
            self.room.notify_waiters();
        }
        Some(heard)
    }

    /// How the client ended it, if it did.
    pub fn left(&self) -> Option<Left> {
        self.inner.lock().left
    }

    /// The client ended it. Who lost its connection finds it gone by every transport: a poll may
    /// still come when the WebSocket broke that was to follow it.
    pub fn leave(&self, left: Left) {
        if left == Left::Lost {
            self.cut();
        }
        let mut inner = self.inner.lock();
        inner.left.get_or_insert(left);
        inner.wake();
    }

    /// Why we are to end it, if we are.
    pub fn end(&self) -> Option<End> {
        self.inner.lock().end.clone()
    }

    /// We are to end it: what is heard from now on is nothing.
    pub fn end_with(&self, end: End) {
        let mut inner = self.inner.lock();
        inner.end.get_or_insert(end);
        if let Some(reader) = inner.reader.take() {
            reader.wake();
        }
        inner.wake();
    }

    /// Nobody listens any more.
    pub fn close(&self) {
        let mut inner = self.inner.lock();
        inner.is_open = false;
        inner.heard.clear();
        inner.heard_bytes = 0;
    }

    /// Nothing passes any more: the client finds the connection gone, and may come back.
    pub fn cut(&self) {
        let mut inner = self.inner.lock();
        inner.is_cut = true;
        if let Some(reader) = inner.reader.take() {
            reader.wake();
        }
        self.room.notify_waiters();
    }

    /// Whether nothing passes any more.
    pub fn is_cut(&self) -> bool {
        self.inner.lock().is_cut
    }

    /// Waits until there is room for more to be heard.
    pub async fn room(&self) {
        loop {
            let rung = self.room.notified();
            {
                let inner = self.inner.lock();
                if inner.has_room() || inner.is_cut {
                    return;
                }
            }
            rung.await;
        }
    }

    /// What a reader may do; it is woken when that changes.
    pub fn gate(&self, cx: &mut Context<'_>) -> Gate {
        let mut inner = self.inner.lock();
        let gate = match () {
            () if inner.is_cut => Gate::Cut,
            () if inner.end.is_some() => Gate::Discard,
            () if inner.has_room() => Gate::Read,
            () => Gate::Wait,
        };
        if matches!(gate, Gate::Discard | Gate::Wait) {
            inner.reader = Some(cx.waker().clone());
        }
        gate
    }

    /// The engine is given a packet.
    pub fn give(&self, bytes: usize) {
        let mut inner = self.inner.lock();
        inner.given.push_back(bytes);
        inner.given_bytes += bytes;
    }

    /// Whether it takes another one.
    pub fn takes(&self) -> bool {
        self.inner.lock().given.len() < GIVEN_MAX
    }

    /// What it has.
    pub fn given_bytes(&self) -> usize {
        self.inner.lock().given_bytes
    }

    /// So many packets were written.
    pub fn took(&self, packets: usize) {
        if packets == 0 {
            return;
        }
        let mut inner = self.inner.lock();
        for _ in 0..packets {
            let bytes = inner.given.pop_front().unwrap_or(0);
            inner.given_bytes -= bytes;
        }
        inner.has_taken = true;
        inner.wake();
    }

    /// Ready when something was written since, or the client left.
    pub fn poll_taken(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.inner.lock();
        if std::mem::take(&mut inner.has_taken) || inner.left.is_some() {
            return Poll::Ready(());
        }
        inner.session = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ready when something was written since, or there is something to do if `may_take`.
    pub fn poll_moved(&self, may_take: bool, cx: &mut Context<'_>) -> Poll<bool> {
        let mut inner = self.inner.lock();
        if std::mem::take(&mut inner.has_taken) {
            return Poll::Ready(true);
        }
        let is_news = !inner.heard.is_empty() || inner.left.is_some();
        if inner.end.is_some() || (may_take && is_news) {
            return Poll::Ready(false);
        }
        inner.session = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Inner {
    fn has_room(&self) -> bool {
        self.heard_bytes < HEARD_BYTES_MAX && self.heard.len() < HEARD_MAX
    }

    fn wake(&mut self) {
        if let Some(session) = self.session.take() {
            session.wake();
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}
