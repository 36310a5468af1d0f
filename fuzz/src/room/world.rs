//! Owns the world around one room: its clients, its store, its clock. Holds the room to its rules
//! after every input.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use roundtable::ids::{AppendId, Epoch, Millis, Now, SessionId, UnixMillis, Version};
use roundtable::limits::Limits;
use roundtable::room::index::StateVector;
use roundtable::room::operation::{Done, Operation};
use roundtable::room::{
    Departure, Document, Effect, End, Entry, Event, Input, Listen, LiveEvent, Occasion, Room,
    Ticket,
};
use uuid::Uuid;

use super::super::author::Author;
use super::super::log::{fold, roots};
use super::judge::check_live;
use super::ledger::Ledger;
use super::peer::{For, Peer, Waiting};
use super::setting::{limits, parse};
use super::store::{Snapshot, open};

/// What an append asks to be kept.
pub(super) type Tried = (Arc<[Arc<Entry>]>, Arc<[Done]>);

/// A room and all that is around it.
pub struct World {
    /// The room.
    pub room: Room,
    pub(super) now: Now,
    pub(super) limits: Arc<Limits>,
    pub(super) epoch: Epoch,
    pub(super) former: Bytes,
    pub(super) log: Vec<Arc<Entry>>,
    pub(super) snapshot: Snapshot,
    /// Which append wrote which version.
    pub(super) written: HashMap<Version, AppendId>,
    /// Appends that were asked for: a retry has the same entries.
    pub(super) tried: HashMap<AppendId, Tried>,
    /// What it keeps beside the log.
    pub(super) ledger: Ledger,
    /// How many entries the room has released, those before it was opened included.
    pub(super) released: usize,
    /// What the room waits for from the world.
    pub asked: VecDeque<Effect>,
    /// The clients.
    pub peers: Vec<Peer>,
    pub(super) sessions: u64,
    /// How many submissions there were.
    pub tickets: u64,
    pub(super) openings: u64,
    /// How many clients of other servers there were, and how many authors.
    pub(super) others: u64,
    pub(super) authors: u64,
    /// What other servers wrote in this epoch.
    pub(super) theirs: BTreeSet<Version>,
    /// Operations that were sent.
    pub operations: Vec<Operation>,
    /// What somebody has who is there from the opening on and hears what all hear.
    pub(super) heard: Document,
    pub(super) acked: Vec<Bytes>,
    /// The store said that the room is not what it was: it has to end.
    pub is_moved: bool,
    /// Others' entries were just handed over.
    pub(super) is_fetching: bool,
    pub(super) has_rested: bool,
    /// Something was sent that no client in order makes.
    pub is_hostile: bool,
}

impl World {
    /// An empty room, and four clients that are not there.
    pub fn new() -> Self {
        let limits = Arc::new(limits());
        let epoch = Epoch(Uuid::from_u128(1));
        Self {
            room: open(&limits, epoch, &[], &[], &Snapshot::default(), 0),
            now: Now {
                mono: Millis(1_000),
                wall: UnixMillis(5_000),
            },
            limits,
            epoch,
            former: Bytes::new(),
            log: Vec::new(),
            snapshot: Snapshot::default(),
            written: HashMap::new(),
            tried: HashMap::new(),
            ledger: Ledger::default(),
            released: 0,
            asked: VecDeque::new(),
            peers: (301..305).map(Peer::new).collect(),
            sessions: 0,
            tickets: 0,
            openings: 0,
            others: 0,
            authors: 304,
            theirs: BTreeSet::new(),
            operations: Vec::new(),
            heard: fold(&[], []),
            acked: Vec::new(),
            is_moved: false,
            is_fetching: false,
            has_rested: false,
            is_hostile: false,
        }
    }

    /// What the room's document has.
    pub fn clocks(&self) -> StateVector {
        parse(&self.room.state_vector())
    }

    /// A session that never was.
    pub fn next_session(&mut self) -> SessionId {
        self.sessions += 1;
        SessionId(self.sessions)
    }

    /// When a token ends: some soon, some never.
    pub fn expiry(&self, choice: u8) -> Option<UnixMillis> {
        match choice % 4 {
            0 => None,
            1 => Some(UnixMillis(self.now.wall.0 + 5_000)),
            _ => Some(UnixMillis(self.now.wall.0 + 1_000_000_000)),
        }
    }

    /// Tells the room one thing, and does what it then wants done.
    pub fn tell(&mut self, input: Input) {
        let mut effects = Vec::new();
        if let Input::Recalled { recalled } = &input {
            self.judge_pushes(recalled.is_some());
        }
        let waiting = waiting(&input);
        let backlog = self.room.backlog_bytes();
        self.room.handle(input, self.now, &mut effects);
        if let Some((session, ticket, waiting)) = waiting {
            self.await_answer(session, ticket, waiting, backlog, &effects);
        }
        self.room.settle(self.now, &mut effects);
        if let Some(deadline) = self.room.deadline() {
            assert!(
                deadline > self.now.mono,
                "a deadline that is past makes a task spin"
            );
        }
        roots(&self.room.json());
        let opening = self.openings;
        self.perform(effects);
        if self.openings == opening {
            self.check_heard();
        }
    }

    /// An edit, or what is known, waits behind the gate; a gap is not answered.
    fn await_answer(
        &mut self,
        session: SessionId,
        ticket: Ticket,
        mut waiting: Waiting,
        before: usize,
        effects: &[Effect],
    ) {
        let after = self.room.backlog_bytes();
        let bound = self.limits.backlog_bytes_max + self.limits.update_bytes_max;
        assert!(after == before || before <= bound, "a full backlog grows");
        let Some(peer) = self.peer_of(session) else {
            return;
        };
        let is_told = effects.iter().any(|effect| match effect {
            Effect::Tell {
                event: Event::Refused { ticket: told, .. },
                ..
            } => *told == ticket,
            Effect::Tell {
                event: Event::Kept { tickets, .. },
                ..
            } => tickets.contains(&ticket),
            _ => false,
        });
        let is_new = effects
            .iter()
            .any(|effect| matches!(effect, Effect::Live { .. }));
        waiting.comes_back |= is_new;
        waiting.for_what = match () {
            () if is_told || is_new => For::Append,
            () if after > before => For::Others,
            () => For::Nothing,
        };
        let is_gap = waiting.for_what == For::Nothing;
        assert!(
            !is_gap || peer.listen == Listen::Live,
            "a gap is refused or asked about"
        );
        peer.waiting.insert(ticket, waiting);
        let waiting = self.peers.iter().flat_map(|peer| peer.waiting.values());
        let attending = waiting
            .filter(|waiting| waiting.for_what == For::Others)
            .count();
        assert!(
            attending <= self.limits.answers_waiting_max,
            "answers that wait are bounded"
        );
    }

    fn peer_of(&mut self, session: SessionId) -> Option<&mut Peer> {
        self.peers
            .iter_mut()
            .find(|peer| peer.session == Some(session))
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        let mut over = Vec::new();
        for effect in effects {
            match effect {
                Effect::Live { except, event } => {
                    check_live(&event);
                    if let LiveEvent::Update(update) = &event {
                        self.hear_live(except, update);
                    }
                }
                Effect::Tell { session, event } => {
                    if self.hear(session, event) {
                        over.push(session);
                    }
                }
                Effect::Append {
                    id,
                    expected,
                    entries,
                    done,
                } => self.ask_append(id, expected, entries, done),
                Effect::Fetch { .. }
                | Effect::Recall { .. }
                | Effect::Compact { .. }
                | Effect::Erase { .. } => {
                    let kind = std::mem::discriminant(&effect);
                    let same = |asked: &Effect| std::mem::discriminant(asked) == kind;
                    assert!(!self.asked.iter().any(same), "one at a time: {effect:?}");
                    if matches!(effect, Effect::Recall { .. }) {
                        self.ask_pushes();
                    }
                    self.asked.push_back(effect);
                }
                Effect::Stir(stir) => assert!(!stir.is_empty(), "something is told"),
                Effect::Quarantine { reason, .. } => panic!("the CRDT failed: {reason}"),
                Effect::Release { entries } => self.release(&entries),
                Effect::Rest => {
                    assert!(self.peers.iter().all(|peer| peer.session.is_none()));
                    assert_eq!(self.room.backlog_bytes(), 0, "what rests owes nothing");
                    self.check_rest();
                    self.has_rested = true;
                    return self.reopen(true);
                }
                Effect::Abandon { end } => {
                    let is_ours = matches!(end, End::Unavailable | End::RoomDeleted);
                    assert!(
                        is_ours || self.is_moved || self.is_fetching,
                        "nothing that a client sends ends a room: {end:?}"
                    );
                    return self.reopen(true);
                }
            }
        }
        for session in over {
            if let Some(peer) = self.peer_of(session) {
                peer.leave();
            }
            let departure = Departure::Lost;
            self.tell(Input::Detach { session, departure });
        }
    }

    /// Answers whether the session is over.
    fn hear(&mut self, session: SessionId, event: Event) -> bool {
        let live_count = self.room.live_count();
        let head = self.log.len() as u64;
        let Some(peer) = self
            .peers
            .iter_mut()
            .find(|peer| peer.session == Some(session))
        else {
            // The session ended in the same breath.
            return false;
        };
        let is_over = peer.hear(&event);
        match event {
            Event::Pushed {
                ticket,
                results,
                position,
            } => {
                let push = peer.pushes.remove(&ticket).expect("answered once");
                self.check_pushed(&push, &results, position);
            }
            Event::Diff { as_of, .. } => {
                assert!(as_of <= live_count);
                self.check_caught_up(session);
            }
            Event::Kept {
                tickets,
                updates,
                version,
            } => {
                assert!(version.0 <= head, "acked means durable");
                let answered: Vec<_> = tickets
                    .iter()
                    .map(|ticket| peer.waiting.remove(ticket).expect("answered once"))
                    .collect();
                let edits = answered.iter().filter(|waiting| waiting.comes_back);
                let edits: Vec<_> = edits.map(|waiting| waiting.update.clone()).collect();
                assert_eq!(updates, edits, "edits come back in order");
                self.acked
                    .extend(answered.into_iter().map(|waiting| waiting.update));
            }
            Event::Refused { ticket, .. } if ticket != Ticket::default() => {
                let is_waiting = peer.waiting.remove(&ticket).is_some();
                let is_answered = is_waiting || peer.pushes.remove(&ticket).is_some();
                assert!(is_answered, "answered once");
            }
            Event::Refused { .. } | Event::Missing { .. } => {}
            Event::Presence(_) | Event::Ended(_) => {}
        }
        is_over
    }

    /// A client asks for what it lacks. One that has nothing is the judge of what it is sent.
    pub fn catch_up(&mut self, at: usize) {
        let Some(session) = self.peers[at].session else {
            self.peers[at].wants_diff = false;
            return;
        };
        let state_vector = self.peers[at].author.clocks().encode();
        self.peers[at].wants_diff = false;
        self.peers[at].awaits_diff = true;
        self.tell(Input::Sync {
            session,
            state_vector,
        });
    }

    /// A client begins anew, under an id of its own.
    pub fn renew_author(&mut self, peer: usize) {
        self.authors += 1;
        self.peers[peer].author = Author::new(self.authors);
    }
}

fn waiting(input: &Input) -> Option<(SessionId, Ticket, Waiting)> {
    let Input::Submit {
        session,
        ticket,
        occasion,
        update,
    } = input
    else {
        return None;
    };
    let waiting = Waiting {
        update: update.clone(),
        comes_back: *occasion == Occasion::Edit,
        for_what: For::Nothing,
    };
    Some((*session, *ticket, waiting))
}
