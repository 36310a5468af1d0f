//! Owns the documents of one socket: who is inside a room, and who is not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::super::turn::Turn;
use super::ledger::Ledger;
use super::outside::Outside;
use crate::auth::{Bearer, Denied, Secret};
use crate::hub::{Attachment, Denial};
use crate::ids::{Millis, UnixMillis};
use crate::limits::TOKEN_AHEAD_MS;
use crate::room::{Access, Grant};
use crate::wire::hocuspocus::{Address, Ask};

/// With less time left a client is not asked for a token once more.
const ASK_AGAIN_MS_MIN: i64 = 1_000;

/// One document of a socket.
pub struct Document {
    /// What the client calls it.
    pub address: Address,
    /// Whether it is let in.
    pub stage: Stage,
    /// What its client counts as unsaved.
    pub ledger: Ledger,
    /// When its client sent something last.
    pub heard_at: Millis,
    /// There may be something to tell.
    pub is_woken: bool,
}

/// Whether a document's client is let in.
pub enum Stage {
    /// No token is good.
    Outside(Outside),
    /// One is.
    Inside(Box<Inside>),
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy)]
pub enum Shut {
    /// By the token.
    Token(Denied),
    /// By the hub.
    Room(Denial),
}

/// Who was let in.
pub struct Entered {
    /// The session.
    pub attachment: Attachment,
    /// Until when, as whom.
    pub grant: Grant,
}

/// Something that is waited for.
pub type Errand<T> = BoxFuture<'static, T>;

/// A document inside its room.
pub struct Inside {
    /// The session.
    pub attachment: Attachment,
    /// Whose.
    pub user: Arc<str>,
    /// How far.
    pub access: Access,
    /// When its token ends, if it does.
    pub term: Option<Term>,
    /// A diff that was asked for has not come.
    pub awaits_diff: bool,
    /// What comes after another question until it has.
    pub held: VecDeque<Ask>,
    /// The peer fell out of the ring at this state vector.
    pub behind: Option<Bytes>,
    /// A fresh token is checked.
    pub refreshing: Option<(Secret, Errand<Result<Bearer, Denied>>)>,
    /// What came meanwhile.
    pub next_token: Option<Secret>,
}

impl Inside {
    /// A session that begins, with what was held before.
    pub fn new(entered: Entered, now: UnixMillis, held: VecDeque<Ask>) -> Self {
        let Entered { attachment, grant } = entered;
        Self {
            attachment,
            user: grant.identity.user.clone(),
            access: grant.access,
            term: Term::of(grant.expires_at, now),
            awaits_diff: false,
            held,
            behind: None,
            refreshing: None,
            next_token: None,
        }
    }
}

/// How long a token holds.
pub struct Term {
    /// Its end.
    pub until: UnixMillis,
    /// When the client is asked for another.
    pub ask_at: UnixMillis,
    /// It was asked.
    pub is_asked: bool,
}

impl Term {
    /// The term of a token that was just checked.
    pub fn of(until: Option<UnixMillis>, now: UnixMillis) -> Option<Self> {
        let until = until?;
        let left_ms = (until.0 - now.0).max(0);
        let ahead_ms = (left_ms / 4).min(TOKEN_AHEAD_MS);
        Some(Self {
            until,
            ask_at: UnixMillis(until.0 - ahead_ms),
            is_asked: false,
        })
    }

    /// The client's token could not be checked: it is asked once more, in half the time.
    pub fn ask_again(&mut self, now: UnixMillis) {
        let left_ms = (self.until.0 - now.0).max(0);
        if left_ms >= ASK_AGAIN_MS_MIN {
            self.ask_at = UnixMillis(now.0 + left_ms / 2);
            self.is_asked = false;
        }
    }

    /// When something is due.
    pub fn due(&self) -> UnixMillis {
        match self.is_asked {
            true => self.until,
            false => self.ask_at,
        }
    }
}

/// What was waited for.
pub enum Done {
    /// Somebody is let in, or not.
    Entered(Box<Result<Entered, Shut>>),
    /// A fresh token was checked.
    Refreshed(Box<Result<Bearer, Denied>>),
}

/// All documents of a socket.
#[derive(Default)]
pub struct Documents {
    all: Vec<Document>,
    /// Who is told next.
    turn: Turn,
}

impl Documents {
    /// How many.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// The place of a document.
    pub fn find(&self, address: &str) -> Option<usize> {
        let is_it = |document: &Document| document.address.as_str() == address;
        self.all.iter().position(is_it)
    }

    /// A document by its place.
    pub fn at(&mut self, place: usize) -> &mut Document {
        &mut self.all[place]
    }

    /// One that is inside, by its place.
    pub fn inside(&mut self, place: usize) -> Option<&mut Inside> {
        match &mut self.all[place].stage {
            Stage::Inside(inside) => Some(inside),
            Stage::Outside(_) => None,
        }
    }

    /// All that are inside, with their places.
    pub fn insides(&mut self) -> impl Iterator<Item = (usize, &mut Inside)> {
        let all = self.all.iter_mut().enumerate();
        all.filter_map(|(place, document)| match &mut document.stage {
            Stage::Inside(inside) => Some((place, &mut **inside)),
            Stage::Outside(_) => None,
        })
    }

    /// Adds a document; says its place.
    pub fn add(&mut self, address: Address) -> usize {
        self.all.push(Document {
            address,
            stage: Stage::Outside(Outside::default()),
            ledger: Ledger::default(),
            heard_at: Millis(0),
            is_woken: false,
        });
        self.all.len() - 1
    }

    /// Takes a document out.
    pub fn remove(&mut self, place: usize) -> Document {
        self.all.swap_remove(place)
    }

    /// What waits for a token, in bytes and messages.
    pub fn waiting(&self) -> (usize, usize) {
        let outsides = self
            .all
            .iter()
            .filter_map(|document| match &document.stage {
                Stage::Outside(outside) => Some(outside),
                Stage::Inside(_) => None,
            });
        outsides.fold((0, 0), |(bytes, messages), outside| {
            let (more_bytes, more_messages) = outside.waiting();
            (bytes + more_bytes, messages + more_messages)
        })
    }

    /// Whether something waits for a diff: nothing more is read.
    pub fn is_held(&self) -> bool {
        let is_held = |document: &Document| match &document.stage {
            Stage::Inside(inside) => !inside.held.is_empty(),
            Stage::Outside(_) => false,
        };
        self.all.iter().any(is_held)
    }

    /// Bytes of answers that wait.
    pub fn waiting_bytes(&self) -> usize {
        let waiting = |document: &Document| match &document.stage {
            Stage::Inside(inside) => inside.attachment.waiting_bytes(),
            Stage::Outside(_) => 0,
        };
        self.all.iter().map(waiting).sum()
    }

    /// The next one that was woken, and is not any more; each in turn.
    pub fn next_woken(&mut self) -> Option<usize> {
        let all = &mut self.all;
        let place = self.turn.next(all.len(), |place| all[place].is_woken)?;
        all[place].is_woken = false;
        Some(place)
    }

    /// Ready when something that was waited for is there.
    pub fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(usize, Done)> {
        for (place, document) in self.all.iter_mut().enumerate() {
            match &mut document.stage {
                Stage::Outside(outside) => {
                    if let Some(entering) = &mut outside.entering
                        && let Poll::Ready(entered) = entering.as_mut().poll(cx)
                    {
                        outside.entering = None;
                        return Poll::Ready((place, Done::Entered(Box::new(entered))));
                    }
                }
                Stage::Inside(inside) => {
                    if let Some((_, refreshing)) = &mut inside.refreshing
                        && let Poll::Ready(checked) = refreshing.as_mut().poll(cx)
                    {
                        inside.refreshing = None;
                        return Poll::Ready((place, Done::Refreshed(Box::new(checked))));
                    }
                }
            }
        }
        Poll::Pending
    }

    /// Ready when there may be something to tell of a document.
    pub fn poll_woken(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut is_woken = false;
        for document in &mut self.all {
            if let Stage::Inside(inside) = &document.stage
                && inside.attachment.poll_woken(cx).is_ready()
            {
                document.is_woken = true;
                is_woken = true;
            }
        }
        match is_woken {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}
