//! Owns how entries after a position are found: in memory, in the log, or not any more.

use std::sync::Arc;

use super::{Denial, Hub, loader, rows};
use crate::ids::{Epoch, Position, RoomId, Version};
use crate::room::{CatchUp, Entry, Grant, Reason};
use crate::store::{Failure, Page};

/// One step of replaying the log to somebody, beside the number of entries kept in memory.
const PAGE_BYTES: usize = 4 << 20;

/// Entries after a position, or why there are none.
#[derive(Debug)]
pub enum Changes {
    /// The position is the head.
    Current(Position),
    /// Entries in order, where the room stands, and whether there are more.
    Replay {
        /// At least one.
        entries: Vec<Arc<Entry>>,
        /// The room's head.
        head: Position,
        /// Whether the head is further on.
        has_more: bool,
    },
    /// Versions cannot be replayed: the document as JSON, as of the head and durable.
    Snapshot {
        /// Why.
        reason: Reason,
        /// The document.
        document: String,
        /// Where it stands.
        head: Position,
    },
}

impl Hub {
    /// Entries after a position: from memory, from the log, or the whole state with the reason.
    ///
    /// # Errors
    ///
    /// When the room cannot be opened, or the store not read.
    pub async fn changes(
        &self,
        room: &RoomId,
        grant: &Grant,
        since: Option<(Option<Epoch>, Version)>,
    ) -> Result<Changes, Denial> {
        self.changes_within(room, grant, since, u64::MAX).await
    }

    /// The same for a reader that is not given more than so many versions, but the whole state.
    pub(super) async fn changes_within(
        &self,
        room: &RoomId,
        grant: &Grant,
        since: Option<(Option<Epoch>, Version)>,
        versions_max: u64,
    ) -> Result<Changes, Denial> {
        let plan = move |room: &mut crate::room::Room, _| (room.since(since), room.position());
        let (plan, head) = self.ask(room, grant, plan).await?;
        let missed = since.map_or(0, |(_, since)| head.version.0.saturating_sub(since.0));
        if missed > versions_max && matches!(plan, CatchUp::Replay(_) | CatchUp::Log(_)) {
            return self.kept_state(room, head, Reason::TooFarBehind).await;
        }
        match plan {
            CatchUp::Current => Ok(Changes::Current(head)),
            CatchUp::Replay(entries) => Ok(Changes::Replay {
                entries,
                head,
                has_more: false,
            }),
            CatchUp::Snapshot(reason) => self.kept_state(room, head, reason).await,
            CatchUp::Log(after) => self.replay_log(room, head, after).await,
        }
    }

    async fn replay_log(
        &self,
        room: &RoomId,
        head: Position,
        after: Version,
    ) -> Result<Changes, Denial> {
        let page = Page {
            rows: self.limits().recent_entries_max,
            bytes: PAGE_BYTES,
        };
        let rows = self.shared.store.read(room, head.epoch, after, page).await;
        let rows = self.counted("read", room, rows)?;
        // What was kept since is not yet told.
        let rows = rows.iter().take_while(|row| row.version <= head.version);
        let entries = rows.map(|row| rows::decode(row).map(Arc::new));
        let entries: Vec<_> = entries
            .collect::<Result<_, _>>()
            .map_err(|_| Denial::Internal)?;
        let Some(last) = entries.last().map(|entry| entry.version) else {
            // The log was pruned meanwhile, or by another server.
            return self.kept_state(room, head, Reason::Pruned).await;
        };
        Ok(Changes::Replay {
            entries,
            head,
            has_more: last < head.version,
        })
    }

    /// The state as the store has it, nothing that could still be lost, up to where the room
    /// stands: who is given more asks for what follows on a version that the room does not know.
    async fn kept_state(
        &self,
        room: &RoomId,
        head: Position,
        reason: Reason,
    ) -> Result<Changes, Denial> {
        let store = &self.shared.store;
        let load = loader::load_until(store, room, 1, head.epoch, head.version);
        let opened = self.shared.crash.during(room.clone(), load).await;
        let opened = self.counted("load", room, opened)?;
        Ok(Changes::Snapshot {
            reason,
            document: opened.document.json(),
            head: Position {
                epoch: opened.standing.epoch,
                version: opened.standing.head,
            },
        })
    }

    pub(super) fn counted<T>(
        &self,
        call: &'static str,
        room: &RoomId,
        answer: Result<T, Failure>,
    ) -> Result<T, Denial> {
        let meter = &self.shared.meter;
        meter.outcome(call, room, answer.as_ref().err());
        answer.map_err(|failure| Denial::from(&failure))
    }

    /// Counts a call that is about no room.
    pub(super) fn told<T>(
        &self,
        call: &'static str,
        answer: Result<T, Failure>,
    ) -> Result<T, Denial> {
        self.meter()
            .outcome(call, "all rooms", answer.as_ref().err());
        answer.map_err(|failure| Denial::from(&failure))
    }
}
