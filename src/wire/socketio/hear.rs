//! Owns what the events of a client ask for.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::change::{self, Change};
use super::people::Own;
use super::shapes::{Ack, Heard, Trouble};
use super::{Asked, Batch, Dialogue, Followed, Kind, Purpose, Unfit};
use crate::ids::{RoomId, UnixMillis};
use crate::wire::operations::PUSH_OPERATIONS_MAX;
use crate::wire::time::rfc3339;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InTable<'a> {
    #[serde(default)]
    table_id: String,
    #[serde(borrow, default)]
    view_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cursor: Option<&'a RawValue>,
    #[serde(borrow, default)]
    selection: Option<&'a RawValue>,
}

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
enum Project {
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

#[derive(Deserialize)]
struct Credentials {
    #[serde(default)]
    token: Option<String>,
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

#[derive(Serialize)]
struct Presence<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    room: &'a str,
    state: &'a Own,
}

fn text(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("it is made of strings, numbers and JSON")
}

/// Where a subscription begins.
enum Begin {
    Recent(usize),
    Since(Since),
    State,
}

impl<A> Dialogue<A> {
    /// Hears an event: `["name", argument...]`.
    pub fn hear(&mut self, packet: &str, ack: Option<A>, now: UnixMillis) {
        let arguments: Result<Vec<&RawValue>, _> = serde_json::from_str(packet);
        let arguments = arguments.unwrap_or_default();
        let name = arguments
            .first()
            .map(|it| serde_json::from_str::<String>(it.get()));
        let Some(Ok(name)) = name else {
            return self.refuse(ack, "malformed", "an event is a name and its argument");
        };
        let argument = arguments.get(1).map_or("null", |it| it.get());
        let mut ack = ack;
        if let Err(Unfit(reason)) = self.heed(&name, argument, &mut ack, now) {
            self.refuse(ack, "malformed", reason);
        }
    }

    /// Hears an event that this server does not take, whatever it is.
    pub fn hear_binary(&mut self, ack: Option<A>) {
        self.refuse(ack, "malformed", "an event has no binary attachments");
    }

    fn heed(
        &mut self,
        name: &str,
        argument: &str,
        ack: &mut Option<A>,
        now: UnixMillis,
    ) -> Result<(), Unfit> {
        match name {
            "authenticate" | "token" => self.authenticate(argument, ack),
            "subscribe_to_table" => self.subscribe(argument, ack),
            "unsubscribe_from_table" => {
                let body: InTable<'_> = read(argument, "it is {tableId}")?;
                self.leave(Kind::Table.room(&body.table_id)?, ack.take());
                Ok(())
            }
            "recover_connection" => self.recover(argument, ack),
            "cursor_position" | "selection" => self.present(name, argument, ack),
            "record_change" => {
                let change = change::of_record(argument)?;
                self.change(change, ack.take());
                Ok(())
            }
            "sync_offline_changes" => self.offline(argument, ack),
            "heartbeat" => {
                let timestamp = &rfc3339(now);
                self.emit("heartbeat_ack", &Heard { timestamp });
                self.acknowledge(ack.take(), &Ack::done(None));
                Ok(())
            }
            "subscribe:project" => self.subscribe_project(argument, ack),
            "unsubscribe:project" => {
                let (Project::Named(name)
                | Project::Since {
                    project_id: name, ..
                }) = read(argument, "it is the id of a project")?;
                self.leave(Kind::Project.room(&name)?, ack.take());
                Ok(())
            }
            "sync:op" => {
                let change = change::of_operation(argument)?;
                self.change(change, ack.take());
                Ok(())
            }
            _ => {
                self.refuse(ack.take(), "unsupported", "this event is not known");
                Ok(())
            }
        }
    }

    /// Says why something is not done.
    pub(super) fn refuse(&mut self, ack: Option<A>, code: &str, message: &str) {
        self.trouble(
            ack,
            &Trouble {
                code,
                message,
                ..Trouble::default()
            },
        );
    }

    pub(super) fn trouble(&mut self, ack: Option<A>, trouble: &Trouble<'_>) {
        self.emit("error", trouble);
        self.acknowledge(ack, &Ack::refused(trouble.code, trouble.message));
    }

    /// Who the client is says its token alone; a fresh one is taken.
    fn authenticate(&mut self, argument: &str, ack: &mut Option<A>) -> Result<(), Unfit> {
        let body: Credentials = read(argument, "it is {token}, or what the token says")?;
        let ack = ack.take();
        match body.token {
            None => self.acknowledge(ack, &Ack::done(None)),
            Some(token) => self.ask(Asked::Act { ack }, |id| {
                json!({ "type": "token", "id": id, "token": token }).to_string()
            }),
        }
        Ok(())
    }

    fn subscribe(&mut self, argument: &str, ack: &mut Option<A>) -> Result<(), Unfit> {
        let body: InTable<'_> = read(argument, "it is {tableId, viewId}")?;
        let room = Kind::Table.room(&body.table_id)?;
        let own = Own {
            view_id: body.view_id.map(ToOwned::to_owned),
            ..Own::default()
        };
        let begin = Begin::Recent(super::RECENT_EVENTS);
        self.follow(Kind::Table, room, own, begin, Purpose::Come, ack.take());
        Ok(())
    }

    fn recover(&mut self, argument: &str, ack: &mut Option<A>) -> Result<(), Unfit> {
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
        let former = self.followed.get(room.as_str());
        let own = Own {
            view_id: body.view_id.map(ToOwned::to_owned),
            reconnected: true,
            ..former.map(|it| it.own.clone()).unwrap_or_default()
        };
        self.follow(Kind::Table, room, own, begin, Purpose::Recover, ack.take());
        Ok(())
    }

    fn subscribe_project(&mut self, argument: &str, ack: &mut Option<A>) -> Result<(), Unfit> {
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

    fn leave(&mut self, room: RoomId, ack: Option<A>) {
        self.followed.remove(room.as_str());
        self.ask(Asked::Act { ack }, |id| {
            json!({ "type": "unsubscribe", "id": id, "room": room.as_str() }).to_string()
        });
    }

    fn present(&mut self, name: &str, argument: &str, ack: &mut Option<A>) -> Result<(), Unfit> {
        let shape = "it is {tableId, cursor}, or {tableId, selection}";
        let body: InTable<'_> = read(argument, shape)?;
        let room = Kind::Table.room(&body.table_id)?;
        let Some(followed) = self.followed.get_mut(room.as_str()) else {
            let trouble = Trouble {
                code: "not_found",
                message: "subscribe to the table first",
                table_id: Some(&body.table_id),
                ..Trouble::default()
            };
            self.trouble(ack.take(), &trouble);
            return Ok(());
        };
        followed.own.reconnected = false;
        match name {
            "selection" => followed.own.selection = body.selection.map(ToOwned::to_owned),
            _ => followed.own.cursor = body.cursor.map(ToOwned::to_owned),
        }
        let state = followed.own.clone();
        let write = |id| {
            let room = room.as_str();
            text(&Presence {
                r#type: "presence",
                id,
                room,
                state: &state,
            })
        };
        match ack.take() {
            // Nobody waits for an answer to a cursor's move.
            None => self.asks.push_back(write(None)),
            ack => self.ask(Asked::Act { ack }, |id| write(Some(id))),
        }
        Ok(())
    }

    fn change(&mut self, change: Change, ack: Option<A>) {
        let room = change.room.clone();
        let asked = Asked::Change {
            room,
            names_record: !change.has_record,
            ack,
        };
        let operation = self.pack(change);
        let device = self.device.clone();
        self.ask(asked, |id| push(id, &operation.0, &device, &[operation.1]));
    }

    /// The operation of a change, named; what goes along with it is put aside.
    fn pack(&mut self, change: Change) -> (RoomId, Value) {
        let Change {
            room,
            mut operation,
            luggage,
            ..
        } = change;
        let number = self.number();
        let fresh = || Value::String(format!("{}:{number}", self.prefix));
        let op = operation.entry("opId").or_insert_with(fresh);
        if let (Some(luggage), Some(op)) = (luggage, op.as_str()) {
            self.luggage.push((room.clone(), op.to_owned(), luggage));
        }
        (room, Value::Object(operation))
    }

    /// Changes that were made offline, in order and room by room; each is judged for itself.
    fn offline(&mut self, argument: &str, ack: &mut Option<A>) -> Result<(), Unfit> {
        let shape = "it is a list of changes";
        let list: Vec<&RawValue> = read(argument, shape)?;
        let changes: Result<Vec<_>, _> =
            list.iter().map(|raw| change::of_event(raw.get())).collect();
        let mut rooms: Vec<(RoomId, Vec<Value>)> = Vec::new();
        for change in changes? {
            let (room, operation) = self.pack(change);
            let fits =
                |it: &&mut (RoomId, Vec<Value>)| it.0 == room && it.1.len() < PUSH_OPERATIONS_MAX;
            match rooms.iter_mut().rev().find(fits) {
                Some((_, operations)) => operations.push(operation),
                None => rooms.push((room, vec![operation])),
            }
        }
        let batch = self.number();
        let of_batch = Batch {
            waiting: rooms.len(),
            is_ok: true,
            version: 0,
            ack: ack.take(),
        };
        self.batches.insert(batch, of_batch);
        let device = self.device.clone();
        for (room, operations) in rooms {
            self.ask(Asked::Offline { batch }, |id| {
                push(id, &room, &device, &operations)
            });
        }
        self.finish_batch(batch);
        Ok(())
    }
}

fn push(id: u64, room: &RoomId, device: &str, operations: &[Value]) -> String {
    let room = room.as_str();
    json!({ "type": "push", "id": id, "room": room, "clientId": device, "ops": operations })
        .to_string()
}

/// The position in the id of an event: `epoch:version:index`.
fn position(event: &str) -> Option<(String, u64)> {
    let mut parts = event.split(':');
    let (epoch, version) = (parts.next()?, parts.next()?);
    Some((epoch.to_owned(), version.parse().ok()?))
}

fn read<'a, T: Deserialize<'a>>(argument: &'a str, shape: &'static str) -> Result<T, Unfit> {
    serde_json::from_str(argument).map_err(|_| Unfit(shape))
}
