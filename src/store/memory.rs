//! Owns the reference store: the contract as ordered maps, for tests and for reading.

mod audit;
mod quarantine;
mod records;

use std::collections::{BTreeMap, VecDeque};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use self::audit::Lines;
use self::quarantine::Cases;
use self::records::{Conflicts, Told};
use super::audit::Audit;
use super::quarantine::Quarantine;
use super::records::Records;
use super::{
    Append, Appended, Failure, Head, Listed, Loaded, Page, Retention, Row, Snapshot, Store, ahead,
    checked,
};
use crate::ids::{AppendId, Epoch, RoomId, UnixMillis, Version};

/// Keeps rooms in memory, for as long as it lives.
#[derive(Default)]
pub struct Memory {
    shelf: Mutex<Shelf>,
    cases: Mutex<Cases>,
    lines: Mutex<Lines>,
}

/// What goes wrong with one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written, and the answer is [`Failure::Unavailable`].
    BeforeWriting,
    /// Everything is written, and the answer is [`Failure::Unavailable`]: the unclear case.
    AfterWriting,
}

#[derive(Default)]
struct Shelf {
    rooms: BTreeMap<RoomId, Kept>,
    /// The last deleted epoch of a name, and what its deleted epochs held.
    former: BTreeMap<RoomId, (Epoch, Bytes)>,
    conflicts: Conflicts,
    faults: VecDeque<Fault>,
}

struct Kept {
    head: Head,
    log: BTreeMap<Version, (AppendId, Row)>,
    snapshots: BTreeMap<Version, Bytes>,
    told: Told,
}

impl Memory {
    /// Opens an empty store.
    #[must_use]
    pub fn open() -> Self {
        Self::default()
    }

    /// Loses the last row of a room, as a disk does that said too early that it has it: for tests
    /// of what notices such a thing.
    pub fn lose_last(&self, room: &RoomId) {
        if let Some(kept) = self.shelf.lock().rooms.get_mut(room)
            && let Some((version, _)) = kept.log.pop_last()
        {
            kept.head.version = Version(version.0 - 1);
        }
    }

    /// Makes the next append that has no fault yet go wrong.
    pub fn fail_next_append(&self, fault: Fault) {
        self.shelf.lock().faults.push_back(fault);
    }

    /// Makes the next finding that is to be confined go wrong, unwritten.
    pub fn fail_next_confine(&self) {
        self.cases.lock().faults += 1;
    }
}

#[async_trait]
impl Store for Memory {
    async fn migrate(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn ping(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn load(&self, room: &RoomId) -> Result<Loaded, Failure> {
        let shelf = self.shelf.lock();
        let kept = shelf.rooms.get(room);
        Ok(Loaded {
            head: kept.map(|kept| kept.head.clone()),
            snapshot: kept.and_then(|kept| kept.snapshots.last_key_value()).map(
                |(version, state)| Snapshot {
                    version: *version,
                    state: state.clone(),
                },
            ),
            former: shelf
                .former
                .get(room)
                .map(|(_, state_vector)| state_vector.clone())
                .unwrap_or_default(),
        })
    }

    async fn append(&self, appends: &[Append]) -> Result<Vec<Appended>, Failure> {
        checked(appends)?;
        for row in appends.iter().flat_map(|append| &append.rows) {
            is_json(&row.actors)?;
            is_json(&row.ops)?;
            is_json(&row.events)?;
        }
        for append in appends {
            records::are_json(&append.ops, &append.conflicts)?;
        }
        let mut shelf = self.shelf.lock();
        match shelf.faults.pop_front() {
            Some(Fault::BeforeWriting) => Err(Failure::Unavailable("as told, unwritten".into())),
            Some(Fault::AfterWriting) => {
                shelf.append_all(appends);
                Err(Failure::Unavailable("as told, written".into()))
            }
            None => Ok(shelf.append_all(appends)),
        }
    }

    async fn read(
        &self,
        room: &RoomId,
        epoch: Epoch,
        after: Version,
        page: Page,
    ) -> Result<Vec<Row>, Failure> {
        let shelf = self.shelf.lock();
        let Some(kept) = shelf.rooms.get(room) else {
            return Ok(Vec::new());
        };
        if kept.head.epoch != epoch || kept.head.oldest.0 > after.0.saturating_add(1) {
            return Ok(Vec::new());
        }
        let mut rows = Vec::new();
        let mut bytes = 0;
        let first = Version(after.0.saturating_add(1));
        for (_, row) in kept.log.range(first..).map(|(_, entry)| entry) {
            if !rows.is_empty() && (rows.len() >= page.rows || bytes >= page.bytes) {
                break;
            }
            bytes += row.update.len() + row.events.len();
            rows.push(row.clone());
        }
        Ok(rows)
    }

    async fn save_snapshot(
        &self,
        room: &RoomId,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> Result<(), Failure> {
        let mut shelf = self.shelf.lock();
        let Some(kept) = shelf
            .rooms
            .get_mut(room)
            .filter(|kept| kept.head.epoch == epoch)
        else {
            return Ok(());
        };
        if snapshot.version > kept.head.version {
            return Err(ahead(room, snapshot.version, kept.head.version));
        }
        let newest = kept.snapshots.last_key_value().map(|(version, _)| *version);
        if newest.is_none_or(|newest| newest < snapshot.version) {
            kept.snapshots
                .insert(snapshot.version, snapshot.state.clone());
        }
        Ok(())
    }

    async fn prune(
        &self,
        room: &RoomId,
        epoch: Epoch,
        retention: Retention,
    ) -> Result<Option<Version>, Failure> {
        let mut shelf = self.shelf.lock();
        let Some(kept) = shelf
            .rooms
            .get_mut(room)
            .filter(|kept| kept.head.epoch == epoch)
        else {
            return Ok(None);
        };
        let newest = kept.snapshots.last_key_value().map(|(version, _)| *version);
        if let Some(newest) = newest {
            kept.snapshots.retain(|version, _| *version == newest);
            let end = newest.min(kept.told.projected);
            while let Some(first) = kept.log.first_entry() {
                let stays = *first.key() >= retention.below && first.get().1.at >= retention.before;
                if *first.key() > end || stays {
                    break;
                }
                kept.head.oldest = first.key().next();
                first.remove();
            }
        }
        kept.told.prune(kept.head.oldest, retention.before);
        Ok(Some(kept.head.oldest))
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<Listed>, Failure> {
        let shelf = self.shelf.lock();
        Ok(shelf
            .rooms
            .iter()
            .filter(|(room, _)| room.as_str().starts_with(prefix))
            .filter(|(room, _)| after.is_none_or(|after| *room > after))
            .take(limit)
            .map(|(room, kept)| Listed {
                room: room.clone(),
                head: kept.head.clone(),
            })
            .collect())
    }

    async fn delete(&self, room: &RoomId, epoch: Epoch, former: &Bytes) -> Result<bool, Failure> {
        let mut shelf = self.shelf.lock();
        if shelf
            .rooms
            .get(room)
            .is_none_or(|kept| kept.head.epoch != epoch)
        {
            return Ok(false);
        }
        shelf.rooms.remove(room);
        shelf.conflicts.remove_room(room);
        shelf.former.insert(room.clone(), (epoch, former.clone()));
        Ok(true)
    }

    fn quarantine(&self) -> &dyn Quarantine {
        self
    }

    fn records(&self) -> &dyn Records {
        self
    }

    fn audit(&self) -> &dyn Audit {
        self
    }
}

impl Shelf {
    fn append_all(&mut self, appends: &[Append]) -> Vec<Appended> {
        appends.iter().map(|append| self.append(append)).collect()
    }

    fn append(&mut self, append: &Append) -> Appended {
        if !self.rooms.contains_key(&append.room) {
            let ended = self
                .former
                .get(&append.room)
                .is_some_and(|(e, _)| *e == append.epoch);
            if append.expected != Version::ZERO || ended {
                return Appended::Moved(None);
            }
            let Some(first) = append.rows.first() else {
                return Appended::Kept;
            };
            let kept = Kept::new(append.epoch, first.at);
            self.rooms.insert(append.room.clone(), kept);
        }
        let Some(kept) = self.rooms.get_mut(&append.room) else {
            return Appended::Moved(None);
        };
        let head = &mut kept.head;
        if (head.epoch, head.version) != (append.epoch, append.expected) {
            let first = append.expected.next();
            let written = kept.log.get(&first).is_some_and(|(id, _)| *id == append.id);
            return if written {
                Appended::Kept
            } else {
                Appended::Moved(Some((head.epoch, head.version)))
            };
        }
        for row in &append.rows {
            head.version = row.version;
            head.updated_at = row.at;
            kept.log.insert(row.version, (append.id, row.clone()));
        }
        kept.told.keep(&append.ops);
        self.conflicts.keep(&append.room, &append.conflicts);
        Appended::Kept
    }
}

impl Kept {
    /// A room with nothing in it yet.
    fn new(epoch: Epoch, at: UnixMillis) -> Self {
        Self {
            head: Head {
                epoch,
                version: Version::ZERO,
                oldest: Version(1),
                created_at: at,
                updated_at: at,
            },
            log: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            told: Told::default(),
        }
    }
}

/// Databases refuse what is not JSON; so does the reference.
fn is_json(text: &str) -> Result<(), Failure> {
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map(|_| ())
        .map_err(|error| Failure::Refused(error.to_string()))
}
