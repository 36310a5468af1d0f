//! Owns how time passes in the world, and the calm at its end.

use roundtable::ids::Millis;
use roundtable::room::{Departure, Input};

use super::peer::For;
use super::world::World;

/// Rounds after which a room that is left alone must have come to rest.
const ROUNDS_MAX: usize = 60;

impl World {
    /// Lets time pass; the room is told as its task tells it.
    pub fn wait(&mut self, ms: u64) {
        let until = self.now.mono.plus(ms);
        while let Some(due) = self.room.deadline().filter(|due| *due <= until) {
            self.pass_to(due);
            self.tell(Input::Tick);
        }
        self.pass_to(until);
    }

    fn pass_to(&mut self, mono: Millis) {
        self.now.wall.0 += (mono.0 - self.now.mono.0) as i64;
        self.now.mono = mono;
    }

    /// The weather clears; all that is on its way arrives; everyone is answered, and leaves.
    pub fn settle(&mut self) {
        self.calm();
        for peer in &self.peers {
            let mut waiting = peer.waiting.values();
            let is_answered = waiting.all(|waiting| waiting.for_what == For::Nothing);
            assert!(is_answered, "everyone is answered when all is kept");
            assert!(peer.pushes.is_empty(), "and so is every push");
            assert!(!peer.awaits_diff, "and everyone has caught up");
        }
        for at in 0..self.peers.len() {
            if let Some(session) = self.peers[at].session {
                self.peers[at].leave();
                let departure = Departure::Lost;
                self.tell(Input::Detach { session, departure });
            }
        }
        self.has_rested = false;
        for _ in 0..ROUNDS_MAX {
            self.tell(Input::Tick);
            self.wait(60_000);
            self.calm();
            if self.has_rested {
                return;
            }
        }
        panic!("a room that nobody needs rests");
    }

    fn calm(&mut self) {
        for _ in 0..ROUNDS_MAX {
            while !self.asked.is_empty() {
                self.answer(0);
            }
            self.wait(6_000);
            if self.asked.is_empty() && self.room.backlog_bytes() == 0 {
                return;
            }
        }
        panic!("a room whose store is well keeps everything");
    }
}
