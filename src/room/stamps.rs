//! Owns which version changed each record last, for the versions that the store's records do not
//! tell yet: they are written behind.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::entry::{Change, ChangeKind, FieldChange, Value};
use super::operation::{Place, RecordMeta};
use crate::ids::{UnixMillis, Version};

/// As many changes are remembered; with more, the store is asked to catch up first.
const CHANGES_MAX: usize = 20_000;

/// The changes of records after a version.
#[derive(Debug)]
pub(super) struct Stamps {
    since: Version,
    count: usize,
    /// Of each record, in the order of versions.
    changes: FxHashMap<Place, Vec<Stamp>>,
}

/// One change, without values.
#[derive(Debug)]
struct Stamp {
    version: Version,
    at: UnixMillis,
    user: Arc<str>,
    change: Change,
}

impl Stamps {
    /// Nothing after a version.
    pub(super) fn after(since: Version) -> Self {
        Self {
            since,
            count: 0,
            changes: FxHashMap::default(),
        }
    }

    /// The version after which all changes are here.
    pub(super) fn since(&self) -> Version {
        self.since
    }

    /// Whether there are more than are worth remembering.
    pub(super) fn is_overfull(&self) -> bool {
        self.count > CHANGES_MAX
    }

    /// A record changed.
    pub(super) fn note(
        &mut self,
        change: &Change,
        version: Version,
        at: UnixMillis,
        user: &Arc<str>,
    ) {
        let Some(record) = &change.record else {
            return;
        };
        let place = Place {
            collection: change.collection.clone(),
            record: record.clone(),
        };
        let stamps = self.changes.entry(place).or_default();
        // What others wrote is heard of after what is behind the gate, and comes before it.
        let after = stamps.partition_point(|stamp| stamp.version <= version);
        // Who goes on writing in one field says the same again and again.
        if let Some(last) = stamps[..after].last_mut()
            && last.version == version
            && last.user == *user
            && last.change.kind == ChangeKind::Update
            && change.kind == ChangeKind::Update
            && names(&last.change).eq(names(change))
        {
            last.at = at;
            return;
        }
        let stamp = Stamp {
            version,
            at,
            user: user.clone(),
            change: without_values(change),
        };
        stamps.insert(after, stamp);
        self.count += 1;
    }

    /// What is known of a record, on top of what the store told as of a version.
    pub(super) fn over(
        &self,
        place: &Place,
        told: Option<RecordMeta>,
        as_of: Version,
    ) -> Option<RecordMeta> {
        let stamps = self.changes.get(place).into_iter().flatten();
        let newer = stamps.filter(|stamp| stamp.version > as_of);
        newer.fold(told, |meta, stamp| {
            RecordMeta::fold(meta, &stamp.change, stamp.version, stamp.at, &stamp.user)
        })
    }

    /// The store tells everything up to a version now.
    pub(super) fn forget(&mut self, through: Version) {
        if through <= self.since {
            return;
        }
        self.since = through;
        self.changes.retain(|_, stamps| {
            stamps.retain(|stamp| stamp.version > through);
            !stamps.is_empty()
        });
        self.count = self.changes.values().map(Vec::len).sum();
    }

    /// Others were faster: what has no version yet will have a later one.
    pub(super) fn shift(&mut self, head: Version, by: u64) {
        for stamp in self.changes.values_mut().flatten() {
            if stamp.version > head {
                stamp.version.0 += by;
            }
        }
    }
}

fn names(change: &Change) -> impl Iterator<Item = &Arc<str>> {
    change.fields.iter().map(|field| &field.field)
}

fn without_values(change: &Change) -> Change {
    let fields = change.fields.iter().map(|field| FieldChange {
        field: field.field.clone(),
        old: Value::Absent,
        new: Value::Absent,
    });
    Change {
        kind: change.kind,
        collection: change.collection.clone(),
        record: change.record.clone(),
        fields: fields.collect(),
    }
}
