//! Owns what must be true: the log of each room as the store has it, and the rules that everything
//! said has to fit.
//!
//! The model is a list of entries and a document per epoch. It learns from the store, never from a
//! room, and so knows what is durable; everything that a room says is held against that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use roundtable::hub::loader::Opened;
use roundtable::hub::rows;
use roundtable::ids::{Epoch, OpId, RoomId, UnixMillis, Version};
use roundtable::room::document::Applied;
use roundtable::room::entry::{Change, ChangeKind, FieldChange, Value};
use roundtable::room::index::StateVector;
use roundtable::room::{Document, Entry, Holdings};

use crate::caller::{begins, counts};
use crate::client::includes;
use crate::document::lower_clocks;
use crate::records::{Records, records_in};
use crate::store::SlowStore;
use crate::world::RETENTION_MS;

/// The Yjs client ids of those who write beside the server.
pub const OUTSIDERS_MAX: u64 = 100;

/// One epoch of one room.
pub struct History {
    pub epoch: Epoch,
    /// What is durable, from version 1 on.
    pub entries: Vec<Arc<Entry>>,
    /// Its fold.
    pub document: Document,
    /// Another process wrote beside the one that is live. What two write at once is not judged
    /// again: its events may say what was so before the other's.
    pub is_raced: bool,
    /// Operations in it, and when: each once, as long as the log is kept.
    ops: BTreeMap<OpId, UnixMillis>,
    /// What callers counted, by the log.
    pub counted: Option<u64>,
    /// The records at each version, as their events tell them.
    records: Records,
    /// What the epochs before held.
    former: StateVector,
    /// The last version that a server knew of. One may have died with an append on its way.
    known: Version,
}

/// One room.
#[derive(Default)]
struct Truth {
    histories: BTreeMap<Epoch, History>,
    /// The one that is stored now.
    current: Option<Epoch>,
    former: StateVector,
}

/// All rooms.
pub struct Model {
    rooms: Vec<(RoomId, Truth)>,
}

impl Model {
    pub fn new(names: &[RoomId]) -> Self {
        let rooms = names.iter().cloned();
        Self {
            rooms: rooms.map(|name| (name, Truth::default())).collect(),
        }
    }

    /// Learns what the store keeps of a room now.
    pub fn observe(&mut self, room: usize, store: &SlowStore, may_be_gone: bool) {
        let (name, truth) = &mut self.rooms[room];
        let stored = store.look(name);
        let stands = stored.head.as_ref().map(|head| head.epoch);
        if let Some(epoch) = truth.current.filter(|epoch| stands != Some(*epoch)) {
            assert!(may_be_gone, "G1: {name} lost its epoch");
            let ended = &truth.histories[&epoch];
            let mut former = clocks(&ended.document_at(ended.known));
            former.merge(&truth.former);
            let kept = StateVector::parse(&stored.former).expect("a state vector");
            assert!(includes(&kept, &former), "a deleted epoch is forgotten");
            truth.former = former;
            truth.current = None;
        }
        let Some(head) = stored.head else {
            return;
        };
        let former = &truth.former;
        let history = truth
            .histories
            .entry(head.epoch)
            .or_insert_with(|| History::new(head.epoch, former.clone()));
        truth.current = Some(head.epoch);
        let rows = store.rows(name, head.epoch, history.head());
        for row in &rows {
            let entry = rows::decode(row).expect("what is kept is readable");
            history.push(Arc::new(entry));
        }
        assert_eq!(history.head(), head.version, "G2: the head of {name}");
    }

    /// What is stored of a room now.
    pub fn current(&self, room: usize) -> Option<&History> {
        let truth = &self.rooms[room].1;
        truth.current.map(|epoch| &truth.histories[&epoch])
    }

    /// An epoch of a room, if anything of it was ever durable.
    pub fn history(&self, room: usize, epoch: Epoch) -> Option<&History> {
        self.rooms[room].1.histories.get(&epoch)
    }

    /// Another process may write to what is stored now.
    pub fn race(&mut self, room: usize) {
        let truth = &mut self.rooms[room].1;
        if let Some(epoch) = truth.current {
            let history = truth.histories.get_mut(&epoch);
            history.expect("what is stored has a history").is_raced = true;
        }
    }

    /// A room says that these entries are durable.
    pub fn released(&mut self, room: usize, epoch: Epoch, entries: &[Arc<Entry>]) {
        for entry in entries {
            let kept = self.history(room, epoch);
            let kept = kept.and_then(|history| history.at(entry.version));
            assert_eq!(kept, Some(entry), "G1: version {} is told", entry.version);
            self.knows(room, epoch, entry.version);
        }
    }

    /// A server knows of a version.
    pub fn knows(&mut self, room: usize, epoch: Epoch, version: Version) {
        if let Some(history) = self.rooms[room].1.histories.get_mut(&epoch) {
            history.known = history.known.max(version);
        }
    }

    /// A room says that what was submitted is durable at a version.
    pub fn acked(&mut self, room: usize, epoch: Epoch, update: &Bytes, version: Version) {
        let history = self.rooms[room].1.histories.get_mut(&epoch);
        let mut nothing = Document::new(1, StateVector::default());
        let (head, document) = match history {
            Some(history) => (history.head(), &mut history.document),
            None => (Version::ZERO, &mut nothing),
        };
        assert!(version <= head, "G1: {version} is told, {head} is durable");
        let adds = document.apply(update);
        assert_eq!(adds, Ok(Applied::Nothing), "G1: acked and not durable");
    }

    /// A room says where it stands.
    pub fn stands(&self, room: usize, epoch: Epoch, version: Version) {
        let head = self
            .history(room, epoch)
            .map_or(Version::ZERO, History::head);
        assert!(version <= head, "G1: at {version}, {head} is durable");
    }

    /// A room was loaded: it has to be the fold of the log up to where it stands.
    pub fn opened(&self, room: usize, opened: &Opened) {
        let standing = &opened.standing;
        let Some(history) = self.history(room, standing.epoch) else {
            assert_eq!(standing.head, Version::ZERO, "G2: a room out of nothing");
            return;
        };
        assert!(standing.head <= history.head(), "G2: opened ahead");
        if standing.head == history.head() {
            assert_eq!(
                opened.document.state_vector(),
                history.document.state_vector(),
                "G4: what was loaded has what the log has"
            );
        }
        let is_fold = opened.document.json() == history.json_at(standing.head);
        assert!(is_fold, "G4: what was loaded is the fold of the log");
    }
}

impl History {
    fn new(epoch: Epoch, former: StateVector) -> Self {
        Self {
            epoch,
            entries: Vec::new(),
            document: Document::new(1, StateVector::default()),
            is_raced: false,
            ops: BTreeMap::new(),
            counted: None,
            records: Records::default(),
            former,
            known: Version::ZERO,
        }
    }

    pub fn head(&self) -> Version {
        Version(self.entries.len() as u64)
    }

    /// What it has.
    pub fn clocks(&self) -> StateVector {
        clocks(&self.document)
    }

    pub fn at(&self, version: Version) -> Option<&Arc<Entry>> {
        let place = usize::try_from(version.0).ok()?.checked_sub(1)?;
        self.entries.get(place)
    }

    /// An entry is durable: it follows on the last, is news, and says what it does.
    fn push(&mut self, entry: Arc<Entry>) {
        assert_eq!(entry.version, self.head().next(), "G2: versions are dense");
        let mut changes = Vec::new();
        for update in &entry.updates {
            for (client, clock) in lower_clocks(update) {
                let is_new = clock >= self.former.clock(client);
                assert!(is_new, "an epoch has content of a deleted one: {client}");
            }
            match self.document.apply(update) {
                Ok(Applied::Changed(changed)) => changes.extend(changed),
                Ok(Applied::Nothing) => assert!(self.is_raced, "AP10: a duplicate is kept"),
                Err(fault) => panic!("G4: the log cannot be folded: {fault:?}"),
            }
        }
        // Others than rooms say nothing of what they do.
        if !self.is_raced && !entry.actors.is_empty() {
            let events = entry.events.iter().map(|event| event.change.clone());
            assert_eq!(alike(events), alike(changes), "G4: what an entry says");
            self.records.take(&entry, true);
        }
        self.count(&entry);
        self.entries.push(entry);
    }

    fn count(&mut self, entry: &Entry) {
        let Some(op) = &entry.op else { return };
        let before = self.ops.insert(op.clone(), entry.at);
        let is_new = before.is_none_or(|before| entry.at.0 - before.0 > RETENTION_MS as i64);
        assert!(is_new, "G5: {op:?} is applied twice");
        self.counted = match self.counted {
            _ if begins(op) => Some(0),
            Some(counted) if counts(op) => Some(counted + 1),
            _ => None,
        };
    }

    /// The document at a version.
    pub fn json_at(&self, version: Version) -> String {
        if version == self.head() {
            return self.document.json();
        }
        self.document_at(version).json()
    }

    fn document_at(&self, version: Version) -> Document {
        let mut document = Document::new(1, StateVector::default());
        for entry in &self.entries[..version.0 as usize] {
            for update in &entry.updates {
                document.load(update).expect("it was folded before");
            }
        }
        document
    }

    /// The records that the events of the log add up to.
    pub fn check_records(&self) {
        if !self.is_raced {
            let json = self.document.json();
            assert_eq!(self.records, records_in(&json), "G4: events and records");
        }
    }
}

/// Changes without what may differ: their order within an update (the records' values show what it
/// is across updates), how often somebody went on with what is no record, and whether a value that
/// is not told (one that is too long, a plain value in a collection) is another.
fn alike(changes: impl IntoIterator<Item = Change>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for mut change in changes {
        let is_untold = |field: &FieldChange| field.old == field.new && field.new == Value::TooLong;
        change.fields.retain(|field| !is_untold(field));
        change.fields.sort_by(|a, b| a.field.cmp(&b.field));
        let is_told = match change.kind {
            ChangeKind::Create | ChangeKind::Delete => true,
            ChangeKind::Update => !change.fields.is_empty(),
            ChangeKind::Document => &*change.collection != "tasks",
        };
        if is_told {
            all.insert(format!("{change:?}"));
        }
    }
    all
}

fn clocks(document: &Document) -> StateVector {
    StateVector::parse(&document.state_vector()).expect("a document says a state vector")
}

/// What a room may hold, with room for one batch of its mailbox.
pub fn check_bounds(holds: &Holdings, ring_bytes: usize, most: &Holdings, ring_bytes_max: usize) {
    let all = [
        ("backlog", holds.backlog_bytes, most.backlog_bytes),
        ("waiting answers", holds.attending, most.attending),
        ("waiting to catch up", holds.held, most.held),
        ("recent entries", holds.recent_entries, most.recent_entries),
        ("recent bytes", holds.recent_bytes, most.recent_bytes),
        ("present", holds.present, most.present),
        ("gone", holds.gone, most.gone),
        ("sessions", holds.sessions, most.sessions),
        ("ring", ring_bytes, ring_bytes_max),
    ];
    for (what, held, max) in all {
        assert!(held <= max, "bounds: {what} {held} of {max}");
    }
}
