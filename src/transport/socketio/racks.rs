//! Owns what goes along with changes and nobody keeps: it is there while they are told, in memory
//! alone.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::ids::RoomId;
use crate::wire::socketio::{Luggage, Rack};

/// What all of it may take; the oldest goes first.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// The luggage of recent operations.
#[derive(Default)]
pub struct Racks(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    held: HashMap<Arc<str>, (Arc<Luggage>, usize)>,
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

/// No name of a room or an operation has a line break in it.
fn key(room: &str, op: &str) -> Arc<str> {
    format!("{room}\n{op}").into()
}

impl Racks {
    /// Holds the luggage of an operation.
    pub fn put(&self, room: &RoomId, op: &str, luggage: Luggage) {
        let key = key(room.as_str(), op);
        let parts = [&luggage.base, &luggage.metadata];
        let lengths = parts.map(|it| it.as_ref().map_or(0, |raw| raw.get().len()));
        let bytes = 256 + 2 * key.len() + lengths.iter().sum::<usize>();
        if bytes > BYTES_MAX {
            return;
        }
        let mut inner = self.0.lock();
        inner.bytes += bytes;
        match inner.held.insert(key.clone(), (Arc::new(luggage), bytes)) {
            Some((_, former)) => inner.bytes -= former,
            None => inner.order.push_back(key),
        }
        while inner.bytes > BYTES_MAX
            && let Some(oldest) = inner.order.pop_front()
        {
            if let Some((_, bytes)) = inner.held.remove(&oldest) {
                inner.bytes -= bytes;
            }
        }
    }
}

impl Rack for Racks {
    fn find(&self, room: &str, op: &str) -> Option<Arc<Luggage>> {
        let inner = self.0.lock();
        inner
            .held
            .get(&key(room, op))
            .map(|(luggage, _)| luggage.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn si22_what_goes_along_is_bounded_and_the_oldest_is_left_first() {
        let racks = Racks::default();
        let room = RoomId::parse("table:t").expect("a name");
        let luggage = |text: &str| Luggage {
            base: None,
            metadata: RawValue::from_string(format!("{{\"a\":{text:?}}}")).ok(),
        };
        racks.put(&room, "one", luggage("1"));
        racks.put(&room, "one", luggage("2"));
        let found = racks
            .find("table:t", "one")
            .and_then(|it| it.metadata.clone());
        assert_eq!(found.expect("held").get(), "{\"a\":\"2\"}");
        assert!(racks.find("table:u", "one").is_none());
        let large = "x".repeat(BYTES_MAX / 3);
        for name in ["two", "three", "four"] {
            racks.put(&room, name, luggage(&large));
        }
        let held = |name| racks.find("table:t", name).is_some();
        assert_eq!(
            ["one", "two", "three", "four"].map(held),
            [false, false, true, true]
        );
        assert!(racks.0.lock().bytes <= BYTES_MAX);
        racks.put(&room, "vast", luggage(&"x".repeat(BYTES_MAX)));
        assert!(!held("vast"));
    }
}
