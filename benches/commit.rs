//! How many entries per second become durable through group commit, how long does one wait, and
//! what does it cost this process?
//!
//! Each room has one append of one row in flight. `scripts/with-postgres.sh cargo bench --profile
//! fast --bench commit` includes Postgres; `STORES=sqlite` is for one alone; the files are under
//! `TMPDIR`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use roundtable::ids::{AppendId, Epoch, RoomId, UnixMillis, Version};
use roundtable::store::group::GroupCommit;
use roundtable::store::{self, Append, Appended, Row};
use server::cpu_seconds_of;
use tokio::task::JoinSet;
use uuid::Uuid;

#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/server.rs"]
mod server;

const ROOMS: [usize; 3] = [1, 100, 1_000];
const LASTS: Duration = Duration::from_secs(4);
const WARMS_UP: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let sqlite = format!("sqlite://{}/rooms.db", folder.path().display());
    let mut urls = vec![("memory", "memory:".to_owned()), ("sqlite", sqlite)];
    match std::env::var("ROUNDTABLE_TEST_POSTGRES") {
        Ok(url) => urls.push(("postgres", url)),
        Err(_) => eprintln!("without ROUNDTABLE_TEST_POSTGRES there is no Postgres to measure"),
    }
    println!(
        "{:<10}{:>6}{:>14}{:>10}{:>10}{:>14}",
        "store", "rooms", "entries/s", "p50 ms", "p99 ms", "µs CPU each"
    );
    let only = std::env::var("STORES").ok();
    for (name, url) in urls {
        if only.as_ref().is_some_and(|only| !only.contains(name)) {
            continue;
        }
        let store = store::open(&url).await?;
        store.migrate().await?;
        for rooms in ROOMS {
            let group = GroupCommit::start(Arc::clone(&store));
            let cpu = cpu_seconds();
            let mut waits = measure(&group, rooms).await?;
            let cpu = (cpu_seconds() - cpu) / (LASTS + WARMS_UP).as_secs_f64();
            waits.sort_unstable();
            let at = |part: usize| waits[(waits.len() - 1) * part / 100].as_secs_f64() * 1e3;
            let rate = waits.len() as f64 / LASTS.as_secs_f64();
            println!(
                "{name:<10}{rooms:>6}{rate:>14.0}{:>10.2}{:>10.2}{:>14.1}",
                at(50),
                at(99),
                cpu * 1e6 / rate
            );
        }
    }
    Ok(())
}

fn cpu_seconds() -> f64 {
    cpu_seconds_of(std::process::id())
}

/// How long each append waited, but for those of the first second.
async fn measure(group: &GroupCommit, rooms: usize) -> anyhow::Result<Vec<Duration>> {
    let begin = Instant::now() + WARMS_UP;
    let mut tasks = JoinSet::new();
    for number in 0..rooms {
        let group = group.clone();
        tasks.spawn(write_one_room(group, number, begin));
    }
    let mut waits = Vec::new();
    while let Some(of_one) = tasks.join_next().await {
        waits.extend(of_one??);
    }
    Ok(waits)
}

async fn write_one_room(
    group: GroupCommit,
    number: usize,
    begin: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let epoch = Epoch(Uuid::new_v4());
    let room = RoomId::parse(&format!("project:{number}:{epoch}"))?;
    let mut waits = Vec::new();
    for expected in 0.. {
        let row = Row {
            version: Version(expected + 1),
            at: UnixMillis(1_700_000_000_000),
            actors: r#"[{"userId":"user-1234","clientId":"device-5678"}]"#.into(),
            ops: "[]".into(),
            update: Bytes::from(vec![7; 60]),
            events: r#"[{"type":"update","collection":"tasks","recordId":"r1","changes":[]}]"#
                .into(),
        };
        let append = Append {
            room: room.clone(),
            epoch,
            id: AppendId(Uuid::new_v4()),
            expected: Version(expected),
            rows: vec![row],
            ops: Vec::new(),
            conflicts: Vec::new(),
        };
        let asked = Instant::now();
        let kept = group.append(append).await?;
        anyhow::ensure!(kept == Appended::Kept, "{room} was moved: {kept:?}");
        if asked >= begin + LASTS {
            break;
        }
        if asked >= begin {
            waits.push(asked.elapsed());
        }
    }
    Ok(waits)
}
