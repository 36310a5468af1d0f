//! Owns the translation between entries, which rooms speak, and rows, which stores keep.

use crate::room::Entry;
use crate::store::Row;
use crate::wire::{json, stored};

/// The row of an entry.
#[must_use]
pub fn encode(entry: &Entry) -> Row {
    Row {
        version: entry.version,
        at: entry.at,
        actors: json::encode_actors(entry),
        ops: "[]".into(),
        update: stored::pack(&entry.updates),
        events: json::encode_events(entry),
    }
}

/// The entry of a row; says what is wrong with it otherwise.
pub fn decode(row: &Row) -> Result<Entry, String> {
    let wrong = |what: &str, error: &dyn std::fmt::Display| {
        format!("version {} has unreadable {what}: {error}", row.version)
    };
    Ok(Entry {
        version: row.version,
        at: row.at,
        actors: json::decode_actors(&row.actors).map_err(|error| wrong("actors", &error))?,
        updates: stored::unpack(&row.update).map_err(|error| wrong("updates", &error))?,
        events: json::decode_events(&row.events).map_err(|error| wrong("events", &error))?,
    })
}
