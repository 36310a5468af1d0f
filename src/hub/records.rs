//! Owns how records are read: from the store, once it tells all that the room has acked, with the
//! values that only the document has.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::{Denial, Hub, projector, rows};
use crate::ids::{Position, RoomId, Version};
use crate::room::entry::{Json, Value};
use crate::room::operation::{OpResult, Operation, Place, Portrayal};
use crate::room::{End, Event, Grant, Refusal, Room};
use crate::store::Failure;
use crate::store::records::{Conflict, ConflictQuery, RecordQuery, RecordRow, Resolved};

/// What operations came to.
#[derive(Debug)]
pub struct Pushed {
    /// In the order of the operations.
    pub results: Vec<OpResult>,
    /// Where the room stands.
    pub position: Position,
}

/// Why operations were not judged.
#[derive(Debug)]
pub enum Unjudged {
    /// The room is not to be reached.
    Denied(Denial),
    /// It says no.
    Refused(Refusal),
    /// It ended.
    Ended(End),
}

impl Hub {
    /// Operates on a room's records; answers when all of it is durable.
    pub async fn push(
        &self,
        room: &RoomId,
        grant: Grant,
        client: Option<Arc<str>>,
        operations: Vec<Operation>,
    ) -> Result<Pushed, Unjudged> {
        let attached = self.attach(room, grant, None, client).await;
        let mut attachment = attached.map_err(Unjudged::Denied)?;
        let sent = attachment.operate(None, operations).await;
        sent.map_err(|_| Unjudged::Ended(End::Unavailable))?;
        loop {
            match attachment.event().await {
                Event::Pushed {
                    results, position, ..
                } => return Ok(Pushed { results, position }),
                Event::Refused { refusal, .. } => return Err(Unjudged::Refused(refusal)),
                Event::Ended(end) => return Err(Unjudged::Ended(end)),
                Event::Diff { .. }
                | Event::Presence(_)
                | Event::Missing { .. }
                | Event::Kept { .. } => {}
            }
        }
    }

    /// Records of a collection, as of where the room stands or later.
    pub async fn records(
        &self,
        room: &RoomId,
        grant: &Grant,
        query: &RecordQuery,
    ) -> Result<(Position, Vec<Portrayal>), Denial> {
        let position = self.ask(room, grant, |room, _| room.position()).await?;
        let store = &self.shared.store;
        let records = store.records();
        let list = || async {
            let listed = records.list(room, position.epoch, query).await;
            self.counted("list", room, listed)
        };
        let (mut projected, mut listed) = list().await?;
        if projected < position.version {
            self.catch_up(room, position).await?;
            (projected, listed) = list().await?;
        }
        let position = Position {
            version: projected.max(position.version),
            ..position
        };
        Ok((position, self.portray(room, grant, &listed).await?))
    }

    /// One record, as of where the room stands or later.
    pub async fn record(
        &self,
        room: &RoomId,
        grant: &Grant,
        place: &Place,
    ) -> Result<(Position, Option<Portrayal>), Denial> {
        let position = self.ask(room, grant, |room, _| room.position()).await?;
        self.catch_up(room, position).await?;
        let records = self.shared.store.records();
        let keys = [rows::key(place)];
        let known = records.recall(room, position.epoch, &[], &keys).await;
        let known = self.counted("recall", room, known)?;
        let there = known
            .records
            .into_iter()
            .filter(|row| row.deleted_at.is_none());
        let rows: Vec<RecordRow> = there.collect();
        let mut portrayed = self.portray(room, grant, &rows).await?;
        Ok((position, portrayed.pop()))
    }

    pub(super) async fn catch_up(&self, room: &RoomId, position: Position) -> Result<(), Denial> {
        if position.version == Version::ZERO {
            return Ok(());
        }
        let store = &self.shared.store;
        let caught = projector::project(store, room, position.epoch, position.version).await;
        self.counted("project", room, caught).map(drop)
    }

    /// Rows as records. What they do not tell is read from the document.
    async fn portray(
        &self,
        room: &RoomId,
        grant: &Grant,
        listed: &[RecordRow],
    ) -> Result<Vec<Portrayal>, Denial> {
        let mut portrayed = Vec::with_capacity(listed.len());
        let mut wanted = Vec::new();
        for row in listed {
            let values = rows::values_in(row).map_err(|_| Denial::Internal)?;
            let meta = rows::meta_of(row).map_err(|_| Denial::Internal)?;
            let place = rows::place(&row.key);
            if !values.1.is_empty() {
                wanted.push((portrayed.len(), place.clone(), values.1));
            }
            portrayed.push((place, meta, values.0));
        }
        if !wanted.is_empty() {
            let read = move |room: &mut Room, _| {
                let told = wanted.into_iter().map(|(at, place, names)| {
                    let values = names.into_iter().map(|name| {
                        let value = room.value(&place, &name);
                        (name, value)
                    });
                    (at, values.collect::<Vec<_>>())
                });
                told.collect::<Vec<_>>()
            };
            for (at, values) in self.ask(room, grant, read).await? {
                for (name, value) in values {
                    if let Value::Json(json) = value {
                        portrayed[at].2.insert(name, json);
                    }
                }
            }
        }
        let whole = portrayed
            .into_iter()
            .map(|(place, meta, fields)| Portrayal {
                fields: object(&fields),
                place,
                meta,
            });
        Ok(whole.collect())
    }

    /// Conflicts, the oldest first.
    pub async fn conflicts(&self, query: &ConflictQuery) -> Result<Vec<Conflict>, Denial> {
        let listed = self.shared.store.records().conflicts(query).await;
        self.told("conflicts", listed)
    }

    /// One conflict.
    pub async fn conflict(&self, id: Uuid) -> Result<Option<Conflict>, Denial> {
        let found = self.shared.store.records().conflict(id).await;
        self.told("conflicts", found)
    }

    /// Ends a conflict; whether it was there and not ended yet.
    pub async fn resolve(&self, id: Uuid, resolved: &Resolved) -> Result<bool, Denial> {
        let done = self.shared.store.records().resolve(id, resolved).await;
        self.told("resolve", done)
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

fn object(fields: &BTreeMap<Arc<str>, Json>) -> Json {
    Json(crate::wire::columns::encode_fields(fields).into())
}
