//! Owns an alarm: it rings no later than something is due.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use crate::ids::Millis;

/// One that rings too early costs one look; setting it costs more, so it is only moved forward.
pub struct Alarm {
    sleep: Pin<Box<Sleep>>,
    at: Millis,
}

impl Alarm {
    /// One that rings at once.
    pub fn new(now: Millis) -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            at: now,
        }
    }

    /// Rings after so long, or before.
    pub fn set(&mut self, now: Millis, wait_ms: u64) {
        let at = now.plus(wait_ms);
        if self.sleep.is_elapsed() || at < self.at {
            let wait = Duration::from_millis(wait_ms);
            self.sleep.set(tokio::time::sleep(wait));
            self.at = at;
        }
    }

    /// Ready when it rings.
    pub fn poll_rung(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }
}
