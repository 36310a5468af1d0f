//! Owns what one session alone still has to hear: a queue, bounded in events; who fills it is not
//! read from once it is heavy.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::room::message::Shown;
use crate::room::operation::OpResult;
use crate::room::{End, Event};

/// What one session is told, in order.
#[derive(Debug)]
pub struct Outbox {
    inner: Mutex<Queue>,
    events_max: usize,
    /// About how many bytes the events take.
    bytes: AtomicUsize,
}

/// A reader takes nothing: its session is over.
#[derive(Debug, PartialEq, Eq)]
pub struct Stuck;

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    waker: Option<Waker>,
    is_woken: bool,
}

impl Outbox {
    /// An empty queue that holds at most so many events.
    #[must_use]
    pub fn new(events_max: usize) -> Self {
        Self {
            inner: Mutex::default(),
            events_max,
            bytes: AtomicUsize::new(0),
        }
    }

    /// About how many bytes the events take that were not taken yet.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// Adds an event and wakes the reader. A reader that left too many is told the end instead of
    /// all that it did not take.
    pub fn push(&self, event: Event) -> Result<(), Stuck> {
        let (waker, pushed) = {
            let mut queue = self.inner.lock();
            let pushed = if queue.events.len() < self.events_max {
                self.bytes.fetch_add(weight(&event), Relaxed);
                queue.events.push_back(event);
                Ok(())
            } else {
                queue.events = [Event::Ended(End::Idle)].into();
                self.bytes.store(0, Relaxed);
                Err(Stuck)
            };
            queue.is_woken = true;
            (queue.waker.take(), pushed)
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        pushed
    }

    /// Wakes the reader: the ring has more.
    pub fn wake(&self) {
        let waker = {
            let mut queue = self.inner.lock();
            queue.is_woken = true;
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the next event, if there is one.
    pub fn pop(&self) -> Option<Event> {
        let mut queue = self.inner.lock();
        let event = queue.events.pop_front()?;
        self.bytes.fetch_sub(weight(&event), Relaxed);
        Some(event)
    }

    /// Ready once after anything was pushed or the ring has more.
    pub fn poll_woken(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.inner.lock();
        if std::mem::take(&mut queue.is_woken) {
            return Poll::Ready(());
        }
        match &mut queue.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waker => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

/// About how many bytes an event takes that nothing else holds: what a client can have made without
/// end. It has one diff at a time.
fn weight(event: &Event) -> usize {
    match event {
        Event::Kept { updates, .. } => updates.iter().map(Bytes::len).sum(),
        Event::Presence(shown) => size_of_val::<[Shown]>(shown),
        Event::Pushed { results, .. } => results.iter().map(OpResult::weight).sum(),
        Event::Diff { .. } | Event::Missing { .. } | Event::Refused { .. } | Event::Ended(_) => 0,
    }
}
