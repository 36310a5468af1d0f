//! Clients, a network and a store at random, all made from one seed.
//!
//! `ROUNDTABLE_SEED=42 cargo test --lib room::tests::random` replays the seed that a failure names.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde_json::Value as JsonValue;
use yrs::{Array, ArrayPrelim, Out, Text, TextPrelim};

use super::*;
use crate::room::message::{Presented, Shown};

const SEEDS: u64 = 300;
const STEPS: usize = 250;
const PEERS: u64 = 4;
const TEXTS: [&str; 5] = ["x", "hello", "é", "😀😀", "end\n"];

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 16;
        (mixed % bound.max(1) as u64) as usize
    }

    fn text(&mut self) -> String {
        match self.below(40) {
            0 => "long".repeat(1_100),
            _ => format!("{}{}", TEXTS[self.below(5)], self.below(10)),
        }
    }
}

/// A client with its connection, if it has one: what it sent and the room has not read, what the
/// room said and it has not read.
struct Peer {
    client: Client,
    id: u64,
    session: Option<u64>,
    sent: VecDeque<Input>,
    heard: VecDeque<Heard>,
    submitted: HashMap<Ticket, Bytes>,
    sent_before: Vec<Bytes>,
    clock: u32,
    /// How many diffs are on their way. What is live until then is in them: `yrs` as a client loses
    /// count when it has to keep what it cannot place.
    awaits: usize,
    /// Others, as `y-protocols` keeps them: clocks outlive states.
    others: BTreeMap<u64, (u32, Option<Arc<str>>)>,
}

enum Heard {
    Live(LiveEvent),
    Alone(Event),
}

struct Simulation {
    dice: Dice,
    world: World,
    peers: Vec<Peer>,
    sessions: u64,
    tickets: u64,
    log: Vec<Arc<Entry>>,
    /// Which append wrote which version.
    written: HashMap<u64, AppendId>,
    /// What the room waits for from the world.
    asked: VecDeque<Effect>,
    others: Client,
    is_calm: bool,
    has_crashed: bool,
    acked: Vec<Bytes>,
}

#[test]
fn ap16_clients_room_log_and_events_agree_whatever_the_network_and_the_store_do() {
    let chosen = std::env::var("ROUNDTABLE_SEED").ok();
    let seeds = match chosen.and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..SEEDS,
    };
    for seed in seeds {
        let run = std::panic::catch_unwind(|| Simulation::new(seed).run());
        if let Err(panic) = run {
            eprintln!("replay with ROUNDTABLE_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn limits() -> Limits {
    Limits {
        backlog_bytes_max: 30_000,
        entry_bytes_max: 300,
        snapshot_every_entries: 5,
        recent_entries_max: 8,
        sync_chunk_bytes: 500,
        ..Limits::default()
    }
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let peer = |id| Peer {
            client: Client::new(100 + id),
            id: 100 + id,
            session: None,
            sent: VecDeque::new(),
            heard: VecDeque::new(),
            submitted: HashMap::new(),
            sent_before: Vec::new(),
            clock: 0,
            awaits: 0,
            others: BTreeMap::new(),
        };
        Self {
            dice: Dice(seed),
            world: World::with(limits()),
            peers: (0..PEERS).map(peer).collect(),
            sessions: 0,
            tickets: 0,
            log: Vec::new(),
            written: HashMap::new(),
            asked: VecDeque::new(),
            others: Client::new(999),
            is_calm: false,
            has_crashed: false,
            acked: Vec::new(),
        }
    }

    fn run(mut self) {
        for _ in 0..STEPS {
            let peer = self.dice.below(self.peers.len());
            match self.dice.below(100) {
                0..30 => self.edit(peer),
                30..50 => self.deliver(),
                50..68 => self.hear(peer),
                68..80 => self.answer(),
                80..84 => self.present(peer),
                84..87 => self.come_or_go(peer),
                87..89 => self.fall_behind(peer),
                89..92 => self.repeat(peer),
                92..94 => self.others_write(),
                94..99 => self.wait(),
                _ => self.crash(),
            }
        }
        self.settle();
        // A room that lost its memory cannot know which clocks it told; clients renew their states
        // every 15 seconds, and soon are beyond them.
        for _ in 0..if self.has_crashed { 8 } else { 0 } {
            (0..self.peers.len()).for_each(|peer| self.present(peer));
            self.settle();
        }
        self.judge();
    }

    fn tell(&mut self, inputs: Vec<Input>) {
        let effects = self.world.batch(inputs);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Live { except, event } => {
                    for peer in &mut self.peers {
                        if peer.session.is_some() && peer.session.map(SessionId) != except {
                            peer.heard.push_back(Heard::Live(event.clone()));
                        }
                    }
                }
                Effect::Tell { session, event } => {
                    let mut peers = self.peers.iter_mut();
                    if let Some(peer) = peers.find(|peer| peer.session == Some(session.0)) {
                        peer.heard.push_back(Heard::Alone(event));
                    }
                }
                Effect::Append { .. } | Effect::Fetch { .. } | Effect::Compact { .. } => {
                    self.asked.push_back(effect);
                }
                Effect::Release { entries } => {
                    for entry in entries.iter() {
                        let kept = self.log.get(entry.version.0 as usize - 1);
                        assert_eq!(kept, Some(entry), "only what is kept is released");
                    }
                }
                Effect::Rest => self.reopen(),
                Effect::Erase { .. } | Effect::Abandon { .. } | Effect::Quarantine { .. } => {
                    panic!("{effect:?}")
                }
            }
        }
    }

    fn edit(&mut self, peer: usize) {
        let Self { dice, peers, .. } = self;
        let update = peers[peer].client.edit(|txn| {
            for _ in 0..=dice.below(3) {
                edit(txn, dice);
            }
        });
        self.send(peer, Occasion::Edit, update);
    }

    fn send(&mut self, peer: usize, occasion: Occasion, update: Bytes) {
        let peer = &mut self.peers[peer];
        if let Some(session) = peer.session {
            self.tickets += 1;
            let ticket = Ticket(self.tickets);
            peer.submitted.insert(ticket, update.clone());
            peer.sent_before.push(update.clone());
            peer.sent.push_back(Input::Submit {
                session: SessionId(session),
                ticket,
                occasion,
                update,
            });
        }
    }

    fn repeat(&mut self, peer: usize) {
        let before = &self.peers[peer].sent_before;
        if !before.is_empty() {
            let update = before[self.dice.below(before.len())].clone();
            self.send(peer, Occasion::Edit, update);
        }
    }

    /// The room reads some of what was sent, of any mixture of peers.
    fn deliver(&mut self) {
        let mut inputs = Vec::new();
        for _ in 0..=self.dice.below(6) {
            let peer = self.dice.below(self.peers.len());
            inputs.extend(self.peers[peer].sent.pop_front());
        }
        self.tell(inputs);
    }

    fn hear(&mut self, peer: usize) {
        for _ in 0..=self.dice.below(8) {
            match self.peers[peer].heard.pop_front() {
                None => break,
                Some(Heard::Live(LiveEvent::Update(update))) => {
                    let peer = &mut self.peers[peer];
                    if peer.awaits == 0 {
                        peer.client.take(&update);
                    }
                }
                Some(Heard::Live(LiveEvent::Presence(shown))) => self.peers[peer].see(&shown),
                Some(Heard::Alone(event)) => self.hear_alone(peer, event),
            }
        }
    }

    fn hear_alone(&mut self, at: usize, event: Event) {
        let peer = &mut self.peers[at];
        match event {
            Event::Diff { chunks, since, .. } => {
                peer.awaits -= 1;
                let chunks = chunks.iter().chain(&since);
                chunks.for_each(|chunk| peer.client.take(chunk));
            }
            Event::Presence(shown) => peer.see(&shown),
            Event::Missing { state_vector } => {
                let update = peer.client.beyond(&state_vector);
                self.send(at, Occasion::Answer, update);
            }
            Event::Kept {
                tickets, version, ..
            } => {
                assert!(version.0 <= self.log.len() as u64, "acked means durable");
                for ticket in tickets {
                    self.acked.extend(peer.submitted.remove(&ticket));
                }
            }
            Event::Refused { refusal, .. } => {
                assert_eq!(refusal, Refusal::Unavailable);
                self.go(at, Departure::Lost);
            }
            Event::Ended(end) => panic!("{end:?}"),
        }
    }

    fn present(&mut self, at: usize) {
        let state = self.dice.text();
        let peer = &mut self.peers[at];
        if let Some(session) = peer.session {
            peer.clock += 1;
            peer.sent.push_back(Input::Present {
                session: SessionId(session),
                states: vec![presented(peer.id, peer.clock, &state)],
            });
        }
    }

    fn come_or_go(&mut self, at: usize) {
        let departure = [Departure::Lost, Departure::Clean][self.dice.below(2)];
        match self.peers[at].session {
            Some(_) => self.go(at, departure),
            None => self.come(at),
        }
    }

    fn come(&mut self, at: usize) {
        self.sessions += 1;
        let session = SessionId(self.sessions);
        let peer = &mut self.peers[at];
        peer.session = Some(session.0);
        peer.awaits = 1;
        peer.sent.push_back(Input::Sync {
            session,
            state_vector: peer.client.state_vector(),
        });
        peer.sent.push_back(Input::Present {
            session,
            states: vec![presented(peer.id, peer.clock, "back")],
        });
        let grant = grant(at as u64, Access::Write);
        self.tell(vec![Input::Attach {
            session,
            grant,
            client: "tab".into(),
            listen: Listen::Live,
        }]);
    }

    fn go(&mut self, at: usize, departure: Departure) {
        let peer = &mut self.peers[at];
        let Some(session) = peer.session.take() else {
            return;
        };
        peer.lose();
        self.tell(vec![Input::Detach {
            session: SessionId(session),
            departure,
        }]);
    }

    /// A slow reader loses what was for all, and asks for what it lacks.
    fn fall_behind(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        if let Some(session) = peer.session {
            let session = SessionId(session);
            peer.awaits += 1;
            peer.heard.retain(|heard| matches!(heard, Heard::Alone(_)));
            let state_vector = peer.client.state_vector();
            peer.sent.push_back(Input::Sync {
                session,
                state_vector,
            });
            peer.sent.push_back(Input::AskPresence { session });
        }
    }

    /// The world does one thing that the room asked for.
    fn answer(&mut self) {
        let Some(asked) = self.asked.pop_front() else {
            return;
        };
        let luck = if self.is_calm { 9 } else { self.dice.below(10) };
        let input = match asked {
            Effect::Append {
                id,
                expected,
                entries,
            } => {
                let outcome = match luck {
                    0 | 1 => Outcome::Unclear,
                    2 | 3 => {
                        self.append(id, expected, &entries);
                        Outcome::Unclear
                    }
                    _ => self.append(id, expected, &entries),
                };
                Input::Appended { id, outcome }
            }
            Effect::Fetch { after } => {
                let page = 1 + self.dice.below(3);
                let entries = self.log.iter().skip(after.0 as usize).take(page);
                let entries = (luck > 1).then(|| entries.cloned().collect());
                Input::Fetched { entries }
            }
            Effect::Compact { through } => {
                let kept = (luck > 1).then_some((through, Version(1)));
                Input::Compacted { kept }
            }
            other => panic!("{other:?}"),
        };
        self.tell(vec![input]);
    }

    fn append(&mut self, id: AppendId, expected: Version, entries: &[Arc<Entry>]) -> Outcome {
        let head = Version(self.log.len() as u64);
        if head != expected {
            let is_ours = self.written.get(&expected.next().0) == Some(&id);
            return if is_ours {
                Outcome::Kept
            } else {
                Outcome::Moved(Some((EPOCH, head)))
            };
        }
        for entry in entries {
            self.log.push(entry.clone());
            assert_eq!(entry.version.0, self.log.len() as u64, "versions are dense");
            self.written.insert(entry.version.0, id);
        }
        Outcome::Kept
    }

    /// Another server keeps an edit, in a root of its own: what it says of a field that is
    /// edited here at the same time, it would say without knowing of that.
    fn others_write(&mut self) {
        for entry in &self.log {
            entry
                .updates
                .iter()
                .for_each(|update| self.others.take(update));
        }
        let value = self.dice.text();
        let update = self.others.edit(|txn| {
            let theirs = txn.get_or_insert_map("theirs");
            theirs.insert(txn, "value", value);
        });
        self.log.push(Arc::new(Entry {
            version: Version(self.log.len() as u64 + 1),
            at: UnixMillis(0),
            actors: Vec::new(),
            updates: vec![update],
            events: Vec::new(),
        }));
    }

    fn wait(&mut self) {
        let ms = [1, 50, 1_000, 40_000][self.dice.below(4)];
        let effects = self.world.wait(ms);
        self.perform(effects);
    }

    /// The process ends without a word and another opens the room.
    fn crash(&mut self) {
        self.has_crashed = true;
        self.reopen();
        for peer in &mut self.peers {
            if peer.session.take().is_some() {
                peer.lose();
            }
        }
    }

    fn reopen(&mut self) {
        self.asked.clear();
        let now = self.world.now;
        let head = Version(self.log.len() as u64);
        self.world = World::open(limits(), head, fold(&self.log));
        self.world.now = now;
        // A real seed is random; append ids of two openings never meet.
        self.world.room.append_ids.seed = u128::from(self.dice.0) << 32;
    }

    /// The weather clears, everyone comes back, and all that is on its way arrives.
    fn settle(&mut self) {
        self.is_calm = true;
        let mut quiet = 0;
        while quiet < 3 {
            let mut is_busy = false;
            for at in 0..self.peers.len() {
                if self.peers[at].session.is_none() {
                    self.come(at);
                }
                while let Some(input) = self.peers[at].sent.pop_front() {
                    is_busy = true;
                    self.tell(vec![input]);
                }
            }
            while !self.asked.is_empty() {
                is_busy = true;
                self.answer();
            }
            for at in 0..self.peers.len() {
                while !self.peers[at].heard.is_empty() {
                    is_busy = true;
                    self.hear(at);
                }
            }
            let effects = self.world.wait(6_000);
            is_busy |= !effects.is_empty();
            self.perform(effects);
            quiet = if is_busy { 0 } else { quiet + 1 };
        }
    }

    fn judge(&self) {
        let document = self.world.room.json();
        for peer in &self.peers {
            assert_eq!(peer.client.json(), document, "every client equals the room");
        }
        let mut folded = fold(&self.log);
        assert_eq!(folded.json(), document, "the log folds to the document");
        assert_eq!(folded.state_vector(), self.world.room.state_vector());
        assert_eq!(self.world.room.position().version.0, self.log.len() as u64);
        for update in &self.acked {
            let applied = folded.apply(update);
            assert_eq!(
                applied,
                Ok(document::Applied::Nothing),
                "what is acked is kept"
            );
        }
        let document: JsonValue = serde_json::from_str(&document).expect("JSON");
        assert_eq!(records_by_events(&self.log), records_in(&document["tasks"]));
        for peer in &self.peers {
            let others = peer.others.iter().filter(|(_, (_, state))| state.is_some());
            let seen: BTreeSet<u64> = others.map(|(client, _)| *client).collect();
            let here = self.peers.iter().map(|p| p.id).filter(|id| *id != peer.id);
            assert_eq!(seen, here.collect(), "{} sees who is here", peer.id);
        }
    }
}

impl Peer {
    /// The connection is gone, and what was on its way with it.
    fn lose(&mut self) {
        self.sent.clear();
        self.heard.clear();
        self.others
            .values_mut()
            .for_each(|(_, state)| *state = None);
    }

    fn see(&mut self, shown: &[Shown]) {
        for Shown {
            client,
            clock,
            state,
        } in shown
        {
            if *client == self.id {
                self.clock = self.clock.max(*clock);
                continue;
            }
            let known = self.others.entry(*client).or_insert((0, None));
            let is_news =
                known.0 < *clock || (known.0 == *clock && state.is_none() && known.1.is_some());
            if is_news {
                *known = (*clock, state.clone());
            }
        }
    }
}

fn presented(client: u64, clock: u32, state: &str) -> Presented {
    let state = serde_json::json!({ "says": state }).to_string();
    Presented {
        client,
        clock,
        state: Some(state.into()),
    }
}

fn fold(log: &[Arc<Entry>]) -> Document {
    let mut document = Document::new(1, none());
    for update in log.iter().flat_map(|entry| &entry.updates) {
        document.load(update).expect("what is kept can be folded");
    }
    document
}

type Records = BTreeMap<String, BTreeMap<String, Option<JsonValue>>>;

/// `None` is a value that is too long to be told.
fn records_by_events(log: &[Arc<Entry>]) -> Records {
    let mut records = Records::new();
    for event in log.iter().flat_map(|entry| &entry.events) {
        let Change {
            kind,
            collection,
            record: Some(record),
            fields,
        } = &event.change
        else {
            continue;
        };
        assert_eq!(&**collection, "tasks");
        let is_there = records.contains_key(&**record);
        assert_eq!(
            is_there,
            *kind != ChangeKind::Create,
            "{kind:?} of {record}"
        );
        let place = records.entry(record.to_string()).or_default();
        for FieldChange { field, old, new } in fields {
            let before = place.get(&**field).cloned();
            assert_eq!(before, told_value(old), "the old value of {record}/{field}");
            match told_value(new) {
                Some(value) => drop(place.insert(field.to_string(), value)),
                None => drop(place.remove(&**field)),
            }
        }
        if *kind == ChangeKind::Delete {
            let rest = records.remove(&**record).expect("it was there");
            assert!(rest.is_empty(), "a delete names every field: {rest:?}");
        }
    }
    records
}

fn told_value(value: &Value) -> Option<Option<JsonValue>> {
    match value {
        Value::Absent => None,
        Value::TooLong => Some(None),
        Value::Json(json) => Some(Some(serde_json::from_str(&json.0).expect("JSON"))),
    }
}

fn records_in(tasks: &JsonValue) -> Records {
    let mut records = Records::new();
    for (record, fields) in tasks.as_object().into_iter().flatten() {
        let Some(fields) = fields.as_object() else {
            continue;
        };
        let fields = fields.iter().map(|(field, value)| {
            let is_long = value.to_string().len() > record::VALUE_BYTES_MAX;
            (field.clone(), (!is_long).then(|| value.clone()))
        });
        records.insert(record.clone(), fields.collect());
    }
    records
}

fn edit(txn: &mut TransactionMut<'_>, dice: &mut Dice) {
    let name = ["t0", "t1", "t2"][dice.below(3)];
    let value = dice.text();
    match dice.below(14) {
        0..5 => {
            let field = ["name", "shop", "by"][dice.below(3)];
            record_in(txn, name).insert(txn, field, value);
        }
        5 => drop(record_in(txn, name).remove(txn, "name")),
        6 => drop(txn.get_or_insert_map("tasks").remove(txn, name)),
        7 => drop(txn.get_or_insert_map("tasks").insert(
            txn,
            name,
            MapPrelim::from([("name", value)]),
        )),
        8 => drop(txn.get_or_insert_map("tasks").insert(txn, name, value)),
        9 => match record_in(txn, name).get(txn, "note") {
            Some(Out::YText(text)) => {
                let at = dice.below(text.len(txn) as usize + 1);
                text.push(txn, &value);
                if at == 0 && text.len(txn) > 0 {
                    text.remove_range(txn, 0, 1);
                }
            }
            _ => drop(record_in(txn, name).insert(txn, "note", TextPrelim::new(value))),
        },
        10 => match record_in(txn, name).get(txn, "tags") {
            Some(Out::YArray(tags)) if tags.len(txn) > 2 => tags.remove(txn, 1),
            Some(Out::YArray(tags)) => drop(tags.push_back(txn, value)),
            _ => drop(record_in(txn, name).insert(txn, "tags", ArrayPrelim::from([value]))),
        },
        11 => match record_in(txn, name).get(txn, "in") {
            Some(Out::YMap(inner)) => drop(inner.insert(txn, "deep", value)),
            _ => drop(record_in(txn, name).insert(txn, "in", MapPrelim::default())),
        },
        12 => txn.get_or_insert_text("text").push(txn, &value),
        _ => drop(txn.get_or_insert_array("list").push_back(txn, value)),
    }
}
