//! Owns what clients without Yjs push: operations over few places, new and once more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roundtable::ids::{OpId, Version};
use roundtable::room::entry::Json;
use roundtable::room::operation::{Action, Condition, OnConflict, Operation, Place};
use roundtable::room::record::canonical;
use roundtable::room::{Input, Ticket};

use super::super::script::Script;
use super::peer::Push;
use super::world::World;

/// Those of authors, one that nobody has, and a root that is no collection.
const COLLECTIONS: [&str; 6] = ["tasks", "tasks", "tasks", "tasks", "counts", "text"];
const RECORDS: [&str; 4] = ["t0", "t1", "t2", "t\"9"];
const FIELDS: [&str; 4] = ["name", "shop", "by", "n"];
const VALUES: [&str; 8] = [
    "\"x\"",
    "\"é\\u0000\"",
    "1",
    "-0.5",
    "9007199254740991",
    "null",
    "{\"b\":[1,{}],\"a\":true}",
    "[]",
];
const NUMBERS: [&str; 4] = ["1", "-0.25", "9007199254740991", "1e308"];

/// One push: each operation is new, or one that was sent before.
pub fn push(world: &mut World, peer: usize, script: &mut Script<'_>) {
    let count = 1 + script.below(3);
    let mut operations = Vec::new();
    for _ in 0..count {
        let sent = world.operations.len();
        let is_new = sent == 0 || script.below(4) > 0;
        operations.push(match is_new {
            true => operation(world, script),
            false => world.operations[script.below(sent)].clone(),
        });
    }
    send(world, peer, operations);
}

/// Somebody who had no answer, or who had one, sends the newest operations again.
pub fn push_again(world: &mut World, peer: usize, script: &mut Script<'_>) {
    let count = world.operations.len().min(1 + script.below(3));
    let operations = world.operations[world.operations.len() - count..].to_vec();
    if count > 0 {
        send(world, peer, operations);
    }
}

fn send(world: &mut World, peer: usize, operations: Vec<Operation>) {
    let Some(session) = world.peers[peer].session else {
        return;
    };
    world.tickets += 1;
    let ticket = Ticket(world.tickets);
    let push = Push::new(operations.clone());
    world.peers[peer].pushes.insert(ticket, push);
    world.tell(Input::Operate {
        session,
        ticket,
        client: None,
        operations,
    });
}

fn operation(world: &mut World, script: &mut Script<'_>) -> Operation {
    use Action::{Create, Delete, Increment, Replace, Update, Upsert};
    let number = world.operations.len();
    let place = Place {
        collection: script.pick(&COLLECTIONS).into(),
        record: script.pick(&RECORDS).into(),
    };
    let action = script.pick(&[
        Create, Update, Upsert, Replace, Delete, Increment, Upsert, Update,
    ]);
    let mut fields = BTreeMap::new();
    let mut unset: BTreeSet<Arc<str>> = BTreeSet::new();
    if action != Delete {
        for _ in 0..script.below(3) {
            let name = Arc::from(script.pick(&FIELDS));
            fields.insert(name, value(action, script));
        }
    }
    if matches!(action, Update | Upsert) && script.below(3) == 0 {
        unset.insert(script.pick(&FIELDS).into());
        unset.retain(|name| !fields.contains_key(name));
    }
    let condition = condition(world, &place, script);
    let operation = Operation {
        id: OpId::parse(&format!("op {number}")).expect("a name"),
        action,
        place,
        fields,
        unset,
        condition,
        wants_record: script.below(2) == 0,
    };
    world.operations.push(operation.clone());
    operation
}

fn value(action: Action, script: &mut Script<'_>) -> Json {
    let text = match action {
        Action::Increment => script.pick(&NUMBERS),
        _ => script.pick(&VALUES),
    };
    let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
    canonical(&value).expect("it can be kept")
}

fn condition(world: &World, place: &Place, script: &mut Script<'_>) -> Condition {
    let head = world.log.len() as u64;
    let seen = match script.below(4) {
        0 => Version(head),
        1 => Version(u64::from(script.byte()) % (head + 2)),
        _ => world.changed_at(place, Version(head)),
    };
    let on_conflict = script.pick(&[OnConflict::Merge, OnConflict::Reject, OnConflict::Strict]);
    match script.below(8) {
        0..3 => Condition::Always,
        3..6 => Condition::Since {
            base: seen,
            on_conflict,
        },
        6 => Condition::At([seen].into()),
        _ if script.pick(&[true, false]) => Condition::Exists,
        _ => Condition::Missing,
    }
}
