//! Owns the check of what is stored: every room is folded and compared with what it says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{loader, projector, rows};
use crate::ids::{Epoch, RoomId, Version};
use crate::room::entry::{ChangeEvent, ChangeKind, Value};
use crate::room::index::StateVector;
use crate::room::record::Cell;
use crate::room::{Document, Standing};
use crate::store::records::{RecordKey, RecordQuery, RecordRow};
use crate::store::{Failure, Store};

/// Records that are looked up with one read.
const RECORDS_AT_ONCE: usize = 1_000;

type Place = (Arc<str>, Arc<str>);

/// What the change events say of records, as far as they say it.
#[derive(Default)]
struct Told {
    records: BTreeMap<Place, Record>,
}

/// A record by its events: whether it is there, and the last value of each field they name.
#[derive(Default)]
struct Record {
    is_there: bool,
    fields: BTreeMap<Arc<str>, Value>,
}

/// Folds one room in every way there is and compares; returns one sentence per difference.
///
/// # Errors
///
/// When the store cannot be read.
pub async fn check(store: &Arc<dyn Store>, room: &RoomId) -> Result<Vec<String>, Failure> {
    let opened = match loader::load(store, room, 1, Epoch(uuid::Uuid::nil())).await {
        Ok(opened) => opened,
        Err(Failure::Corrupt(what)) => return Ok(vec![what]),
        Err(failure) => return Err(failure),
    };
    // What is written from now on is left out: the room may be in use.
    let head = opened.standing;
    let mut differences = Vec::new();
    let mut told = Told::default();
    let mut whole = (head.oldest == Version(1)).then(|| Document::new(1, StateVector::default()));
    read_log(store, room, &head, &mut whole, &mut told, &mut differences).await?;
    if let Some(whole) = whole
        && differences.is_empty()
    {
        if whole.json() != opened.document.json() {
            differences.push("snapshot and log give another document than the log alone".into());
        }
        if whole.state_vector() != opened.document.state_vector() {
            differences
                .push("snapshot and log give another state vector than the log alone".into());
        }
    }
    differences.extend(told.compare(&opened.document));
    if differences.is_empty() {
        differences = compare_records(store, room, &head, &opened.document).await?;
    }
    Ok(differences)
}

/// Compares the projection with the document, record by record, once it is where the room stands.
async fn compare_records(
    store: &Arc<dyn Store>,
    room: &RoomId,
    head: &Standing,
    document: &Document,
) -> Result<Vec<String>, Failure> {
    let mut differences = Vec::new();
    if head.head == Version::ZERO {
        return Ok(differences);
    }
    let projected = projector::project(store, room, head.epoch, head.head).await?;
    if projected > head.head {
        // Somebody writes: what is listed now is newer than what was folded.
        return Ok(differences);
    }
    let expected: BTreeMap<RecordKey, RecordRow> = projector::rows_of(document, head.head)
        .into_iter()
        .map(|row| (row.key.clone(), row))
        .collect();
    let keys: Vec<RecordKey> = expected.keys().cloned().collect();
    for keys in keys.chunks(RECORDS_AT_ONCE) {
        let known = store.records().recall(room, head.epoch, &[], keys).await?;
        let known = known.records.iter().filter(|row| row.deleted_at.is_none());
        let known: BTreeMap<_, _> = known.map(|row| (&row.key, row)).collect();
        for key in keys {
            let RecordKey { collection, record } = key;
            let is_same = match known.get(key) {
                None => false,
                Some(row) => rows::values_in(row).ok() == rows::values_in(&expected[key]).ok(),
            };
            if !is_same {
                let what = format!("{collection}/{record} differs in the table of records");
                differences.push(what);
            }
        }
    }
    let collections: BTreeSet<&str> = expected.keys().map(|it| &*it.collection).collect();
    for collection in collections {
        let mut query = RecordQuery {
            collection: collection.to_owned(),
            limit: RECORDS_AT_ONCE,
            ..RecordQuery::default()
        };
        loop {
            let (_, listed) = store.records().list(room, head.epoch, &query).await?;
            let more = listed.iter().filter(|row| !expected.contains_key(&row.key));
            differences.extend(more.map(|row| {
                let record = &row.key.record;
                format!("{collection}/{record} is in the table of records only")
            }));
            let Some(last) = listed.last() else { break };
            query.after = Some((last.version, last.key.record.clone()));
        }
    }
    Ok(differences)
}

async fn read_log(
    store: &Arc<dyn Store>,
    room: &RoomId,
    head: &Standing,
    whole: &mut Option<Document>,
    told: &mut Told,
    differences: &mut Vec<String>,
) -> Result<(), Failure> {
    let mut at = Version(head.oldest.0 - 1);
    while at < head.head {
        let page = read_page(store, room, head.epoch, at).await?;
        if page.is_empty() {
            differences.push(format!("version {} is missing", at.next()));
            return Ok(());
        }
        for row in page.into_iter().take_while(|row| row.version <= head.head) {
            if row.version != at.next() {
                differences.push(format!("version {} is missing", at.next()));
                return Ok(());
            }
            at = row.version;
            let entry = match rows::decode(&row) {
                Ok(entry) => entry,
                Err(what) => {
                    differences.push(what);
                    return Ok(());
                }
            };
            if let Some(document) = whole {
                for update in &entry.updates {
                    if let Err(fault) = document.load(update) {
                        differences.push(format!("version {at} cannot be folded: {fault:?}"));
                        return Ok(());
                    }
                }
            }
            entry.events.iter().for_each(|event| told.take(event));
        }
    }
    Ok(())
}

async fn read_page(
    store: &Arc<dyn Store>,
    room: &RoomId,
    epoch: Epoch,
    at: Version,
) -> Result<Vec<crate::store::Row>, Failure> {
    store.read(room, epoch, at, loader::PAGE).await
}

impl Told {
    fn take(&mut self, event: &ChangeEvent) {
        let change = &event.change;
        let Some(record) = &change.record else { return };
        let place = (change.collection.clone(), record.clone());
        let told = self.records.entry(place).or_default();
        match change.kind {
            ChangeKind::Create | ChangeKind::Update => told.is_there = true,
            ChangeKind::Delete => told.is_there = false,
            ChangeKind::Document => return,
        }
        for field in &change.fields {
            told.fields.insert(field.field.clone(), field.new.clone());
        }
    }

    fn compare(&self, document: &Document) -> Vec<String> {
        let mut differences = Vec::new();
        for ((collection, record), told) in &self.records {
            let cell = document.cell(collection, record);
            let fields = match (&cell, told.is_there) {
                (Cell::Record(fields), true) => fields,
                (Cell::Absent | Cell::Plain, false) => continue,
                (Cell::Record(_), false) | (Cell::Absent | Cell::Plain, true) => {
                    let what = if told.is_there { "there" } else { "gone" };
                    differences.push(format!(
                        "{collection}/{record} is {what} by its events only"
                    ));
                    continue;
                }
            };
            for (field, value) in &told.fields {
                if fields.get(field).unwrap_or(&Value::Absent) != value {
                    differences.push(format!(
                        "{collection}/{record}/{field} differs from its events"
                    ));
                }
            }
        }
        differences
    }
}
