//! Owns what an operation comes to: its conditions against what is known of the record, its fields
//! against those that are there. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::document::{Document, Holds};
use super::entry::{Json, Value};
use super::operation::{
    Action, Clash, Condition, Objection, OnConflict, OpResult, Operation, Place, Portrayal,
    RecordMeta, Status,
};
use super::record::{VALUE_BYTES_MAX, Write, canonical};
use crate::ids::Version;

/// What an operation comes to.
pub(super) struct Verdict {
    /// Its result, as of before it is written.
    pub result: OpResult,
    /// What is to be written, if anything.
    pub write: Option<Draft>,
    /// What is known of the record before it.
    pub meta: Option<RecordMeta>,
}

/// What is to be written.
pub(super) enum Draft {
    Make(BTreeMap<Arc<str>, Json>),
    Set(BTreeMap<Arc<str>, Json>, BTreeSet<Arc<str>>),
    Delete,
}

impl Draft {
    /// For the document.
    pub(super) fn lend(&self) -> Write<'_> {
        match self {
            Self::Make(fields) => Write::Make(fields),
            Self::Set(fields, unset) => Write::Set(fields, unset),
            Self::Delete => Write::Delete,
        }
    }
}

impl Verdict {
    /// Whether the operation is applied, be it that it changes nothing.
    pub(super) fn is_applied(&self) -> bool {
        matches!(self.result.status, Status::Applied | Status::Merged)
    }

    /// Judges. `meta` is what is known of the record, `head` the last durable version.
    pub(super) fn of(
        operation: &Operation,
        meta: Option<RecordMeta>,
        document: &Document,
        head: Version,
    ) -> Self {
        let case = Case {
            operation,
            meta: meta.as_ref(),
            document,
            holds: document.holds(&operation.place),
            head,
        };
        let (status, write, clashes, objection) = match case.judge() {
            Ok(Ruling {
                status,
                write,
                clashes,
            }) => (status, write, clashes, None),
            Err(No::Conflict(clashes)) => (Status::Conflict, None, clashes, None),
            Err(No::Objection(objection)) => (Status::Rejected, None, Vec::new(), Some(objection)),
        };
        let is_gone = operation.action == Action::Delete && case.holds == Holds::Nothing;
        let known = meta.as_ref().filter(|_| !is_gone);
        let version = known.map_or(Version::ZERO, |meta| meta.version);
        let has_record = status == Status::Conflict
            || matches!(
                objection,
                Some(Objection::Taken(_) | Objection::PreconditionFailed)
            );
        let portrayal = has_record
            .then(|| portray(&operation.place, meta.clone(), document))
            .flatten();
        Self {
            result: OpResult {
                id: operation.id.clone(),
                status,
                record: operation.place.record.clone(),
                version,
                is_made: matches!(write, Some(Draft::Make(_))),
                clashes,
                portrayal,
                objection,
                is_recalled: false,
            },
            write,
            meta,
        }
    }
}

/// The record as it stands, if it is there.
pub(super) fn portray(
    place: &Place,
    meta: Option<RecordMeta>,
    document: &Document,
) -> Option<Arc<Portrayal>> {
    let fields = document.record(place)?;
    Some(Arc::new(Portrayal {
        place: place.clone(),
        fields,
        meta: meta.unwrap_or_default(),
    }))
}

/// Why nothing is applied.
enum No {
    /// Something changed meanwhile; these fields on both sides.
    Conflict(Vec<Clash>),
    Objection(Objection),
}

impl From<Objection> for No {
    fn from(objection: Objection) -> Self {
        Self::Objection(objection)
    }
}

struct Ruling {
    status: Status,
    write: Option<Draft>,
    clashes: Vec<Clash>,
}

/// An operation before the judge.
struct Case<'a> {
    operation: &'a Operation,
    meta: Option<&'a RecordMeta>,
    document: &'a Document,
    holds: Holds,
    head: Version,
}

impl Case<'_> {
    fn judge(&self) -> Result<Ruling, No> {
        if self.document.is_free_form(&self.operation.place.collection) {
            return Err(Objection::Taken("the root of this name is no collection").into());
        }
        if self.holds == Holds::Other {
            return Err(Objection::Taken("the place holds something that is no record").into());
        }
        self.require_condition()?;
        let is_there = self.holds == Holds::Record;
        match (self.operation.action, is_there) {
            (Action::Create, true) => Err(Objection::Taken("the record is there already").into()),
            (Action::Update | Action::Save | Action::Increment, false) if self.was_deleted() => {
                Err(No::Conflict(Vec::new()))
            }
            (Action::Update | Action::Increment, false) => Err(Objection::NotFound.into()),
            (Action::Create | Action::Upsert | Action::Save | Action::Replace, false) => {
                self.make()
            }
            (Action::Delete, false) => Ok(self.ruling(None, Vec::new())),
            (Action::Delete, true) => self.delete(),
            (Action::Increment, true) => self.increment(),
            (Action::Update | Action::Upsert | Action::Save | Action::Replace, true) => self.set(),
        }
    }

    fn require_condition(&self) -> Result<(), No> {
        let is_there = self.holds == Holds::Record;
        let holds = match &self.operation.condition {
            Condition::Always => true,
            Condition::Since { base, .. } if *base > self.head => {
                return Err(Objection::Malformed("baseVersion is after the head").into());
            }
            Condition::Since { .. } => true,
            Condition::At(versions) => is_there && versions.contains(&self.version()),
            Condition::Exists => is_there,
            Condition::Missing => !is_there,
        };
        if holds {
            Ok(())
        } else {
            Err(Objection::PreconditionFailed.into())
        }
    }

    fn version(&self) -> Version {
        self.meta.map_or(Version::ZERO, |meta| meta.version)
    }

    fn was_deleted(&self) -> bool {
        self.meta.is_some_and(|meta| meta.is_deleted)
    }

    /// What the client has seen, and what to do about more, when there is more.
    fn more(&self) -> Option<(Version, OnConflict)> {
        match &self.operation.condition {
            Condition::Since { base, on_conflict } if self.version() > *base => {
                Some((*base, *on_conflict))
            }
            _ => None,
        }
    }

    fn ruling(&self, write: Option<Draft>, clashes: Vec<Clash>) -> Ruling {
        let status = match self.more() {
            Some(_) => Status::Merged,
            None => Status::Applied,
        };
        Ruling {
            status,
            write,
            clashes,
        }
    }

    /// A record that is not there is made. One that was deleted after what the client has seen is
    /// made again only if it merges.
    fn make(&self) -> Result<Ruling, No> {
        if let Some((_, OnConflict::Reject | OnConflict::Strict)) = self.more() {
            return Err(No::Conflict(Vec::new()));
        }
        let fields = self.operation.fields.clone();
        Ok(self.ruling(Some(Draft::Make(fields)), Vec::new()))
    }

    fn delete(&self) -> Result<Ruling, No> {
        let names = self.document.field_names(&self.operation.place);
        let clashes = self.clashes(names.iter().map(|name| (name, None)));
        match self.more() {
            Some((_, OnConflict::Reject | OnConflict::Strict)) => Err(No::Conflict(clashes)),
            _ => Ok(self.ruling(Some(Draft::Delete), clashes)),
        }
    }

    fn set(&self) -> Result<Ruling, No> {
        let Operation {
            action,
            place,
            fields,
            unset,
            ..
        } = self.operation;
        let mut unset = unset.clone();
        if *action == Action::Replace {
            let names = self.document.field_names(place).into_iter();
            unset.extend(names.filter(|name| !fields.contains_key(name)));
        }
        let differs = |name: &Arc<str>, value: &Json| {
            let there = self.document.field(place, name, value.0.len());
            there != Value::Json(value.clone())
        };
        let mut fields = fields.clone();
        fields.retain(|name, value| differs(name, value));
        unset.retain(|name| self.document.field(place, name, 0) != Value::Absent);
        let clashes = self.tolerated(&fields, &unset)?;
        let is_empty = fields.is_empty() && unset.is_empty();
        let write = (!is_empty).then_some(Draft::Set(fields, unset));
        Ok(self.ruling(write, clashes))
    }

    /// Numbers add up whoever comes first, so that a merge overwrites nothing.
    fn increment(&self) -> Result<Ruling, No> {
        let place = &self.operation.place;
        let mut sums = BTreeMap::new();
        for (name, delta) in &self.operation.fields {
            let there = self.document.field(place, name, VALUE_BYTES_MAX);
            let value = match &there {
                Value::Absent => Ok(0.0),
                Value::Json(json) => number(json),
                Value::TooLong => Err(Objection::Malformed("a field is no number")),
            }?;
            let sum = add(value, number(delta)?)?;
            if there != Value::Json(sum.clone()) {
                sums.insert(name.clone(), sum);
            }
        }
        let unset = BTreeSet::new();
        self.tolerated(&sums, &unset)?;
        let write = (!sums.is_empty()).then_some(Draft::Set(sums, unset));
        Ok(self.ruling(write, Vec::new()))
    }

    /// What fields to be set or removed write over, if the operation is to go on over that.
    fn tolerated(
        &self,
        fields: &BTreeMap<Arc<str>, Json>,
        unset: &BTreeSet<Arc<str>>,
    ) -> Result<Vec<Clash>, No> {
        let set = fields.iter().map(|(name, value)| (name, Some(value)));
        let removed = unset.iter().map(|name| (name, None));
        let clashes = self.clashes(set.chain(removed));
        match self.more() {
            Some((_, OnConflict::Strict)) => Err(No::Conflict(clashes)),
            Some((_, OnConflict::Reject)) if !clashes.is_empty() => Err(No::Conflict(clashes)),
            _ => Ok(clashes),
        }
    }

    /// Of the fields to be written, those that changed after what the client has seen.
    fn clashes<'a>(
        &self,
        written: impl Iterator<Item = (&'a Arc<str>, Option<&'a Json>)>,
    ) -> Vec<Clash> {
        let (Some((base, _)), Some(meta)) = (self.more(), self.meta) else {
            return Vec::new();
        };
        let clashes = written.filter_map(|(field, mine)| {
            let theirs_version = *meta.fields.get(field)?;
            (theirs_version > base).then(|| Clash {
                field: field.clone(),
                mine: mine.map_or(Value::Absent, told),
                theirs: self
                    .document
                    .field(&self.operation.place, field, VALUE_BYTES_MAX),
                theirs_version,
            })
        });
        clashes.collect()
    }
}

fn told(json: &Json) -> Value {
    if json.0.len() > VALUE_BYTES_MAX {
        return Value::TooLong;
    }
    Value::Json(json.clone())
}

fn number(json: &Json) -> Result<f64, Objection> {
    serde_json::from_str(&json.0).map_err(|_| Objection::Malformed("a field is no number"))
}

/// Whole numbers add up exactly, or not at all.
fn add(a: f64, b: f64) -> Result<Json, Objection> {
    let sum = a + b;
    // What rounding took (Knuth's TwoSum).
    let of_b = sum - a;
    let lost = (a - (sum - of_b)) + (b - of_b);
    let are_whole = a.fract() == 0.0 && b.fract() == 0.0;
    let far = Objection::Malformed("the sum is no number that can be kept");
    match serde_json::Number::from_f64(sum) {
        Some(number) if !are_whole || lost == 0.0 => {
            canonical(&serde_json::Value::Number(number)).map_err(|_| far)
        }
        _ => Err(far),
    }
}
