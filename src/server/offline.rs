//! Owns the commands that work on a store without serving: migrate, check, export, import.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde_json::json;
use uuid::Uuid;

use super::clock::Clock;
use super::config::Settings;
use super::open_store;
use crate::hub::{self, loader};
use crate::ids::{Epoch, Now, RoomId, SessionId};
use crate::limits::Limits;
use crate::room::{
    Access, Effect, Event, Grant, Identity, Input, Listen, Occasion, Outcome, Room, Ticket,
};
use crate::store::audit::AuditEvent;
use crate::store::quarantine::Kind;
use crate::store::{Append, Appended, Store};

/// Rooms that are listed at a time.
const PAGE: usize = 1_000;

/// What `check` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// Snapshot, log and change events agree.
    Agrees,
    /// They do not; what differs has been printed.
    Differs,
}

/// Brings the database's tables up to date.
///
/// # Errors
///
/// When the database cannot be reached or changed.
pub async fn migrate(settings: Settings) -> anyhow::Result<()> {
    open_store(&settings).await?;
    writeln!(std::io::stdout(), "the tables are up to date").context("print")
}

/// Rebuilds one room, or all, from snapshot, log and change events, and compares.
///
/// # Errors
///
/// When the database cannot be read.
pub async fn check(settings: Settings, room: Option<RoomId>) -> anyhow::Result<Checked> {
    let store = open_store(&settings).await?;
    let mut out = std::io::stdout();
    let (mut rooms, mut differences) = (0_usize, 0_usize);
    let mut after: Option<RoomId> = None;
    loop {
        let page = match &room {
            Some(room) => vec![room.clone()],
            None => {
                let listed = store.list("", after.as_ref(), PAGE).await?;
                listed.into_iter().map(|line| line.room).collect()
            }
        };
        for room in &page {
            let held = store.quarantine().held(room).await?;
            if held.iter().any(|case| case.kind == Kind::Room) {
                writeln!(out, "{room}: in quarantine, not checked").context("print")?;
                continue;
            }
            let found = hub::check::check(&store, room).await;
            let found = found.with_context(|| format!("check room {room}"))?;
            rooms += 1;
            differences += found.len();
            for difference in found {
                writeln!(out, "{room}: {difference}").context("print")?;
            }
        }
        after = page.last().cloned();
        if room.is_some() || page.len() < PAGE {
            break;
        }
    }
    writeln!(out, "{rooms} rooms checked, {differences} differences").context("print")?;
    Ok(if differences == 0 {
        Checked::Agrees
    } else {
        Checked::Differs
    })
}

/// Writes a room's document as a Yjs state update to a file, or to standard output.
///
/// # Errors
///
/// When the room was never written or cannot be read, or the file cannot be written.
pub async fn export(
    settings: Settings,
    room: RoomId,
    output: Option<PathBuf>,
) -> anyhow::Result<()> {
    let store = open_store(&settings).await?;
    anyhow::ensure!(store.load(&room).await?.head.is_some(), "find room {room}");
    let epoch = Epoch(Uuid::nil());
    let mut opened = loader::load(&store, &room, 1, epoch)
        .await
        .context("load the room")?;
    let state = opened.document.state();
    match output {
        Some(path) => {
            std::fs::write(&path, &state).with_context(|| format!("write {}", path.display()))
        }
        None => std::io::stdout()
            .write_all(&state)
            .context("write the state"),
    }
}

/// Merges a Yjs state update from a file, or from standard input, into a room. The server need not
/// be stopped: an append that loses a race is refused, and the command says so.
///
/// # Errors
///
/// When the update is not valid or cannot be kept.
pub async fn import(settings: Settings, room: RoomId, file: Option<PathBuf>) -> anyhow::Result<()> {
    let state = read(file.as_deref())?;
    let store = open_store(&settings).await?;
    let clock = Clock::system();
    // An operator's file may be larger than what a client may send.
    let limits = Arc::new(Limits {
        update_bytes_max: usize::MAX,
        ..settings.limits
    });
    let epoch = Epoch(clock.uuid_v4());
    let opened = loader::load(&store, &room, clock.client_id(), epoch).await;
    let opened = opened.context("load the room")?;
    let seed = clock.uuid_v4().as_u128();
    let mut core = Room::open(&opened.standing, opened.document, seed, limits);
    let bytes = state.len();
    merge(&mut core, &store, &room, state, clock.now()).await?;
    note(&store, "import", &room, json!({ "bytes": bytes })).await
}

/// Notes in the audit log what an operator did at the command line.
pub(super) async fn note(
    store: &Arc<dyn Store>,
    action: &str,
    room: &RoomId,
    detail: serde_json::Value,
) -> anyhow::Result<()> {
    let event = AuditEvent {
        at: Clock::system().wall(),
        action: action.into(),
        user: Some("operator".into()),
        room: Some(room.as_str().into()),
        is_allowed: true,
        address: None,
        detail: detail.to_string(),
    };
    let noted = store.audit().record(&[event]).await;
    noted.context("note it in the audit log")
}

/// One session in a room of our own: attach, submit, append, answer.
async fn merge(
    core: &mut Room,
    store: &Arc<dyn Store>,
    room: &RoomId,
    state: Vec<u8>,
    now: Now,
) -> anyhow::Result<()> {
    let before = core.position().version;
    let mut effects = submit(core, state, now);
    while !effects.is_empty() {
        for effect in std::mem::take(&mut effects) {
            match effect {
                Effect::Append {
                    id,
                    expected,
                    entries,
                    ..
                } => {
                    let append = Append {
                        room: room.clone(),
                        epoch: core.epoch(),
                        id,
                        expected,
                        rows: entries.iter().map(|it| hub::rows::encode(it)).collect(),
                        ops: Vec::new(),
                        conflicts: Vec::new(),
                    };
                    keep(store, append).await?;
                    let outcome = Outcome::Kept;
                    core.handle(Input::Appended { id, outcome }, now, &mut effects);
                }
                Effect::Tell {
                    event: Event::Kept { version, .. },
                    ..
                } => {
                    let is_new = version > before;
                    let what = if is_new { "merged" } else { "nothing new" };
                    let line = format!("{what}: room {room} is at version {version}");
                    return writeln!(std::io::stdout(), "{line}").context("print");
                }
                Effect::Tell {
                    event: Event::Refused { refusal, .. },
                    ..
                } => anyhow::bail!("merge the state: {refusal}"),
                Effect::Abandon { .. } => anyhow::bail!("merge the state: it is not valid"),
                _ => {}
            }
        }
    }
    anyhow::bail!("merge the state: the room did not answer")
}

fn submit(core: &mut Room, state: Vec<u8>, now: Now) -> Vec<Effect> {
    let session = SessionId(1);
    let grant = Grant {
        identity: Arc::new(operator()),
        access: Access::Admin,
        expires_at: None,
    };
    let attach = Input::Attach {
        session,
        grant,
        client: "import".into(),
        listen: Listen::Answers,
    };
    let submit = Input::Submit {
        session,
        ticket: Ticket(1),
        occasion: Occasion::Edit,
        update: state.into(),
    };
    let mut effects = Vec::new();
    core.handle(attach, now, &mut effects);
    core.handle(submit, now, &mut effects);
    core.settle(now, &mut effects);
    effects
}

async fn keep(store: &Arc<dyn Store>, append: Append) -> anyhow::Result<()> {
    match store
        .append(&[append])
        .await
        .context("keep the state")?
        .first()
    {
        Some(Appended::Kept) => Ok(()),
        Some(Appended::Moved(_)) | None => {
            anyhow::bail!("keep the state: somebody else wrote to the room; try again")
        }
    }
}

fn operator() -> Identity {
    Identity {
        user: "operator".into(),
        name: None,
        color: None,
        avatar: None,
        is_guest: false,
    }
}

fn read(file: Option<&Path>) -> anyhow::Result<Vec<u8>> {
    match file {
        Some(path) => std::fs::read(path).with_context(|| format!("read {}", path.display())),
        None => {
            let mut state = Vec::new();
            std::io::stdin()
                .read_to_end(&mut state)
                .context("read the state")?;
            Ok(state)
        }
    }
}
