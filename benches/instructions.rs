//! How many instructions do the hot paths take? Callgrind counts them, so that a busy machine
//! changes nothing, and they are held to what is written here: more than 5 % above fails. A count
//! that fell is written down with the change that made it fall.
//!
//! The counts are those of the `dev` profile on x86-64, as the tests are built: they are to be
//! compared with one another, not with a stopwatch. `scripts/instructions.sh` runs this.

#![allow(missing_docs, reason = "the macros make public items without")]

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use roundtable::hub::outbox::Outbox;
use roundtable::hub::ring::{Batch, LiveCursor, Ring};
use roundtable::ids::{RoomId, SessionId};
use roundtable::room::LiveEvent;
use roundtable::room::index::Index;
use roundtable::room::message::Presented;
use roundtable::room::update::check;
use roundtable::wire::Dialect;

#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/driven.rs"]
mod driven;
#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/edits.rs"]
mod edits;

use driven::{Driven, PEERS};
use edits::{fields, typing};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// So many edits or moves are counted, after as many that are not.
const COUNTED: usize = 1_000;

/// How many instructions the counted ones take together, and not 5 % more.
fn about(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.hard_limits([(EventKind::Ir, instructions + instructions / 20)]);
    LibraryBenchmarkConfig::default().tool(callgrind).clone()
}

/// One character after the other, anywhere in the text.
fn characters() -> Vec<Bytes> {
    let updates = typing(2 * COUNTED as u32, |clock| clock * 7_919 % (clock + 1));
    updates.into_iter().map(Bytes::from).collect()
}

/// One field after the other, of a table of 10,000.
fn values() -> Vec<Bytes> {
    let updates = fields(2 * COUNTED as u32);
    updates.into_iter().map(Bytes::from).collect()
}

/// An index that has taken all but the last, and those.
fn judged(updates: Vec<Bytes>) -> (Index, Vec<Bytes>) {
    let mut index = Index::new();
    let (before, rest) = updates.split_at(updates.len() - COUNTED);
    for update in before {
        index.accept(check(update, &index).expect("sound"));
    }
    (index, rest.to_vec())
}

#[library_benchmark]
#[bench::character(args = (characters()), setup = judged, config = about(3_420_000))]
#[bench::field(args = (values()), setup = judged, config = about(4_399_000))]
fn judge((mut index, updates): (Index, Vec<Bytes>)) -> (Index, Vec<Bytes>) {
    for update in &updates {
        let checked = check(black_box(update), &index).expect("sound");
        checked.touched(&index).for_each(|touch| {
            black_box(touch);
        });
        index.accept(checked);
    }
    (index, updates)
}

/// A room with its sessions that has taken all but the last, and those.
fn driven(updates: Vec<Bytes>) -> (Driven, Vec<Bytes>) {
    let mut room = Driven::open();
    let (before, rest) = updates.split_at(updates.len() - COUNTED);
    room.take(before);
    (room, rest.to_vec())
}

#[library_benchmark]
#[bench::character(args = (characters()), setup = driven, config = about(27_854_000))]
#[bench::field(args = (values()), setup = driven, config = about(42_708_000))]
fn alone((mut room, updates): (Driven, Vec<Bytes>)) -> (Driven, Vec<Bytes>) {
    for update in &updates {
        room.take(std::slice::from_ref(black_box(update)));
    }
    (room, updates)
}

#[library_benchmark]
#[bench::character(args = (characters()), setup = driven, config = about(17_181_000))]
#[bench::field(args = (values()), setup = driven, config = about(34_700_000))]
fn together((mut room, updates): (Driven, Vec<Bytes>)) -> (Driven, Vec<Bytes>) {
    room.take(black_box(&updates));
    (room, updates)
}

/// A room in which everyone moved once, and the moves that come next: one of each in a tick.
fn moving() -> (Driven, Vec<Vec<Presented>>) {
    let mut room = Driven::open();
    let place = |turn: u32| {
        let state = move |peer| {
            let (x, y) = (turn % 1_900, turn % 1_000);
            format!(r#"{{"cursor":{{"recordId":"rec{peer}","x":{x},"y":{y}}}}}"#)
        };
        // A first state is told under a new clock, below this; a client takes that over.
        let clock = if turn == 0 { 1 } else { (1 << 21) + turn };
        let presented = move |peer| Presented {
            client: (1 << 31) + peer,
            clock,
            state: Some(state(peer).into()),
        };
        (1..=PEERS).map(presented).collect::<Vec<_>>()
    };
    room.present(place(0));
    let ticks = COUNTED as u32 / PEERS as u32;
    (room, (1..=ticks).map(place).collect())
}

#[library_benchmark]
#[bench::cursor(setup = moving, config = about(19_792_000))]
fn present((mut room, moves): (Driven, Vec<Vec<Presented>>)) -> Driven {
    for tick in moves {
        room.present(black_box(tick));
    }
    room
}

/// A ring, and who reads it.
struct Crowd {
    room: RoomId,
    ring: Arc<Ring>,
    readers: Vec<(SessionId, Outbox, LiveCursor)>,
}

fn crowd(updates: Vec<Bytes>) -> (Crowd, Vec<Bytes>) {
    let ring = Arc::new(Ring::new(Dialect::Yjs, 0, Bytes::new()));
    let reader = |peer| (SessionId(peer), Outbox::new(1_024), ring.cursor());
    let readers = (1..=PEERS).map(reader).collect();
    let rest = updates[updates.len() - COUNTED..].to_vec();
    let room = RoomId::parse("room").expect("a name");
    (
        Crowd {
            room,
            ring,
            readers,
        },
        rest,
    )
}

// From the room's task into the ring, and out of it for each connection, as far as the socket.
#[library_benchmark]
#[bench::character(args = (characters()), setup = crowd, config = about(8_030_000))]
#[bench::field(args = (values()), setup = crowd, config = about(8_033_000))]
fn fan_out((mut crowd, updates): (Crowd, Vec<Bytes>)) -> (Crowd, Vec<Bytes>) {
    let mut out = VecDeque::new();
    for update in &updates {
        let mut batch = Batch::default();
        let event = LiveEvent::Update(black_box(update).clone());
        batch.add(
            crowd.ring.dialect(),
            &crowd.room,
            Some(SessionId(1)),
            &event,
        );
        crowd.ring.publish(batch);
        for (session, outbox, cursor) in &mut crowd.readers {
            outbox.wake();
            cursor.gather(*session, 1 << 16, &mut out);
            black_box(&mut out).clear();
        }
    }
    (crowd, updates)
}

library_benchmark_group!(name = update, benchmarks = judge);
library_benchmark_group!(name = room, benchmarks = [alone, together, present]);
library_benchmark_group!(name = hub, benchmarks = fan_out);
main!(library_benchmark_groups = [update, room, hub]);
