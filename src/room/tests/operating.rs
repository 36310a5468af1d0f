//! OP: operations on records, without Yjs.

mod durability;
mod racing;
mod refusing;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet};

use super::super::operate::Recalled;
use super::super::operation::{
    Action, Clash, Condition, Objection, OnConflict, OpResult, Operation, Place, RecordMeta, Status,
};
use super::super::record::canonical;
use super::*;
use crate::ids::OpId;

/// A room, and a store that keeps what the room has kept.
struct Table {
    world: World,
    results: BTreeMap<OpId, OpResult>,
    records: BTreeMap<Place, RecordMeta>,
    /// How far the store's records are written: by itself they never are.
    projected: Version,
    log: Vec<Arc<Entry>>,
}

impl Table {
    fn new() -> Self {
        let mut world = World::new();
        world.attach_as(1, Access::Write, Listen::Answers);
        world.attach_as(2, Access::Write, Listen::Live);
        Self {
            world,
            results: BTreeMap::new(),
            records: BTreeMap::new(),
            projected: Version::ZERO,
            log: Vec::new(),
        }
    }

    /// Answers what the room asks the store for, until it asks for nothing more.
    fn serve(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let mut told = Vec::new();
        let mut todo = effects;
        while !todo.is_empty() {
            for effect in std::mem::take(&mut todo) {
                match effect {
                    Effect::Append {
                        id, entries, done, ..
                    } => {
                        self.log.extend(entries.iter().cloned());
                        let done = done
                            .iter()
                            .map(|it| (it.result.id.clone(), it.result.clone()));
                        self.results.extend(done);
                        todo.extend(self.world.appended(id, Outcome::Kept));
                    }
                    Effect::Recall {
                        through,
                        operations,
                        places,
                    } => {
                        let recalled = self.recall(through, &operations, &places);
                        todo.extend(self.world.tell(Input::Recalled { recalled }));
                    }
                    other => told.push(other),
                }
            }
        }
        told
    }

    fn recall(
        &mut self,
        through: Option<Version>,
        operations: &[OpId],
        places: &[Place],
    ) -> Option<Recalled> {
        self.project(through.unwrap_or(Version::ZERO));
        let results = operations.iter().filter_map(|id| self.results.get(id));
        let records = places.iter();
        let records = records.filter_map(|it| Some((it.clone(), self.records.get(it)?.clone())));
        Some(Recalled {
            as_of: self.projected,
            results: results.cloned().collect(),
            records: records.collect(),
        })
    }

    fn project(&mut self, through: Version) {
        let range = self.projected.0 as usize..(through.0 as usize).max(self.projected.0 as usize);
        for entry in &self.log[range] {
            for event in &entry.events {
                let Some(record) = &event.change.record else {
                    continue;
                };
                let place = at(&event.change.collection, record);
                let (before, user) = (self.records.remove(&place), &event.actor.user);
                let meta = RecordMeta::fold(before, &event.change, entry.version, entry.at, user);
                self.records.extend(meta.map(|meta| (place, meta)));
            }
            self.projected = entry.version;
        }
    }

    fn operate(&mut self, n: u64, operations: Vec<Operation>) -> Vec<Effect> {
        self.world.tell(Input::Operate {
            session: SessionId(n),
            ticket: Ticket(1),
            client: None,
            operations,
        })
    }

    fn push(&mut self, operations: Vec<Operation>) -> Vec<OpResult> {
        let effects = self.operate(1, operations);
        let effects = self.serve(effects);
        results_in(&effects).expect("a push is answered once")
    }

    fn one(&mut self, operation: Operation) -> OpResult {
        self.push(vec![operation]).remove(0)
    }

    /// An edit by Yjs, kept.
    fn edit(&mut self, update: &Bytes) {
        let effects = self.world.submit(2, update);
        self.serve(effects);
    }

    /// A client that has everything.
    fn client(&mut self, id: u64) -> Client {
        let client = Client::new(id);
        client.take(&self.world.room.state());
        client
    }

    fn json(&self) -> String {
        self.world.room.json()
    }

    fn head(&self) -> u64 {
        self.world.room.position().version.0
    }
}

/// What the store is asked, answered in full.
fn answer(table: &mut Table, effects: &[Effect]) -> Input {
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::Recall {
            through,
            operations,
            places,
        } => Some((*through, operations, places)),
        _ => None,
    });
    let (through, operations, places) = asked.expect("the store is asked");
    let recalled = table.recall(through, operations, places);
    Input::Recalled { recalled }
}

fn results_in(effects: &[Effect]) -> Option<Vec<OpResult>> {
    let mut pushed = told(effects, 1)
        .into_iter()
        .filter_map(|event| match event {
            Event::Pushed { results, .. } => Some(results),
            _ => None,
        });
    let results = pushed.next();
    assert!(pushed.next().is_none(), "a push is answered once");
    results
}

fn at(collection: &str, record: &str) -> Place {
    Place {
        collection: collection.into(),
        record: record.into(),
    }
}

fn op(id: &str, action: Action, record: &str, fields: serde_json::Value) -> Operation {
    let fields = fields.as_object().cloned().unwrap_or_default();
    let fields = fields.iter().map(|(name, value)| {
        let value = canonical(value).expect("a value that can be kept");
        (Arc::from(name.as_str()), value)
    });
    Operation {
        id: OpId::parse(id).expect("a name"),
        action,
        place: at("tasks", record),
        fields: fields.collect(),
        unset: BTreeSet::new(),
        condition: Condition::Always,
        wants_record: false,
    }
}

fn since(base: u64, on_conflict: OnConflict, operation: Operation) -> Operation {
    Operation {
        condition: Condition::Since {
            base: Version(base),
            on_conflict,
        },
        ..operation
    }
}

fn unset(name: &str, mut operation: Operation) -> Operation {
    operation.unset.insert(name.into());
    operation
}

fn ended(result: &OpResult) -> (Status, u64) {
    (result.status, result.version.0)
}

use Action::{Create, Delete, Increment, Replace, Save, Update as Set, Upsert};
use serde_json::json as js;

/// A task `t1` with a name, at version 1.
fn with_task() -> Table {
    let mut table = Table::new();
    let made = table.one(op("0", Create, "t1", js!({"name": "milk", "n": 1})));
    assert_eq!(ended(&made), (Status::Applied, 1));
    table
}
