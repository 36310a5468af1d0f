//! What does a connection cost that says nothing: memory of the server, and its CPU?
//!
//! Each room has so many of them, all synced and heard. What the kernel holds is not counted.
//! Needs as many file descriptors as connections (`ulimit -n`).

use std::time::{Duration, Instant};

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
use socket::Socket;
use timing::spread;

const CONNECTIONS: [usize; 3] = [1_000, 5_000, 10_000];
const PER_ROOM: usize = 100;
const ROUNDS: usize = 3;
const SETTLES: Duration = Duration::from_secs(2);
const LASTS: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!(
        "{:>12}{:>10}{:>26}{:>16}",
        "connections", "rooms", "bytes per connection", "CPU ms/s"
    );
    let mut bytes = vec![Vec::new(); CONNECTIONS.len()];
    let mut busy = vec![Vec::new(); CONNECTIONS.len()];
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir()?;
        let url = format!("sqlite://{}/rooms.db", folder.path().display());
        let server = Server::start(&url, folder.path())?;
        // What is made once: the store's connections, the runtime's threads.
        let _warm = join(&server, 0, PER_ROOM).await?;
        tokio::time::sleep(SETTLES).await;
        let before = server.memory_bytes();
        let mut crowd = Vec::new();
        for (step, count) in CONNECTIONS.into_iter().enumerate() {
            while crowd.len() < count {
                crowd.extend(join(&server, crowd.len() / PER_ROOM + 1, PER_ROOM).await?);
            }
            tokio::time::sleep(SETTLES).await;
            bytes[step].push((server.memory_bytes() - before) / count as f64);
            let (begun, cpu) = (Instant::now(), server.cpu_seconds());
            tokio::time::sleep(LASTS).await;
            let cpu = server.cpu_seconds() - cpu;
            busy[step].push(cpu * 1e3 / begun.elapsed().as_secs_f64());
        }
    }
    for ((count, bytes), busy) in CONNECTIONS.into_iter().zip(bytes).zip(busy) {
        println!(
            "{count:>12}{:>10}{:>26}{:>16}",
            count / PER_ROOM,
            spread(bytes),
            spread(busy)
        );
    }
    Ok(())
}

async fn join(server: &Server, room: usize, count: usize) -> anyhow::Result<Vec<Socket>> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let socket = Socket::open(server.address, &format!("idle-{room}")).await?;
        socket.synced().await?;
        sockets.push(socket);
    }
    Ok(sockets)
}
