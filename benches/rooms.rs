//! What does a small room cost, while it is loaded and once it was left?
//!
//! A room has a table of ten records with five fields. One client writes it, and leaves; later one
//! comes to read it. What stays behind is how much the server has grown after many more rooms.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use roundtable::lib0::write_var_uint;
use roundtable::room::Document;
use roundtable::room::index::StateVector;
use tokio::task::JoinSet;
use yrs::updates::decoder::Decode;
use yrs::{Doc, Transact, Update};

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

use server::{Server, memory_bytes_of};
use socket::{Socket, frame};
use timing::spread;

const ROOMS: usize = 1_500;
/// These are there before: what is made once is there, too.
const FIRST: usize = 200;
/// So many clients come at a time.
const TOGETHER: usize = 20;
/// Long enough to open all of them.
const IDLE_SECONDS: u64 = 25;
const LEAVES: Duration = Duration::from_secs(IDLE_SECONDS + 10);

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is written, as a frame, and what comes back as its ack.
struct Content {
    frame: Vec<u8>,
    update: Vec<u8>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let state = edits::table(10, 5);
    let mut update = vec![0, 2];
    write_var_uint(&mut update, state.len() as u64);
    update.extend_from_slice(&state);
    let mut written = Vec::new();
    frame(&mut written, &[&update]);
    let content = Content {
        frame: written,
        update,
    };
    let content = Arc::new(content);
    let kib = |bytes: f64| bytes / ROOMS as f64 / 1024.0;
    let [crdt, document] = alone(&state).map(kib);
    println!("{ROOMS} rooms of {} bytes, KB per room", state.len());
    println!("the CRDT alone {crdt:.1}, with its index {document:.1}");
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}/rooms.db", folder.path().display());
    let idle = IDLE_SECONDS.to_string();
    let flags = ["--idle-seconds", &*idle, "--max-rooms-per-user", "100000"];
    let rooms = |nth: usize| FIRST + nth * ROOMS..FIRST + (nth + 1) * ROOMS;
    let server = Server::start_with(&url, folder.path(), &flags)?;
    visit(&server, 0..FIRST, Some(&content)).await?;
    let before = server.memory_bytes();
    visit(&server, rooms(0), Some(&content)).await?;
    let written = kib(server.memory_bytes() - before);
    let mut left = Vec::new();
    let mut before = None;
    for nth in 1..=4 {
        tokio::time::sleep(LEAVES).await;
        let after = server.memory_bytes();
        if let Some(before) = before.replace(after) {
            left.push(kib(after - before));
        }
        visit(&server, rooms(nth), Some(&content)).await?;
    }
    drop(server);
    let server = Server::start_with(&url, folder.path(), &flags)?;
    visit(&server, 0..FIRST, None).await?;
    let before = server.memory_bytes();
    visit(&server, rooms(0), None).await?;
    let read = kib(server.memory_bytes() - before);
    println!(
        "just written {written:.1}, read from the store {read:.1}, left and evicted {}",
        spread(left)
    );
    Ok(())
}

/// What as many documents take by themselves, in this process: the CRDT's, and the room's.
fn alone(state: &[u8]) -> [f64; 2] {
    let begin = memory_bytes_of(std::process::id());
    let crdts: Vec<Doc> = (0..ROOMS).map(|_| crdt(state)).collect();
    let after = memory_bytes_of(std::process::id());
    let documents = (0..ROOMS).map(|_| {
        let mut document = Document::new(7, StateVector::default());
        document.load(state).expect("sound");
        document
    });
    let documents: Vec<Document> = documents.collect();
    let end = memory_bytes_of(std::process::id());
    drop((crdts, documents));
    [after - begin, end - after]
}

fn crdt(state: &[u8]) -> Doc {
    let doc = Doc::new();
    let update = Update::decode_v1(state).expect("sound");
    doc.transact_mut().apply_update(update).expect("sound");
    doc
}

/// Opens each room, writes what there is to write and waits for its ack.
async fn visit(
    server: &Server,
    rooms: Range<usize>,
    content: Option<&Arc<Content>>,
) -> anyhow::Result<()> {
    let mut visits = JoinSet::new();
    for room in rooms {
        if visits.len() >= TOGETHER
            && let Some(visited) = visits.join_next().await
        {
            visited??;
        }
        let (address, content) = (server.address, content.cloned());
        visits.spawn(async move {
            let socket = Socket::open(address, &format!("small-{room}")).await?;
            socket.synced().await?;
            let Some(content) = content else {
                return Ok(());
            };
            socket.write(&content.frame).await?;
            let mut is_back = false;
            while !is_back {
                socket
                    .read(|message| is_back |= message == content.update)
                    .await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(visited) = visits.join_next().await {
        visited??;
    }
    Ok(())
}
