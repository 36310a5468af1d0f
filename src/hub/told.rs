//! Owns what JSON readers of a room hear live: recent messages, each encoded once, and the places
//! of readers in them.
//!
//! It is made for the first reader and dropped after the last. A reader that falls out of it costs
//! a version and nothing else: it reads on from the log.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::ids::{Epoch, RoomId, SessionId, Version};
use crate::room::Entry;
use crate::room::presence::Stir;
use crate::wire::notice::Notice;
use crate::wire::present;

/// Recent messages of one room.
#[derive(Debug)]
pub struct Told {
    inner: Mutex<Recent>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Recent {
    held: VecDeque<Held>,
    bytes: usize,
    /// How many messages there were.
    end: u64,
}

#[derive(Debug)]
struct Held {
    notice: Notice,
    place: Place,
}

/// What a message is to those who know some of it already.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// The next version.
    Version(Version),
    /// A tick of presence, by its number.
    Presence(u64),
    /// Something that is said once, and not to who said it.
    Once(Option<SessionId>),
}

/// What a reader knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The versions up to this one.
    pub version: Version,
    /// Presence up to this tick.
    pub presence: u64,
}

/// What a reader got.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// These; empty when it has everything.
    Notices,
    /// The room went on without it: it is to catch up from its version.
    Behind,
}

impl Told {
    /// Nothing yet, and room for so many bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            inner: Mutex::default(),
            bytes_max,
        }
    }

    /// Whether there are readers.
    #[must_use]
    pub fn is_heard(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1
    }

    /// Tells entries that are durable, in version order.
    pub fn release(&self, room: &RoomId, epoch: Epoch, entries: &[Arc<Entry>]) {
        for entry in entries {
            let notice = Notice::changes(room, epoch, entry.version, [&**entry]);
            self.add(notice, Place::Version(entry.version));
        }
    }

    /// Tells a tick of presence.
    pub fn stir(&self, room: &RoomId, stir: &Stir) {
        self.add(present::presence(room, stir), Place::Presence(stir.count));
    }

    /// Tells a message to everyone but its sender.
    pub fn say(&self, from: Option<SessionId>, notice: Notice) {
        self.add(notice, Place::Once(from));
    }

    fn add(&self, notice: Notice, place: Place) {
        let mut recent = self.inner.lock();
        recent.end += 1;
        recent.bytes += notice.bytes();
        recent.held.push_back(Held { notice, place });
        while recent.bytes > self.bytes_max
            && recent.held.len() > 1
            && let Some(dropped) = recent.held.pop_front()
        {
            recent.bytes -= dropped.notice.bytes();
        }
    }

    /// A reader that has heard nothing, at the end.
    #[must_use]
    pub fn cursor(self: &Arc<Self>) -> ToldCursor {
        ToldCursor {
            at: self.inner.lock().end,
            told: self.clone(),
        }
    }
}

/// One reader's place.
#[derive(Debug)]
pub struct ToldCursor {
    told: Arc<Told>,
    at: u64,
}

impl ToldCursor {
    /// Goes to the end. What the room had told by now is to be read from the log, what it tells
    /// from now on is not missed.
    pub fn skip(&mut self) {
        self.at = self.told.inner.lock().end;
    }

    /// Takes what comes next for a reader and is not `known` to it, until there are `bytes_max` or
    /// more. A version is told once, and none is left out.
    pub fn gather(
        &mut self,
        me: SessionId,
        known: &mut Known,
        bytes_max: usize,
        out: &mut Vec<Notice>,
    ) -> Heard {
        let recent = self.told.inner.lock();
        let start = recent.end - recent.held.len() as u64;
        let Some(first) = self.at.checked_sub(start) else {
            return Heard::Behind;
        };
        let mut taken = 0;
        for held in recent.held.iter().skip(first as usize) {
            if taken >= bytes_max {
                break;
            }
            let is_news = match held.place {
                Place::Version(told) if told > known.version.next() => return Heard::Behind,
                Place::Version(told) if told == known.version.next() => {
                    known.version = told;
                    true
                }
                Place::Version(_) => false,
                Place::Presence(told) => {
                    let is_news = told > known.presence;
                    known.presence = known.presence.max(told);
                    is_news
                }
                Place::Once(from) => from != Some(me),
            };
            self.at += 1;
            if is_news {
                taken += held.notice.bytes();
                out.push(held.notice.clone());
            }
        }
        Heard::Notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UnixMillis;
    use uuid::Uuid;

    const ME: SessionId = SessionId(1);

    fn entries(versions: std::ops::RangeInclusive<u64>) -> Vec<Arc<Entry>> {
        let entry = |version| Entry {
            version: Version(version),
            at: UnixMillis(0),
            actors: Vec::new(),
            updates: Vec::new(),
            op: None,
            events: Vec::new(),
        };
        versions.map(|version| Arc::new(entry(version))).collect()
    }

    fn release(told: &Told, versions: std::ops::RangeInclusive<u64>) {
        let room = RoomId::parse("r").expect("a name");
        told.release(&room, Epoch(Uuid::nil()), &entries(versions));
    }

    fn expected(versions: std::ops::RangeInclusive<u64>) -> Vec<Notice> {
        let room = RoomId::parse("r").expect("a name");
        let entries = entries(versions);
        let of = |entry: &Arc<Entry>| {
            Notice::changes(&room, Epoch(Uuid::nil()), entry.version, [&**entry])
        };
        entries.iter().map(of).collect()
    }

    fn known(version: u64) -> Known {
        Known {
            version: Version(version),
            presence: 0,
        }
    }

    fn gather(cursor: &mut ToldCursor, known: &mut Known) -> (Heard, Vec<Notice>) {
        let mut out = Vec::new();
        let heard = cursor.gather(ME, known, usize::MAX, &mut out);
        (heard, out)
    }

    #[test]
    fn jw21_a_version_is_told_once_and_none_is_left_out() {
        let told = Arc::new(Told::new(1 << 20));
        let mut cursor = told.cursor();
        assert!(told.is_heard());
        release(&told, 1..=4);
        // The log gave it the versions up to 2.
        let mut version = known(2);
        assert_eq!(
            gather(&mut cursor, &mut version),
            (Heard::Notices, expected(3..=4))
        );
        assert_eq!(version, known(4));
        assert_eq!(gather(&mut cursor, &mut version), (Heard::Notices, vec![]));
        // A gap is never told over.
        let mut late = told.cursor();
        release(&told, 5..=6);
        let mut missed = known(3);
        assert_eq!(gather(&mut late, &mut missed), (Heard::Behind, vec![]));
        drop((cursor, late));
        assert!(!told.is_heard());
    }

    #[test]
    fn jw22_a_reader_takes_a_bounded_step_at_a_time() {
        let told = Arc::new(Told::new(1 << 20));
        let mut cursor = told.cursor();
        release(&told, 1..=3);
        let mut version = known(0);
        for step in 1..=3 {
            let mut out = Vec::new();
            let heard = cursor.gather(ME, &mut version, 1, &mut out);
            assert_eq!((heard, out), (Heard::Notices, expected(step..=step)));
        }
    }

    #[test]
    fn jw23_who_falls_out_of_what_is_held_is_behind_and_reads_on_after_it_caught_up() {
        let one = expected(1..=1)[0].bytes();
        let told = Arc::new(Told::new(2 * one));
        let mut cursor = told.cursor();
        release(&told, 1..=3);
        let mut version = known(0);
        assert_eq!(gather(&mut cursor, &mut version), (Heard::Behind, vec![]));
        cursor.skip();
        release(&told, 4..=5);
        let mut version = known(4);
        assert_eq!(
            gather(&mut cursor, &mut version),
            (Heard::Notices, expected(5..=5))
        );
    }
}
