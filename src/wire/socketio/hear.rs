//! Owns what the events of a client ask for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::change::{self, Change, Draft};
use super::follow::Project;
use super::people::Own;
use super::shapes::{Ack, Heard, Trouble};
use super::{Asked, Batch, Dialogue, Kind, Unfit};
use crate::ids::{RoomId, UnixMillis};
use crate::room::Identity;
use crate::wire::operations::PUSH_OPERATIONS_MAX;
use crate::wire::time::rfc3339;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InTable<'a> {
    #[serde(default)]
    pub table_id: String,
    #[serde(borrow, default)]
    pub view_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cursor: Option<&'a RawValue>,
    #[serde(borrow, default)]
    selection: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    user_name: Option<String>,
    #[serde(default)]
    avatar_url: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Presence<'a> {
    pub r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    pub room: &'a str,
    pub state: &'a Own,
}

pub(super) fn text(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("it is made of strings, numbers and JSON")
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

    /// Who the client is says its token alone; a fresh one is taken. A guest, who has none, may say
    /// what it is called.
    fn authenticate(&mut self, argument: &str, ack: &mut Option<A>) -> Result<(), Unfit> {
        let body: Credentials = read(argument, "it is {token}, or what the token says")?;
        let ack = ack.take();
        if let (true, Some(name)) = (self.identity.is_guest, body.user_name) {
            let (name, avatar) = (Some(name.into()), body.avatar_url.map(Into::into));
            self.identity = Arc::new(Identity {
                name,
                avatar,
                ..(*self.identity).clone()
            });
        }
        match body.token {
            None => self.acknowledge(ack, &Ack::done(None)),
            Some(token) => self.ask(Asked::Act { ack }, |id| {
                json!({ "type": "token", "id": id, "token": token }).to_string()
            }),
        }
        Ok(())
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

    fn change(&mut self, change: Change<'_>, ack: Option<A>) {
        let room = change.room.clone();
        let asked = Asked::Change {
            room,
            names_record: change.draft.record_id.is_none(),
            ack,
        };
        let operation = self.pack(change);
        let device = self.device.clone();
        self.ask(asked, |id| push(id, &operation.0, &device, &[operation.1]));
    }

    /// The operation of a change, named; what goes along with it is put aside.
    fn pack<'c>(&mut self, change: Change<'c>) -> (RoomId, Draft<'c>) {
        let Change {
            room,
            mut draft,
            luggage,
        } = change;
        let number = self.number();
        let fresh = || Value::String(format!("{}:{number}", self.prefix));
        let op = draft.op_id.get_or_insert_with(fresh);
        if let (Some(luggage), Some(op)) = (luggage, op.as_str()) {
            self.luggage.push((room.clone(), op.to_owned(), luggage));
        }
        (room, draft)
    }

    /// Changes that were made offline, in order and room by room; each is judged for itself.
    fn offline(&mut self, argument: &str, ack: &mut Option<A>) -> Result<(), Unfit> {
        let shape = "it is a list of changes";
        let list: Vec<&RawValue> = read(argument, shape)?;
        let changes: Result<Vec<_>, _> =
            list.iter().map(|raw| change::of_event(raw.get())).collect();
        let mut rooms: Vec<(RoomId, Vec<Draft<'_>>)> = Vec::new();
        for change in changes? {
            let (room, operation) = self.pack(change);
            let fits = |it: &&mut (RoomId, Vec<Draft<'_>>)| {
                it.0 == room && it.1.len() < PUSH_OPERATIONS_MAX
            };
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

fn push(id: u64, room: &RoomId, device: &str, ops: &[Draft<'_>]) -> String {
    text(&Push {
        r#type: "push",
        id,
        room: room.as_str(),
        client_id: device,
        ops,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Push<'a> {
    r#type: &'static str,
    id: u64,
    room: &'a str,
    client_id: &'a str,
    ops: &'a [Draft<'a>],
}

pub(super) fn read<'a, T: Deserialize<'a>>(
    argument: &'a str,
    shape: &'static str,
) -> Result<T, Unfit> {
    serde_json::from_str(argument).map_err(|_| Unfit(shape))
}
