//! Owns a client of the kept lane: it follows the log by positions and submits like an HTTP client.

use roundtable::hub::loader::Opened;
use roundtable::hub::rows;
use roundtable::ids::{Epoch, Position, RoomId, SessionId, Version};
use roundtable::room::index::StateVector;
use roundtable::room::{Entry, Reason, Ticket};
use roundtable::store::Row;

use crate::document::Copy;
use crate::model::{History, Model};
use crate::records::{Records, records_in};
use crate::store::SlowStore;

/// A client of the kept lane.
pub struct Reader {
    pub room: usize,
    pub copy: Copy,
    /// What it saw last.
    pub position: Option<(Epoch, Version)>,
    /// An answer of the store is on its way to it.
    pub is_waiting: bool,
    /// A submission of its own, under way.
    pub session: Option<SessionId>,
    pub ticket: Option<Ticket>,
    /// What the room had when it was last asked.
    pub room_has: StateVector,
    records: Records,
}

impl Reader {
    pub fn new(room: usize, copy: Copy) -> Self {
        Self {
            room,
            copy,
            position: None,
            is_waiting: false,
            session: None,
            ticket: None,
            room_has: StateVector::default(),
            records: Records::default(),
        }
    }

    /// The connection is gone.
    pub fn lose(&mut self) {
        self.session = None;
        self.ticket = None;
    }

    /// What it is given has to be what is durable, right after what it saw.
    pub fn replay<'a>(
        &mut self,
        epoch: Epoch,
        entries: impl Iterator<Item = &'a Entry>,
        model: &Model,
    ) {
        for entry in entries {
            let after = self.position.map_or(Version::ZERO, |(_, version)| version);
            assert_eq!(entry.version, after.next(), "G3: a replay goes on");
            let history = model.history(self.room, epoch);
            let history = history.expect("G1: an epoch of which nothing is durable");
            let kept = history.at(entry.version).map(|entry| &**entry);
            assert_eq!(kept, Some(entry), "G1: version {} is told", entry.version);
            self.records.take(entry, !history.is_raced);
            self.position = Some((epoch, entry.version));
        }
    }

    /// Rows of the log, up to where the room stood; whether there were any.
    pub fn read(&mut self, head: Position, rows: &[Row], model: &Model) -> bool {
        let told = rows.iter().take_while(|row| row.version <= head.version);
        let entries = told.map(|row| rows::decode(row).expect("rows are readable"));
        let entries: Vec<Entry> = entries.collect();
        self.replay(head.epoch, entries.iter(), model);
        !entries.is_empty()
    }

    /// The whole state.
    pub fn restart(&mut self, opened: &Opened, model: &Model) {
        let standing = &opened.standing;
        let json = opened.document.json();
        model.opened(self.room, opened);
        self.records = records_in(&json);
        self.position = Some((standing.epoch, standing.head));
    }

    /// A room says that versions cannot be replayed: there has to be a reason.
    ///
    /// Who was given the state that is stored may be ahead of a room that was not told yet that its
    /// append is kept.
    pub fn check_reason(&self, reason: Reason, epoch: Epoch, oldest: Version, model: &Model) {
        let history = model.history(self.room, epoch);
        let head = history.map_or(Version::ZERO, History::head);
        let is_true = match (reason, self.position) {
            (Reason::New, position) => position.is_none(),
            (Reason::EpochChanged, Some((own, _))) => own != epoch,
            (Reason::Pruned, Some((own, version))) => own == epoch && version.next() < oldest,
            (Reason::Ahead, Some((own, version))) => own == epoch && version <= head,
            // Only readers of messages are told so.
            (Reason::TooFarBehind, _) => false,
            (Reason::EpochChanged | Reason::Pruned | Reason::Ahead, None) => false,
        };
        assert!(is_true, "G3: {reason:?} at {:?}", self.position);
    }

    /// At the end it has what is durable, as far as its room knows.
    pub fn judge(&self, history: &History, head: Version) {
        let (epoch, version) = self.position.expect("it asked");
        assert_eq!(epoch, history.epoch, "G3: it has all");
        assert!(version >= head, "G3: it has all: {version} of {head}");
        if !history.is_raced {
            let json = history.json_at(version);
            assert_eq!(self.records, records_in(&json), "G4: a reader's records");
        }
    }
}

/// The oldest version that is stored of an epoch of a room; nothing is left of one that is deleted,
/// also before the room was told.
pub fn oldest(store: &SlowStore, room: &RoomId, epoch: Epoch) -> Version {
    let head = store.look(room).head.filter(|head| head.epoch == epoch);
    head.map_or(Version(u64::MAX), |head| head.oldest)
}
