//! Owns the name, unit and meaning of every metric.
//!
//! Rooms and users are never labels: their number has no bound.

use metrics::Unit;

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only up.
    Counter,
    /// Up and down.
    Gauge,
    /// How values are spread, counted up to each of these bounds.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// As it is exported.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What is counted or measured.
    pub unit: Unit,
    /// One sentence for an operator.
    pub help: &'static str,
}

/// Label `code` or `reason`: one of the closed lists of `docs/SPEC.md`.
pub const LABEL_CODE: &str = "code";

/// Label `kind`: `room` or `update`.
pub const LABEL_KIND: &str = "kind";

/// Open connections.
pub const CONNECTIONS: &str = "roundtable_connections";
/// Rooms in memory.
pub const ROOMS: &str = "roundtable_rooms";
/// Attachments of connections to rooms.
pub const SESSIONS: &str = "roundtable_sessions";
/// Updates taken from clients.
pub const UPDATES_IN: &str = "roundtable_updates_in_total";
/// Bytes read from WebSockets.
pub const BYTES_IN: &str = "roundtable_received_bytes_total";
/// Bytes that WebSockets took.
pub const BYTES_OUT: &str = "roundtable_sent_bytes_total";
/// Frames given to connections.
pub const DELIVERIES: &str = "roundtable_deliveries_total";
/// States encoded for readers that catch up.
pub const ENCODINGS: &str = "roundtable_encodings_total";
/// Append transactions committed.
pub const APPENDS: &str = "roundtable_appends_total";
/// How long an append took.
pub const APPEND_SECONDS: &str = "roundtable_append_duration_seconds";
/// Entries committed.
pub const ENTRIES: &str = "roundtable_entries_total";
/// Bytes that wait for the database.
pub const BACKLOG_BYTES: &str = "roundtable_backlog_bytes";
/// Refusals, by `code`.
pub const REFUSALS: &str = "roundtable_refusals_total";
/// Connections that the server closed, by close `code`.
pub const CLOSES: &str = "roundtable_closes_total";
/// Snapshots written.
pub const SNAPSHOTS: &str = "roundtable_snapshots_total";
/// Rooms that ended by a false invariant.
pub const PANICS: &str = "roundtable_room_panics_total";
/// Rooms and updates held in quarantine by this process, by `kind`.
pub const QUARANTINED: &str = "roundtable_quarantined_total";
/// Rooms that are held in quarantine.
pub const QUARANTINED_ROOMS: &str = "roundtable_quarantined_rooms";
/// Calls to the database that failed.
pub const STORE_FAILURES: &str = "roundtable_store_failures_total";
/// Audit lines that were not written.
pub const AUDIT_LOST: &str = "roundtable_audit_lost_total";

/// From an embedded database's commit to a database that is nearly away.
const APPEND_BOUNDS: &[f64] = &[
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Every metric there is.
pub const ALL: &[Metric] = &[
    gauge(CONNECTIONS, Unit::Count, "Open connections."),
    gauge(ROOMS, Unit::Count, "Rooms in memory."),
    gauge(
        SESSIONS,
        Unit::Count,
        "Attachments of connections to rooms.",
    ),
    counter(
        UPDATES_IN,
        Unit::Count,
        "Updates and operations taken from clients.",
    ),
    counter(
        BYTES_IN,
        Unit::Bytes,
        "Bytes read from WebSockets, frames and all.",
    ),
    counter(
        BYTES_OUT,
        Unit::Bytes,
        "Bytes written to WebSockets, frames and all.",
    ),
    counter(DELIVERIES, Unit::Count, "Frames given to connections."),
    counter(
        ENCODINGS,
        Unit::Count,
        "Document states encoded for readers that catch up.",
    ),
    counter(APPENDS, Unit::Count, "Append transactions committed."),
    Metric {
        name: APPEND_SECONDS,
        kind: Kind::Histogram(APPEND_BOUNDS),
        unit: Unit::Seconds,
        help: "How long an append took, from its start to its commit.",
    },
    counter(ENTRIES, Unit::Count, "Entries committed."),
    gauge(
        BACKLOG_BYTES,
        Unit::Bytes,
        "Bytes of entries that wait for the database.",
    ),
    counter(REFUSALS, Unit::Count, "Requests refused, by code."),
    counter(
        CLOSES,
        Unit::Count,
        "Connections closed by the server, by close code.",
    ),
    counter(SNAPSHOTS, Unit::Count, "Snapshots written."),
    counter(
        PANICS,
        Unit::Count,
        "Rooms that ended by a false invariant and were rebuilt.",
    ),
    counter(
        QUARANTINED,
        Unit::Count,
        "Rooms and updates put into quarantine, by kind.",
    ),
    gauge(
        QUARANTINED_ROOMS,
        Unit::Count,
        "Rooms in quarantine, until an operator releases them.",
    ),
    counter(
        STORE_FAILURES,
        Unit::Count,
        "Calls to the database that failed.",
    ),
    counter(
        AUDIT_LOST,
        Unit::Count,
        "Lines of the audit log that were not written.",
    ),
];

const fn counter(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Counter,
        unit,
        help,
    }
}

const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric {
        name,
        kind: Kind::Gauge,
        unit,
        help,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_said_once_and_end_with_what_they_are() {
        let mut seen = std::collections::HashSet::new();
        for metric in ALL {
            assert!(seen.insert(metric.name), "{}", metric.name);
            assert!(metric.name.starts_with("roundtable_"), "{}", metric.name);
            let is_total = metric.name.ends_with("_total");
            assert_eq!(is_total, metric.kind == Kind::Counter, "{}", metric.name);
        }
    }
}
