//! Owns the gathering of appends: what many rooms want kept at the same time is one transaction.
//!
//! There is no timer: while one transaction is in flight, the next one collects.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Append, Appended, Failure, Store};
use crate::ids::RoomId;

/// Rooms in one transaction. At some hundred rows the cost of the commit is spread so far that more
/// rooms only make the first of them wait longer.
const GROUP_ROOMS_MAX: usize = 1_000;

/// Bytes in one transaction, about, unless a single append has more: a database writes these in
/// some 30 milliseconds, which is what a small append behind large ones may have to wait.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a row weighs beyond its columns: the ids, numbers and headers that are written with it.
const ROW_BYTES: usize = 100;

/// Appends that wait for a place; those beyond wait before the queue. A room has one append in
/// flight, so this many rooms may write at once before anyone notices.
const QUEUE_MAX: usize = 4_096;

/// The handle on the task that keeps appends in groups. Clones share it; when the last is dropped,
/// the task finishes what is queued and ends.
#[derive(Debug, Clone)]
pub struct GroupCommit {
    queue: mpsc::Sender<Waiting>,
}

/// An append, and who wants to know what became of it.
#[derive(Debug)]
struct Waiting {
    append: Append,
    answer: oneshot::Sender<Result<Appended, Failure>>,
}

impl GroupCommit {
    /// Starts the task on the runtime that this is called in.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    #[must_use]
    pub fn start(store: Arc<dyn Store>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(keep_groups(store, waiting));
        Self { queue }
    }

    /// Keeps the rows of one room. Appends of one room are tried in the order of their calls.
    ///
    /// # Errors
    ///
    /// As [`Store::append`]; one room's refused rows do not fail another room's.
    ///
    /// # Cancellation
    ///
    /// An append whose call is dropped is kept all the same once it is queued, and is never tried
    /// when it is not: the caller does not know, as after `Err`, and asks again under the same id.
    pub async fn append(&self, append: Append) -> Result<Appended, Failure> {
        let (answer, answered) = oneshot::channel();
        if self.queue.send(Waiting { append, answer }).await.is_err() {
            return Err(ended());
        }
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// Takes what waits, keeps it, and again, until every handle is gone and the queue is empty.
async fn keep_groups(store: Arc<dyn Store>, mut queue: mpsc::Receiver<Waiting>) {
    // What was taken from the queue and found no place in a group yet: at most a group's worth.
    let mut held = VecDeque::new();
    loop {
        if held.is_empty() {
            match queue.recv().await {
                Some(waiting) => held.push_back(waiting),
                None => return,
            }
        }
        while held.len() < GROUP_ROOMS_MAX {
            match queue.try_recv() {
                Ok(waiting) => held.push_back(waiting),
                Err(_) => break,
            }
        }
        let (appends, answers) = take_group(&mut held).into_iter().unzip();
        keep_group(&*store, appends, answers).await;
    }
}

type Answer = oneshot::Sender<Result<Appended, Failure>>;

/// Takes appends from the front until the group has its bytes; a room's second append stays, in
/// its place, for a later group.
fn take_group(held: &mut VecDeque<Waiting>) -> Vec<(Append, Answer)> {
    let mut group = Vec::new();
    let mut rooms: HashSet<RoomId> = HashSet::new();
    let mut rest = VecDeque::new();
    let mut bytes = 0;
    while let Some(waiting) = held.pop_front() {
        let size = size(&waiting.append);
        if !group.is_empty() && bytes + size > GROUP_BYTES_MAX {
            rest.push_back(waiting);
            break;
        }
        if rooms.insert(waiting.append.room.clone()) {
            bytes += size;
            group.push((waiting.append, waiting.answer));
        } else {
            rest.push_back(waiting);
        }
    }
    rest.append(held);
    *held = rest;
    group
}

/// Keeps one group. What the database refuses to keep together is tried room by room.
async fn keep_group(store: &dyn Store, appends: Vec<Append>, answers: Vec<Answer>) {
    match store.append(&appends).await {
        Ok(results) => {
            debug_assert_eq!(
                results.len(),
                answers.len(),
                "a store answers for every room"
            );
            for (answer, result) in answers.into_iter().zip(results) {
                tell(answer, Ok(result));
            }
        }
        Err(Failure::Refused(_) | Failure::Corrupt(_)) if appends.len() > 1 => {
            keep_singly(store, &appends, answers).await;
        }
        Err(failure) => {
            for answer in answers {
                tell(answer, Err(failure.clone()));
            }
        }
    }
}

/// Keeps each room by itself; once the database is away, the rest are not tried.
async fn keep_singly(store: &dyn Store, appends: &[Append], answers: Vec<Answer>) {
    let mut away = None;
    for (append, answer) in appends.iter().zip(answers) {
        let result = match &away {
            Some(failure) => Err(Failure::clone(failure)),
            None => match store.append(std::slice::from_ref(append)).await {
                Ok(results) => results.first().copied().ok_or_else(ended),
                Err(failure) => Err(failure),
            },
        };
        if let Err(failure @ Failure::Unavailable(_)) = &result {
            away = Some(failure.clone());
        }
        tell(answer, result);
    }
}

/// A caller that is gone does not want to know.
fn tell(answer: Answer, result: Result<Appended, Failure>) {
    drop(answer.send(result));
}

fn size(append: &Append) -> usize {
    let rows = append.rows.iter().map(|row| {
        ROW_BYTES + row.update.len() + row.events.len() + row.actors.len() + row.ops.len()
    });
    let ops = append.ops.iter();
    let ops = ops.map(|op| ROW_BYTES + op.id.as_str().len() + op.result.len());
    let conflicts = append.conflicts.iter().map(|row| {
        let values = row.mine.iter().chain(&row.theirs).map(String::len);
        let names = row.names().map(str::len);
        ROW_BYTES + values.chain(names).sum::<usize>()
    });
    rows.chain(ops).chain(conflicts).sum()
}

fn ended() -> Failure {
    Failure::Unavailable("the task that keeps appends has ended".into())
}
