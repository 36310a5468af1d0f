//! Owns how a room is asked something, between two batches of its task.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::driver::Mail;
use super::registry::RoomHandle;
use super::{Denial, Hub};
use crate::ids::{Now, RoomId, Version};
use crate::room::{Grant, Room};

/// A room may end just when it is asked something; one that ends so often ends of the question.
const ASK_TRIES_MAX: usize = 3;

impl Hub {
    /// Asks a room something, opening it if need be.
    pub async fn ask<T: Send + 'static>(
        &self,
        room: &RoomId,
        grant: &Grant,
        question: impl FnOnce(&mut Room, Now) -> T + Clone + Send + 'static,
    ) -> Result<T, Denial> {
        for _ in 0..ASK_TRIES_MAX {
            let handle = self
                .registry
                .open(&self.shared, room, &grant.identity.user)
                .await?;
            let (reply, answer) = oneshot::channel();
            let question = question.clone();
            let ask = Mail::Ask(Box::new(move |room: &mut Room, now| {
                drop(reply.send(question(room, now)));
            }));
            if handle.mail.send(ask).await.is_ok()
                && let Ok(answer) = answer.await
            {
                return Ok(answer);
            }
            self.forget(room, &handle);
        }
        Err(Denial::Internal)
    }

    /// As [`Hub::ask`], once everything in the room is durable that nobody may be told before.
    pub async fn ask_told<T: Send + 'static>(
        &self,
        room: &RoomId,
        grant: &Grant,
        question: impl FnOnce(&mut Room, Now) -> T + Clone + Send + 'static,
    ) -> Result<T, Denial> {
        loop {
            let question = question.clone();
            let told = move |room: &mut Room, now| {
                if room.has_untold() {
                    room.ease(now);
                    return Err(room.position().version);
                }
                Ok(question(room, now))
            };
            match self.ask(room, grant, told).await? {
                Ok(answer) => return Ok(answer),
                Err(version) => self.wait_beyond(room, grant, version).await,
            }
        }
    }

    pub(super) fn forget(&self, room: &RoomId, handle: &Arc<RoomHandle>) {
        if handle.mail.is_closed() {
            self.registry.remove(room, handle);
        }
    }

    /// Waits until the room's head is after a version, or the room is gone.
    pub async fn wait_beyond(&self, room: &RoomId, grant: &Grant, version: Version) {
        let opened = self
            .registry
            .open(&self.shared, room, &grant.identity.user)
            .await;
        if let Ok(handle) = opened {
            let mut head = handle.head.clone();
            drop(handle);
            // An error means that the room left memory: whoever waits asks again.
            let _ = head.wait_for(|head| head.version > version).await;
        }
    }
}
