//! Owns what the hub does about quarantine: who may open a room, and what is held of whom.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Denial, Shared};
use crate::ids::{RoomId, UnixMillis};
use crate::room::Input;
use crate::room::barred::{Barred, Marks, hash_of};
use crate::store::Failure;
use crate::store::quarantine::{Case, Finding, Kind};

/// A client that comes back sends the same content in other bytes. So many updates of one room
/// within [`REPEATED_MS`] are one that gets through in ever new shapes: the room is held.
const REPEATED_UPDATES: usize = 3;

/// See [`REPEATED_UPDATES`].
const REPEATED_MS: i64 = 60 * 60 * 1_000;

/// Each keeps up to a frame of bytes, and every update of the room is compared with all of them.
const UPDATES_PER_ROOM_MAX: usize = 16;

/// What an update did, before it is held for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offence {
    /// The update.
    pub update: Bytes,
    /// What it would have added, encoded.
    pub marks: Bytes,
    /// What it did: one sentence for an operator.
    pub reason: String,
}

/// Whether the room may be opened, and what it keeps out; waits while it is suspected.
pub async fn admit(shared: &Shared, room: &RoomId) -> Result<Barred, Denial> {
    tokio::select! {
        () = shared.suspected.cleared(room) => {}
        () = shared.leaving.cancelled() => return Err(Denial::Unavailable),
    }
    let held = shared.store.quarantine().held(room).await;
    shared
        .meter
        .outcome("quarantine", room, held.as_ref().err());
    let held = held.map_err(|failure| Denial::from(&failure))?;
    let mut barred = Barred::default();
    for case in held {
        match case.kind {
            Kind::Room => return Err(Denial::Quarantined),
            Kind::Update => {
                // Marks of another version of the program: the hash still holds.
                let marks = Marks::parse(&case.marks).unwrap_or_default();
                barred.add(case.hash, marks);
            }
        }
    }
    Ok(barred)
}

/// Holds an update, and its room when that was not the first. Goes on until it is kept, as the room
/// cannot be opened without the store either, or until the process ends.
pub async fn hold_update(shared: &Arc<Shared>, room: &RoomId, offence: Offence) {
    let Offence {
        update,
        marks,
        reason,
    } = offence;
    tracing::error!(%room, bytes = update.len(), %reason, "an update is held in quarantine");
    let now = shared.clock.now().wall;
    let finding = Finding {
        room: room.clone(),
        kind: Kind::Update,
        reason,
        hash: hash_of(&update),
        marks,
        bytes: update,
        at: now,
    };
    let is_kept = keep(shared, &finding).await;
    let held = shared.store.quarantine().held(room).await;
    if is_kept && let Some(reason) = held.ok().and_then(|held| verdict(&held, now)) {
        hold_room(shared, room, reason).await;
    }
}

/// Holds a room.
pub async fn hold_room(shared: &Arc<Shared>, room: &RoomId, reason: String) {
    tracing::error!(%room, %reason, "a room is held in quarantine");
    let finding = Finding {
        room: room.clone(),
        kind: Kind::Room,
        reason,
        hash: Bytes::new(),
        marks: Bytes::new(),
        bytes: Bytes::new(),
        at: shared.clock.now().wall,
    };
    keep(shared, &finding).await;
}

/// Why the room is to be held, by what is held of it.
fn verdict(held: &[Case], now: UnixMillis) -> Option<String> {
    let updates = held.iter().filter(|case| case.kind == Kind::Update);
    let recent = updates.clone().filter(|case| {
        let age = now.0.saturating_sub(case.created_at.0);
        age < REPEATED_MS
    });
    let (all, recent) = (updates.count(), recent.count());
    if recent >= REPEATED_UPDATES {
        return Some(format!("{recent} of its updates were held within an hour"));
    }
    (all > UPDATES_PER_ROOM_MAX).then(|| format!("{all} of its updates are held"))
}

/// The update that an input brings.
pub fn update_in(input: &Input) -> Option<Bytes> {
    match input {
        Input::Submit { update, .. } => Some(update.clone()),
        _ => None,
    }
}

/// What a panic said.
pub fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic")
}

async fn keep(shared: &Arc<Shared>, finding: &Finding) -> bool {
    let mut pause_ms = shared.limits.retry_ms_min;
    loop {
        let kept = shared.store.quarantine().confine(finding).await;
        let failure = kept.as_ref().err();
        shared.meter.outcome("quarantine", &finding.room, failure);
        match kept {
            Ok(_) => {
                shared.meter.quarantined(finding.kind.word());
                return true;
            }
            Err(Failure::Refused(_) | Failure::Corrupt(_)) => return false,
            Err(Failure::Unavailable(_)) => {}
        }
        tokio::select! {
            () = shared.drain.cancelled() => return false,
            () = tokio::time::sleep(Duration::from_millis(pause_ms)) => {}
        }
        pause_ms = (pause_ms * 2).min(shared.limits.retry_ms_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::quarantine::CaseId;

    fn held(ages_ms: &[i64]) -> Vec<Case> {
        let case = |age: &i64| Case {
            id: CaseId(1),
            room: RoomId::parse("room").expect("a name"),
            kind: Kind::Update,
            reason: String::new(),
            hash: Bytes::new(),
            marks: Bytes::new(),
            size: None,
            created_at: UnixMillis(REPEATED_MS * 9 - age),
            released_at: None,
        };
        ages_ms.iter().map(case).collect()
    }

    #[test]
    fn co5_three_updates_within_an_hour_or_seventeen_hold_the_room() {
        let now = UnixMillis(REPEATED_MS * 9);
        let verdict = |ages: &[i64]| verdict(&held(ages), now);
        assert_eq!(verdict(&[0, 1]), None);
        assert_eq!(verdict(&[0, 1, REPEATED_MS]), None);
        let repeated = "3 of its updates were held within an hour";
        assert_eq!(verdict(&[0, 1, REPEATED_MS - 1]).as_deref(), Some(repeated));
        assert_eq!(verdict(&[REPEATED_MS; 16]), None);
        let many = "17 of its updates are held";
        assert_eq!(verdict(&[REPEATED_MS; 17]).as_deref(), Some(many));
    }
}
