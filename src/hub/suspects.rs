//! Owns the judgement after a crash: what the dead process was doing is done again where it hurts
//! nobody, and held when it kills there, too.
//!
//! Until its probe has ended a suspect's room is not opened; all other rooms are served.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::crash::{DeadRun, Suspect};
use super::quarantine::{self, Offence};
use crate::ids::RoomId;

/// A probe that says nothing while the database answers is not tried for ever: its room is opened.
const UNCLEAR_MAX: usize = 5;

/// What became of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing happened.
    Innocent,
    /// The room alone kills.
    Room {
        /// How.
        reason: String,
    },
    /// The room is well, and dies of one of the updates.
    Update {
        /// Which.
        index: usize,
        /// What it would add, encoded.
        marks: Bytes,
        /// How.
        reason: String,
    },
    /// The probe could not be made.
    Unclear {
        /// Why.
        reason: String,
    },
}

/// Does what a suspect did, in a process that may die of it.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Loads the room, and applies the updates to it.
    async fn probe(&self, suspect: &Suspect) -> Verdict;
}

/// Rooms whose probe has not ended.
#[derive(Debug, Default)]
pub struct Suspected(Mutex<FxHashMap<RoomId, CancellationToken>>);

impl Suspected {
    /// The rooms of runs that died.
    #[must_use]
    pub fn of(dead: &[DeadRun]) -> Self {
        let suspects = dead.iter().flat_map(|run| &run.suspects);
        let rooms = suspects.map(|it| (it.room.clone(), CancellationToken::new()));
        Self(Mutex::new(rooms.collect()))
    }

    /// Returns when the room is not suspected, or not any more.
    pub async fn cleared(&self, room: &RoomId) {
        let token = self.0.lock().get(room).cloned();
        if let Some(token) = token {
            token.cancelled().await;
        }
    }

    fn clear(&self, room: &RoomId) {
        if let Some(token) = self.0.lock().remove(room) {
            token.cancel();
        }
    }
}

/// Probes what dead runs did, one after the other, and holds what kills.
pub async fn judge(shared: Arc<Shared>, dead: Vec<DeadRun>, probe: Arc<dyn Probe>) {
    if dead.is_empty() {
        return;
    }
    let mut rooms: FxHashMap<RoomId, Vec<Suspect>> = FxHashMap::default();
    for suspect in dead.iter().flat_map(|run| &run.suspects) {
        let of_room = rooms.entry(suspect.room.clone()).or_default();
        of_room.push(suspect.clone());
    }
    tracing::warn!(
        rooms = rooms.len(),
        "the process did not end by itself: what it was doing is tried aside"
    );
    let mut guilty = 0;
    for (room, suspects) in rooms {
        for suspect in suspects {
            guilty += usize::from(is_guilty(&shared, &suspect, &*probe).await);
        }
        shared.suspected.clear(&room);
        if shared.leaving.is_cancelled() {
            // The next start goes on; what is found twice is kept once.
            return;
        }
    }
    dead.into_iter().for_each(DeadRun::bury);
    if guilty == 0 {
        tracing::warn!("nothing that rooms were doing when the process ended does it again");
    }
}

async fn is_guilty(shared: &Arc<Shared>, suspect: &Suspect, probe: &dyn Probe) -> bool {
    let room = &suspect.room;
    let mut unclear = 0;
    loop {
        match probe.probe(suspect).await {
            Verdict::Innocent => return false,
            Verdict::Room { reason } => {
                quarantine::hold_room(shared, room, reason).await;
                return true;
            }
            Verdict::Update {
                index,
                marks,
                reason,
            } => {
                if let Some(update) = suspect.updates.get(index).cloned() {
                    let offence = Offence {
                        update,
                        marks,
                        reason,
                    };
                    quarantine::hold_update(shared, room, offence).await;
                }
                return true;
            }
            Verdict::Unclear { reason } => {
                if shared.store.ping().await.is_ok() {
                    unclear += 1;
                }
                tracing::warn!(%room, %reason, "a room cannot be probed");
                if unclear >= UNCLEAR_MAX {
                    return false;
                }
                let pause = Duration::from_millis(shared.limits.retry_ms_max);
                tokio::select! {
                    () = shared.leaving.cancelled() => return false,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
}
