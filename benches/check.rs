//! What does it cost to judge an update before the CRDT sees it, against the CRDT's own decoding?

use std::hint::black_box;

use roundtable::room::index::Index;
use roundtable::room::update::{check, check_state, split};
use yrs::Update;
use yrs::updates::decoder::Decode;

#[path = "support/edits.rs"]
mod edits;
#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/timing.rs"]
mod timing;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use edits::{fields, table, typing};
use timing::{least, median, timed};

const ROUNDS: usize = 21;

fn main() {
    println!(
        "{:<34} {:>12} {:>12} {:>7}",
        "median of 21", "check+accept", "yrs decode", "ratio"
    );
    stream("one character, appended", &typing(20_000, |clock| clock));
    stream(
        "one character, at random",
        &typing(20_000, |clock| clock * 7_919 % (clock + 1)),
    );
    stream("one field of 1,000 x 10 set", &fields(20_000));
    let table = table(10_000, 10);
    whole("state of 10,000 x 10 records", &table);
    let (_, spent) = timed(|| split(&table, 65_536));
    println!("{:<34} {:>10.2} ms", "its split into 64 KB", spent * 1e3);
    let mut index = Index::new();
    index.accept(check_state(&table, &index).expect("a state"));
    println!("{:<34} {:>10} KB", "its index", index.bytes() / 1024);
}

/// Updates one after the other, each checked against what those before it made. The first is the
/// beginning.
fn stream(name: &str, updates: &[Vec<u8>]) {
    let (first, rest) = updates.split_first().expect("a beginning");
    let count = rest.len() as f64;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..ROUNDS {
        let mut index = Index::new();
        index.accept(check(first, &index).expect("sound"));
        let run = || {
            for update in rest {
                let checked = check(black_box(update), &index).expect("sound");
                checked.touched(&index).for_each(|touch| {
                    black_box(touch);
                });
                index.accept(checked);
            }
        };
        ours.push(timed(run).1 / count);
        let run = || {
            for update in rest {
                black_box(Update::decode_v1(black_box(update)).expect("sound"));
            }
        };
        theirs.push(timed(run).1 / count);
    }
    let least = (least(&ours), least(&theirs));
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "{name:<34} {:>9.1} ns {:>9.1} ns {:>6.2}x  (least {:.1} and {:.1} ns)",
        ours * 1e9,
        theirs * 1e9,
        ours / theirs,
        least.0 * 1e9,
        least.1 * 1e9,
    );
}

/// One large state into an empty index.
fn whole(name: &str, state: &[u8]) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let load = || {
            let mut index = Index::new();
            index.accept(check_state(black_box(state), &index).expect("sound"));
            index
        };
        ours.push(timed(load).1);
        theirs.push(timed(|| Update::decode_v1(black_box(state)).expect("sound")).1);
    }
    let least = (least(&ours), least(&theirs));
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "{name:<34} {:>9.2} ms {:>9.2} ms {:>6.2}x  (least {:.2} and {:.2} ms; {} bytes)",
        ours * 1e3,
        theirs * 1e3,
        ours / theirs,
        least.0 * 1e3,
        least.1 * 1e3,
        state.len()
    );
}
