//! Owns who is here: states under clocks, whose word they are, when they lapse. Nothing of it is
//! logged.
//!
//! A client id belongs to one session at a time. The first message of a session claims its ids,
//! even from a connection of the same user that is lost or only looks alive; every claim gets a
//! clock that no peer has seen, and the owner is told, because peers ignore a state under a clock
//! they know.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;

use self::greeting::Greeted;
pub use self::greeting::Greeting;
use self::leap::leap;
use self::people::People;
pub use self::people::{Appearance, Person, Stir};
use self::stamp::{fingerprint, stamp};
use super::grant::Identity;
use super::message::{Presented, Shown};
use crate::ids::{Millis, SessionId, UnixMillis};
use crate::limits::Limits;

/// Clocks of clients that left are remembered for so many of them: a return under an old clock is
/// recognised.
const GONE_MAX: usize = 1_024;

/// Clocks beyond this are refused, so that they can always be counted up.
const CLOCK_MAX: u32 = i32::MAX as u32;

/// Why presence states are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// The state is not a JSON object, or its clock is out of range.
    Malformed(&'static str),
    /// The state, or the number of states, is over the limit.
    TooLarge,
}

#[derive(Debug)]
struct Member {
    clock: u32,
    /// What the owner sent last, to tell a repetition from a change under the same clock.
    given: u64,
    state: Arc<str>,
    user: Arc<str>,
    owner: Owner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Session(SessionId),
    /// Its connection was lost; it is gone at this time unless it is back.
    Nobody(Millis),
}

/// Somebody who left.
#[derive(Debug)]
struct Gone {
    /// The last clock that peers were told.
    clock: u32,
    /// Whose it was.
    user: Arc<str>,
    /// The place in the order of departures.
    order: u64,
}

/// All presence of a room.
#[derive(Debug, Default)]
pub struct Presence {
    members: HashMap<u64, Member>,
    /// Who left, and in which order.
    gone: HashMap<u64, Gone>,
    gone_order: BTreeSet<(u64, u64)>,
    departures: u64,
    greeted: Greeted,
    people: People,
    changed: BTreeSet<u64>,
    owned: HashMap<SessionId, BTreeSet<u64>>,
    /// No later than the first lapse.
    next_lapse: Option<Millis>,
}

/// What a session is to be told after its presence was taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Its own states under the clocks that peers are told.
    pub own: Vec<Shown>,
}

impl Presence {
    /// Takes what a session says of itself. `is_first` is whether the session says it for the first
    /// time.
    pub fn take(
        &mut self,
        session: SessionId,
        identity: &Identity,
        is_first: bool,
        states: Vec<Presented>,
        wall: UnixMillis,
        limits: &Limits,
    ) -> Result<Told, Unfit> {
        let mut told = Told::default();
        let mut owned = self.owned.get(&session).map_or(0, BTreeSet::len);
        for presented in states {
            let client = presented.client;
            let Some(state) = &presented.state else {
                self.dismiss(session, client);
                told.own.extend(self.gone_since(&presented));
                continue;
            };
            let claims = match self.members.get(&client) {
                Some(member) if member.owner == Owner::Session(session) => false,
                // Peers send on what they hear of others, and that is nobody's word; but nobody
                // hears what is newer than what was told.
                Some(member) => {
                    let is_word = is_first || presented.clock > member.clock;
                    if !is_word || member.user != identity.user {
                        continue;
                    }
                    true
                }
                None => true,
            };
            if claims {
                let is_new = !self.members.contains_key(&client);
                owned += 1;
                if owned > limits.presence_per_session_max
                    || (is_new && self.members.len() >= limits.presence_per_room_max)
                {
                    return Err(Unfit::TooLarge);
                }
                if is_new && self.is_echo(&presented, is_first, identity) {
                    owned -= 1;
                    told.own.extend(self.gone_since(&presented));
                    continue;
                }
            }
            let is_known = self.members.contains_key(&client) || self.gone.contains_key(&client);
            let claim = claims.then(|| if is_known { 0 } else { leap(wall) });
            self.enter(
                session, identity, &presented, state, claim, &mut told, limits,
            )?;
        }
        Ok(told)
    }

    /// What a session has to hear that speaks of somebody who is gone and does not know that: if it
    /// is the owner, it takes the clock from there and speaks again.
    fn gone_since(&self, presented: &Presented) -> Option<Shown> {
        let gone = self.gone.get(&presented.client)?;
        let is_news = presented.clock < gone.clock || presented.state.is_some();
        is_news.then(|| self.shown(presented.client))
    }

    /// Whether a state is somebody's that left, said on by a peer who has not heard of that: it is
    /// not newer than what peers were told, and not the first word of the same user either.
    fn is_echo(&self, presented: &Presented, is_first: bool, identity: &Identity) -> bool {
        self.gone.get(&presented.client).is_some_and(|gone| {
            let is_return = is_first && (gone.user == identity.user || identity.is_guest);
            presented.clock <= gone.clock && !is_return
        })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one step of `take`, named for its length"
    )]
    fn enter(
        &mut self,
        session: SessionId,
        identity: &Identity,
        presented: &Presented,
        state: &[u8],
        claim: Option<u32>,
        told: &mut Told,
        limits: &Limits,
    ) -> Result<(), Unfit> {
        let client = presented.client;
        if presented.clock > CLOCK_MAX {
            return Err(Unfit::Malformed("presence clock out of range"));
        }
        let given = fingerprint(state);
        let known = self.known_clock(client);
        let stale = claim.is_none() && presented.clock <= known;
        if stale
            && self
                .members
                .get(&client)
                .is_some_and(|member| member.given == given)
        {
            return Ok(());
        }
        if state.len() > limits.presence_state_bytes_max {
            return Err(Unfit::TooLarge);
        }
        let stamped = stamp(state, identity)?;
        // A client that took our word for its own state repeats it to us: that is not a change.
        if let Some(member) = self.members.get_mut(&client)
            && stale
            && member.state == stamped
        {
            member.given = given;
            return Ok(());
        }
        let bump = claim.is_some() || presented.clock <= known;
        let clock = if bump {
            presented.clock.max(known) + 1 + claim.unwrap_or(0)
        } else {
            presented.clock
        };
        self.forget_gone(client);
        let replaced = self.members.insert(
            client,
            Member {
                clock,
                given,
                state: stamped.clone(),
                user: identity.user.clone(),
                owner: Owner::Session(session),
            },
        );
        if let Some(Owner::Session(former)) = replaced.map(|member| member.owner)
            && former != session
        {
            self.disown(former, client);
        }
        self.owned.entry(session).or_default().insert(client);
        self.changed.insert(client);
        if bump {
            told.own.push(Shown {
                client,
                clock,
                state: Some(stamped),
            });
        }
        Ok(())
    }

    /// A session's goodbye for one of its ids; nobody can say it for somebody else.
    fn dismiss(&mut self, session: SessionId, client: u64) {
        let is_owner = self
            .members
            .get(&client)
            .is_some_and(|m| m.owner == Owner::Session(session));
        if is_owner {
            self.remove(client);
        }
    }

    /// A session said goodbye.
    pub fn leave(&mut self, session: SessionId) {
        for client in self.owned.remove(&session).unwrap_or_default() {
            self.remove(client);
        }
    }

    /// A session's connection was lost: its presence stays until `until`.
    pub fn lose(&mut self, session: SessionId, until: Millis) {
        for client in self.owned.remove(&session).unwrap_or_default() {
            if let Some(member) = self.members.get_mut(&client) {
                member.owner = Owner::Nobody(until);
                self.next_lapse = Some(self.next_lapse.map_or(until, |next| next.min(until)));
            }
        }
    }

    /// Removes whoever was lost and is not back.
    pub fn lapse(&mut self, now: Millis) {
        self.renew_devices(now);
        if self.next_lapse.is_none_or(|next| next > now) {
            return;
        }
        let lost = self
            .members
            .iter()
            .filter_map(|(&client, member)| match member.owner {
                Owner::Nobody(until) => Some((until, client)),
                Owner::Session(_) => None,
            });
        let (lapsed, waiting): (Vec<_>, Vec<_>) = lost.partition(|(until, _)| *until <= now);
        self.next_lapse = waiting.iter().map(|(until, _)| *until).min();
        for (_, client) in lapsed {
            self.remove(client);
        }
    }

    /// When the next one may lapse.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        let due = [self.next_lapse, self.people.renewal()];
        due.into_iter().flatten().min()
    }

    /// Whether peers have something to hear.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What changed since it was last asked, each client once.
    pub fn drain_changes(&mut self) -> Arc<[Shown]> {
        let changed = std::mem::take(&mut self.changed);
        changed
            .into_iter()
            .map(|client| self.shown(client))
            .collect()
    }

    /// How many are here, and of how many more a clock is remembered.
    #[must_use]
    pub fn holds(&self) -> (usize, usize) {
        (self.members.len(), self.gone.len())
    }

    /// Whether nobody is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn shown(&self, client: u64) -> Shown {
        match self.members.get(&client) {
            Some(member) => Shown {
                client,
                clock: member.clock,
                state: Some(member.state.clone()),
            },
            None => Shown {
                client,
                clock: self.known_clock(client),
                state: None,
            },
        }
    }

    fn known_clock(&self, client: u64) -> u32 {
        match self.members.get(&client) {
            Some(member) => member.clock,
            None => self.gone.get(&client).map_or(0, |gone| gone.clock),
        }
    }

    fn remove(&mut self, client: u64) {
        let Some(member) = self.members.remove(&client) else {
            return;
        };
        if let Owner::Session(owner) = member.owner {
            self.disown(owner, client);
        }
        self.departures += 1;
        let gone = Gone {
            clock: member.clock,
            user: member.user,
            order: self.departures,
        };
        self.gone.insert(client, gone);
        self.gone_order.insert((self.departures, client));
        if self.gone.len() > GONE_MAX
            && let Some((_, oldest)) = self.gone_order.pop_first()
        {
            self.gone.remove(&oldest);
        }
        self.changed.insert(client);
    }

    fn disown(&mut self, session: SessionId, client: u64) {
        if let Some(clients) = self.owned.get_mut(&session) {
            clients.remove(&client);
            if clients.is_empty() {
                self.owned.remove(&session);
            }
        }
    }

    fn forget_gone(&mut self, client: u64) {
        if let Some(gone) = self.gone.remove(&client) {
            self.gone_order.remove(&(gone.order, client));
        }
    }
}

mod greeting;
mod leap;
mod people;
mod stamp;
#[cfg(test)]
mod tests;
