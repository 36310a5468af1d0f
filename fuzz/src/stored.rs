//! Owns the target `stored`: any bytes as what the store kept of an entry. What is read comes back
//! whole from its own encoding, and is told as JSON.

use bytes::Bytes;
use roundtable::ids::{Epoch, RoomId, UnixMillis, Version};
use roundtable::room::Entry;
use roundtable::wire::{json, stored};
use uuid::Uuid;

/// The first byte says which column it is: updates, actors or change events.
pub fn run(input: &[u8]) {
    let Some((column, bytes)) = input.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(bytes);
    let mut entry = Entry {
        version: Version(1),
        at: UnixMillis(i64::from(*column) << 40),
        actors: Vec::new(),
        updates: Vec::new(),
        op: None,
        events: Vec::new(),
    };
    match column % 3 {
        0 => {
            if let Ok(updates) = stored::unpack(&Bytes::copy_from_slice(bytes)) {
                assert_eq!(stored::unpack(&stored::pack(&updates)), Ok(updates));
            }
        }
        1 => {
            if let Ok(actors) = json::decode_actors(&text) {
                entry.actors = actors;
                let again = json::decode_actors(&json::encode_actors(&entry));
                assert_eq!(again.expect("its own encoding"), entry.actors);
            }
        }
        _ => {
            if let Ok(events) = json::decode_events(&text) {
                entry.events = events;
                let again = json::decode_events(&json::encode_events(&entry));
                assert_eq!(again.expect("its own encoding"), entry.events);
                let room = RoomId::parse("room").expect("a name");
                let told = json::change_events(&room, Epoch(Uuid::nil()), &entry);
                assert_eq!(told.len(), entry.events.len());
            }
        }
    }
}
