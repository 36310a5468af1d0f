//! How fast does a recorded history become durable through one socket, against applying it in
//! memory, and how fast is it there again after a restart?
//!
//! Durable is when the sender's own last update has come back. `scripts/with-postgres.sh cargo
//! bench --profile fast --bench replay` includes Postgres; `ROUNDTABLE_DATA` has the histories.

use std::time::{Duration, Instant};

use roundtable::lib0::write_var_uint;
use yrs::updates::decoder::Decode;
use yrs::{Doc, OffsetKind, Options, Transact, Update};

#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/server.rs"]
mod server;
#[path = "support/socket.rs"]
mod socket;
#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/timing.rs"]
mod timing;
#[path = "support/traces.rs"]
mod traces;

use server::Server;
use socket::{Socket, frame};
use timing::{least, median, spread, timed};
use traces::{Trace, traces};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 3;
const RESTARTS: usize = 5;
/// After so long without an edit a snapshot is made.
const QUIET: Duration = Duration::from_secs(8);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    println!(
        "{:<10}{:<18}{:>9}{:>12}{:>12}{:>8}{:>12}{:>11}{:>20}{:>20}",
        "store",
        format!("median of {ROUNDS}"),
        "updates",
        "updates/s",
        "in memory",
        "ratio",
        "best /s",
        "CPU µs/upd",
        "cold ms, killed",
        "cold ms, rested"
    );
    for trace in traces() {
        let alone = (0..ROUNDS).map(|_| in_memory(&trace)).collect();
        let alone = median(alone);
        for (store, url) in stores(&folder) {
            replay(store, &url, &trace, alone, &folder).await?;
        }
    }
    Ok(())
}

fn stores(folder: &tempfile::TempDir) -> Vec<(&'static str, String)> {
    let sqlite = format!("sqlite://{}/rooms.db", folder.path().display());
    let mut stores = vec![("sqlite", sqlite)];
    if let Ok(url) = std::env::var("ROUNDTABLE_TEST_POSTGRES") {
        stores.push(("postgres", url));
    }
    stores
}

async fn replay(
    store: &str,
    url: &str,
    trace: &Trace,
    alone: f64,
    folder: &tempfile::TempDir,
) -> anyhow::Result<()> {
    let count = trace.updates.len() as f64;
    let mut times = Vec::new();
    let mut room = String::new();
    let server = Server::start(url, folder.path())?;
    let cpu = server.cpu_seconds();
    for _ in 0..ROUNDS {
        room = format!("replay-{}", uuid::Uuid::new_v4());
        let socket = Socket::open(server.address, &room).await?;
        socket.synced().await?;
        times.push(through(&socket, &trace.updates).await?);
    }
    let cpu = (server.cpu_seconds() - cpu) / ROUNDS as f64 / count;
    drop(server);
    // It was killed right after the burst; then it had the time to make a snapshot.
    let killed = cold(url, &room, folder, false).await?;
    let server = Server::start(url, folder.path())?;
    let socket = Socket::open(server.address, &room).await?;
    socket.synced().await?;
    tokio::time::sleep(QUIET).await;
    server.stop()?;
    let rested = cold(url, &room, folder, true).await?;
    let (best, middle) = (least(&times), median(times));
    println!(
        "{store:<10}{:<18}{count:>9.0}{:>12.0}{:>12.0}{:>7.2}x{:>12.0}{:>11.2}{:>20}{:>20}",
        trace.name,
        count / middle,
        count / alone,
        middle / alone,
        count / best,
        cpu * 1e6,
        spread(killed),
        spread(rested),
    );
    Ok(())
}

/// Milliseconds until a joiner has the document from a server that was just started.
async fn cold(
    url: &str,
    room: &str,
    folder: &tempfile::TempDir,
    is_stopped: bool,
) -> anyhow::Result<Vec<f64>> {
    let mut loads = Vec::new();
    for _ in 0..RESTARTS {
        let server = Server::start(url, folder.path())?;
        // The listener and the store are warm; the room is not.
        Socket::open(server.address, "another")
            .await?
            .synced()
            .await?;
        let begin = Instant::now();
        Socket::open(server.address, room).await?.synced().await?;
        loads.push(begin.elapsed().as_secs_f64() * 1e3);
        if is_stopped {
            server.stop()?;
        }
    }
    Ok(loads)
}

/// Seconds until the last update has come back.
async fn through(socket: &Socket, updates: &[Vec<u8>]) -> anyhow::Result<f64> {
    let mut frames = Vec::new();
    for update in updates {
        frame(&mut frames, &[&header(update), update]);
    }
    let last = updates.last().expect("a history");
    let last = [&header(last)[..], last].concat();
    let begin = Instant::now();
    let back = async {
        let mut is_back = false;
        while !is_back {
            socket.read(|message| is_back |= message == last).await?;
        }
        Ok(())
    };
    tokio::try_join!(socket.write(&frames), back)?;
    Ok(begin.elapsed().as_secs_f64())
}

fn header(update: &[u8]) -> Vec<u8> {
    let mut header = vec![0, 2];
    write_var_uint(&mut header, update.len() as u64);
    header
}

/// Seconds that the CRDT takes alone.
fn in_memory(trace: &Trace) -> f64 {
    let doc = Doc::with_options(Options {
        offset_kind: OffsetKind::Utf16,
        ..Options::default()
    });
    let run = || {
        for update in &trace.updates {
            let update = Update::decode_v1(update).expect("sound");
            doc.transact_mut().apply_update(update).expect("sound");
        }
    };
    timed(run).1
}
