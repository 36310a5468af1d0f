//! Owns what is said to those who are in a room.

use std::sync::Arc;

use super::inbox::{Address, Said, Undeliverable};
use super::{Denial, Hub};
use crate::ids::RoomId;
use crate::room::Grant;
use crate::wire::messages::Words;

/// Why nothing was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsaid {
    /// The room is not to be reached.
    Denied(Denial),
    /// The message is not taken.
    Undeliverable(Undeliverable),
}

impl Hub {
    /// Says something to every user who listens to a room now, but its sender; whether that may
    /// write there is asked before.
    pub async fn say_in_room(
        &self,
        room: &RoomId,
        grant: &Grant,
        words: Words,
    ) -> Result<Said, Unsaid> {
        let asked = self
            .ask(room, grant, |room, now| room.users(now.wall))
            .await;
        let mut users = asked.map_err(Unsaid::Denied)?;
        let sender = &grant.identity.user;
        users.remove(sender);
        let users: Vec<Arc<str>> = users.into_iter().collect();
        let to = Address::Room(room.clone());
        let said = self.inbox().say_to(&users, to, sender, words);
        said.map_err(Unsaid::Undeliverable)
    }
}
