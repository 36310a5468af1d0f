//! How long until everybody has a document of 1 MB who joins at once, and does it cost the server
//! one encoding or one for each?
//!
//! Cold: the server was started anew and the room is not in memory. Warm: it is. The reference is
//! what encoding the document once costs in this process.

use std::time::Instant;

#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/edits.rs"]
mod edits;
#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/server.rs"]
mod server;
#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/socket.rs"]
mod socket;
#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/timing.rs"]
mod timing;

use roundtable::lib0::write_var_uint;
use server::Server;
use socket::{Socket, frame};
use timing::{median, spread, timed};
use tokio::task::JoinSet;
use yrs::updates::decoder::Decode;
use yrs::{Doc, ReadTxn, StateVector, Transact, Update};

const JOINERS: [usize; 4] = [1, 40, 200, 500];
const ROUNDS: usize = 5;
const ROOM: &str = "large";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}/rooms.db", folder.path().display());
    let state = edits::table(2_200, 10);
    let server = Server::start(&url, folder.path())?;
    fill(&server, &state).await?;
    server.stop()?;
    println!(
        "a document of {} KB; encoding it once takes {:.1} ms",
        state.len() / 1024,
        encoding_ms(&state)
    );
    println!(
        "{:>9}{:>7}{:>24}{:>24}{:>16}",
        "joiners", "room", "all synced ms", "server CPU ms", "CPU ms each"
    );
    for joiners in JOINERS {
        for is_cold in [true, false] {
            measure(&url, &folder, joiners, is_cold).await?;
        }
    }
    Ok(())
}

async fn measure(
    url: &str,
    folder: &tempfile::TempDir,
    joiners: usize,
    is_cold: bool,
) -> anyhow::Result<()> {
    let (mut times, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let server = Server::start(url, folder.path())?;
        // The listener and the store are warm.
        let room = if is_cold { "another" } else { ROOM };
        let _here = Socket::open(server.address, room).await?;
        _here.synced().await?;
        let (begun, cpu) = (Instant::now(), server.cpu_seconds());
        let mut joining = JoinSet::new();
        for _ in 0..joiners {
            let address = server.address;
            joining.spawn(async move {
                let socket = Socket::open(address, ROOM).await?;
                socket.synced().await?;
                anyhow::Ok(socket)
            });
        }
        while let Some(joined) = joining.join_next().await {
            joined??;
        }
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        costs.push((server.cpu_seconds() - cpu) * 1e3);
        server.stop()?;
    }
    println!(
        "{joiners:>9}{:>7}{:>24}{:>24}{:>16.2}",
        if is_cold { "cold" } else { "warm" },
        spread(times),
        spread(costs.clone()),
        median(costs) / joiners as f64
    );
    Ok(())
}

/// Writes the room, and waits until it is durable.
async fn fill(server: &Server, state: &[u8]) -> anyhow::Result<()> {
    let mut update = vec![0, 2];
    write_var_uint(&mut update, state.len() as u64);
    update.extend_from_slice(state);
    let mut written = Vec::new();
    frame(&mut written, &[&update]);
    let socket = Socket::open(server.address, ROOM).await?;
    socket.synced().await?;
    let mut is_back = false;
    let back = async {
        while !is_back {
            socket.read(|message| is_back |= message == update).await?;
        }
        Ok(())
    };
    tokio::try_join!(socket.write(&written), back)?;
    Ok(())
}

fn encoding_ms(state: &[u8]) -> f64 {
    let doc = Doc::new();
    let update = Update::decode_v1(state).expect("sound");
    doc.transact_mut().apply_update(update).expect("sound");
    let encode = || {
        doc.transact()
            .encode_state_as_update_v1(&StateVector::default())
    };
    median((0..ROUNDS).map(|_| timed(encode).1 * 1e3).collect())
}
