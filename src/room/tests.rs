//! The room by its rules (`docs/SPEC.md`). At random against its clients it is in `tests/sim`.

mod applying;
mod keeping;
mod operating;
mod sessions;
mod telling;

use yrs::{
    ClientID, Doc, Map, MapPrelim, OffsetKind, Options, ReadTxn, Transact, TransactionMut, Update,
    WriteTxn, updates::decoder::Decode,
};

use super::entry::{Change, ChangeKind, FieldChange, Json, Value};
use super::*;
use crate::ids::{RoomId, SessionId, UnixMillis};

const EPOCH: Epoch = Epoch(uuid::Uuid::from_u128(7));

/// A room, what time it is there, and what it did since it was last asked.
struct World {
    room: Room,
    now: Now,
}

impl World {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self::open(limits, Version::ZERO, Document::new(1, none()))
    }

    fn open(limits: Limits, head: Version, document: Document) -> Self {
        Self::of(&Self::standing(head), document, limits)
    }

    fn standing(head: Version) -> Standing {
        Standing {
            room: RoomId::parse("room").expect("a name"),
            epoch: EPOCH,
            head,
            oldest: Version(1),
            snapshot: Version::ZERO,
            tail: Tail::default(),
        }
    }

    fn of(standing: &Standing, document: Document, limits: Limits) -> Self {
        Self {
            room: Room::open(standing, document, 1, Arc::new(limits)),
            now: Now {
                mono: Millis(1_000),
                wall: UnixMillis(5_000),
            },
        }
    }

    /// Tells the room several things at once, as a mailbox does.
    fn batch(&mut self, inputs: impl IntoIterator<Item = Input>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for input in inputs {
            self.room.handle(input, self.now, &mut effects);
        }
        self.room.settle(self.now, &mut effects);
        if let Some(deadline) = self.room.deadline() {
            assert!(
                deadline > self.now.mono,
                "a deadline that is past makes the room's task spin"
            );
        }
        effects
    }

    fn tell(&mut self, input: Input) -> Vec<Effect> {
        self.batch([input])
    }

    fn attach(&mut self, n: u64) -> Vec<Effect> {
        self.attach_as(n, Access::Write, Listen::Live)
    }

    fn attach_as(&mut self, n: u64, access: Access, listen: Listen) -> Vec<Effect> {
        self.tell(Input::Attach {
            session: SessionId(n),
            grant: grant(n, access),
            client: format!("tab {n}").into(),
            listen,
        })
    }

    fn submit(&mut self, n: u64, update: &Bytes) -> Vec<Effect> {
        self.tell(submission(n, 1, update))
    }

    fn appended(&mut self, id: AppendId, outcome: Outcome) -> Vec<Effect> {
        self.tell(Input::Appended { id, outcome })
    }

    /// The append that was asked for is kept.
    fn keep(&mut self, effects: &[Effect]) -> Vec<Effect> {
        let (id, ..) = append_in(effects).expect("an append is asked for");
        self.appended(id, Outcome::Kept)
    }

    /// Lets time pass; the room is told as its task tells it.
    fn wait(&mut self, ms: u64) -> Vec<Effect> {
        let until = self.now.mono.plus(ms);
        let mut effects = Vec::new();
        while let Some(due) = self.room.deadline().filter(|due| *due <= until) {
            self.pass_to(due);
            effects.extend(self.tell(Input::Tick));
        }
        self.pass_to(until);
        effects
    }

    fn pass_to(&mut self, mono: Millis) {
        self.now.wall.0 += (mono.0 - self.now.mono.0) as i64;
        self.now.mono = mono;
    }

    /// What an edit of a session alone in the room did, as the log keeps it.
    fn changes(&mut self, n: u64, update: &Bytes) -> Vec<Change> {
        let effects = self.submit(n, update);
        let (_, _, entries) = append_in(&effects).expect("an append is asked for");
        self.keep(&effects);
        let events = entries.iter().flat_map(|entry| entry.events.clone());
        events.map(|event| event.change).collect()
    }
}

fn none() -> index::StateVector {
    index::StateVector::default()
}

fn grant(n: u64, access: Access) -> Grant {
    Grant {
        identity: Arc::new(Identity {
            user: format!("user {n}").into(),
            name: None,
            color: Some("#123456".into()),
            avatar: None,
            is_guest: false,
        }),
        access,
        expires_at: Some(UnixMillis(1_000_000_000)),
    }
}

fn submission(n: u64, ticket: u64, update: &Bytes) -> Input {
    Input::Submit {
        session: SessionId(n),
        ticket: Ticket(ticket),
        occasion: Occasion::Edit,
        update: update.clone(),
    }
}

fn detach(n: u64) -> Input {
    Input::Detach {
        session: SessionId(n),
        departure: Departure::Lost,
    }
}

/// What a session is told.
fn told(effects: &[Effect], n: u64) -> Vec<Event> {
    let events = effects.iter().filter_map(|effect| match effect {
        Effect::Tell { session, event } if *session == SessionId(n) => Some(event.clone()),
        _ => None,
    });
    events.collect()
}

type Wanted = (AppendId, Version, Arc<[Arc<Entry>]>);

fn append_in(effects: &[Effect]) -> Option<Wanted> {
    effects.iter().find_map(|effect| match effect {
        Effect::Append {
            id,
            expected,
            entries,
            ..
        } => Some((*id, *expected, entries.clone())),
        _ => None,
    })
}

fn kept(tickets: &[u64], updates: &[&Bytes], version: u64) -> Event {
    Event::Kept {
        tickets: tickets.iter().map(|ticket| Ticket(*ticket)).collect(),
        updates: updates.iter().map(|update| (*update).clone()).collect(),
        version: Version(version),
    }
}

fn refused(ticket: u64, refusal: Refusal) -> Event {
    Event::Refused {
        ticket: Ticket(ticket),
        refusal,
    }
}

fn json(text: &str) -> Value {
    Value::Json(Json(text.into()))
}

fn field(name: &str, old: Value, new: Value) -> FieldChange {
    FieldChange {
        field: name.into(),
        old,
        new,
    }
}

fn change(kind: ChangeKind, record: &str, fields: Vec<FieldChange>) -> Change {
    Change {
        kind,
        collection: "tasks".into(),
        record: Some(record.into()),
        fields,
    }
}

fn document_change(root: &str) -> Change {
    Change {
        kind: ChangeKind::Document,
        collection: root.into(),
        record: None,
        fields: Vec::new(),
    }
}

/// A client with a document of its own.
struct Client {
    doc: Doc,
}

impl Client {
    fn new(id: u64) -> Self {
        let doc = Doc::with_options(Options {
            offset_kind: OffsetKind::Utf16,
            ..Options::with_client_id(ClientID::new(id))
        });
        Self { doc }
    }

    /// Makes one transaction; returns its update.
    fn edit(&self, edit: impl FnOnce(&mut TransactionMut<'_>)) -> Bytes {
        let mut txn = self.doc.transact_mut();
        edit(&mut txn);
        txn.encode_update_v1().into()
    }

    fn take(&self, update: &[u8]) {
        let update = Update::decode_v1(update).expect("rooms send what can be decoded");
        let mut txn = self.doc.transact_mut();
        txn.apply_update(update).expect("and applied");
    }

    fn state_vector(&self) -> Bytes {
        let clocks = self.doc.transact().state_vector();
        let clocks = clocks.iter().map(|(client, clock)| (client.get(), *clock));
        clocks.collect::<index::StateVector>().encode()
    }

    /// What the client has beyond a state vector.
    fn beyond(&self, state_vector: &[u8]) -> Bytes {
        let since = index::StateVector::parse(state_vector).expect("a state vector");
        let since = since
            .iter()
            .map(|(client, clock)| (ClientID::new(client), clock))
            .collect();
        self.doc.transact().encode_state_as_update_v1(&since).into()
    }

    /// The client's document, read as the server reads its own.
    fn json(&self) -> String {
        let mut document = Document::new(1, none());
        document
            .load(&self.beyond(&[0]))
            .expect("a client's document is sound");
        document.json()
    }

    fn set(&self, record: &str, name: &str, value: &str) -> Bytes {
        self.edit(|txn| {
            let record = record_in(txn, record);
            record.insert(txn, name, value);
        })
    }
}

/// The record, made if it is not there.
fn record_in(txn: &mut TransactionMut<'_>, record: &str) -> yrs::MapRef {
    let tasks = txn.get_or_insert_map("tasks");
    match tasks.get(txn, record) {
        Some(yrs::Out::YMap(found)) => found,
        _ => tasks.insert(txn, record, MapPrelim::default()),
    }
}
