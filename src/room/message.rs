//! Owns all that is said to a room and by it: inputs, effects, events, refusals. A closed
//! vocabulary.
//!
//! Nothing here is serialisable; `wire` has the twins.

use std::sync::Arc;

use bytes::Bytes;

use super::entry::{Actor, Entry, Json};
use super::grant::Grant;
use super::operate::Recalled;
use super::operation::{Done, OpResult, Operation, Place};
use super::presence::{Appearance, Stir};
pub use super::refusal::{End, Refusal};
use crate::ids::{AppendId, Epoch, OpId, Position, SessionId, UnixMillis, Version};

/// The sender's own name for a submission; it comes back with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Ticket(pub u64);

/// Why a client sends a Yjs update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// It made a change.
    Edit,
    /// It was asked for what the room lacks.
    Answer,
}

/// What a session wants to hear without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// Updates and presence as they happen; it is greeted with who is here and asked what it has.
    Live,
    /// The same, but it is asked what it has whenever it says what it has: peers of some protocols
    /// count on one question for each of theirs.
    InTurn,
    /// Only answers to what it submits.
    Answers,
}

impl Listen {
    /// Whether updates and presence are heard as they happen.
    #[must_use]
    pub fn is_live(self) -> bool {
        match self {
            Self::Live | Self::InTurn => true,
            Self::Answers => false,
        }
    }
}

/// How a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// The client said goodbye: its presence goes at once.
    Clean,
    /// The connection was lost: its presence stays for the grace time.
    Lost,
}

/// One presence state as a client gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The Yjs client id.
    pub client: u64,
    /// The client's own count of its states.
    pub clock: u32,
    /// The state as JSON text; `None` says goodbye.
    pub state: Option<Bytes>,
}

/// One presence state as peers are told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The Yjs client id.
    pub client: u64,
    /// The clock under which peers take it.
    pub clock: u32,
    /// The state with its identity stamped; `None` when it is gone.
    pub state: Option<Arc<str>>,
}

/// A message that nobody keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utterance {
    /// What kind of message it is, in the application's words.
    pub event: Arc<str>,
    /// Its content.
    pub payload: Json,
}

/// The same as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Who is behind it.
    pub actor: Actor,
    /// When it was said.
    pub at: UnixMillis,
    /// What it says.
    pub utterance: Utterance,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable.
    Kept,
    /// Nothing was written: the room stands elsewhere, or (`None`) does not exist any more.
    Moved(Option<(Epoch, Version)>),
    /// Nobody knows; it must be tried again.
    Unclear,
}

/// All that a room can be told.
#[derive(Debug, Clone)]
pub enum Input {
    /// A session begins.
    Attach {
        /// The session.
        session: SessionId,
        /// What it may do.
        grant: Grant,
        /// Its device or tab.
        client: Arc<str>,
        /// What it wants to hear.
        listen: Listen,
    },
    /// A session has a fresh grant.
    Renew {
        /// The session.
        session: SessionId,
        /// What it may do from now on.
        grant: Grant,
    },
    /// A session ends.
    Detach {
        /// The session.
        session: SessionId,
        /// How.
        departure: Departure,
    },
    /// A live cursor says what it has and wants the rest: a join, a return, or a reader that fell
    /// behind.
    Sync {
        /// The session.
        session: SessionId,
        /// What it has: a Yjs state vector (v1).
        state_vector: Bytes,
    },
    /// A Yjs update.
    Submit {
        /// The session.
        session: SessionId,
        /// Its name for this submission.
        ticket: Ticket,
        /// Why it comes.
        occasion: Occasion,
        /// The update (v1), unchecked.
        update: Bytes,
    },
    /// Operations on records.
    Operate {
        /// The session.
        session: SessionId,
        /// Its name for this push.
        ticket: Ticket,
        /// The device behind it, if that is not the session's.
        client: Option<Arc<str>>,
        /// To be judged in this order, each for itself.
        operations: Vec<Operation>,
    },
    /// What the store knows, which [`Effect::Recall`] asked for.
    Recalled {
        /// `None` when it could not say.
        recalled: Option<Recalled>,
    },
    /// Presence states.
    Present {
        /// The session.
        session: SessionId,
        /// In the order they were given.
        states: Vec<Presented>,
    },
    /// Presence of a device that speaks JSON.
    Appear {
        /// The session.
        session: SessionId,
        /// Its name for this.
        ticket: Ticket,
        /// What it says.
        appearance: Appearance,
    },
    /// A message to everyone here.
    Say {
        /// The session.
        session: SessionId,
        /// Its name for this.
        ticket: Ticket,
        /// What it says.
        utterance: Utterance,
    },
    /// A session wants to be told who is here.
    AskPresence {
        /// The session.
        session: SessionId,
    },
    /// The append in flight came to an end.
    Appended {
        /// Which.
        id: AppendId,
        /// How.
        outcome: Outcome,
    },
    /// Updates of entries that others appended, which [`Effect::Fetch`] asked for.
    Fetched {
        /// In version order, dense from the head; `None` when reading failed and is to be tried
        /// again.
        entries: Option<Vec<Arc<Entry>>>,
    },
    /// A compaction came to an end.
    Compacted {
        /// The version of the newest snapshot and the oldest retained version, unless it failed.
        kept: Option<(Version, Version)>,
    },
    /// A session deletes the room.
    Delete {
        /// The session.
        session: SessionId,
    },
    /// [`Effect::Erase`] came to an end.
    Erased {
        /// Whether the room is gone from the store.
        is_done: bool,
    },
    /// The deadline that the room asked for has come.
    Tick,
    /// The process is about to end: sessions are told to come back later.
    Drain,
}

impl Input {
    /// Whose input it is, if it comes of a peer's frame.
    pub fn sender(&self) -> Option<SessionId> {
        match self {
            Self::Submit { session, .. }
            | Self::Operate { session, .. }
            | Self::Sync { session, .. }
            | Self::Present { session, .. }
            | Self::Appear { session, .. }
            | Self::Say { session, .. } => Some(*session),
            _ => None,
        }
    }
}

/// What a room wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Keep these entries. One append is in flight at a time; a retry has the same id.
    Append {
        /// Marks the append over all its tries.
        id: AppendId,
        /// The head that the store should have.
        expected: Version,
        /// Numbered from `expected + 1`; none when operations changed nothing.
        entries: Arc<[Arc<Entry>]>,
        /// What operations came to.
        done: Arc<[Done]>,
    },
    /// Look up what is known of operations and records. One look is in flight at a time.
    Recall {
        /// The version up to which records must be written before, if they must.
        through: Option<Version>,
        /// The operations.
        operations: Vec<OpId>,
        /// The records.
        places: Vec<Place>,
    },
    /// Read the log after a version. One read is in flight at a time.
    Fetch {
        /// The version before the first wanted.
        after: Version,
    },
    /// Make a snapshot at a version, and prune.
    Compact {
        /// The version.
        through: Version,
    },
    /// Entries are durable: kept cursors may hear of them.
    Release {
        /// In version order.
        entries: Arc<[Arc<Entry>]>,
    },
    /// For everyone live, at once.
    Live {
        /// Who does not need it: the session it came from.
        except: Option<SessionId>,
        /// What.
        event: LiveEvent,
    },
    /// Who joined, changed and left, for who reads JSON.
    Stir(Stir),
    /// For one session.
    Tell {
        /// Whom.
        session: SessionId,
        /// What.
        event: Event,
    },
    /// Erase the room from the store, keeping what its document held.
    Erase {
        /// The state vector of this epoch and those before it.
        former: Bytes,
    },
    /// An update broke the document: it is to be held before the room is opened anew.
    Quarantine {
        /// The update.
        update: Bytes,
        /// How it broke.
        reason: String,
    },
    /// Nobody is here and nothing is owed: the room may leave memory.
    Rest,
    /// The room cannot go on in this shape and is to be opened anew by whoever comes next.
    Abandon {
        /// Why.
        end: End,
    },
}

/// What everyone live is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveEvent {
    /// A Yjs update, byte for byte as it came.
    Update(Bytes),
    /// All presence that changed since the last tick.
    Presence(Arc<[Shown]>),
    /// A message that nobody keeps.
    Said(Arc<Said>),
}

/// What one session is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What it lacks: the chunks, then the updates since they were made; then it is in sync.
    Diff {
        /// At least one update.
        chunks: Arc<[Bytes]>,
        /// Updates, byte for byte as they came.
        since: Vec<Bytes>,
        /// How many live events this includes: the cursor goes on from there.
        as_of: u64,
    },
    /// Who is here, or the session's own state under another clock.
    Presence(Arc<[Shown]>),
    /// The room lacks something that the session has: it should send what is beyond this.
    Missing {
        /// The room's state vector.
        state_vector: Bytes,
    },
    /// What its submissions hold is durable, whether it was new or known before.
    Kept {
        /// Which, in order.
        tickets: Vec<Ticket>,
        /// The edits among them, in the same order.
        updates: Vec<Bytes>,
        /// The version that includes the last of them.
        version: Version,
    },
    /// Its submission changed nothing.
    Refused {
        /// Which.
        ticket: Ticket,
        /// Why.
        refusal: Refusal,
    },
    /// What operations came to; all of it is durable.
    Pushed {
        /// The name of the push.
        ticket: Ticket,
        /// In the order of the operations.
        results: Vec<OpResult>,
        /// Where the room stands.
        position: Position,
    },
    /// The session is over.
    Ended(End),
}
