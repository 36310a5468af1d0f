//! How long until 100 operations that were queued offline are durable, and until a client that
//! missed 1,000 events has them?
//!
//! Over HTTP, against the program: one push of 100 updates of 100 records, and `changes` from the
//! version before the last 1,000, from memory and, in a room that was just opened, from the log.
//! `scripts/with-postgres.sh cargo bench --profile fast --bench operations` includes Postgres.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use reqwest::Client;
use serde_json::{Value, json};
use server::Server;
use timing::spread;

#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/server.rs"]
mod server;
#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/timing.rs"]
mod timing;

const OPERATIONS: usize = 100;
const MISSED: u64 = 1_000;
const ROUNDS: usize = 21;

/// Nobody is told to slow down here.
const FLAGS: [&str; 2] = ["--max-requests", "0"];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let sqlite = format!("sqlite://{}/rooms.db", folder.path().display());
    let mut urls = vec![("sqlite", sqlite)];
    match std::env::var("ROUNDTABLE_TEST_POSTGRES") {
        Ok(url) => urls.push(("postgres", url)),
        Err(_) => eprintln!("without ROUNDTABLE_TEST_POSTGRES there is no Postgres to measure"),
    }
    println!("medians of {ROUNDS}, with the least and the most, in ms");
    for (name, url) in urls {
        let pushed = measure_pushes(&url, folder.path()).await?;
        println!(
            "{name}: {OPERATIONS} queued operations until durable: {}",
            spread(pushed)
        );
        let (warm, cold) = measure_missed(&url, folder.path()).await?;
        println!(
            "{name}: {MISSED} missed events, room in memory: {}",
            spread(warm)
        );
        println!(
            "{name}: {MISSED} missed events, room not open: {}",
            spread(cold)
        );
    }
    Ok(())
}

/// A room that nobody else has.
fn room(server: &Server) -> String {
    let name = uuid::Uuid::new_v4();
    format!("http://{}/api/v1/rooms/{name}", server.address)
}

async fn push(client: &Client, room: &str, round: usize) -> anyhow::Result<()> {
    let ops: Vec<Value> = (0..OPERATIONS)
        .map(|nth| {
            json!({
                "opId": format!("{round}:{nth}"),
                "type": "upsert",
                "collection": "tasks",
                "recordId": format!("r{nth}"),
                "fields": {"title": format!("task {nth} as of {round}"), "n": round},
            })
        })
        .collect();
    let sent = client
        .post(format!("{room}/push"))
        .json(&json!({ "ops": ops }));
    let answer: Value = sent.send().await?.error_for_status()?.json().await?;
    let results = answer["results"].as_array().context("results")?;
    let are_applied = results.iter().all(|result| result["status"] == "applied");
    anyhow::ensure!(results.len() == OPERATIONS && are_applied, "{answer}");
    Ok(())
}

async fn measure_pushes(url: &str, folder: &Path) -> anyhow::Result<Vec<f64>> {
    let server = Server::start_with(url, folder, &FLAGS)?;
    let (client, room) = (Client::new(), room(&server));
    push(&client, &room, 0).await?;
    let mut times = Vec::new();
    for round in 1..=ROUNDS {
        let begun = Instant::now();
        push(&client, &room, round).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

/// With the room in memory, and in a process that has just started.
async fn measure_missed(url: &str, folder: &Path) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let (mut warm, mut cold) = (Vec::new(), Vec::new());
    let server = Server::start_with(url, folder, &FLAGS)?;
    let (client, room) = (Client::new(), room(&server));
    let path = room.split_once("/api").context("a path")?.1.to_owned();
    let rounds = MISSED as usize / OPERATIONS + 2;
    for round in 0..rounds {
        push(&client, &room, round).await?;
    }
    let head = (rounds * OPERATIONS) as u64;
    for _ in 0..ROUNDS {
        warm.push(missed(&client, &room, head).await?);
    }
    drop(server);
    for _ in 0..ROUNDS {
        let server = Server::start_with(url, folder, &FLAGS)?;
        let room = format!("http://{}/api{path}", server.address);
        // The connection is there already when a client comes back to a server that lost its rooms.
        client
            .get(format!("http://{}/healthz", server.address))
            .send()
            .await?;
        cold.push(missed(&client, &room, head).await?);
    }
    Ok((warm, cold))
}

async fn missed(client: &Client, room: &str, head: u64) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let since = head - MISSED;
    let asked = client.get(format!("{room}/changes?since={since}&limit={MISSED}"));
    let page: Value = asked.send().await?.error_for_status()?.json().await?;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    let events = page["events"].as_array().context("events")?.len() as u64;
    anyhow::ensure!(
        events == MISSED && page["version"] == head,
        "{} events",
        events
    );
    Ok(took)
}
