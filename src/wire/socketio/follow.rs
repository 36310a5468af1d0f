//! Owns how clients begin to follow rooms, come back to them, and leave.

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::hear::{InTable, Presence, read, text};
use super::people::{Guest, Own};
use super::shapes::Ack;
use super::{Asked, Dialogue, Followed, Kind, Purpose, Unfit};
use crate::ids::RoomId;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recovery<'a> {
    table_id: String,
    #[serde(borrow, default)]
    view_id: Option<&'a RawValue>,
    #[serde(default)]
    last_event_id: Option<String>,
    #[serde(default)]
    last_version: Option<u64>,
    #[serde(default)]
    epoch: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", untagged)]
pub(super) enum Project {
    Named(String),
    #[serde(rename_all = "camelCase")]
    Since {
        project_id: String,
        #[serde(default)]
        since: Option<u64>,
        #[serde(default)]
        epoch: Option<String>,
    },
}

/// From where on a client wants events.
#[derive(Serialize)]
struct Since {
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    version: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Subscribe<'a> {
    r#type: &'static str,
    id: u64,
    room: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Since>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recent: Option<usize>,
}

/// Where a subscription begins.
enum Begin {
    Recent(usize),
    Since(Since),
    State,
}

impl<A> Dialogue<A> {
    pub(super) fn subscribe(&mut self, argument: &str, ack: &mut Option<A>) -> Result<(), Unfit> {
        let body: InTable<'_> = read(argument, "it is {tableId, viewId}")?;
        let room = Kind::Table.room(&body.table_id)?;
        let own = self.own(&room, body.view_id, Purpose::Come);
        let begin = Begin::Recent(super::RECENT_EVENTS);
        self.follow(Kind::Table, room, own, begin, Purpose::Come, ack.take());
        Ok(())
    }

    pub(super) fn recover(&mut self, argument: &str, ack: &mut Option<A>) -> Result<(), Unfit> {
        let shape = "it is {tableId, viewId?, lastEventId?, lastVersion?, epoch?}";
        let body: Recovery<'_> = read(argument, shape)?;
        let room = Kind::Table.room(&body.table_id)?;
        let event = body.last_event_id.as_deref().and_then(position);
        let (of_event, epoch) = event.map_or((None, None), |(epoch, version)| {
            (Some(version), Some(epoch))
        });
        let begin = match of_event.max(body.last_version) {
            None => Begin::State,
            Some(version) => Begin::Since(Since {
                epoch: body.epoch.or(epoch),
                version,
            }),
        };
        let own = self.own(&room, body.view_id, Purpose::Recover);
        self.follow(Kind::Table, room, own, begin, Purpose::Recover, ack.take());
        Ok(())
    }

    /// What it says of itself in a table, where it may have been before.
    fn own(&self, room: &RoomId, view: Option<&RawValue>, purpose: Purpose) -> Own {
        let former = self.followed.get(room.as_str()).map(|it| it.own.clone());
        let former = former.unwrap_or_default();
        let name = self
            .identity
            .name
            .as_ref()
            .filter(|_| self.identity.is_guest);
        Own {
            user: name.map(|name| Guest {
                name: name.clone(),
                avatar: self.identity.avatar.clone(),
            }),
            view_id: view.map(ToOwned::to_owned).or(former.view_id.clone()),
            reconnected: purpose == Purpose::Recover,
            ..former
        }
    }

    pub(super) fn subscribe_project(
        &mut self,
        argument: &str,
        ack: &mut Option<A>,
    ) -> Result<(), Unfit> {
        let shape = "it is the id of a project, or {projectId, since?, epoch?}";
        let (name, begin) = match read(argument, shape)? {
            Project::Named(name) => (name, Begin::Recent(0)),
            Project::Since {
                project_id,
                since,
                epoch,
            } => {
                let begin = since.map(|version| Begin::Since(Since { epoch, version }));
                (project_id, begin.unwrap_or(Begin::Recent(0)))
            }
        };
        let room = Kind::Project.room(&name)?;
        self.follow(
            Kind::Project,
            room,
            Own::default(),
            begin,
            Purpose::Come,
            ack.take(),
        );
        Ok(())
    }

    fn follow(
        &mut self,
        kind: Kind,
        room: RoomId,
        own: Own,
        begin: Begin,
        purpose: Purpose,
        ack: Option<A>,
    ) {
        let followed = Followed {
            own,
            people: <_>::default(),
            gathering: None,
        };
        let state = &followed.own.clone();
        if let Some(mut former) = self.followed.insert(room.as_str().into(), followed) {
            let ack = former.gathering.take().and_then(|it| it.ack);
            self.acknowledge(ack, &Ack::refused("unavailable", "subscribed anew"));
        }
        let device = self.device.clone();
        let asked = Asked::Follow {
            room: room.clone(),
            purpose,
            ack,
        };
        self.ask(asked, |id| {
            let (since, recent) = match begin {
                Begin::Recent(count) => (None, Some(count)),
                Begin::Since(since) => (Some(since), None),
                Begin::State => (None, None),
            };
            text(&Subscribe {
                r#type: "subscribe",
                id,
                room: room.as_str(),
                client_id: &device,
                since,
                recent,
            })
        });
        if kind == Kind::Table {
            let room = room.as_str();
            self.ask(Asked::Along, |id| {
                text(&Presence {
                    r#type: "presence",
                    id: Some(id),
                    room,
                    state,
                })
            });
        }
    }

    pub(super) fn leave(&mut self, room: RoomId, ack: Option<A>) {
        self.followed.remove(room.as_str());
        self.ask(Asked::Act { ack }, |id| {
            json!({ "type": "unsubscribe", "id": id, "room": room.as_str() }).to_string()
        });
    }
}

/// The position in the id of an event: `epoch:version:index`.
fn position(event: &str) -> Option<(String, u64)> {
    let mut parts = event.split(':');
    let (epoch, version) = (parts.next()?, parts.next()?);
    Some((epoch.to_owned(), version.parse().ok()?))
}
