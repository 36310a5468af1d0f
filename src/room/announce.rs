//! Owns how presence is taken from sessions and told to them: at most one message per tick.

use std::sync::Arc;

use super::Room;
use super::grant::{Access, Identity};
use super::message::{Effect, End, Event, LiveEvent, Presented, Refusal, Said, Ticket, Utterance};
use super::presence::{Appearance, Greeting, Person, Unfit};
use crate::ids::{Now, SessionId};

impl Room {
    pub(super) fn present(
        &mut self,
        session: SessionId,
        states: Vec<Presented>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(found) = self.sessions.find(session) else {
            return;
        };
        if found.require(Access::Read, now.wall).is_err() {
            let event = Event::Ended(End::Expired);
            effects.push(Effect::Tell { session, event });
            return;
        }
        let is_first = !found.is_present;
        found.is_present |= states.iter().any(|presented| presented.state.is_some());
        let identity = found.grant.identity.clone();
        match self
            .presence
            .take(session, &identity, is_first, states, now.wall, &self.limits)
        {
            Ok(told) => {
                if !told.own.is_empty() {
                    effects.push(Effect::Tell {
                        session,
                        event: Event::Presence(told.own.into()),
                    });
                }
            }
            Err(Unfit::Malformed(reason)) => {
                let event = Event::Ended(End::Malformed(reason));
                effects.push(Effect::Tell { session, event });
            }
            Err(Unfit::TooLarge) => {
                effects.push(Effect::Tell {
                    session,
                    event: Event::Ended(End::TooLarge),
                });
            }
        }
    }

    pub(super) fn appear(
        &mut self,
        session: SessionId,
        ticket: Ticket,
        appearance: &Appearance,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(found) = self.sessions.find(session) else {
            return;
        };
        let identity = found.grant.identity.clone();
        let device = appearance.device.as_ref().unwrap_or(&found.client).clone();
        let may = found.require(Access::Read, now.wall);
        let limits = &self.limits;
        let taken = may.and_then(|()| {
            let presence = &mut self.presence;
            let taken = presence.appear(session, &identity, &device, appearance, now, limits);
            taken.map_err(|unfit| match unfit {
                Unfit::Malformed(reason) => Refusal::Malformed(reason),
                Unfit::TooLarge => Refusal::TooLarge,
            })
        });
        if let Err(refusal) = taken {
            let event = Event::Refused { ticket, refusal };
            effects.push(Effect::Tell { session, event });
        }
    }

    /// A message goes to everyone else; who may not write may not send.
    pub(super) fn say(
        &mut self,
        session: SessionId,
        ticket: Ticket,
        utterance: Utterance,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(found) = self.sessions.find(session) else {
            return;
        };
        if let Err(refusal) = found.require(Access::Write, now.wall) {
            let event = Event::Refused { ticket, refusal };
            effects.push(Effect::Tell { session, event });
            return;
        }
        let said = Said {
            actor: found.actor(),
            at: now.wall,
            utterance,
        };
        self.live_count += 1;
        effects.push(Effect::Live {
            except: Some(session),
            event: LiveEvent::Said(Arc::new(said)),
        });
    }

    /// Everyone who was told of at the last tick, and the number of that tick.
    #[must_use]
    pub fn people(&self) -> (Vec<Arc<Person>>, u64) {
        (self.presence.people(), self.presence_count)
    }

    /// Everyone who is here, as of now.
    pub fn everyone(&mut self, now: Now) -> Vec<Arc<Person>> {
        self.presence.everyone(now)
    }

    /// Tells a session that comes who is here.
    pub(super) fn greet(
        &mut self,
        session: SessionId,
        identity: &Identity,
        effects: &mut Vec<Effect>,
    ) {
        let Greeting { everyone, others } = self.presence.greet(session, identity);
        if !everyone.is_empty() {
            let event = Event::Presence(everyone.into());
            effects.push(Effect::Tell { session, event });
        }
        for (session, shown) in others {
            let event = Event::Presence([shown].into());
            effects.push(Effect::Tell { session, event });
        }
    }

    pub(super) fn tell_presence(
        &mut self,
        session: SessionId,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(found) = self.sessions.find(session) else {
            return;
        };
        found.presence_told = self.presence_count;
        let event = match found.require(Access::Read, now.wall) {
            Ok(()) => Event::Presence(self.presence.everyone_and_gone()),
            Err(_) => Event::Ended(End::Expired),
        };
        effects.push(Effect::Tell { session, event });
    }

    /// At most one message per tick tells all presence that changed.
    pub(super) fn show_presence(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.presence.lapse(now.mono);
        if !self.presence.has_changes() || now.mono < self.presence_due {
            return;
        }
        self.presence_due = now.mono.plus(self.limits.presence_tick_ms);
        let changed = self.presence.drain_changes();
        self.live_count += 1;
        self.presence_count += 1;
        let stir = self.presence.stir(&changed, self.presence_count, now.wall);
        effects.push(Effect::Live {
            except: None,
            event: LiveEvent::Presence(changed),
        });
        if !stir.is_empty() {
            effects.push(Effect::Stir(stir));
        }
    }
}
