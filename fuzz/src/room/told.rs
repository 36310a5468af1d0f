//! Owns what results of operations may say: what the log says.

use std::sync::Arc;

use roundtable::ids::{OpId, Position, Version};
use roundtable::room::Entry;
use roundtable::room::entry::{Change, ChangeKind, FieldChange, Value};
use roundtable::room::operation::{
    Action, Condition, OnConflict, OpResult, Operation, Place, Portrayal, RecordMeta, Status,
};

use super::super::log::{Records, place_of};
use super::ledger::said;
use super::peer::Push;
use super::world::World;

impl World {
    /// A push is answered: in order, with what is durable, and each operation as the first time.
    pub(super) fn check_pushed(&self, push: &Push, results: &[OpResult], position: Position) {
        let told: Vec<_> = results.iter().map(|result| &result.id).collect();
        let asked: Vec<_> = push.operations.iter().map(|it| &it.id).collect();
        assert_eq!(told, asked, "one result each, in order");
        let judged_at = push.judged_at.expect("it is judged before it is answered");
        let head = Version(self.log.len() as u64);
        assert!(position.epoch == self.epoch && position.version <= head);
        for (operation, result) in push.operations.iter().zip(results) {
            assert!(result.version <= head, "OP14: {result:?} at {head}");
            self.check_clashes(operation, result);
            if let Some(portrayal) = &result.portrayal {
                self.check_portrayal(portrayal);
            }
            let is_again = push.repeats.contains(&result.id);
            assert!(!is_again || result.status == Status::Duplicate, "OP8");
            match result.status {
                Status::Duplicate => self.check_again(result),
                Status::Conflict | Status::Rejected => {
                    let is_rejected = result.status == Status::Rejected;
                    assert_eq!(result.objection.is_some(), is_rejected);
                    self.check_untouched(operation, result.version, judged_at);
                }
                Status::Applied | Status::Merged => match self.applied(&result.id) {
                    Some(entry) => self.check_applied(operation, result, entry),
                    None => {
                        let is_kept = self.ledger.first(&result.id).is_some();
                        let is_passed_over = self.ledger.is_passed_over(&result.id);
                        assert!(is_kept || is_passed_over, "OP8: {result:?} is not kept");
                        self.check_untouched(operation, result.version, judged_at);
                    }
                },
            }
        }
    }

    /// The entry of an operation.
    fn applied(&self, id: &OpId) -> Option<&Entry> {
        let mut entries = self.log.iter();
        let entry = entries.find(|entry| entry.op.as_ref() == Some(id));
        entry.map(|entry| &**entry)
    }

    /// Of a room that nobody wrote nothing is kept.
    fn check_again(&self, result: &OpResult) {
        if let Some(first) = self.ledger.first(&result.id) {
            assert_eq!(said(result), said(first), "OP8: the first result");
        } else {
            let is_passed_over = self.ledger.is_passed_over(&result.id);
            assert!(is_passed_over, "OP8: {result:?} is of nothing");
        }
    }

    /// Nothing was written, and the version is that of the record, known when that was judged. What
    /// others wrote the room may not have known.
    fn check_untouched(&self, operation: &Operation, version: Version, judged_at: Version) {
        let place = &operation.place;
        if version == Version::ZERO && operation.action == Action::Delete {
            return;
        }
        let is_change = version == Version::ZERO || self.touches(version, place);
        // What others wrote after the head counts as written at the head.
        let may_be_theirs = !self.theirs.is_empty();
        assert!(
            is_change || may_be_theirs,
            "{version} did not change {place:?}"
        );
        let since = version.0 as usize..judged_at.0.max(version.0) as usize;
        let mut since = since.map(|at| Version(at as u64 + 1));
        let missed = since.find(|it| !self.theirs.contains(it) && self.touches(*it, place));
        assert_eq!(missed, None, "OP7: {place:?} at {version} of {judged_at}");
    }

    fn touches(&self, version: Version, place: &Place) -> bool {
        let entry = &self.log[version.0 as usize - 1];
        changes(entry, place).next().is_some()
    }

    /// The last version up to one that changed a record.
    pub fn changed_at(&self, place: &Place, through: Version) -> Version {
        let mut versions = (1..=through.0).rev().map(Version);
        let last = versions.find(|version| self.touches(*version, place));
        last.unwrap_or(Version::ZERO)
    }

    /// The last version before one that changed a record, of this server's own.
    fn own_before(&self, place: &Place, version: Version) -> Version {
        let mut versions = (1..version.0).rev().map(Version);
        let own = versions.find(|it| !self.theirs.contains(it) && self.touches(*it, place));
        own.unwrap_or(Version::ZERO)
    }

    /// An operation that wrote is an entry of its own that does what it says, under its condition.
    fn check_applied(&self, operation: &Operation, result: &OpResult, entry: &Entry) {
        assert_eq!(result.version, entry.version, "the version of its entry");
        let [event] = &entry.events[..] else {
            panic!("OP3: {entry:?}");
        };
        let change = &event.change;
        assert_eq!(place_of(change).as_ref(), Some(&operation.place));
        check_change(operation, change);
        let is_made = change.kind == ChangeKind::Create;
        assert_eq!(result.is_made, is_made, "{result:?}");
        let is_gone = change.kind == ChangeKind::Delete;
        let is_portrayed = result.portrayal.is_some();
        assert_eq!(is_portrayed, operation.wants_record && !is_gone);
        let own = self.own_before(&operation.place, entry.version);
        // What others wrote may have come between.
        let any = self.changed_at(&operation.place, Version(entry.version.0 - 1));
        let is_merged = result.status == Status::Merged;
        match &operation.condition {
            Condition::Since { base, on_conflict } => {
                assert!(*base < entry.version, "OP13");
                assert!(is_merged || own <= *base, "OP7: {result:?} after {own}");
                assert!(!is_merged || any > *base, "OP6: {result:?} after {any}");
                assert!(!is_merged || *on_conflict != OnConflict::Strict, "OP6");
                let is_reject = is_merged && *on_conflict == OnConflict::Reject;
                assert!(!is_reject || result.clashes.is_empty(), "OP6: {result:?}");
            }
            Condition::At(versions) => {
                let is_at = versions.contains(&own) || versions.contains(&any);
                let is_there = is_at || !self.theirs.is_empty();
                assert!(is_there && !is_made, "{result:?} at {own}");
            }
            Condition::Always => assert!(!is_merged),
            Condition::Exists => assert!(!is_merged && !is_made),
            Condition::Missing => assert!(!is_merged && is_made),
        }
    }

    /// Both sides changed these fields, after what the client has seen.
    fn check_clashes(&self, operation: &Operation, result: &OpResult) {
        for clash in &result.clashes {
            let Condition::Since { base, .. } = operation.condition else {
                panic!("OP6: {result:?}");
            };
            let at = clash.theirs_version;
            assert!(at > base && at.0 <= self.log.len() as u64, "OP6");
            if !self.theirs.is_empty() {
                continue;
            }
            let mut changes = changes(&self.log[at.0 as usize - 1], &operation.place);
            let is_there = changes.any(|it| it.fields.iter().any(|it| it.field == clash.field));
            assert!(is_there, "OP6: {clash:?}");
        }
    }

    /// A record is given as it was at its version. That is not known of what others wrote meanwhile.
    fn check_portrayal(&self, portrayal: &Portrayal) {
        let Portrayal {
            place,
            fields,
            meta,
        } = portrayal;
        assert!(meta.version.0 <= self.log.len() as u64, "OP14");
        if !self.theirs.is_empty() {
            return;
        }
        assert_eq!(*meta, meta_at(&self.log, place, meta.version), "{place:?}");
        let mut records = Records::default();
        let entries = self.log[..meta.version.0 as usize].iter();
        let events = entries.flat_map(|entry| &entry.events);
        events.for_each(|event| records.take(&event.change));
        if let Some(expected) = records.text_of(place) {
            assert_eq!(*fields.0, *expected, "{place:?} at {}", meta.version);
        }
    }
}

fn changes<'a>(entry: &'a Entry, place: &'a Place) -> impl Iterator<Item = &'a Change> {
    let changes = entry.events.iter().map(|event| &event.change);
    changes
        .filter(|it| it.record.as_ref() == Some(&place.record) && it.collection == place.collection)
}

/// What is to be known of a record: the last change of it and of each field.
pub(super) fn meta_at(log: &[Arc<Entry>], place: &Place, through: Version) -> RecordMeta {
    let mut meta = RecordMeta::default();
    for entry in &log[..through.0 as usize] {
        for event in &entry.events {
            let change = &event.change;
            if place_of(change).as_ref() != Some(place) {
                continue;
            }
            let user = &event.actor.user;
            if meta.version == Version::ZERO || change.kind == ChangeKind::Create {
                meta.created_at = entry.at;
                meta.created_by = user.clone();
            }
            if change.kind != ChangeKind::Update {
                meta.fields.clear();
            }
            if change.kind != ChangeKind::Delete {
                let names = change.fields.iter().map(|it| it.field.clone());
                meta.fields.extend(names.map(|name| (name, entry.version)));
            }
            meta.version = entry.version;
            meta.updated_at = entry.at;
            meta.updated_by = user.clone();
            meta.is_deleted = change.kind == ChangeKind::Delete;
        }
    }
    meta
}

/// What an operation did is what it says: no more, and nothing that was so before.
fn check_change(operation: &Operation, change: &Change) {
    use Action::{Create, Delete, Increment, Replace, Update, Upsert};
    let is_its = match change.kind {
        ChangeKind::Create => matches!(operation.action, Create | Upsert | Replace),
        ChangeKind::Update => matches!(operation.action, Update | Upsert | Replace | Increment),
        ChangeKind::Delete => operation.action == Delete,
        ChangeKind::Document => false,
    };
    assert!(is_its, "{operation:?} did {change:?}");
    for FieldChange { field, old, new } in &change.fields {
        assert_ne!(old, new, "OP2: {change:?}");
        let given = operation.fields.get(field);
        let is_its = match (operation.action, given) {
            (Increment, Some(delta)) => {
                let before = if *old == Value::Absent {
                    0.0
                } else {
                    number(old)
                };
                number(new) == before + number(&Value::Json(delta.clone()))
            }
            (Delete, _) => *new == Value::Absent,
            (_, Some(value)) => *new == Value::Json(value.clone()),
            (action, None) => {
                let is_removed = operation.unset.contains(field) || action == Replace;
                is_removed && *new == Value::Absent
            }
        };
        assert!(is_its, "{operation:?} did {change:?}");
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Json(json) => json.0.parse().expect("a number"),
        Value::Absent | Value::TooLong => panic!("{value:?} is no number"),
    }
}
