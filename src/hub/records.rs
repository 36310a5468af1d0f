//! Owns how records are read: from the store, once it tells all that the room has acked, with the
//! values that only the document has.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Denial, Hub, projector, rows};
use crate::ids::{Position, RoomId, Version};
use crate::room::entry::{Json, Value};
use crate::room::operation::{Place, Portrayal};
use crate::room::{Grant, Room};
use crate::store::records::{RecordQuery, RecordRow};

impl Hub {
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
        let (position, row) = self.row(room, grant, place).await?;
        let there = row.filter(|row| row.deleted_at.is_none());
        let mut portrayed = self.portray(room, grant, there.as_slice()).await?;
        Ok((position, portrayed.pop()))
    }

    /// What the store has of a record, deleted or not, as of where the room stands or later.
    pub(super) async fn row(
        &self,
        room: &RoomId,
        grant: &Grant,
        place: &Place,
    ) -> Result<(Position, Option<RecordRow>), Denial> {
        let position = self.ask(room, grant, |room, _| room.position()).await?;
        self.catch_up(room, position).await?;
        let records = self.shared.store.records();
        let keys = [rows::key(place)];
        let known = records.recall(room, position.epoch, &[], &keys).await;
        let known = self.counted("recall", room, known)?;
        Ok((position, known.records.into_iter().next()))
    }

    async fn catch_up(&self, room: &RoomId, position: Position) -> Result<(), Denial> {
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
}

fn object(fields: &BTreeMap<Arc<str>, Json>) -> Json {
    Json(crate::wire::columns::encode_fields(fields).into())
}
