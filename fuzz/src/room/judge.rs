//! Owns what must hold of a room when all is kept, and of what it tells to all.

use std::collections::BTreeSet;

use roundtable::ids::{RoomId, Version};
use roundtable::room::document::Applied;
use roundtable::room::{CatchUp, LiveEvent, Occasion, Reason};
use roundtable::wire::{Dialect, Request, yjs};

use super::super::log::{Records, assert_same, fold, place_of};
use super::presence;
use super::told::meta_at;
use super::world::World;

impl World {
    /// The room, its log and its change events agree.
    pub fn judge(mut self) {
        let updates = self.kept_updates();
        let mut folded = fold(&self.former, updates.iter().map(|update| &**update));
        // A server that opened the room from a snapshot takes more of what no client makes than one
        // that remembers what was deleted: then the log alone need not fold.
        if !self.is_hostile {
            let log = self.log.iter().flat_map(|entry| &entry.updates);
            let log = fold(&self.former, log.map(|update| &**update));
            assert_same(&log.json(), &folded.json(), false);
        }
        assert_same(&folded.json(), &self.room.json(), self.is_hostile);
        assert_eq!(folded.state_vector(), self.room.state_vector());
        assert_eq!(self.room.position().version.0, self.log.len() as u64);
        let (lacking, _) = self.room.diff(&[0]).expect("an empty state vector");
        let joiner = fold(&self.former, [&*lacking]);
        assert_same(&joiner.json(), &folded.json(), self.is_hostile);
        self.judge_ledger();
        // What others wrote at the same time says what was so before.
        if self.theirs.is_empty() {
            let mut records = Records::default();
            let events = self.log.iter().flat_map(|entry| &entry.events);
            events.for_each(|event| records.take(&event.change));
            records.assert_are_those_of(&folded);
        }
        for update in &self.acked {
            assert_eq!(
                folded.apply(update),
                Ok(Applied::Nothing),
                "what is acked is kept"
            );
        }
        (0..=self.log.len() as u64 + 1).for_each(|version| self.judge_cursor(Version(version)));
    }

    /// What is known of records is what the log says, and so are the results of operations.
    fn judge_ledger(&mut self) {
        let head = Version(self.log.len() as u64);
        self.ledger.project(&self.log, head);
        let events = self.log.iter().flat_map(|entry| &entry.events);
        let places: BTreeSet<_> = events.filter_map(|it| place_of(&it.change)).collect();
        let places: Vec<_> = places.into_iter().collect();
        let known = self.ledger.recall(&[], &places).records;
        for (place, meta) in known {
            assert_eq!(meta, meta_at(&self.log, &place, head), "{place:?}");
        }
        for entry in self.log.iter().filter(|entry| entry.op.is_some()) {
            let first = entry.op.as_ref().and_then(|op| self.ledger.first(op));
            assert_eq!(first.map(|it| it.version), Some(entry.version), "OP16");
        }
    }

    fn judge_cursor(&self, at: Version) {
        let head = Version(self.log.len() as u64);
        match self.room.since(Some((Some(self.epoch), at))) {
            CatchUp::Current => assert_eq!(at, head),
            CatchUp::Replay(entries) => assert_eq!(entries, self.log[at.0 as usize..]),
            CatchUp::Log(after) => assert!(after == at && at < head),
            CatchUp::Snapshot(Reason::Ahead) => assert!(at > head),
            CatchUp::Snapshot(reason) => assert_eq!(reason, Reason::Pruned),
        }
    }
}

/// What is told to all is a frame that clients read.
pub(super) fn check_live(event: &LiveEvent) {
    let mut frame = Vec::new();
    let room = RoomId::parse("r").expect("a name");
    Dialect::Yjs.write_live(&room, event, &mut frame);
    let header = if frame[1] == 126 { 4 } else { 2 };
    let read = yjs::receive(&frame[header..], usize::MAX).expect("a message of the protocol");
    match event {
        LiveEvent::Update(told) => {
            let occasion = Occasion::Edit;
            assert_eq!(
                read,
                Request::Submit {
                    occasion,
                    update: told.clone()
                }
            );
        }
        LiveEvent::Presence(shown) => presence::check(shown),
        LiveEvent::Said(_) => unreachable!("nobody says anything"),
    }
}
