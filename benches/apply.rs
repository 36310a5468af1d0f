//! How many edits per second does one room absorb, against the CRDT's own decoding and applying?
//!
//! The room is pure: what it wants kept is kept at once. `ROUNDS=1` is for callgrind.

use std::hint::black_box;

use bytes::Bytes;
use yrs::updates::decoder::Decode;
use yrs::{Doc, OffsetKind, Options, Transact, Update};

#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/driven.rs"]
mod driven;
#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/edits.rs"]
mod edits;
#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/timing.rs"]
mod timing;

use driven::Driven;
use edits::{fields, typing};
use timing::{least, median, timed};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As many edits wait for the room's task together: one alone, a few, as many as it takes.
const BATCHES: [usize; 3] = [1, 16, 512];
const EDITS: u32 = 20_000;

fn main() {
    let rounds = std::env::var("ROUNDS").map_or(11, |rounds| rounds.parse().expect("a number"));
    println!(
        "{:<26}{:>6}{:>13}{:>13}{:>8}{:>13}{:>14}",
        format!("median of {rounds}"),
        "batch",
        "room",
        "yrs alone",
        "ratio",
        "room, least",
        "room, edits/s"
    );
    let streams = [
        ("one character, appended", typing(EDITS, |clock| clock)),
        (
            "one character, at random",
            typing(EDITS, |clock| clock * 7_919 % (clock + 1)),
        ),
        ("one field of 1,000 x 10 set", fields(EDITS)),
    ];
    for (name, updates) in streams {
        let updates: Vec<Bytes> = updates.into_iter().map(Bytes::from).collect();
        compare(name, &updates, rounds);
    }
}

/// The first update is the beginning and is not counted.
fn compare(name: &str, updates: &[Bytes], rounds: usize) {
    let (first, rest) = updates.split_first().expect("a beginning");
    let count = rest.len() as f64;
    let alone = (0..rounds).map(|_| {
        let doc = new_doc();
        apply(&doc, first);
        timed(|| rest.iter().for_each(|update| apply(&doc, update))).1 / count
    });
    let alone = median(alone.collect());
    for batch in BATCHES {
        let times = (0..rounds).map(|_| {
            let mut room = Driven::open();
            room.take(std::slice::from_ref(first));
            let run = || rest.chunks(batch).for_each(|updates| room.take(updates));
            timed(run).1 / count
        });
        let times: Vec<_> = times.collect();
        let (least, median) = (least(&times), median(times));
        println!(
            "{name:<26}{batch:>6}{:>10.0} ns{:>10.0} ns{:>7.2}x{:>10.0} ns{:>14.0}",
            median * 1e9,
            alone * 1e9,
            median / alone,
            least * 1e9,
            1.0 / median
        );
    }
}

fn apply(doc: &Doc, update: &[u8]) {
    let update = Update::decode_v1(black_box(update)).expect("sound");
    doc.transact_mut().apply_update(update).expect("sound");
}

fn new_doc() -> Doc {
    Doc::with_options(Options {
        offset_kind: OffsetKind::Utf16,
        ..Options::default()
    })
}
