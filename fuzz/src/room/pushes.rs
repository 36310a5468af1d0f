//! Owns how operations go through the world: when the store is asked about them and answers, and
//! who hears what of them.

use bytes::Bytes;
use roundtable::ids::{OpId, SessionId, Version};
use roundtable::room::Input;
use roundtable::room::operation::Place;

use super::super::log::assert_same;
use super::setting::parse;
use super::store::server;
use super::world::World;

impl World {
    /// The store is asked about all pushes that wait; what it keeps now, it knows.
    pub(super) fn ask_pushes(&mut self) {
        let pushes = self
            .peers
            .iter_mut()
            .flat_map(|peer| peer.pushes.values_mut());
        for push in pushes.filter(|push| push.judged_at.is_none()) {
            push.is_asked = true;
            let ids = push.operations.iter().map(|operation| &operation.id);
            let kept = ids.filter(|id| self.ledger.first(id).is_some());
            push.repeats.extend(kept.cloned());
        }
    }

    /// The room is told what the store knows of those that it asked about.
    pub(super) fn judge_pushes(&mut self, is_known: bool) {
        let head = Version(self.log.len() as u64);
        let pushes = self
            .peers
            .iter_mut()
            .flat_map(|peer| peer.pushes.values_mut());
        for push in pushes.filter(|push| push.is_asked && is_known) {
            push.is_asked = false;
            push.judged_at = Some(head);
        }
    }

    /// What the store answers about operations, unless the answer stays underway.
    pub(super) fn read(
        &mut self,
        luck: u8,
        through: Option<Version>,
        operations: &[OpId],
        places: &[Place],
    ) -> Option<Input> {
        let underway = self.ledger.underway.take();
        if luck % 8 == 7 {
            return Some(Input::Recalled { recalled: None });
        }
        if underway.is_some() {
            let recalled = underway;
            return Some(Input::Recalled { recalled });
        }
        if let Some(through) = through {
            self.ledger.project(&self.log, through);
        }
        let recalled = Some(self.ledger.recall(operations, places));
        if luck % 2 == 1 {
            self.ledger.underway = recalled;
            return None;
        }
        Some(Input::Recalled { recalled })
    }

    /// Records are written, without anybody asking.
    pub fn write_behind(&mut self, luck: u8) {
        let head = self.log.len() as u64;
        let through = head.saturating_sub(u64::from(luck % 4));
        self.ledger.project(&self.log, Version(through));
    }

    /// What the room asked for last is answered first.
    pub fn overtake(&mut self) {
        self.asked.rotate_right(1.min(self.asked.len()));
        self.answer(0);
    }

    /// Somebody waits for nothing to be untold.
    pub fn ease(&mut self) {
        self.room.ease(self.now);
        self.tell(Input::Tick);
    }

    /// All are told what a client sent at once, and what is kept otherwise.
    pub(super) fn hear_live(&mut self, except: Option<SessionId>, update: &Bytes) {
        let mut kept = self.log.iter().rev().flat_map(|entry| &entry.updates);
        let is_told = except.is_some() || kept.any(|kept| kept == update);
        assert!(is_told, "OP21: all are told and it is not durable");
        if !self.is_hostile {
            assert_eq!(self.heard.load(update), Ok(()), "OP21: told in order");
        }
    }

    /// Who caught up was not told of operations before all were.
    pub(super) fn check_caught_up(&self, session: SessionId) {
        let mut peers = self.peers.iter();
        let peer = peers.find(|peer| peer.session == Some(session));
        if let Some(peer) = peer.filter(|_| !self.is_hostile) {
            let server = u64::from(server(self.openings));
            let heard = parse(&self.heard.state_vector()).clock(server);
            assert!(peer.author.clocks().clock(server) <= heard, "OP21");
        }
    }

    /// What the room takes everybody to have, everybody has.
    pub(super) fn check_heard(&self) {
        if self.is_hostile {
            return;
        }
        let server = u64::from(server(self.openings));
        let heard = parse(&self.heard.state_vector());
        let taken = self.clocks();
        assert!(taken.clock(server) <= heard.clock(server), "OP21");
        let mut others = heard.iter().filter(|(client, _)| *client != server);
        let is_same = others.all(|(client, clock)| taken.clock(client) == clock);
        assert!(is_same, "{taken:?} is told, {heard:?} is heard");
    }

    /// At rest everybody has heard everything.
    pub(super) fn check_rest(&self) {
        if !self.is_hostile {
            assert_same(&self.heard.json(), &self.room.json(), false);
            assert_eq!(self.heard.state_vector(), self.room.state_vector());
        }
    }
}
