//! Owns who listens to a room, with which grant.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::entry::Actor;
use super::grant::{Access, Grant};
use super::message::{Listen, Refusal};
use crate::ids::{SessionId, UnixMillis};

/// One attachment of one connection.
#[derive(Debug)]
pub struct Session {
    /// What it may do.
    pub grant: Grant,
    /// Its device or tab.
    pub client: Arc<str>,
    /// What it wants to hear.
    pub listen: Listen,
    /// It left a gap, was asked for what the room lacks, and has not answered.
    pub is_asked: bool,
    /// How often in a row its answers did not help.
    pub strikes: u32,
    /// It has said something of its presence.
    pub is_present: bool,
    /// How many live events of presence there were when it was last told who is here.
    pub presence_told: u64,
}

impl Session {
    /// Says no unless the grant reaches `access` now.
    pub fn require(&self, access: Access, wall: UnixMillis) -> Result<(), Refusal> {
        require(&self.grant, access, wall)
    }

    /// Who is behind what it does.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor {
            user: self.grant.identity.user.clone(),
            client: self.client.clone(),
        }
    }
}

/// Says no unless the grant reaches `access` now.
pub fn require(grant: &Grant, access: Access, wall: UnixMillis) -> Result<(), Refusal> {
    if grant
        .expires_at
        .is_some_and(|expires_at| expires_at <= wall)
    {
        return Err(Refusal::Expired);
    }
    if grant.access < access {
        return Err(Refusal::Forbidden);
    }
    Ok(())
}

/// Everyone attached.
#[derive(Debug, Default)]
pub struct Sessions {
    all: FxHashMap<SessionId, Session>,
}

impl Sessions {
    /// A session begins.
    pub fn attach(
        &mut self,
        id: SessionId,
        grant: Grant,
        client: Arc<str>,
        listen: Listen,
        presence_told: u64,
    ) {
        let session = Session {
            grant,
            client,
            listen,
            is_asked: false,
            strikes: 0,
            is_present: false,
            presence_told,
        };
        self.all.insert(id, session);
    }

    /// A session ends; whether it was there.
    pub fn detach(&mut self, id: SessionId) -> bool {
        self.all.remove(&id).is_some()
    }

    /// A session, unless it has ended.
    pub fn find(&mut self, id: SessionId) -> Option<&mut Session> {
        self.all.get_mut(&id)
    }

    /// Everyone, in no order.
    pub fn ids(&self) -> impl Iterator<Item = SessionId> {
        self.all.keys().copied()
    }

    /// The users whose grant lets them read now, as often as they have sessions.
    pub fn users(&self, wall: UnixMillis) -> impl Iterator<Item = &Arc<str>> {
        let may_read = move |session: &&Session| session.require(Access::Read, wall).is_ok();
        let readers = self.all.values().filter(may_read);
        readers.map(|session| &session.grant.identity.user)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether nobody is attached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
