//! How many edits per second does one room absorb, against the CRDT's own decoding and applying?
//!
//! The room is pure: what it wants kept is kept at once. `ROUNDS=1` is for callgrind.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use roundtable::hub::rows;
use roundtable::ids::{Epoch, Millis, Now, RoomId, SessionId, UnixMillis, Version};
use roundtable::limits::Limits;
use roundtable::room::index::StateVector;
use roundtable::room::{
    Access, Document, Effect, Grant, Identity, Input, Listen, Occasion, Outcome, Room, Standing,
    Tail, Ticket,
};
use yrs::updates::decoder::Decode;
use yrs::{Doc, OffsetKind, Options, Transact, Update};

#[allow(dead_code, reason = "every bench takes what it needs")]
#[path = "support/edits.rs"]
mod edits;
#[path = "support/timing.rs"]
mod timing;

use edits::{fields, typing};
use timing::{least, median, timed};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As many edits wait for the room's task together: one alone, a few, as many as it takes.
const BATCHES: [usize; 3] = [1, 16, 512];
const EDITS: u32 = 20_000;
const WRITER: SessionId = SessionId(1);
const PEERS: u64 = 10;

fn main() {
    let rounds = std::env::var("ROUNDS").map_or(11, |rounds| rounds.parse().expect("a number"));
    println!(
        "{:<26}{:>6}{:>13}{:>13}{:>8}{:>13}{:>14}",
        format!("median of {rounds}"),
        "batch",
        "room",
        "yrs alone",
        "ratio",
        "room, least",
        "room, edits/s"
    );
    let streams = [
        ("one character, appended", typing(EDITS, |clock| clock)),
        (
            "one character, at random",
            typing(EDITS, |clock| clock * 7_919 % (clock + 1)),
        ),
        ("one field of 1,000 x 10 set", fields(EDITS)),
    ];
    for (name, updates) in streams {
        let updates: Vec<Bytes> = updates.into_iter().map(Bytes::from).collect();
        compare(name, &updates, rounds);
    }
}

/// The first update is the beginning and is not counted.
fn compare(name: &str, updates: &[Bytes], rounds: usize) {
    let (first, rest) = updates.split_first().expect("a beginning");
    let count = rest.len() as f64;
    let alone = (0..rounds).map(|_| {
        let doc = new_doc();
        apply(&doc, first);
        timed(|| rest.iter().for_each(|update| apply(&doc, update))).1 / count
    });
    let alone = median(alone.collect());
    for batch in BATCHES {
        let times = (0..rounds).map(|_| {
            let mut room = Driven::open();
            room.take(std::slice::from_ref(first));
            let run = || rest.chunks(batch).for_each(|updates| room.take(updates));
            timed(run).1 / count
        });
        let times: Vec<_> = times.collect();
        let (least, median) = (least(&times), median(times));
        println!(
            "{name:<26}{batch:>6}{:>10.0} ns{:>10.0} ns{:>7.2}x{:>10.0} ns{:>14.0}",
            median * 1e9,
            alone * 1e9,
            median / alone,
            least * 1e9,
            1.0 / median
        );
    }
}

fn apply(doc: &Doc, update: &[u8]) {
    let update = Update::decode_v1(black_box(update)).expect("sound");
    doc.transact_mut().apply_update(update).expect("sound");
}

fn new_doc() -> Doc {
    Doc::with_options(Options {
        offset_kind: OffsetKind::Utf16,
        ..Options::default()
    })
}

/// A room and what drives it: as the hub's task does, but the store keeps everything at once.
struct Driven {
    room: Room,
    effects: Vec<Effect>,
    tickets: u64,
}

impl Driven {
    fn open() -> Self {
        let standing = Standing {
            room: RoomId::parse("bench").expect("a name"),
            epoch: Epoch(uuid::Uuid::nil()),
            head: Version::ZERO,
            oldest: Version(1),
            snapshot: Version::ZERO,
            tail: Tail::default(),
        };
        let document = Document::new(7, StateVector::default());
        let limits = Arc::new(Limits::default());
        let mut driven = Self {
            room: Room::open(&standing, document, 1, limits),
            effects: Vec::new(),
            tickets: 0,
        };
        for session in WRITER.0..=PEERS {
            driven.feed(attach(SessionId(session)));
        }
        driven
    }

    /// Feeds what waited together, settles, and answers what is to be kept.
    fn take(&mut self, updates: &[Bytes]) {
        for update in updates {
            self.tickets += 1;
            self.feed(Input::Submit {
                session: WRITER,
                ticket: Ticket(self.tickets),
                occasion: Occasion::Edit,
                update: update.clone(),
            });
        }
        self.room.settle(now(), &mut self.effects);
        self.perform();
    }

    fn feed(&mut self, input: Input) {
        self.room.handle(input, now(), &mut self.effects);
        self.perform();
    }

    fn perform(&mut self) {
        let mut answers = Vec::new();
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Append { id, entries, .. } => {
                    entries.iter().for_each(|entry| {
                        black_box(rows::encode(entry));
                    });
                    let outcome = Outcome::Kept;
                    answers.push(Input::Appended { id, outcome });
                }
                Effect::Compact { through } => {
                    let kept = Some((through, Version(1)));
                    answers.push(Input::Compacted { kept });
                }
                effect @ (Effect::Abandon { .. } | Effect::Fetch { .. }) => {
                    panic!("nothing goes wrong here: {effect:?}")
                }
                effect => drop(black_box(effect)),
            }
        }
        for answer in answers {
            self.feed(answer);
        }
    }
}

fn now() -> Now {
    Now {
        mono: Millis(1),
        wall: UnixMillis(1_700_000_000_000),
    }
}

fn attach(session: SessionId) -> Input {
    let identity = Identity {
        user: "user-1234".into(),
        name: None,
        color: None,
        avatar: None,
        is_guest: false,
    };
    Input::Attach {
        session,
        grant: Grant {
            identity: Arc::new(identity),
            access: Access::Write,
            expires_at: None,
        },
        client: session.0.to_string().into(),
        listen: Listen::Live,
    }
}
