//! What does it cost to judge an update before the CRDT sees it, against the CRDT's own decoding?

use std::hint::black_box;
use std::time::Instant;

use roundtable::room::index::Index;
use roundtable::room::update::{check, check_state, split};
use yrs::updates::decoder::Decode;
use yrs::{Doc, Map, MapPrelim, OffsetKind, Options, ReadTxn, Text, Transact, Update};

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
                black_box(checked.touched());
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

/// Runs it; answers what it made and the seconds it took, without those of dropping it.
fn timed<T>(run: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let made = run();
    (made, start.elapsed().as_secs_f64())
}

/// What it costs when nothing else runs: the machine may be shared.
fn least(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn new_doc() -> Doc {
    let client_id = yrs::block::ClientID::new(3_000_000_001);
    Doc::with_options(Options {
        client_id,
        offset_kind: OffsetKind::Utf16,
        ..Options::default()
    })
}

fn typing(count: u32, place: impl Fn(u32) -> u32) -> Vec<Vec<u8>> {
    let doc = new_doc();
    let text = doc.get_or_insert_text("text");
    let type_at = |at| {
        let mut txn = doc.transact_mut();
        text.insert(&mut txn, at, "x");
        txn.encode_update_v1()
    };
    (0..count).map(|clock| type_at(place(clock))).collect()
}

fn fields(count: u32) -> Vec<Vec<u8>> {
    let doc = new_doc();
    fill(&doc, 1_000, 10);
    let mut updates = vec![
        doc.transact()
            .encode_state_as_update_v1(&yrs::StateVector::default()),
    ];
    let records = doc.get_or_insert_map("records");
    for turn in 0..count {
        let mut txn = doc.transact_mut();
        let record = records
            .get(&txn, &record_id(turn * 7_919 % 1_000))
            .expect("it is there");
        let record = record.cast::<yrs::MapRef>().expect("a map");
        record.insert(&mut txn, format!("field{}", turn % 10), turn);
        updates.push(txn.encode_update_v1());
    }
    updates
}

fn table(records: u32, width: u32) -> Vec<u8> {
    let doc = new_doc();
    fill(&doc, records, width);
    doc.transact()
        .encode_state_as_update_v1(&yrs::StateVector::default())
}

fn fill(doc: &Doc, count: u32, width: u32) {
    let records = doc.get_or_insert_map("records");
    let mut txn = doc.transact_mut();
    for row in 0..count {
        let record = records.insert(&mut txn, record_id(row), MapPrelim::default());
        for field in 0..width {
            record.insert(&mut txn, format!("field{field}"), format!("value {row}"));
        }
    }
}

fn record_id(row: u32) -> String {
    format!("rec{row:014}")
}
