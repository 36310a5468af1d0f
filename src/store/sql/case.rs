//! Owns the statements and columns of quarantine: both SQL stores speak the same words here.

use bytes::Bytes;

use super::super::Failure;
use super::super::quarantine::{Case, CaseId, Kind};
use crate::ids::{RoomId, UnixMillis};

/// `$1` room, `$2` kind, `$3` reason, `$4` hash, `$5` marks, `$6` bytes, `$7` at.
pub(in crate::store) const CONFINE: &str = "
    INSERT INTO quarantine (room, kind, reason, hash, marks, bytes, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (room, kind, hash) WHERE released_at IS NULL
    DO UPDATE SET reason = quarantine.reason
    RETURNING id";

/// `$1` room.
pub(in crate::store) const HELD: &str = "
    SELECT id, room, kind, reason, hash, marks,
        CAST(octet_length(bytes) AS bigint), created_at, released_at
    FROM quarantine WHERE room = $1 AND released_at IS NULL ORDER BY id";

/// `$1` after, `$2` limit.
pub(in crate::store) const CASES: &str = "
    SELECT id, room, kind, reason, hash, marks,
        CAST(octet_length(bytes) AS bigint), created_at, released_at
    FROM quarantine WHERE id > $1 ORDER BY id LIMIT $2";

/// `$1` id.
pub(in crate::store) const CASE: &str = "
    SELECT id, room, kind, reason, hash, marks,
        CAST(octet_length(bytes) AS bigint), created_at, released_at
    FROM quarantine WHERE id = $1";

/// `$1` id.
pub(in crate::store) const BYTES: &str = "SELECT bytes FROM quarantine WHERE id = $1";

/// `$1` id, `$2` at.
pub(in crate::store) const RELEASE: &str =
    "UPDATE quarantine SET released_at = coalesce(released_at, $2) WHERE id = $1";

/// `$1` id.
pub(in crate::store) const FORGET: &str = "UPDATE quarantine SET bytes = NULL WHERE id = $1";

/// `$1` id.
pub(in crate::store) const REMOVE: &str = "DELETE FROM quarantine WHERE id = $1";

pub(in crate::store) const HELD_ROOMS: &str = "
    SELECT count(*) FROM quarantine WHERE kind = 'room' AND released_at IS NULL";

/// The columns of a case, in the order of every statement that selects them.
pub(in crate::store) type CaseColumns = (
    i64,
    String,
    String,
    String,
    Vec<u8>,
    Vec<u8>,
    Option<i64>,
    i64,
    Option<i64>,
);

/// A case out of its columns.
pub(in crate::store) fn case(columns: CaseColumns) -> Result<Case, Failure> {
    let (id, room, kind, reason, hash, marks, size, created_at, released_at) = columns;
    let wrong = |what: &str| Failure::Corrupt(format!("{what} of case {id} in quarantine"));
    Ok(Case {
        id: CaseId(id),
        room: RoomId::parse(&room).map_err(|_| wrong("the room"))?,
        kind: Kind::of(&kind).ok_or_else(|| wrong("the kind"))?,
        reason,
        hash: Bytes::from(hash),
        marks: Bytes::from(marks),
        size: size.and_then(|size| u64::try_from(size).ok()),
        created_at: UnixMillis(created_at),
        released_at: released_at.map(UnixMillis),
    })
}
