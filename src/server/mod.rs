//! Owns composition: start and drain.

pub mod access;
pub mod clock;
pub mod config;
pub mod redact;
pub mod telemetry;

use std::path::PathBuf;

use crate::ids::RoomId;
use config::Settings;

/// What `check` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// Snapshot, log and tables agree.
    Agrees,
    /// They do not; what differs has been printed.
    Differs,
}

/// Runs the server until it is told to stop and has drained.
///
/// # Errors
///
/// When the server cannot start.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    let _ = settings;
    anyhow::bail!("not wired yet")
}

/// Brings the database's tables up to date.
///
/// # Errors
///
/// When the database cannot be reached or changed.
pub async fn migrate(settings: Settings) -> anyhow::Result<()> {
    let _ = settings;
    anyhow::bail!("not wired yet")
}

/// Rebuilds one room, or all, from snapshot and log and compares with the tables.
///
/// # Errors
///
/// When the database cannot be read.
pub async fn check(settings: Settings, room: Option<RoomId>) -> anyhow::Result<Checked> {
    let _ = (settings, room);
    anyhow::bail!("not wired yet")
}

/// Writes a room's document as a Yjs state update to a file, or to standard output.
///
/// # Errors
///
/// When the room cannot be read or the file not written.
pub async fn export(
    settings: Settings,
    room: RoomId,
    output: Option<PathBuf>,
) -> anyhow::Result<()> {
    let _ = (settings, room, output);
    anyhow::bail!("not wired yet")
}

/// Merges a Yjs state update from a file, or from standard input, into a room.
///
/// # Errors
///
/// When the update is not valid or cannot be kept.
pub async fn import(settings: Settings, room: RoomId, file: Option<PathBuf>) -> anyhow::Result<()> {
    let _ = (settings, room, file);
    anyhow::bail!("not wired yet")
}
