//! Owns what is done aside: calls to the store on behalf of a room or a reader, step by step.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::task::noop_waker_ref;
use roundtable::hub::compactor::{self, Keep};
use roundtable::hub::loader::Opened;
use roundtable::hub::{loader, projector, rows};
use roundtable::ids::{AppendId, Epoch, OpId, Position, RoomId, Version};
use roundtable::room::operation::{self, Place};
use roundtable::room::{Entry, Input, Outcome, Reason};
use roundtable::store::{Append, Appended, Failure, Page, Row, Store};

use crate::store::{Shared, Verdict};

/// What an errand is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Open,
    Append,
    Recall,
    Fetch,
    Compact,
    Erase,
    Read,
}

/// How it ended.
pub enum Done {
    /// The room is to be told.
    Told(Input),
    /// A room was loaded.
    Opened(Result<Opened, Failure>),
    /// Rows for a reader who asked when the room stood there.
    Rows(usize, Position, Result<Vec<Row>, Failure>),
    /// The state for a reader.
    State(usize, Reason, Result<Opened, Failure>),
}

/// One errand. It goes on when its room is gone: a database finishes what it was told.
pub struct Errand {
    /// Its place among the rooms.
    pub room: usize,
    /// The opening of the room that waits for it.
    pub opening: u64,
    pub kind: Kind,
    future: LocalBoxFuture<'static, Done>,
}

impl Errand {
    pub fn new(
        room: usize,
        opening: u64,
        kind: Kind,
        future: impl Future<Output = Done> + 'static,
    ) -> Self {
        let mut errand = Self {
            room,
            opening,
            kind,
            future: Box::pin(future),
        };
        // Up to its first call: nothing may be lost of what it read before the world goes on.
        assert!(errand.go().is_none(), "an errand begins with a call");
        errand
    }

    /// Lets its next call end so; how the errand ended, if that was the last.
    pub fn allow(&mut self, store: &Shared, verdict: Verdict) -> Option<Done> {
        store.allow(verdict);
        let done = self.go();
        assert!(!store.take_back(), "an errand that goes on calls");
        done
    }

    fn go(&mut self) -> Option<Done> {
        let mut cx = Context::from_waker(noop_waker_ref());
        match self.future.as_mut().poll(&mut cx) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }
}

/// On behalf of which room.
#[derive(Clone)]
pub struct Client {
    pub store: Shared,
    pub name: RoomId,
    pub epoch: Epoch,
}

impl Client {
    fn as_dyn(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    pub async fn append(
        self,
        id: AppendId,
        expected: Version,
        entries: Arc<[Arc<Entry>]>,
        judged: Arc<[operation::Done]>,
    ) -> Done {
        let append = Append {
            room: self.name,
            epoch: self.epoch,
            id,
            expected,
            rows: entries.iter().map(|entry| rows::encode(entry)).collect(),
            ops: judged.iter().map(rows::op).collect(),
            conflicts: Vec::new(),
        };
        let outcome = match self.store.append(&[append]).await {
            Ok(kept) => match kept[0] {
                Appended::Kept => Outcome::Kept,
                Appended::Moved(stands) => Outcome::Moved(stands),
            },
            Err(_) => Outcome::Unclear,
        };
        Done::Told(Input::Appended { id, outcome })
    }

    pub async fn recall(
        self,
        through: Option<Version>,
        operations: Vec<OpId>,
        places: Vec<Place>,
    ) -> Done {
        let store = self.as_dyn();
        let recalled = projector::recall(
            &store,
            &self.name,
            self.epoch,
            through,
            &operations,
            &places,
        );
        Done::Told(Input::Recalled {
            recalled: recalled.await.ok(),
        })
    }

    pub async fn fetch(self, after: Version, page: usize) -> Done {
        let page = Page {
            rows: page,
            bytes: usize::MAX,
        };
        let read = self.store.read(&self.name, self.epoch, after, page).await;
        let entries = read.ok().map(|rows| {
            let entries = rows.iter().map(|row| rows::decode(row).map(Arc::new));
            entries
                .collect::<Result<_, _>>()
                .expect("rows are readable")
        });
        Done::Told(Input::Fetched { entries })
    }

    pub async fn compact(self, through: Version, keep: Keep) -> Done {
        let store = self.as_dyn();
        let kept = compactor::compact(&store, &self.name, self.epoch, through, keep).await;
        if let Err(failure @ Failure::Refused(_)) = &kept {
            panic!("compaction contradicts the store: {failure}");
        }
        Done::Told(Input::Compacted { kept: kept.ok() })
    }

    pub async fn erase(self, former: Bytes) -> Done {
        let erased = self.store.delete(&self.name, self.epoch, &former).await;
        Done::Told(Input::Erased {
            is_done: erased.is_ok(),
        })
    }

    pub async fn open(self, client: u32) -> Done {
        Done::Opened(loader::load(&self.as_dyn(), &self.name, client, self.epoch).await)
    }

    pub async fn rows(self, reader: usize, head: Position, after: Version, page: usize) -> Done {
        let page = Page {
            rows: page,
            bytes: usize::MAX,
        };
        let read = self.store.read(&self.name, self.epoch, after, page).await;
        Done::Rows(reader, head, read)
    }

    pub async fn state(self, reader: usize, reason: Reason, until: Version) -> Done {
        let store = self.as_dyn();
        let opened = loader::load_until(&store, &self.name, 1, self.epoch, until).await;
        Done::State(reader, reason, opened)
    }
}
