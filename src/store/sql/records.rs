//! Owns the columns of records, operations and conflicts: what both SQL stores answer with.

use std::time::Duration;

use super::super::filter::filters;
use super::super::records::{
    Conflict, ConflictQuery, ConflictRow, OpRow, Recall, RecordKey, RecordOrder, RecordQuery,
    RecordRow, Resolved, Since,
};
use super::super::{Failure, Patience};
use super::{count, json, number, version};
use crate::ids::{OpId, RoomId, UnixMillis, Version};

/// Records in one statement that people wait for; more have the patience of upkeep.
const PROMPT_RECORDS_MAX: usize = 1_000;

/// One line of what a single statement reads of a room, so that all of it is of one moment: which
/// of the three it is, and the columns of a record. [`ROOM`] has `projected` as its version, [`OP`]
/// its id as collection, its time as created and its result as data.
pub(in crate::store) type Line = (
    i64,
    String,
    String,
    i64,
    String,
    String,
    String,
    i64,
    String,
    i64,
    String,
    Option<i64>,
);

const ROOM: i64 = 0;
const OP: i64 = 1;
const RECORD: i64 = 2;

/// What lines say, in the order of names; nothing is known of a room that has no line.
pub(in crate::store) fn recall(room: &RoomId, lines: Vec<Line>) -> Result<Recall, Failure> {
    let mut recall = Recall::default();
    for line in lines {
        let (kind, name, record, number, data, untold, field_versions, ..) = line;
        let (.., created_at, created_by, updated_at, updated_by, deleted_at) = line;
        let version = version(room, number)?;
        match kind {
            ROOM => recall.projected = version,
            OP => recall.ops.push(OpRow {
                id: OpId::parse(&name).ok_or_else(|| wrong(room, "an operation", &name))?,
                version,
                at: UnixMillis(created_at),
                result: data,
            }),
            RECORD => recall.records.push(RecordRow {
                key: RecordKey {
                    collection: name,
                    record,
                },
                version,
                data,
                untold,
                field_versions,
                created_at: UnixMillis(created_at),
                created_by,
                updated_at: UnixMillis(updated_at),
                updated_by,
                deleted_at: deleted_at.map(UnixMillis),
            }),
            _ => return Err(wrong(room, "a line", &kind.to_string())),
        }
    }
    recall.ops.sort_by(|one, other| one.id.cmp(&other.id));
    recall.ops.dedup();
    recall.records.sort_by(|one, other| one.key.cmp(&other.key));
    recall.records.dedup();
    Ok(recall)
}

/// A page of records, whatever order the database joined it in.
pub(in crate::store) fn page(
    room: &RoomId,
    order: RecordOrder,
    lines: Vec<Line>,
) -> Result<(Version, Vec<RecordRow>), Failure> {
    let Recall {
        projected,
        mut records,
        ..
    } = recall(room, lines)?;
    if order == RecordOrder::Update {
        // Stable: by id within a version.
        records.sort_by_key(|row| row.version);
    }
    Ok((projected, records))
}

fn wrong(room: &RoomId, what: &str, name: &str) -> Failure {
    Failure::Corrupt(format!("{what} {name:?} of {room}"))
}

/// How a store lists records: `$1` room, `$2` epoch, `$3` collection, `$4` and `$5` the version and
/// the record after which, `$6` since, `$7` filters, `$8` limit.
pub(in crate::store) struct ListText {
    /// Up to the records of the collection.
    pub(in crate::store) begin: &'static str,
    /// That all filters are met.
    pub(in crate::store) meets: &'static str,
}

impl ListText {
    /// The text for a query: few, so that each stays prepared, and each a walk along one index.
    pub(in crate::store) fn of(&self, query: &RecordQuery) -> String {
        let is_by_id = query.order == RecordOrder::Id;
        let after = match query.after {
            Some(_) if is_by_id => " AND c.record > $5",
            Some(_) => " AND (c.version, c.record) > ($4, $5)",
            None => "",
        };
        let since = match query.since {
            Some(Since::Version(_)) => " AND c.version > $6",
            Some(Since::Time(_)) => " AND c.updated_at >= $6",
            None => "",
        };
        let meets = if query.filters.is_empty() {
            ""
        } else {
            self.meets
        };
        let order = if is_by_id {
            "c.record"
        } else {
            "c.version, c.record"
        };
        let begin = self.begin;
        format!("{begin}{after}{since}{meets} ORDER BY {order} LIMIT $8) page")
    }
}

/// A query in what columns hold.
pub(in crate::store) struct Asked<'a> {
    pub(in crate::store) collection: &'a str,
    pub(in crate::store) after_version: i64,
    pub(in crate::store) after_record: &'a str,
    pub(in crate::store) since: i64,
    /// `[[field, text, the same as a boolean or a number, as a number]]`, the last two or null.
    pub(in crate::store) filters: String,
    pub(in crate::store) limit: i64,
}

pub(in crate::store) fn asked(query: &RecordQuery) -> Result<Asked<'_>, Failure> {
    let filters = filters(query);
    let limit = match filters {
        Some(_) => count(query.limit),
        None => 0,
    };
    let filters = filters.iter().flatten();
    let filters: Vec<_> = filters
        .map(|filter| {
            let number = filter.other.as_ref().filter(|other| other.is_number());
            (filter.field, filter.text, &filter.other, number)
        })
        .collect();
    let after = query.after.as_ref();
    Ok(Asked {
        collection: up_to_nul(&query.collection),
        after_version: after.map_or(0, |(version, _)| clamped(*version)),
        after_record: after.map_or("", |(_, record)| up_to_nul(record)),
        since: match query.since {
            Some(Since::Version(version)) => clamped(version),
            Some(Since::Time(at)) => at.0,
            None => 0,
        },
        filters: json(&filters)?,
        limit,
    })
}

/// What follows on a text with U+0000 follows on what is before that: no name has one.
fn up_to_nul(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}

/// A version to compare with: nothing is after what a column cannot hold.
fn clamped(version: Version) -> i64 {
    number(version).unwrap_or(i64::MAX)
}

/// The columns of a conflict, in the order of every statement that selects them.
pub(in crate::store) type ConflictColumns = (
    String,
    uuid::Uuid,
    String,
    String,
    String,
    i64,
    Option<String>,
    Option<String>,
    i64,
    String,
    String,
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i64>,
);

/// A conflict out of its columns.
pub(in crate::store) fn conflict(columns: ConflictColumns) -> Result<Conflict, Failure> {
    let (name, id, collection, record, field, number, mine, theirs, ..) = columns;
    let (.., theirs_number, user, client, at, theirs_actors, resolution, by, resolved_at) = columns;
    let room = RoomId::parse(&name)
        .map_err(|invalid| Failure::Corrupt(format!("the name {name:?}: {invalid}")))?;
    let resolved = match (resolution, by, resolved_at) {
        (Some(resolution), Some(by), Some(at)) => Some(Resolved {
            resolution,
            by,
            at: UnixMillis(at),
        }),
        _ => None,
    };
    Ok(Conflict {
        row: ConflictRow {
            id,
            key: RecordKey { collection, record },
            field,
            version: version(&room, number)?,
            mine,
            theirs,
            theirs_version: version(&room, theirs_number)?,
            user,
            client,
            at: UnixMillis(at),
        },
        room,
        theirs_actors,
        resolved,
    })
}

/// The text of a list of conflicts: `$1` rooms, which `of_rooms` asks for, `$2` after, `$3` limit.
pub(in crate::store) fn conflicts_text(
    select: &str,
    of_rooms: &str,
    query: &ConflictQuery,
) -> String {
    let of_rooms = query.rooms.as_ref().map_or("", |_| of_rooms);
    let resolved = match query.resolved {
        Some(true) => " AND c.resolved_at IS NOT NULL",
        Some(false) => " AND c.resolved_at IS NULL",
        None => "",
    };
    let after = query.after.map_or("", |_| " AND c.id > $2");
    format!("{select} WHERE true{of_rooms}{resolved}{after} ORDER BY c.id LIMIT $3")
}

/// `$1` id, `$2` resolution, `$3` by, `$4` at.
pub(in crate::store) const RESOLVE: &str = "
    UPDATE conflicts SET resolution = $2, resolved_by = $3, resolved_at = $4
    WHERE id = $1 AND resolved_at IS NULL";

/// How long a projection may take: of few records, people wait for it.
pub(in crate::store) fn patience(patience: &Patience, records: &[RecordRow]) -> Duration {
    if is_prompt(records) {
        patience.call
    } else {
        patience.upkeep
    }
}

pub(in crate::store) fn is_prompt(records: &[RecordRow]) -> bool {
    records.len() <= PROMPT_RECORDS_MAX
}
