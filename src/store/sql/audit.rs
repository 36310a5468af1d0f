//! Owns the columns of the audit log.

use super::super::audit::{AuditEvent, AuditLine, AuditQuery};
use crate::ids::UnixMillis;

/// The columns of a line, in the order of every statement that selects them.
pub(in crate::store) type LineColumns = (
    i64,
    i64,
    String,
    Option<String>,
    Option<String>,
    bool,
    Option<String>,
    String,
);

/// A line out of its columns.
pub(in crate::store) fn line(columns: LineColumns) -> AuditLine {
    let (id, at, action, user, room, is_allowed, address, detail) = columns;
    AuditLine {
        id,
        event: AuditEvent {
            at: UnixMillis(at),
            action,
            user,
            room,
            is_allowed,
            address,
            detail,
        },
    }
}

/// The text of a list of lines: `$1` room, `$2` user, `$3` before, `$4` limit.
pub(in crate::store) fn lines_text(detail: &str, query: &AuditQuery) -> String {
    let room = query.room.as_ref().map_or("", |_| " AND room = $1");
    let user = query.user.as_ref().map_or("", |_| " AND \"user\" = $2");
    let before = query.before.map_or("", |_| " AND id < $3");
    format!(
        "SELECT id, at, action, \"user\", room, is_allowed, address, {detail} FROM audit
         WHERE true{room}{user}{before} ORDER BY id DESC LIMIT $4"
    )
}

/// `$1` before, `$2` at most so many. Lines of one time go by number.
pub(in crate::store) const FORGET: &str = "
    DELETE FROM audit WHERE id IN (
        SELECT id FROM audit WHERE at < $1 ORDER BY at, id LIMIT $2
    )";
