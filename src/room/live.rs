//! Owns the live lane of a room: who comes and goes, what they send, what leaves at once.

use std::sync::Arc;

use bytes::Bytes;

use super::document::{Applied, Fault};
use super::gate::Pending;
use super::grant::{Access, Grant};
use super::index::StateVector;
use super::message::{Departure, Effect, End, Event, Listen, LiveEvent, Occasion, Refusal, Ticket};
use super::update::{self, Rejected};
use super::{Join, Phase, Room};
use crate::ids::{Now, SessionId};

/// About what a frame has besides its payload, at most.
const FRAME_BYTES: usize = 24;

/// Who wants to be told everything asks again within a commit or two.
const EASE_MS: u64 = 20;

/// A joiner is sent so much on top of a state that was encoded before; then encoding anew is
/// cheaper for all.
const JOIN_SINCE_BYTES_MAX: usize = 64 * 1024;

impl Room {
    pub(super) fn attach(
        &mut self,
        session: SessionId,
        grant: Grant,
        client: Arc<str>,
        listen: Listen,
        effects: &mut Vec<Effect>,
    ) {
        if self.phase != Phase::Open {
            effects.push(Effect::Tell {
                session,
                event: Event::Ended(End::Unavailable),
            });
            return;
        }
        if self.sessions.len() >= self.limits.sessions_per_room_max {
            effects.push(Effect::Tell {
                session,
                event: Event::Ended(End::TooFast),
            });
            return;
        }
        self.idle_since = None;
        let identity = grant.identity.clone();
        self.sessions
            .attach(session, grant, client, listen, self.presence_count);
        if listen == Listen::Live {
            let state_vector = self.document.state_vector();
            effects.push(Effect::Tell {
                session,
                event: Event::Missing { state_vector },
            });
        }
        if listen.is_live() {
            self.greet(session, &identity, effects);
        }
    }

    pub(super) fn detach(&mut self, session: SessionId, departure: Departure, now: Now) {
        if !self.sessions.detach(session) {
            return;
        }
        self.held.retain(|(waiting, _)| *waiting != session);
        match departure {
            Departure::Clean => self.presence.leave(session),
            Departure::Lost => {
                self.presence
                    .lose(session, now.mono.plus(self.limits.presence_grace_ms));
            }
        }
    }

    pub(super) fn sync(
        &mut self,
        session: SessionId,
        state_vector: &Bytes,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        if self.holds_back(session, state_vector) {
            return;
        }
        let Some(found) = self.sessions.find(session) else {
            return;
        };
        let listen = found.listen;
        let may_miss = listen.is_live() && found.presence_told < self.presence_count;
        let event = match found.require(Access::Read, now.wall) {
            Err(_) => Event::Ended(End::Expired),
            Ok(()) if state_vector.len() > self.limits.state_vector_bytes_max => {
                Event::Ended(End::TooLarge)
            }
            Ok(()) => match StateVector::parse(state_vector) {
                Err(_) => Event::Ended(End::Malformed("state vector")),
                Ok(peer) if self.document.is_foreign(&peer) => Event::Ended(End::EpochChanged),
                Ok(peer) => self.catch_up(&peer),
            },
        };
        let is_diff = matches!(event, Event::Diff { .. });
        if is_diff && listen == Listen::InTurn {
            self.ask_in_turn(session, effects);
        }
        // The diff includes the updates that its cursor passes over, but not the presence.
        let misses = may_miss && is_diff;
        effects.push(Effect::Tell { session, event });
        if misses {
            self.tell_presence(session, now, effects);
        }
    }

    /// What everybody was told, as an encoded state vector: all that the document has, but
    /// operations that are not durable.
    #[must_use]
    pub fn state_vector(&self) -> Bytes {
        match self.has_untold() {
            false => self.document.state_vector(),
            true => self.document.state_vector_but(self.told_clock),
        }
    }

    /// Somebody waits until nothing is untold: no more operations come in for a moment.
    pub fn ease(&mut self, now: Now) {
        self.eased_until = Some(now.mono.plus(EASE_MS));
    }

    /// Lets a session wait that would be told of operations which are not durable yet.
    fn holds_back(&mut self, session: SessionId, state_vector: &Bytes) -> bool {
        // A state that was encoded before them has none.
        let is_served = self.join.is_some() && matches!(**state_vector, [] | [0]);
        let is_here = self.sessions.find(session).is_some();
        let may_be_read = state_vector.len() <= self.limits.state_vector_bytes_max;
        let holds = self.has_untold() && is_here && !is_served && may_be_read;
        if holds {
            self.held.retain(|(waiting, _)| *waiting != session);
            self.held.push((session, state_vector.clone()));
        }
        holds
    }

    /// Lets those catch up who waited for operations to be durable.
    pub(super) fn serve_held(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if !self.has_untold() {
            for (session, state_vector) in std::mem::take(&mut self.held) {
                self.sync(session, &state_vector, now, effects);
            }
        }
    }

    /// The one way in which a live cursor catches up.
    ///
    /// Who has nothing is sent a state that was encoded for somebody before, and the updates since:
    /// a thousand joiners of a large document cost one encoding.
    fn catch_up(&mut self, peer: &StateVector) -> Event {
        let as_of = self.live_count;
        if let Some(join) = &self.join
            && peer.is_empty()
        {
            let (chunks, since) = (join.chunks.clone(), join.since.clone());
            return Event::Diff {
                chunks,
                since,
                as_of,
            };
        }
        self.encodings += 1;
        let diff = self.document.diff(peer);
        let chunks = self.chunks(&diff);
        if peer.is_empty() && diff.len() > JOIN_SINCE_BYTES_MAX {
            self.join = Some(Join {
                chunks: chunks.clone(),
                since: Vec::new(),
                bytes_since: 0,
            });
        }
        Event::Diff {
            chunks,
            since: Vec::new(),
            as_of,
        }
    }

    fn chunks(&self, update: &Bytes) -> Arc<[Bytes]> {
        if update.len() <= self.limits.sync_chunk_bytes {
            return [update.clone()].into();
        }
        update::split(update, self.limits.sync_chunk_bytes).into()
    }

    pub(super) fn submit(
        &mut self,
        session: SessionId,
        ticket: Ticket,
        occasion: Occasion,
        update: Bytes,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        match self.judge(session, ticket, occasion, update, now, effects) {
            Ok(()) => {}
            Err(refusal) => {
                effects.push(Effect::Tell {
                    session,
                    event: Event::Refused { ticket, refusal },
                });
            }
        }
    }

    fn judge(
        &mut self,
        session: SessionId,
        ticket: Ticket,
        occasion: Occasion,
        update: Bytes,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let Some(found) = self.sessions.find(session) else {
            return Ok(());
        };
        let actor = found.actor();
        let listen = found.listen;
        if occasion == Occasion::Answer {
            found.is_asked = false;
        }
        found.require(Access::Read, now.wall)?;
        let may_write = found.require(Access::Write, now.wall);
        if update.len() > self.limits.update_bytes_max {
            return Err(Refusal::TooLarge);
        }
        if let Err(refusal) = may_write.and_then(|()| self.takes(update.len())) {
            // A reader answers the greeting, too: what is known already changes nothing and is no
            // offence.
            return match self.document.knows(&update) {
                Ok(true) => self.known(session, ticket, occasion, &update, effects),
                Ok(false) | Err(Rejected::Gap) => Err(refusal),
                Err(rejected) => Err(self.refuse(rejected)),
            };
        }
        match self.document.apply(&update) {
            Ok(Applied::Nothing) => self.known(session, ticket, occasion, &update, effects),
            Ok(Applied::Changed(changes)) => {
                if let Some(found) = self.sessions.find(session) {
                    found.strikes = 0;
                }
                self.tell_live(Some(session), update.clone(), effects);
                self.note_all(&changes, update.len(), now, &actor.user);
                self.gate.push(Pending {
                    session,
                    ticket,
                    actor,
                    update,
                    changes,
                    at: now.wall,
                });
                Ok(())
            }
            Err(Fault::Rejected(Rejected::Gap)) if listen.is_live() => {
                self.incomplete(session, occasion, effects);
                Ok(())
            }
            Err(Fault::Rejected(rejected)) => Err(self.refuse(rejected)),
            Err(Fault::Broken(reason)) => {
                self.phase = Phase::Over;
                effects.push(Effect::Quarantine { update, reason });
                let offence = Event::Ended(End::Malformed("update"));
                effects.push(Effect::Tell {
                    session,
                    event: offence,
                });
                effects.push(Effect::Abandon { end: End::Internal });
                Ok(())
            }
        }
    }

    /// Says no when the room takes no more edits, or not so many bytes of one.
    pub(super) fn takes(&self, bytes: usize) -> Result<(), Refusal> {
        match self.phase {
            Phase::Open => {}
            Phase::Erasing => return Err(Refusal::RoomDeleted),
            Phase::Draining | Phase::Over => return Err(Refusal::Unavailable),
        }
        let backlog = self.gate.backlog_bytes();
        // One update always fits, however large it may be.
        let is_over = backlog > 0 && backlog + bytes > self.limits.backlog_bytes_max;
        if is_over && self.retry.is_away() {
            return Err(Refusal::Unavailable);
        }
        Ok(())
    }

    /// The update holds nothing new: its sender hears so once what is known is durable. An edit is
    /// given back as any other; an answer to a greeting is not worth it.
    fn known(
        &mut self,
        session: SessionId,
        ticket: Ticket,
        occasion: Occasion,
        update: &Bytes,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let update = match occasion {
            Occasion::Edit => update.clone(),
            Occasion::Answer => Bytes::new(),
        };
        if self.gate.is_empty() {
            let event = Event::Kept {
                tickets: vec![ticket],
                updates: (!update.is_empty()).then_some(update).into_iter().collect(),
                version: self.timeline.head(),
            };
            effects.push(Effect::Tell { session, event });
            return Ok(());
        }
        let backlog = self.gate.backlog_bytes() + update.len();
        if self.gate.attending() >= self.limits.answers_waiting_max
            || backlog > self.limits.backlog_bytes_max + self.limits.update_bytes_max
        {
            return Err(Refusal::Unavailable);
        }
        self.gate.attend(session, ticket, update);
        Ok(())
    }

    fn refuse(&self, rejected: Rejected) -> Refusal {
        match rejected {
            Rejected::Gap => Refusal::Incomplete {
                state_vector: self.document.state_vector(),
            },
            Rejected::Former => Refusal::EpochChanged,
            Rejected::Malformed(reason) | Rejected::TooDeep(reason) => Refusal::Malformed(reason),
            Rejected::Barred => Refusal::Quarantined,
            Rejected::Forged => Refusal::Malformed("client id of the server"),
        }
    }

    pub(super) fn tell_live(
        &mut self,
        except: Option<SessionId>,
        update: Bytes,
        effects: &mut Vec<Effect>,
    ) {
        self.live_count += 1;
        if let Some(join) = &mut self.join {
            join.bytes_since += update.len() + FRAME_BYTES;
            join.since.push(update.clone());
            if join.bytes_since > JOIN_SINCE_BYTES_MAX {
                self.join = None;
            }
        }
        effects.push(Effect::Live {
            except,
            event: LiveEvent::Update(update),
        });
    }
}
