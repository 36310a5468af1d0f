//! Owns what the messages of a room are in a client's words.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::change::RECORDS;
use super::events::{Event, change_event, sync_op};
use super::outcomes::Outcome;
use super::people::{Left, Person};
use super::shapes::{Ack, Record, Recovered, State, Trouble};
use super::{
    Asked, Dialogue, GATHERED_BYTES_MAX, Gathering, Kind, Out, Purpose, RECENT_EVENTS, Rack, raw,
};
use crate::ids::UnixMillis;
use crate::wire::time::rfc3339;

/// Any message of a room.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told<'a> {
    r#type: &'a str,
    #[serde(default)]
    id: Option<u64>,
    #[serde(borrow, default)]
    pub room: Cow<'a, str>,
    #[serde(default)]
    epoch: &'a str,
    #[serde(default)]
    version: u64,
    #[serde(default)]
    head: u64,
    #[serde(default)]
    recovery: &'a str,
    #[serde(borrow, default)]
    reason: Cow<'a, str>,
    #[serde(borrow, default)]
    users: Vec<Person<'a>>,
    #[serde(borrow, default)]
    document: Option<&'a RawValue>,
    #[serde(borrow, default)]
    events: Vec<Event<'a>>,
    #[serde(borrow, default)]
    pub results: Vec<Outcome<'a>>,
    #[serde(borrow, default)]
    joined: Vec<Person<'a>>,
    #[serde(borrow, default)]
    updated: Vec<Person<'a>>,
    #[serde(borrow, default)]
    left: Vec<Left<'a>>,
    #[serde(borrow, default)]
    code: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
    #[serde(default)]
    retryable: bool,
    #[serde(default)]
    retry_after_ms: u64,
}

impl<A> Dialogue<A> {
    /// Is told a JSON message.
    pub fn tell(&mut self, message: &[u8], now: UnixMillis, rack: &impl Rack) {
        let told: Told<'_> = match serde_json::from_slice(message) {
            Ok(told) => told,
            Err(_) => return self.refuse(None, "internal", "a message could not be read"),
        };
        let asked = told.id.and_then(|id| self.asked.remove(&id));
        let now = rfc3339(now);
        match told.r#type {
            "subscribed" => self.begin(&told, asked, &now),
            "changes" => self.changes(&told, &now, rack),
            "presence" => self.presence(&told, &now),
            "pushed" => self.pushed(&told, asked),
            "ok" => {
                if let Some(Asked::Act { ack }) = asked {
                    self.acknowledge(ack, &Ack::done(None));
                }
            }
            "error" => self.failed(&told, asked),
            "reset" => {
                self.followed.remove(&*told.room);
                let message = "the room is followed no more";
                self.trouble(None, &in_room(&told.room, &told.reason, message));
            }
            "drain" => {
                let body = json!({ "retryAfterMs": told.retry_after_ms });
                self.emit("drain", &body);
            }
            "message" => {
                let body = std::str::from_utf8(message).ok();
                let body = body.and_then(|text| RawValue::from_string(text.to_owned()).ok());
                self.outs.push_back(Out::Emit("message".into(), body));
            }
            _ => {}
        }
    }

    /// A subscription begins, or begins anew.
    fn begin(&mut self, told: &Told<'_>, asked: Option<Asked<A>>, now: &str) {
        let Some((kind, name)) = Kind::of(&told.room) else {
            return;
        };
        let (purpose, ack) = match asked {
            Some(Asked::Follow { purpose, ack, .. }) => (Some(purpose), ack),
            _ => (None, None),
        };
        let Some(followed) = self.followed.get_mut(&*told.room) else {
            return self.acknowledge(ack, &Ack::refused("unavailable", "not followed any more"));
        };
        if kind == Kind::Table {
            let people =
                followed
                    .people
                    .begin(name, now, &told.users, (&self.identity, &followed.own));
            self.outs
                .push_back(Out::Emit("table_users".into(), Some(people)));
        }
        if told.recovery == "snapshot" {
            let gathering = followed.gathering.take();
            let ack = ack.or(gathering.and_then(|it| it.ack));
            return self.state(told, kind, name, ack);
        }
        match (kind, purpose) {
            (Kind::Project, _) => self.acknowledge(ack, &Ack::done(Some(told.version))),
            (Kind::Table, None) => {}
            (Kind::Table, Some(purpose)) => {
                followed.gathering = Some(Gathering {
                    purpose,
                    until: told.head,
                    events: VecDeque::new(),
                    bytes: 0,
                    told: 0,
                    ack,
                });
                self.gathered(&told.room, told.version, now);
            }
        }
    }

    /// Events cannot be replayed: the state, and why.
    fn state(&mut self, told: &Told<'_>, kind: Kind, name: &str, ack: Option<A>) {
        if told.reason != "new" {
            let message = "what was missed cannot be replayed: here is the state";
            self.trouble(None, &in_room(&told.room, &told.reason, message));
        }
        let document = told.document.map_or("{}", RawValue::get);
        let roots: BTreeMap<Cow<'_, str>, &RawValue> =
            serde_json::from_str(document).unwrap_or_default();
        let records = roots.get(RECORDS).map_or("{}", |it| it.get());
        let records: BTreeMap<Cow<'_, str>, &RawValue> =
            serde_json::from_str(records).unwrap_or_default();
        let list = records.iter().map(|(id, fields)| Record {
            record_id: id,
            fields,
        });
        let is_table = kind == Kind::Table;
        let state = State {
            table_id: is_table.then_some(name),
            project_id: (!is_table).then_some(name),
            epoch: told.epoch,
            version: told.version,
            reason: &told.reason,
            records: is_table.then(|| list.collect()),
            entities: told.document.filter(|_| !is_table),
        };
        let event = if is_table {
            "table_state"
        } else {
            "sync:state"
        };
        self.emit(event, &state);
        self.acknowledge(
            ack,
            &Ack {
                code: Some(&told.reason),
                ..Ack::done(Some(told.version))
            },
        );
    }

    fn changes(&mut self, told: &Told<'_>, now: &str, rack: &impl Rack) {
        let Some((kind, name)) = Kind::of(&told.room) else {
            return;
        };
        let Some(followed) = self.followed.get_mut(&*told.room) else {
            return;
        };
        if kind == Kind::Project {
            let ops = told.events.iter().map(sync_op);
            let outs = ops.map(|op| Out::Emit("sync:op".into(), Some(op)));
            return self.outs.extend(outs);
        }
        if let Some(gathering) = &mut followed.gathering {
            for event in &told.events {
                let event = change_event(event, &told.room, name, rack);
                gathering.bytes += event.get().len();
                gathering.events.push_back(event);
                if gathering.purpose == Purpose::Come && gathering.events.len() > RECENT_EVENTS {
                    gathering.events.pop_front();
                }
            }
            return self.gathered(&told.room, told.version, now);
        }
        for entry in told.events.chunk_by(|a, b| a.version == b.version) {
            let events: Vec<_> = entry
                .iter()
                .map(|event| change_event(event, &told.room, name, rack))
                .collect();
            let out = match <[_; 1]>::try_from(events) {
                Ok([event]) => Out::Emit("record_change".into(), Some(event)),
                Err(events) => Out::Emit("batch_changes".into(), Some(raw(&events))),
            };
            self.outs.push_back(out);
        }
    }

    /// Tells what was gathered, once all of it is there, or much.
    fn gathered(&mut self, room: &str, version: u64, now: &str) {
        let Some(followed) = self.followed.get_mut(room) else {
            return;
        };
        let Some(gathering) = &mut followed.gathering else {
            return;
        };
        let is_over = version >= gathering.until;
        let is_much = gathering.purpose == Purpose::Recover && gathering.bytes > GATHERED_BYTES_MAX;
        if !is_over && !is_much {
            return;
        }
        gathering.told += gathering.events.len();
        let list = raw(&std::mem::take(&mut gathering.events));
        let event = match gathering.purpose {
            Purpose::Come => "recent_changes",
            Purpose::Recover => "missed_events",
        };
        self.outs.push_back(Out::Emit(event.into(), Some(list)));
        gathering.bytes = 0;
        if !is_over {
            return;
        }
        let Some(gathering) = followed.gathering.take() else {
            return;
        };
        let mut ack = Ack::done(Some(version));
        if gathering.purpose == Purpose::Recover {
            ack.missed_events_count = Some(gathering.told);
            let recovered = Recovered {
                timestamp: now,
                missed_events_count: gathering.told,
            };
            self.emit("connection_recovered", &recovered);
        }
        self.acknowledge(gathering.ack, &ack);
    }

    fn presence(&mut self, told: &Told<'_>, now: &str) {
        let Some((Kind::Table, table)) = Kind::of(&told.room) else {
            return;
        };
        let Some(followed) = self.followed.get_mut(&*told.room) else {
            return;
        };
        let people = &mut followed.people;
        for person in told.joined.iter().chain(&told.updated) {
            people.update(&self.device, table, now, person, &mut self.outs);
        }
        for left in &told.left {
            people.leave(table, left, &mut self.outs);
        }
    }

    fn failed(&mut self, told: &Told<'_>, asked: Option<Asked<A>>) {
        let trouble = Trouble {
            retryable: told.retryable,
            ..in_room(&told.room, &told.code, &told.message)
        };
        match asked {
            // What it goes along with was refused, too.
            Some(Asked::Along) => {}
            Some(Asked::Offline { batch }) => {
                self.trouble(None, &trouble);
                self.batch_answered(batch, false, 0);
            }
            Some(Asked::Follow { room, ack, .. }) => {
                self.followed.remove(room.as_str());
                self.trouble(ack, &trouble);
            }
            Some(Asked::Change { ack, .. } | Asked::Act { ack }) => self.trouble(ack, &trouble),
            None => self.trouble(None, &trouble),
        }
    }
}

/// What is wrong, in a room.
pub(super) fn in_room<'a>(room: &'a str, code: &'a str, message: &'a str) -> Trouble<'a> {
    let (mut table_id, mut project_id) = (None, None);
    match Kind::of(room) {
        Some((Kind::Table, name)) => table_id = Some(name),
        Some((Kind::Project, name)) => project_id = Some(name),
        None => {}
    }
    Trouble {
        code,
        message,
        table_id,
        project_id,
        ..Trouble::default()
    }
}
