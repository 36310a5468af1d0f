//! Does an edit cost more as its document grows, or as its history does?
//!
//! The document: one field set in a room of the core, which keeps at once. The history: one entry
//! appended to an SQLite room whose log has so many already.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use roundtable::ids::{AppendId, Epoch, RoomId, UnixMillis, Version};
use roundtable::store::{self, Append, Appended, Row, Store};
use uuid::Uuid;

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
use timing::{spread, timed};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Records of ten fields: about 10 KB to 10 MB as one update.
const RECORDS: [u32; 4] = [22, 220, 2_200, 22_000];
const EDITS: u32 = 2_000;
const ENTRIES: [u64; 5] = [0, 1_000, 10_000, 100_000, 1_000_000];
/// The history is made in appends of so many rows.
const ROWS: u64 = 1_000;
const SAMPLES: usize = 300;
const ROUNDS: usize = 7;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("{:>14}{:>26}", "document KB", "µs per edit, core");
    for records in RECORDS {
        let updates = edits::fields_of(records, EDITS);
        let updates: Vec<Bytes> = updates.into_iter().map(Bytes::from).collect();
        let (first, rest) = updates.split_first().expect("a beginning");
        let times = (0..ROUNDS).map(|_| {
            let mut room = Driven::open();
            room.take(std::slice::from_ref(first));
            let run = || rest.chunks(1).for_each(|update| room.take(update));
            timed(run).1 * 1e6 / f64::from(EDITS)
        });
        let times = times.collect();
        println!("{:>14}{:>26}", first.len() / 1024, spread(times));
    }
    println!("{:>14}{:>26}", "entries", "µs per append, SQLite");
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}/rooms.db", folder.path().display());
    let store = store::open(&url).await?;
    store.migrate().await?;
    let mut log = Log::new(store);
    for entries in ENTRIES {
        while log.head + ROWS <= entries {
            log.append(ROWS).await?;
        }
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            for _ in 0..SAMPLES / ROUNDS {
                log.append(1).await?;
            }
            times.push(begun.elapsed().as_secs_f64() * 1e6 / (SAMPLES / ROUNDS) as f64);
        }
        println!("{entries:>14}{:>26}", spread(times));
    }
    Ok(())
}

/// One room's log.
struct Log {
    store: Arc<dyn Store>,
    room: RoomId,
    epoch: Epoch,
    head: u64,
}

impl Log {
    fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            room: RoomId::parse("history").expect("a name"),
            epoch: Epoch(Uuid::new_v4()),
            head: 0,
        }
    }

    async fn append(&mut self, rows: u64) -> anyhow::Result<()> {
        let rows = (1..=rows).map(|step| Row {
            version: Version(self.head + step),
            at: UnixMillis(1_700_000_000_000),
            actors: r#"[{"userId":"user-1234","clientId":"device-5678"}]"#.into(),
            ops: "[]".into(),
            update: Bytes::from_static(&[7; 60]),
            events: r#"[{"type":"update","collection":"tasks","recordId":"r1","changes":[]}]"#
                .into(),
        });
        let append = Append {
            room: self.room.clone(),
            epoch: self.epoch,
            id: AppendId(Uuid::new_v4()),
            expected: Version(self.head),
            rows: rows.collect(),
            ops: Vec::new(),
            conflicts: Vec::new(),
        };
        self.head += append.rows.len() as u64;
        let kept = self.store.append(&[append]).await?;
        anyhow::ensure!(kept == [Appended::Kept], "the room was moved: {kept:?}");
        Ok(())
    }
}
