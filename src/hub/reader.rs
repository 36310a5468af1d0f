//! Owns how a JSON reader follows a room: from a version on, live or from the log, on every
//! transport the same.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::attachment::{Attachment, Gone};
use super::changes::Changes;
use super::lanes::Hears;
use super::told::{Heard, Known};
use super::{Denial, Hub};
use crate::ids::{Epoch, Position, RoomId, Version};
use crate::room::message::Utterance;
use crate::room::operation::Operation;
use crate::room::presence::Appearance;
use crate::room::{Entry, Event, Grant, Ticket};
use crate::wire::notice::{Beginning, MessageId, Notice};
use crate::wire::{Code, present};

/// Entries are replayed in messages of about this size.
const REPLAY_BYTES: usize = 64 * 1024;

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// It has seen nothing: with the state.
    New,
    /// After what it has seen; without an epoch any is meant.
    Seen(Option<Epoch>, Version),
    /// So many versions before the head, or as many as there are.
    Recent(u64),
}

/// A session that may follow its room.
pub struct Reader {
    room: RoomId,
    attachment: Attachment,
    stands: Stands,
    /// The last tick of presence that it was told.
    presence: u64,
}

/// Where a reader stands.
#[derive(Debug)]
enum Stands {
    /// It does not listen.
    Aside,
    /// It is to be told how its subscription begins.
    Outside { id: Option<MessageId>, since: Since },
    /// The room, or the log, went on without it.
    Behind(Position),
    /// It knows everything up to here, and goes on from what is told.
    Here(Position),
}

/// What catching up came to.
#[derive(Debug)]
pub struct CaughtUp {
    /// To be told now.
    pub notices: Vec<Notice>,
    at: Position,
    presence: u64,
    has_more: bool,
}

/// What a reader that catches up was told before.
struct Before {
    since: Since,
    /// Whether it asked, and by which message.
    begins: Option<Option<MessageId>>,
    presence: u64,
}

impl Hub {
    /// A session that may follow a room in JSON.
    pub async fn reader(
        &self,
        room: &RoomId,
        grant: Grant,
        client: Option<Arc<str>>,
    ) -> Result<Reader, Denial> {
        let attachment = self.enter(room, grant, Hears::Told, client).await?;
        Ok(Reader {
            room: room.clone(),
            attachment,
            stands: Stands::Aside,
            presence: 0,
        })
    }

    /// After what a reader that begins so has seen.
    async fn seen(
        &self,
        room: &RoomId,
        grant: &Grant,
        since: Since,
    ) -> Result<Option<(Option<Epoch>, Version)>, Denial> {
        Ok(match since {
            Since::New => None,
            Since::Seen(epoch, version) => Some((epoch, version)),
            Since::Recent(count) => {
                let before = move |room: &mut crate::room::Room, _| room.before_head(count);
                let Position { epoch, version } = self.ask(room, grant, before).await?;
                Some((Some(epoch), version))
            }
        })
    }

    /// The one way in which a reader catches up: what it missed, or the state and why.
    async fn make_up(self, room: RoomId, grant: Grant, before: Before) -> Result<CaughtUp, Denial> {
        let since = self.seen(&room, &grant, before.since).await?;
        let versions_max = self.limits().replay_versions_max;
        let changes = self.changes_within(&room, &grant, since, versions_max);
        let changes = changes.await?;
        let who = self.ask(&room, &grant, |room, _| room.people()).await;
        let (people, presence) = who?;
        // Who missed presence is told who is here, and so begins anew.
        let begins = before.begins.is_some() || presence != before.presence;
        let id = before.begins.flatten();
        let begin = |at, head, recovery| Beginning {
            at,
            head,
            recovery,
            reason: None,
            users: present::users(&people),
            document: None,
        };
        let say = |begin| Notice::subscribed(&room, id.as_deref(), begin);
        let mut notices = Vec::new();
        let (at, has_more) = match changes {
            Changes::Current(head) => {
                if begins {
                    notices.push(say(begin(head, head.version, "caught_up")));
                }
                (head, false)
            }
            Changes::Snapshot {
                reason,
                document,
                head,
            } => {
                notices.push(say(Beginning {
                    reason: Some(reason.code()),
                    document: Some(document),
                    ..begin(head, head.version, "snapshot")
                }));
                (head, false)
            }
            Changes::Replay {
                entries,
                head,
                has_more,
            } => {
                let from = Position {
                    version: since.map_or(Version::ZERO, |(_, version)| version),
                    ..head
                };
                if begins {
                    notices.push(say(begin(from, head.version, "replay")));
                }
                let last = replay(&room, head.epoch, &entries, &mut notices);
                let version = last.unwrap_or(from.version);
                (Position { version, ..head }, has_more)
            }
        };
        Ok(CaughtUp {
            notices,
            at,
            presence,
            has_more,
        })
    }
}

/// Entries as messages of some of them each; returns the last version.
fn replay(
    room: &RoomId,
    epoch: Epoch,
    entries: &[Arc<Entry>],
    out: &mut Vec<Notice>,
) -> Option<Version> {
    let mut rest = entries;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |entry: &&Arc<Entry>| {
            let is_in = bytes < REPLAY_BYTES;
            bytes += entry.told_weight();
            is_in
        };
        let count = rest.iter().take_while(fits).count();
        let (now, later) = rest.split_at(count);
        let version = now.last()?.version;
        let entries = now.iter().map(|entry| &**entry);
        out.push(Notice::changes(room, epoch, version, entries));
        rest = later;
    }
    entries.last().map(|entry| entry.version)
}

impl Reader {
    /// The room.
    #[must_use]
    pub fn room(&self) -> &RoomId {
        &self.room
    }

    /// Begins anew: it is to be told how, and all that follows.
    pub fn subscribe(&mut self, id: Option<MessageId>, since: Since) {
        self.stands = Stands::Outside { id, since };
    }

    /// Hears nothing more but answers.
    pub fn unsubscribe(&mut self) {
        self.stands = Stands::Aside;
    }

    /// Whether it is told of the room.
    #[must_use]
    pub fn is_subscribed(&self) -> bool {
        !matches!(self.stands, Stands::Aside)
    }

    /// Whether it has to catch up before it is told more.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        matches!(self.stands, Stands::Outside { .. } | Stands::Behind(_))
    }

    /// Whether it is to be told how its subscription begins.
    #[must_use]
    pub fn is_entering(&self) -> bool {
        matches!(self.stands, Stands::Outside { .. })
    }

    /// About how many bytes of answers wait.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.attachment.waiting_bytes()
    }

    /// What it lacks, to be waited for; [`Reader::arrive`] takes the answer.
    pub fn catch_up(
        &mut self,
        hub: &Hub,
        grant: Grant,
    ) -> impl Future<Output = Result<CaughtUp, Denial>> + Send + use<> {
        // What is told from now on is not missed while the rest is read.
        self.attachment.skip();
        let (since, begins) = match &self.stands {
            Stands::Outside { id, since } => (*since, Some(id.clone())),
            Stands::Behind(at) | Stands::Here(at) => {
                (Since::Seen(Some(at.epoch), at.version), None)
            }
            Stands::Aside => (Since::New, Some(None)),
        };
        let before = Before {
            since,
            begins,
            presence: self.presence,
        };
        hub.clone().make_up(self.room.clone(), grant, before)
    }

    /// Stands where catching up has brought it.
    pub fn arrive(&mut self, caught_up: &CaughtUp) {
        self.presence = caught_up.presence;
        self.stands = match caught_up.has_more {
            true => Stands::Behind(caught_up.at),
            false => Stands::Here(caught_up.at),
        };
    }

    /// Does not catch up; says which message asked for it.
    pub fn give_up(&mut self) -> Option<MessageId> {
        match std::mem::replace(&mut self.stands, Stands::Aside) {
            Stands::Outside { id, .. } => id,
            Stands::Aside | Stands::Behind(_) | Stands::Here(_) => None,
        }
    }

    /// What it has been told of, if it has been told anything.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match &self.stands {
            Stands::Behind(at) | Stands::Here(at) => Some(*at),
            Stands::Aside | Stands::Outside { .. } => None,
        }
    }

    /// Takes the messages that come next, until there are `bytes_max` or more.
    pub fn hear(&mut self, bytes_max: usize, out: &mut Vec<Notice>) {
        let Stands::Here(at) = &mut self.stands else {
            return;
        };
        let mut known = Known {
            version: at.version,
            presence: self.presence,
        };
        let heard = self.attachment.hear(&mut known, bytes_max, out);
        at.version = known.version;
        self.presence = known.presence;
        if heard == Heard::Behind {
            self.stands = Stands::Behind(*at);
        }
    }

    /// Takes the next event for this session alone.
    #[must_use]
    pub fn next_event(&self) -> Option<Event> {
        self.attachment.next_event()
    }

    /// Ready once after there may be a new event or new messages.
    pub fn poll_woken(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.attachment.poll_woken(cx)
    }

    /// Operates on records; the answer is an event.
    pub async fn operate(
        &mut self,
        client: Option<Arc<str>>,
        operations: Vec<Operation>,
    ) -> Result<Ticket, Gone> {
        self.attachment.operate(client, operations).await
    }

    /// Says who and how the peer is; only a refusal is answered.
    pub async fn appear(&mut self, appearance: Appearance) -> Result<Ticket, Gone> {
        self.attachment.appear(appearance).await
    }

    /// Sends a message to everyone else; only a refusal is answered.
    pub async fn say(&mut self, utterance: Utterance) -> Result<Ticket, Gone> {
        self.attachment.say(utterance).await
    }

    /// Gives the session a fresh grant.
    pub async fn renew(&self, grant: Grant) -> Result<(), Gone> {
        self.attachment.renew(grant).await
    }

    /// The peer said goodbye.
    pub fn say_goodbye(&mut self) {
        self.attachment.say_goodbye();
    }
}
