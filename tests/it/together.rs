//! Owns the test of both sides on one room: Yjs and JSON clients at random, with retries and
//! restarts, over the hub and each store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use roundtable::hub::compactor::{self, Keep};
use roundtable::hub::{Changes, Clock, Hub};
use roundtable::ids::{Epoch, Millis, Now, OpId, RoomId, UnixMillis, Version};
use roundtable::limits::Limits;
use roundtable::room::entry::{ChangeKind, Json, Value};
use roundtable::room::index::StateVector;
use roundtable::room::operation::{
    Action, Condition, OnConflict, OpResult, Operation, Place, Status,
};
use roundtable::room::record::canonical;
use roundtable::room::{Access, Document, Event, Grant, Identity, Room};
use roundtable::store::Store;
use roundtable::store::records::{ConflictQuery, RecordQuery};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;
use yrs::{
    ClientID, Doc, Map, MapPrelim, Out, ReadTxn, Text, TextPrelim, Transact, Update, WriteTxn,
    updates::decoder::Decode,
};

use crate::contract::World;

const COLLECTIONS: [&str; 2] = ["tasks", "people"];
const RECORDS: [&str; 4] = ["r0", "r1", "r2", "r3"];
const FIELDS: [&str; 3] = ["a", "b", "n"];

struct Wall;

impl Clock for Wall {
    fn now(&self) -> Now {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let ms = wall.unwrap().as_millis() as u64;
        Now {
            mono: Millis(ms),
            wall: UnixMillis(ms as i64),
        }
    }

    fn random(&self) -> u128 {
        Uuid::new_v4().as_u128()
    }
}

/// Numbers that a seed makes: xorshift.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

type Records = BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>;

/// One who listens to events, and folds them.
#[derive(Default)]
struct Listener {
    at: Option<(Epoch, Version)>,
    records: Records,
}

struct Together {
    world: World,
    hub: Hub,
    dice: Dice,
    room: RoomId,
    operations: u64,
    pushed: Vec<(Vec<Operation>, Vec<OpResult>)>,
    clients: Vec<Doc>,
    listeners: Vec<Listener>,
}

fn grant() -> Grant {
    Grant {
        identity: Arc::new(Identity {
            user: "ada".into(),
            name: None,
            color: None,
            avatar: None,
            is_guest: false,
        }),
        access: Access::Admin,
        expires_at: None,
    }
}

impl Together {
    async fn new(world: World, seed: u64) -> Self {
        let hub = Self::start(&world).await;
        Self {
            world,
            hub,
            dice: Dice(seed * 2 + 1),
            room: RoomId::parse("room").unwrap(),
            operations: 0,
            pushed: Vec::new(),
            clients: (1..=2).map(Doc::with_client_id).collect(),
            listeners: (0..2).map(|_| Listener::default()).collect(),
        }
    }

    async fn start(world: &World) -> Hub {
        let limits = Limits {
            recent_entries_max: 4,
            snapshot_every_entries: 10,
            log_retention_ms: u64::MAX / 4,
            ..Limits::default()
        };
        Hub::new(world.open().await, Arc::new(Wall), Arc::new(limits))
    }

    async fn step(&mut self) {
        match self.dice.below(16) {
            0..6 => self.push().await,
            6 => self.retry().await,
            7..12 => self.edit().await,
            12..15 => self.listen().await,
            _ => {
                assert!(self.hub.drain(Duration::from_secs(20)).await);
                self.hub = Self::start(&self.world).await;
            }
        }
    }

    async fn send(&self, operations: Vec<Operation>) -> Vec<OpResult> {
        let pushed = self.hub.push(&self.room, grant(), None, operations).await;
        pushed.unwrap().results
    }

    async fn ask<T: Send + 'static>(&self, question: fn(&mut Room) -> T) -> T {
        let grant = grant();
        let asked = self
            .hub
            .ask(&self.room, &grant, move |room, _| question(room));
        asked.await.unwrap()
    }

    async fn push(&mut self) {
        let count = 1 + self.dice.below(4);
        let head = self.ask(|room| room.position()).await.version.0;
        let operations: Vec<_> = (0..count).map(|_| self.operation(head)).collect();
        let results = self.send(operations.clone()).await;
        self.pushed.push((operations, results));
    }

    fn operation(&mut self, head: u64) -> Operation {
        self.operations += 1;
        let action = self.dice.pick(&[
            Action::Create,
            Action::Update,
            Action::Update,
            Action::Upsert,
            Action::Replace,
            Action::Delete,
            Action::Increment,
        ]);
        let mut fields = BTreeMap::new();
        if action == Action::Increment {
            fields.insert(Arc::from("n"), Json("1".into()));
        } else {
            for _ in 0..self.dice.below(3) {
                let value =
                    self.dice
                        .pick(&[r#""x""#, "7", "null", r#"{"deep":[1.5]}"#, r#""\u0000""#]);
                let value = canonical(&serde_json::from_str(value).unwrap()).unwrap();
                fields.insert(Arc::from(self.dice.pick(&FIELDS)), value);
            }
        }
        let unset = self.dice.pick(&FIELDS);
        let removes = self.dice.below(4) == 0 && !fields.contains_key(unset);
        let condition = match self.dice.below(3) {
            0 => Condition::Since {
                base: Version(self.dice.below(head as usize + 1) as u64),
                on_conflict: self.dice.pick(&[
                    OnConflict::Merge,
                    OnConflict::Reject,
                    OnConflict::Strict,
                ]),
            },
            _ => Condition::Always,
        };
        Operation {
            id: OpId::parse(&format!("op {}", self.operations)).unwrap(),
            action,
            place: Place {
                collection: self.dice.pick(&COLLECTIONS).into(),
                record: self.dice.pick(&RECORDS).into(),
            },
            fields,
            unset: removes.then(|| unset.into()).into_iter().collect(),
            condition,
            wants_record: false,
        }
    }

    /// A push whose answer was lost: what was applied is not applied again.
    async fn retry(&mut self) {
        if self.pushed.is_empty() {
            return;
        }
        let at = self.dice.below(self.pushed.len());
        let (operations, first) = self.pushed[at].clone();
        let applied = |it: &OpResult| matches!(it.status, Status::Applied | Status::Merged);
        let (operations, first): (Vec<_>, Vec<_>) = (operations.into_iter().zip(first))
            .filter(|(_, result)| applied(result))
            .unzip();
        let again = self.send(operations).await;
        for (again, first) in again.iter().zip(&first) {
            assert_eq!(again.status, Status::Duplicate);
            assert_eq!(
                (again.version, &again.record, &again.clashes),
                (first.version, &first.record, &first.clashes)
            );
        }
    }

    /// A Yjs client takes what is new, and edits; what it missed meanwhile comes the next time.
    async fn edit(&mut self) {
        let at = self.dice.below(self.clients.len());
        if self.dice.below(2) == 0 {
            self.sync(at).await;
        }
        let (collection, record) = (self.dice.pick(&COLLECTIONS), self.dice.pick(&RECORDS));
        let (field, kind) = (self.dice.pick(&FIELDS), self.dice.below(6));
        let mut txn = self.clients[at].transact_mut();
        let root = txn.get_or_insert_map(collection);
        match (root.get(&txn, record), kind) {
            (Some(Out::YMap(_)), 0) => drop(root.remove(&mut txn, record)),
            (Some(Out::YMap(map)), 1) => drop(map.remove(&mut txn, field)),
            (Some(Out::YMap(map)), 2) => match map.get(&txn, field) {
                Some(Out::YText(text)) => text.push(&mut txn, "!"),
                _ => drop(map.insert(&mut txn, field, TextPrelim::new("text"))),
            },
            (Some(Out::YMap(map)), _) => drop(map.insert(&mut txn, field, kind as i64)),
            _ => drop(root.insert(&mut txn, record, MapPrelim::from([(field, kind as i64)]))),
        }
        drop(txn);
        self.sync(at).await;
    }

    async fn sync(&mut self, at: usize) {
        let doc = &self.clients[at];
        let known = self.ask(|room| room.state_vector()).await;
        let theirs = StateVector::parse(&known).unwrap();
        let since = theirs
            .iter()
            .map(|(client, clock)| (ClientID::new(client), clock));
        let update = doc.transact().encode_state_as_update_v1(&since.collect());
        let mut attachment = self
            .hub
            .attach(&self.room, grant(), None, None)
            .await
            .unwrap();
        attachment.submit(update.into()).await.unwrap();
        assert!(matches!(attachment.event().await, Event::Kept { .. }));
        let state = self.ask(Room::state).await;
        let state = Update::decode_v1(&state).unwrap();
        self.clients[at].transact_mut().apply_update(state).unwrap();
    }

    /// Somebody asks for what it missed, perhaps after a long time.
    async fn listen(&mut self) {
        let at = self.dice.below(self.listeners.len());
        self.catch_up(at).await;
    }

    async fn catch_up(&mut self, at: usize) {
        loop {
            let listener = &mut self.listeners[at];
            let since = listener.at.map(|(epoch, version)| (Some(epoch), version));
            let since = since.or(Some((None, Version::ZERO)));
            match self.hub.changes(&self.room, &grant(), since).await.unwrap() {
                Changes::Current(_) => return,
                Changes::Snapshot { reason, .. } => panic!("a log that is whole: {reason:?}"),
                Changes::Replay { entries, head, .. } => {
                    for entry in entries {
                        let before = listener.at.map_or(Version::ZERO, |(_, version)| version);
                        assert_eq!(entry.version, before.next(), "each version once, in order");
                        listener.take(&entry);
                        listener.at = Some((head.epoch, entry.version));
                    }
                }
            }
        }
    }

    /// Everything says the same.
    async fn judge(mut self) {
        for at in [0, 1, 0] {
            self.sync(at).await;
        }
        let json = self.ask(|room| room.json()).await;
        for doc in &self.clients {
            let mut copy = Document::new(9, StateVector::default());
            let state = doc
                .transact()
                .encode_state_as_update_v1(&yrs::StateVector::default());
            copy.load(&state).unwrap();
            assert_eq!(copy.json(), json);
        }
        let document: Records = read(&json);
        for at in 0..self.listeners.len() {
            self.catch_up(at).await;
            assert_eq!(
                self.listeners[at].records, document,
                "events fold to the document"
            );
        }
        let mut listed = Records::new();
        for collection in COLLECTIONS {
            let mut query = RecordQuery {
                collection: collection.into(),
                limit: 2,
                ..RecordQuery::default()
            };
            loop {
                let page = self
                    .hub
                    .records(&self.room, &grant(), &query)
                    .await
                    .unwrap()
                    .1;
                let Some(last) = page.last() else { break };
                query.after = Some((last.meta.version, last.place.record.to_string()));
                for record in page {
                    let fields = read_fields(&serde_json::from_str(&record.fields.0).unwrap());
                    let of = listed.entry(collection.into()).or_default();
                    of.insert(record.place.record.to_string(), fields);
                }
            }
        }
        assert_eq!(listed, document, "the records are those of the document");
        self.judge_conflicts().await;
        let store = self.world.open().await;
        let differences = roundtable::hub::check::check(&store, &self.room)
            .await
            .unwrap();
        assert_eq!(differences, Vec::<String>::new());
    }

    /// Each overwrite of a concurrent change is logged once.
    async fn judge_conflicts(&self) {
        let results = self.pushed.iter().flat_map(|(_, results)| results);
        let merged = results.filter(|it| it.status == Status::Merged);
        let expected: usize = merged.map(|it| it.clashes.len()).sum();
        let query = ConflictQuery {
            rooms: Some(vec![self.room.clone()]),
            limit: 1_000,
            ..ConflictQuery::default()
        };
        let logged = self.hub.conflicts(&query).await.unwrap();
        assert_eq!(logged.len(), expected);
    }
}

impl Listener {
    fn take(&mut self, entry: &roundtable::room::Entry) {
        for event in &entry.events {
            let change = &event.change;
            let Some(record) = &change.record else {
                continue;
            };
            let of = self
                .records
                .entry(change.collection.to_string())
                .or_default();
            if change.kind == ChangeKind::Delete {
                of.remove(&**record);
            } else {
                let fields = of.entry(record.to_string()).or_default();
                for field in &change.fields {
                    match &field.new {
                        Value::Json(json) => {
                            fields.insert(field.field.to_string(), json.0.to_string())
                        }
                        Value::Absent => fields.remove(&*field.field),
                        Value::TooLong => panic!("short values are told"),
                    };
                }
            }
            self.records.retain(|_, records| !records.is_empty());
        }
    }
}

fn read(json: &str) -> Records {
    let roots: BTreeMap<String, serde_json::Value> = serde_json::from_str(json).unwrap();
    let roots = roots.into_iter().map(|(name, root)| {
        let records = root.as_object().unwrap().iter();
        let records = records.map(|(id, fields)| (id.clone(), read_fields(fields)));
        (name, records.collect::<BTreeMap<_, _>>())
    });
    roots.filter(|(_, records)| !records.is_empty()).collect()
}

fn read_fields(fields: &serde_json::Value) -> BTreeMap<String, String> {
    let fields = fields.as_object().unwrap().iter();
    let text = |value| canonical(value).unwrap().0.to_string();
    fields
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

/// A room on SQLite, whose tables a test may reach.
pub(crate) struct Table {
    world: World,
    pub(crate) hub: Hub,
    pub(crate) room: RoomId,
    pub(crate) grant: Grant,
}

impl Table {
    pub(crate) async fn on_sqlite() -> Self {
        let world = World::sqlite();
        Self {
            hub: Together::start(&world).await,
            world,
            room: RoomId::parse("room").unwrap(),
            grant: grant(),
        }
    }

    pub(crate) async fn push(&self, operations: Vec<Operation>) -> Vec<OpResult> {
        let pushed = self.hub.push(&self.room, grant(), None, operations).await;
        pushed.unwrap().results
    }

    pub(crate) async fn store(&self) -> Arc<dyn Store> {
        self.world.open().await
    }

    pub(crate) async fn compact(&self) {
        let store = self.store().await;
        let head = store.load(&self.room).await.unwrap().head.unwrap();
        let all = Keep {
            before: UnixMillis(0),
            versions_max: u64::MAX,
        };
        let (room, through) = (&self.room, head.version);
        compactor::compact(&store, room, head.epoch, through, all)
            .await
            .unwrap();
    }

    pub(crate) async fn sql(&self, text: &'static str) {
        let mut connection = sqlx::SqliteConnection::connect(&self.world.url())
            .await
            .unwrap();
        sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
    }
}

/// An operation on a task.
pub(crate) fn operation(
    id: &str,
    action: Action,
    record: &str,
    fields: serde_json::Value,
) -> Operation {
    let fields = fields.as_object().unwrap().iter();
    Operation {
        id: OpId::parse(id).unwrap(),
        action,
        place: Place {
            collection: "tasks".into(),
            record: record.into(),
        },
        fields: fields
            .map(|(name, value)| (Arc::from(name.as_str()), canonical(value).unwrap()))
            .collect(),
        unset: BTreeSet::new(),
        condition: Condition::Always,
        wants_record: true,
    }
}

async fn play(world: impl AsyncFn() -> World, seeds: u64) {
    for seed in 1..=seeds {
        println!("seed {seed}");
        let mut together = Together::new(world().await, seed).await;
        for _ in 0..80 {
            together.step().await;
        }
        together.judge().await;
    }
}

#[tokio::test]
async fn op27_yjs_and_json_clients_see_one_room_in_memory() {
    play(async || World::memory(), 20).await;
}

#[tokio::test]
async fn op27_yjs_and_json_clients_see_one_room_on_sqlite() {
    play(async || World::sqlite(), 6).await;
}

#[tokio::test]
async fn op27_yjs_and_json_clients_see_one_room_on_postgres() {
    play(World::postgres, 6).await;
}

/// Twenty who retry one increment at the same time apply it once.
#[tokio::test]
async fn op8_twenty_retries_at_once_are_one_increment() {
    for world in [World::memory(), World::sqlite(), World::postgres().await] {
        let together = Together::new(world, 1).await;
        let make = |id: &str, action, fields| operation(id, action, "r", fields);
        together
            .send(vec![make("0", Action::Create, json!({"n": 0}))])
            .await;
        let add = || together.send(vec![make("1", Action::Increment, json!({"n": 1}))]);
        let results = futures_util::future::join_all((0..20).map(|_| add())).await;
        let applied = results
            .iter()
            .filter(|it| it[0].status == Status::Applied)
            .count();
        assert_eq!(applied, 1);
        assert!(results.iter().all(|it| it[0].version == Version(2)));
        let last = results[0][0].portrayal.as_ref().unwrap();
        assert_eq!(&*last.fields.0, r#"{"n":1}"#);
    }
}
