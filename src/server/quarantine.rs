//! Owns the command `quarantine`: an operator's look at what is held, and what becomes of it.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use serde_json::json;

use super::clock::Clock;
use super::config::{QuarantineRequest, Settings};
use super::{offline, open_store};
use crate::hub::loader;
use crate::ids::{RoomId, UnixMillis};
use crate::store::Store;
use crate::store::quarantine::{Case, CaseId, Kind};
use crate::wire::time::rfc3339;

/// Cases that are read at a time.
const PAGE: usize = 1_000;

/// Does one step about the quarantine, also while the server runs: it asks again whenever it opens
/// a room.
///
/// # Errors
///
/// When the database cannot be reached, or has no such case.
pub async fn quarantine(settings: Settings, request: QuarantineRequest) -> anyhow::Result<()> {
    let store = open_store(&settings).await?;
    match request {
        QuarantineRequest::List { json } => list(&store, json).await,
        QuarantineRequest::Show { id, out } => show(&store, CaseId(id), out.as_deref()).await,
        QuarantineRequest::Release { id } => release(&store, CaseId(id)).await,
        QuarantineRequest::Drop { id } => drop_case(&store, CaseId(id)).await,
    }
}

async fn list(store: &Arc<dyn Store>, as_json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let mut after = CaseId(0);
    let mut count = 0;
    loop {
        let page = store.quarantine().cases(after, PAGE).await?;
        for case in &page {
            let line = if as_json {
                described(case).to_string()
            } else {
                line(case)
            };
            writeln!(out, "{line}").context("print")?;
        }
        count += page.len();
        match page.last() {
            Some(last) if page.len() == PAGE => after = last.id,
            _ => break,
        }
    }
    if count == 0 && !as_json {
        writeln!(out, "nothing is in quarantine").context("print")?;
    }
    Ok(())
}

async fn show(store: &Arc<dyn Store>, id: CaseId, to: Option<&Path>) -> anyhow::Result<()> {
    let (case, bytes) = find(store, id).await?;
    let text = serde_json::to_string_pretty(&described(&case)).context("describe the case")?;
    writeln!(std::io::stdout(), "{text}").context("print")?;
    let Some(path) = to else { return Ok(()) };
    let bytes = bytes.filter(|bytes| !bytes.is_empty());
    let bytes = bytes.with_context(|| format!("find bytes of case {id}"))?;
    std::fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}

async fn release(store: &Arc<dyn Store>, id: CaseId) -> anyhow::Result<()> {
    let (case, _) = find(store, id).await?;
    let now = Clock::system().wall();
    store.quarantine().release(id, now).await?;
    offline::note(
        store,
        "quarantine_release",
        &case.room,
        json!({ "case": id.0 }),
    )
    .await?;
    let what = match case.kind {
        Kind::Room => format!("room {} may be opened", case.room),
        Kind::Update => format!("the update may come into room {} when it opens", case.room),
    };
    writeln!(std::io::stdout(), "case {id} is released: {what}").context("print")
}

async fn drop_case(store: &Arc<dyn Store>, id: CaseId) -> anyhow::Result<()> {
    let (case, _) = find(store, id).await?;
    let what = match (case.kind, case.released_at) {
        (_, Some(_)) => {
            store.quarantine().remove(id).await?;
            "it is off the list".to_owned()
        }
        (Kind::Update, None) => {
            store.quarantine().forget(id).await?;
            "its bytes are forgotten, and it is refused on".to_owned()
        }
        (Kind::Room, None) => {
            delete(store, &case.room).await?;
            store.quarantine().remove(id).await?;
            format!("room {} is deleted", case.room)
        }
    };
    offline::note(
        store,
        "quarantine_drop",
        &case.room,
        json!({ "case": id.0 }),
    )
    .await?;
    writeln!(std::io::stdout(), "case {id} is dropped: {what}").context("print")
}

/// Deletes a room that must not be opened: its state vector is read from what is stored without the
/// CRDT, and is what is known of it when even that fails.
async fn delete(store: &Arc<dyn Store>, room: &RoomId) -> anyhow::Result<()> {
    let loaded = store.load(room).await?;
    let Some(head) = loaded.head.clone() else {
        return Ok(());
    };
    let mut updates = Vec::new();
    let mut at = loaded
        .snapshot
        .as_ref()
        .map_or_else(Default::default, |it| it.version);
    while at < head.version {
        let rows = store.read(room, head.epoch, at, loader::PAGE).await?;
        let last = rows.last().context("read the room's log")?;
        at = last.version;
        updates.extend(rows);
    }
    let former = loaded.former.clone();
    let epitaph = catch_unwind(AssertUnwindSafe(|| loader::epitaph(&loaded, &updates)));
    let epitaph = epitaph.unwrap_or(former);
    let deleted = store.delete(room, head.epoch, &epitaph).await?;
    anyhow::ensure!(deleted, "delete room {room}: it is another one by now");
    Ok(())
}

async fn find(store: &Arc<dyn Store>, id: CaseId) -> anyhow::Result<(Case, Option<bytes::Bytes>)> {
    let found = store.quarantine().case(id).await?;
    found.with_context(|| format!("find case {id}"))
}

fn described(case: &Case) -> serde_json::Value {
    let hash: String = case.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "id": case.id.0,
        "kind": case.kind.word(),
        "room": case.room.as_str(),
        "reason": case.reason,
        "bytes": case.size,
        "sha256": (!hash.is_empty()).then_some(hash),
        "createdAt": rfc3339(case.created_at),
        "releasedAt": case.released_at.map(rfc3339),
    })
}

fn line(case: &Case) -> String {
    let state = match (case.released_at, case.kind, case.size) {
        (Some(at), _, _) => format!("released {}", rfc3339(at)),
        (None, Kind::Update, None) => "held, bytes dropped".to_owned(),
        (None, Kind::Update, Some(size)) => format!("held, {size} bytes"),
        (None, Kind::Room, _) => "held".to_owned(),
    };
    let Case {
        id,
        kind,
        room,
        reason,
        created_at,
        ..
    } = case;
    let kind = kind.word();
    let at: UnixMillis = *created_at;
    format!(
        "{id}  {}  {kind} of {room:?}  {state}  {reason}",
        rfc3339(at)
    )
}
