//! What does it cost to note what a room is about to do, so that a crash can be traced to it?

use bytes::Bytes;
use roundtable::hub::crash::CrashJournal;
use roundtable::ids::RoomId;

#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/timing.rs"]
mod timing;

use timing::{least, median, timed};

const ROUNDS: usize = 21;

/// What a round writes in all, about, so that rounds take alike.
const ROUND_BYTES: usize = 32 << 20;

fn main() {
    // Where the server has it: beside a database, on a disk.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let journal = CrashJournal::begin(folder.path(), "bench").expect("a journal");
    println!(
        "{:<34} {:>12} {:>12}",
        "per turn, of 21 rounds", "median", "least"
    );
    for (name, count, bytes) in [
        ("no update (a join, a question)", 0, 0),
        ("1 update of 40 B", 1, 40),
        ("16 updates of 40 B", 16, 40),
        ("512 updates of 40 B", 512, 40),
        ("1 update of 4 KiB", 1, 4 << 10),
        ("1 update of 64 KiB", 1, 64 << 10),
        ("1 update of 1 MiB", 1, 1 << 20),
        ("1 update of 16 MiB", 1, 16 << 20),
    ] {
        turns(name, &journal, &vec![Bytes::from(vec![7; bytes]); count]);
    }
}

fn turns(name: &str, journal: &CrashJournal, updates: &[Bytes]) {
    let room = RoomId::parse("project:42").expect("a name");
    let bytes: usize = updates.iter().map(Bytes::len).sum();
    let count = (ROUND_BYTES / bytes.max(1_000)).clamp(2, 20_000);
    let mut spent = Vec::new();
    for _ in 0..ROUNDS {
        let run = || {
            for _ in 0..count {
                assert!(journal.turn(&room, updates.iter()).is_some());
            }
        };
        spent.push(timed(run).1 / count as f64);
    }
    let least = least(&spent) * 1e6;
    let median = median(spent) * 1e6;
    println!("{name:<34} {median:>9.2} µs {least:>9.2} µs");
}
