//! Owns how sessions are asked for what the room lacks.

use super::Room;
use super::message::{Effect, End, Event, Occasion};
use crate::ids::SessionId;

/// A session whose answers leave a gap so often in a row is not a correct client.
const STRIKES_MAX: u32 = 3;

impl Room {
    /// Asks a session for what the room lacks as often as it asked: once for each time.
    pub(super) fn ask_in_turn(&mut self, session: SessionId, effects: &mut Vec<Effect>) {
        let state_vector = self.document.state_vector();
        if let Some(found) = self.sessions.find(session) {
            found.is_asked = true;
            let event = Event::Missing { state_vector };
            effects.push(Effect::Tell { session, event });
        }
    }

    /// Asks a session that left a gap for what the room lacks, unless it was asked already.
    fn ask(&mut self, session: SessionId, effects: &mut Vec<Effect>) {
        let state_vector = self.document.state_vector();
        let Some(found) = self.sessions.find(session) else {
            return;
        };
        if !found.is_asked {
            found.is_asked = true;
            effects.push(Effect::Tell {
                session,
                event: Event::Missing { state_vector },
            });
        }
    }

    /// The update rests on something unknown. Nothing of it is applied; the session is asked for
    /// everything since.
    pub(super) fn incomplete(
        &mut self,
        session: SessionId,
        occasion: Occasion,
        effects: &mut Vec<Effect>,
    ) {
        let Some(found) = self.sessions.find(session) else {
            return;
        };
        if occasion == Occasion::Answer {
            found.strikes += 1;
        }
        if found.strikes > STRIKES_MAX {
            let event = Event::Ended(End::Malformed("answers leave a gap"));
            effects.push(Effect::Tell { session, event });
            return;
        }
        self.ask(session, effects);
    }
}
