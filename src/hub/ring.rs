//! Owns what a room tells many: a ring of live frames, and each session's place in it.
//!
//! A live frame is encoded once, header included, and every socket writes the same bytes. A reader
//! that falls out of the ring costs nothing: it holds a state vector of the generation it stood in
//! and asks for one diff from there.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::ids::{RoomId, SessionId};
use crate::room::LiveEvent;
use crate::wire::Dialect;
use crate::wire::hocuspocus::{self, Address};

/// Recent live frames of one room in one dialect.
#[derive(Debug)]
pub struct Ring {
    dialect: Dialect,
    inner: Mutex<Frames>,
}

#[derive(Debug)]
struct Frames {
    generations: VecDeque<Generation>,
    /// How many live events there were: where a cursor that has everything stands.
    end: u64,
}

/// A stretch of frames, with the state vector of the document before the first of them.
#[derive(Debug)]
struct Generation {
    state_vector: Bytes,
    start: u64,
    segments: VecDeque<Segment>,
    bytes: usize,
}

/// The frames of one batch of the room's task, one after the other in one buffer.
#[derive(Debug)]
struct Segment {
    start: u64,
    bytes: Bytes,
    frames: SmallVec<[Frame; 2]>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Where that begins which is the same for every address.
    body: usize,
    end: usize,
    from: Option<SessionId>,
}

/// Gathers the frames of one batch.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    frames: SmallVec<[Frame; 2]>,
}

impl Batch {
    /// Encodes one event of a room for everyone but its sender.
    pub fn add(
        &mut self,
        dialect: Dialect,
        room: &RoomId,
        from: Option<SessionId>,
        event: &LiveEvent,
    ) {
        let begin = self.bytes.len();
        let before = dialect.write_live(room, event, &mut self.bytes);
        self.frames.push(Frame {
            body: begin + before,
            end: self.bytes.len(),
            from,
        });
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

impl Ring {
    /// An empty ring that begins where the room stands.
    #[must_use]
    pub fn new(dialect: Dialect, live_count: u64, state_vector: Bytes) -> Self {
        let first = Generation {
            state_vector,
            start: live_count,
            segments: VecDeque::new(),
            bytes: 0,
        };
        Self {
            dialect,
            inner: Mutex::new(Frames {
                generations: [first].into(),
                end: live_count,
            }),
        }
    }

    /// The dialect of its frames.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Adds a batch; returns how large the newest generation is by now.
    pub fn publish(&self, batch: Batch) -> usize {
        let mut frames = self.inner.lock();
        let start = frames.end;
        frames.end += batch.frames.len() as u64;
        let Some(newest) = frames.generations.back_mut() else {
            return 0;
        };
        newest.bytes += batch.bytes.len();
        let bytes = batch.bytes.into();
        newest.segments.push_back(Segment {
            start,
            bytes,
            frames: batch.frames,
        });
        newest.bytes
    }

    /// How many bytes of frames it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let frames = self.inner.lock();
        frames.generations.iter().map(|held| held.bytes).sum()
    }

    /// Begins a new generation at a document state, and drops all but the one before it.
    pub fn turn(&self, state_vector: Bytes) {
        let mut frames = self.inner.lock();
        let start = frames.end;
        frames.generations.push_back(Generation {
            state_vector,
            start,
            segments: VecDeque::new(),
            bytes: 0,
        });
        while frames.generations.len() > 2 {
            frames.generations.pop_front();
        }
    }

    /// A cursor that has everything so far.
    #[must_use]
    pub fn cursor(self: &Arc<Self>) -> LiveCursor {
        let frames = self.inner.lock();
        let newest = frames.generations.back().expect("a ring has a generation");
        LiveCursor {
            at: frames.end,
            state_vector: newest.state_vector.clone(),
            ring: self.clone(),
            address: None,
        }
    }
}

/// One session's place in a ring.
#[derive(Debug)]
pub struct LiveCursor {
    ring: Arc<Ring>,
    at: u64,
    state_vector: Bytes,
    /// What its reader calls the document, if that is not the room's name.
    address: Option<Address>,
}

/// What a cursor got.
#[derive(Debug, PartialEq, Eq)]
pub enum Gathered {
    /// These bytes; empty when it has everything.
    Frames,
    /// The ring goes on without it: it has everything up to this state vector.
    Behind(Bytes),
}

impl LiveCursor {
    /// Has every frame under another address.
    pub fn readdress(&mut self, address: Address) {
        self.address = Some(address);
    }

    /// Stands after a diff that includes so many live events.
    pub fn jump(&mut self, as_of: u64) {
        self.at = self.at.max(as_of);
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.ring.inner.lock().end == self.at
    }

    /// Takes what comes next, but what `me` sent itself: whole segments, until there are
    /// `bytes_max` or more.
    pub fn gather(
        &mut self,
        me: SessionId,
        bytes_max: usize,
        out: &mut VecDeque<Bytes>,
    ) -> Gathered {
        let frames = self.ring.inner.lock();
        if frames
            .generations
            .front()
            .is_some_and(|oldest| self.at < oldest.start)
        {
            let behind = self.state_vector.clone();
            self.at = frames.end;
            return Gathered::Behind(behind);
        }
        let mut taken = 0;
        for generation in &frames.generations {
            if generation.start <= self.at && self.state_vector != generation.state_vector {
                self.state_vector = generation.state_vector.clone();
            }
            let first = generation
                .segments
                .partition_point(|segment| segment.start + segment.frames.len() as u64 <= self.at);
            for segment in generation.segments.iter().skip(first) {
                if taken >= bytes_max {
                    return Gathered::Frames;
                }
                taken += match &self.address {
                    None => segment.take_from(self.at, me, out),
                    Some(address) => segment.take_for(address, self.at, me, out),
                };
                self.at = segment.start + segment.frames.len() as u64;
            }
        }
        Gathered::Frames
    }
}

impl Segment {
    /// Adds the runs of frames from `at` on that `me` did not send; returns their bytes.
    fn take_from(&self, at: u64, me: SessionId, out: &mut VecDeque<Bytes>) -> usize {
        let skip = at.saturating_sub(self.start) as usize;
        let mut begin = if skip == 0 {
            0
        } else {
            self.frames[skip - 1].end
        };
        let mut end = begin;
        let mut taken = 0;
        let mut flush = |begin: usize, end: usize| {
            if end > begin {
                taken += end - begin;
                out.push_back(self.bytes.slice(begin..end));
            }
        };
        for frame in self.frames.iter().skip(skip) {
            if frame.from == Some(me) {
                flush(begin, end);
                begin = frame.end;
            }
            end = frame.end;
        }
        flush(begin, end);
        taken
    }

    /// The same, each frame under another address: a header of its own, and the bytes that all
    /// share.
    fn take_for(
        &self,
        address: &Address,
        at: u64,
        me: SessionId,
        out: &mut VecDeque<Bytes>,
    ) -> usize {
        let skip = at.saturating_sub(self.start) as usize;
        let mut taken = 0;
        for frame in self.frames.iter().skip(skip) {
            if frame.from == Some(me) || frame.body == frame.end {
                continue;
            }
            let body = self.bytes.slice(frame.body..frame.end);
            let header = hocuspocus::header(address.as_str(), body.len());
            taken += header.len() + body.len();
            out.push_back(header.into());
            out.push_back(body);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: SessionId = SessionId(1);

    fn update(text: &'static str) -> LiveEvent {
        LiveEvent::Update(Bytes::from_static(text.as_bytes()))
    }

    fn publish(ring: &Ring, events: &[(u64, &'static str)]) {
        let mut batch = Batch::default();
        let room = RoomId::parse("r").expect("a name");
        for (from, text) in events {
            let from = Some(SessionId(*from));
            batch.add(ring.dialect(), &room, from, &update(text));
        }
        ring.publish(batch);
    }

    fn texts(out: VecDeque<Bytes>) -> String {
        // A frame is a header of two bytes, two of message type, one of length, then the text.
        let bytes: Vec<u8> = out.into_iter().flatten().collect();
        let mut rest = &bytes[..];
        let mut all = String::new();
        while let [_, length, body @ ..] = rest {
            let (frame, after) = body.split_at(usize::from(*length));
            all += std::str::from_utf8(&frame[3..]).expect("text");
            rest = after;
        }
        all
    }

    fn gather(cursor: &mut LiveCursor, bytes_max: usize) -> String {
        let mut out = VecDeque::new();
        assert_eq!(cursor.gather(ME, bytes_max, &mut out), Gathered::Frames);
        texts(out)
    }

    #[test]
    fn te1_a_cursor_gets_every_frame_once_and_not_its_own() {
        let ring = Arc::new(Ring::new(Dialect::Yjs, 5, Bytes::new()));
        let mut cursor = ring.cursor();
        publish(&ring, &[(2, "a"), (1, "b"), (3, "c"), (1, "d")]);
        publish(&ring, &[(1, "e")]);
        publish(&ring, &[(2, "f")]);
        assert_eq!(gather(&mut cursor, 1 << 20), "acf");
        assert_eq!(gather(&mut cursor, 1 << 20), "");
        assert!(cursor.is_current());
    }

    #[test]
    fn hp14_who_has_an_address_of_its_own_gets_every_frame_under_it() {
        let ring = Arc::new(Ring::new(Dialect::Hocuspocus, 0, Bytes::new()));
        let (mut plain, mut own) = (ring.cursor(), ring.cursor());
        own.readdress(Address::new("r\0mine"));
        publish(&ring, &[(2, "a"), (1, "b")]);
        publish(&ring, &[(3, "c")]);
        let gather = |cursor: &mut LiveCursor| {
            let mut out = VecDeque::new();
            assert_eq!(cursor.gather(ME, 1 << 20, &mut out), Gathered::Frames);
            out.into_iter().flatten().collect::<Vec<u8>>()
        };
        let frames = |address: &str| {
            let mut out = Vec::new();
            for text in ["a", "c"] {
                hocuspocus::write_update(&mut out, address, text.as_bytes());
            }
            out
        };
        assert_eq!(gather(&mut plain), frames("r"));
        assert_eq!(gather(&mut own), frames("r\0mine"));
        assert!(own.is_current());
    }

    #[test]
    fn te2_a_cursor_after_a_diff_goes_on_behind_what_the_diff_includes() {
        let ring = Arc::new(Ring::new(Dialect::Yjs, 0, Bytes::new()));
        let mut cursor = ring.cursor();
        publish(&ring, &[(2, "a"), (2, "b"), (2, "c")]);
        cursor.jump(2);
        assert_eq!(gather(&mut cursor, 1 << 20), "c");
    }

    #[test]
    fn te3_a_reader_takes_a_bounded_step_at_a_time() {
        let ring = Arc::new(Ring::new(Dialect::Yjs, 0, Bytes::new()));
        let mut cursor = ring.cursor();
        publish(&ring, &[(2, "a")]);
        publish(&ring, &[(2, "b")]);
        assert_eq!(gather(&mut cursor, 1), "a");
        assert_eq!(gather(&mut cursor, 1), "b");
    }

    #[test]
    fn te4_who_falls_out_of_the_ring_gets_the_state_it_stood_at() {
        let ring = Arc::new(Ring::new(Dialect::Yjs, 0, Bytes::from_static(b"0")));
        let mut slow = ring.cursor();
        let mut slower = ring.cursor();
        publish(&ring, &[(2, "a")]);
        ring.turn(Bytes::from_static(b"1"));
        publish(&ring, &[(2, "b")]);
        assert_eq!(gather(&mut slow, 1 << 20), "ab");
        ring.turn(Bytes::from_static(b"2"));
        publish(&ring, &[(2, "c")]);
        ring.turn(Bytes::from_static(b"3"));
        let mut out = VecDeque::new();
        assert_eq!(
            slower.gather(ME, 9, &mut out),
            Gathered::Behind(Bytes::from_static(b"0"))
        );
        assert_eq!(gather(&mut slow, 1 << 20), "c");
    }
}
