//! Owns what of presence a session is told when it comes.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Owner, Presence};
use crate::ids::SessionId;
use crate::room::Identity;
use crate::room::message::Shown;

/// So many users are remembered; then all are forgotten, and who comes back may see others only
/// when they move, or renew their states after 15 seconds.
const GREETED_MAX: usize = 4_096;

/// Who was told of presence before.
#[derive(Debug, Default)]
pub(super) struct Greeted(HashSet<Arc<str>>);

impl Greeted {
    /// Remembers a user; whether it was remembered already.
    fn add(&mut self, identity: &Identity) -> bool {
        // A guest has a new name each time: any of them may be back.
        let user: Arc<str> = match identity.is_guest {
            true => "".into(),
            false => identity.user.clone(),
        };
        if self.0.len() >= GREETED_MAX && !self.0.contains(&user) {
            self.0.clear();
        }
        !self.0.insert(user)
    }
}

/// What is said when a session comes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    /// Who is here, for the session.
    pub everyone: Vec<Shown>,
    /// Other owners whose clocks were counted up, and their states.
    pub others: Vec<(SessionId, Shown)>,
}

impl Presence {
    /// A session that listens comes.
    ///
    /// One of a user who was here before may have dropped everybody's states when it lost its
    /// connection, but not the clocks: for it they are counted up, and their owners are told.
    pub fn greet(&mut self, session: SessionId, identity: &Identity) -> Greeting {
        let is_back = self.greeted.add(identity);
        let mut greeting = Greeting::default();
        for (&client, member) in &mut self.members {
            let owner = match member.owner {
                Owner::Session(owner) if is_back && owner != session => Some(owner),
                Owner::Session(_) | Owner::Nobody(_) => None,
            };
            member.clock += u32::from(owner.is_some());
            let shown = Shown {
                client,
                clock: member.clock,
                state: Some(member.state.clone()),
            };
            greeting.everyone.push(shown.clone());
            greeting.others.extend(owner.map(|owner| (owner, shown)));
        }
        greeting.everyone.sort_by_key(|shown| shown.client);
        greeting.others.sort_by_key(|(_, shown)| shown.client);
        greeting
    }

    /// Everyone who is here, and who left not long ago: what somebody needs that missed goodbyes.
    #[must_use]
    pub fn everyone_and_gone(&self) -> Arc<[Shown]> {
        let mut clients: Vec<u64> = self
            .members
            .keys()
            .chain(self.gone.keys())
            .copied()
            .collect();
        clients.sort_unstable();
        clients
            .into_iter()
            .map(|client| self.shown(client))
            .collect()
    }
}
