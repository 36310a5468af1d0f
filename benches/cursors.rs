//! What does a cursor's move cost the server, for each who sees it?
//!
//! Every client moves so often per second; moves of one tick travel together. A delivery is one
//! move of one client that another one sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use roundtable::lib0::write_var_uint;
use tokio::task::JoinSet;

#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/server.rs"]
mod server;
#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/socket.rs"]
mod socket;
#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/timing.rs"]
mod timing;

use server::Server;
use socket::{Socket, frame};
use timing::spread;

const ROOMS: usize = 10;
const CLIENTS: usize = 20;
const MOVES_PER_SECOND: [u64; 3] = [4, 10, 30];
const WARMS_UP: Duration = Duration::from_secs(1);
const LASTS: Duration = Duration::from_secs(4);
const ROUNDS: usize = 3;
/// A first state is told under a new clock, below this one, which a client takes over.
const AFTER_FIRST: u64 = 1 << 21;

#[derive(Default)]
struct Tally {
    sent: AtomicU64,
    states: AtomicU64,
    messages: AtomicU64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}/rooms.db", folder.path().display());
    let server = Server::start(&url, folder.path())?;
    println!("{ROOMS} rooms of {CLIENTS} clients, median of {ROUNDS}");
    println!(
        "{:>9}{:>22}{:>22}{:>22}",
        "moves/s", "µs CPU per delivery", "told of each move", "states per message"
    );
    for pace in MOVES_PER_SECOND {
        let (mut costs, mut reached, mut together) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let tally = Arc::new(Tally::default());
            let moving = crowd(&server, pace, &tally).await?;
            tokio::time::sleep(WARMS_UP).await;
            let count = || [&tally.sent, &tally.states, &tally.messages].map(|c| c.load(Relaxed));
            let (before, cpu) = (count(), server.cpu_seconds());
            tokio::time::sleep(LASTS).await;
            let (after, cpu) = (count(), server.cpu_seconds() - cpu);
            let [sent, states, messages] = [0, 1, 2].map(|at| (after[at] - before[at]) as f64);
            costs.push(cpu * 1e6 / (sent * (CLIENTS - 1) as f64));
            reached.push(states / sent);
            together.push(states / messages);
            drop(moving);
        }
        println!(
            "{pace:>9}{:>22}{:>22}{:>22}",
            spread(costs),
            spread(reached),
            spread(together)
        );
    }
    Ok(())
}

/// Clients that move until the answer is dropped, not all at the same moment.
async fn crowd(server: &Server, pace: u64, tally: &Arc<Tally>) -> anyhow::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    let round = uuid::Uuid::new_v4();
    let pause = Duration::from_secs(1) / u32::try_from(pace)?;
    for room in 0..ROOMS {
        for number in 0..CLIENTS {
            let socket = Socket::open(server.address, &format!("cursors-{round}-{room}")).await?;
            socket.synced().await?;
            let socket = Arc::new(socket);
            tasks.spawn(listen(socket.clone(), tally.clone()));
            let late = pause.mul_f64((number * 7 % CLIENTS) as f64 / CLIENTS as f64);
            tasks.spawn(go(
                socket,
                number as u64,
                Instant::now() + late,
                pause,
                tally.clone(),
            ));
        }
    }
    Ok(tasks)
}

async fn listen(socket: Arc<Socket>, tally: Arc<Tally>) {
    let read = |message: &[u8]| {
        // Awareness: its length, then how many states it has; both may take several bytes.
        let [1, rest @ ..] = message else { return };
        let length = rest.iter().position(|byte| byte & 0x80 == 0).unwrap_or(0);
        let count = rest.get(length + 1).copied().unwrap_or(0);
        tally.states.fetch_add(u64::from(count & 0x7f), Relaxed);
        tally.messages.fetch_add(u64::from(count > 0), Relaxed);
    };
    while socket.read(read).await.is_ok() {}
}

async fn go(socket: Arc<Socket>, number: u64, mut at: Instant, pause: Duration, tally: Arc<Tally>) {
    // A first state is told under a new clock, which a client takes over.
    for clock in (1_u64..2).chain(AFTER_FIRST..) {
        tokio::time::sleep_until(at.into()).await;
        at += pause;
        let state = format!(
            r#"{{"cursor":{{"recordId":"rec{number}","x":{},"y":{}}}}}"#,
            clock % 1_900,
            clock % 1_000
        );
        let mut states = vec![1];
        write_var_uint(&mut states, (1 << 31) + number);
        write_var_uint(&mut states, clock);
        write_var_uint(&mut states, state.len() as u64);
        states.extend_from_slice(state.as_bytes());
        let mut message = vec![1];
        write_var_uint(&mut message, states.len() as u64);
        message.extend_from_slice(&states);
        let mut moved = Vec::new();
        frame(&mut moved, &[&message]);
        if socket.write(&moved).await.is_err() {
            return;
        }
        tally.sent.fetch_add(1, Relaxed);
    }
}
