//! Owns a room and what drives it: as the hub's task does, but the store keeps everything at once.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use roundtable::hub::rows;
use roundtable::ids::{Epoch, Millis, Now, RoomId, SessionId, UnixMillis, Version};
use roundtable::limits::Limits;
use roundtable::room::index::StateVector;
use roundtable::room::message::Presented;
use roundtable::room::{
    Access, Document, Effect, Grant, Identity, Input, Listen, LiveEvent, Occasion, Outcome, Room,
    Standing, Tail, Ticket,
};
use roundtable::wire::Dialect;

const WRITER: SessionId = SessionId(1);
/// So many sessions there are.
pub const PEERS: u64 = 10;

/// A room with a writer and its peers.
pub struct Driven {
    room: Room,
    effects: Vec<Effect>,
    tickets: u64,
    tick_ms: u64,
    now: Now,
}

impl Driven {
    /// A room that nobody wrote.
    pub fn open() -> Self {
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
            room: Room::open(&standing, document, 1, limits.clone()),
            effects: Vec::new(),
            tickets: 0,
            tick_ms: limits.presence_tick_ms,
            now: Now {
                mono: Millis(1),
                wall: UnixMillis(1_700_000_000_000),
            },
        };
        for session in WRITER.0..=PEERS {
            driven.feed(attach(SessionId(session)));
        }
        driven
    }

    /// Feeds what waited together, settles, and answers what is to be kept.
    pub fn take(&mut self, updates: &[Bytes]) {
        for update in updates {
            self.tickets += 1;
            self.feed(Input::Submit {
                session: WRITER,
                ticket: Ticket(self.tickets),
                occasion: Occasion::Edit,
                update: update.clone(),
            });
        }
        self.settle();
    }

    /// Feeds what each session says of itself, and lets a tick go by: everyone is told.
    pub fn present(&mut self, states: Vec<Presented>) {
        for (session, state) in (WRITER.0..).zip(states) {
            self.feed(Input::Present {
                session: SessionId(session),
                states: vec![state],
            });
        }
        self.now.mono = self.now.mono.plus(self.tick_ms);
        self.settle();
    }

    fn settle(&mut self) {
        self.room.settle(self.now, &mut self.effects);
        self.perform();
    }

    fn feed(&mut self, input: Input) {
        self.room.handle(input, self.now, &mut self.effects);
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
                Effect::Live {
                    event: event @ LiveEvent::Presence(_),
                    ..
                } => {
                    let mut frame = Vec::new();
                    let room = RoomId::parse("bench").expect("a name");
                    Dialect::Yjs.write_live(&room, &event, &mut frame);
                    black_box(frame);
                }
                effect => drop(black_box(effect)),
            }
        }
        for answer in answers {
            self.feed(answer);
        }
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
