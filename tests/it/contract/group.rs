//! Owns the rules of group commit.

use std::sync::Arc;

use roundtable::ids::Version;
use roundtable::store::group::GroupCommit;
use roundtable::store::memory::{Fault, Memory};
use roundtable::store::{Append, Appended, Failure, Row, Store};
use tokio::sync::Semaphore;

use super::{ALL, World, append, epoch, on_every_store, row};
use crate::support::recorder::Recorder;

on_every_store![
    st19_two_hundred_rooms_are_kept_at_once,
    st21_a_refused_room_hurts_no_other,
];

async fn st19_two_hundred_rooms_are_kept_at_once(world: &World) {
    let store = world.open().await;
    let group = GroupCommit::start(Arc::clone(&store));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200_u128 {
        let group = group.clone();
        tasks.spawn(async move {
            for expected in 0..5 {
                let next = append(&format!("room {number:03}"), epoch(number), expected, 1);
                assert_eq!(group.append(next).await, Ok(Appended::Kept));
            }
        });
    }
    tasks.join_all().await;
    let listed = store.list("room ", None, 1_000).await.unwrap();
    assert_eq!(listed.len(), 200);
    for line in listed {
        let rows = store
            .read(&line.room, line.head.epoch, Version::ZERO, ALL)
            .await
            .unwrap();
        assert_eq!(rows, (1..=5).map(row).collect::<Vec<_>>(), "{}", line.room);
    }
}

async fn st21_a_refused_room_hurts_no_other(world: &World) {
    let recorder = Recorder::new(world.open().await, 0);
    let group = GroupCommit::start(Arc::clone(&recorder) as Arc<dyn Store>);
    let bad = Append {
        rows: vec![Row {
            ops: "{".into(),
            ..row(1)
        }],
        ..append("bad", epoch(1), 0, 0)
    };
    let appends = [
        append("first", epoch(1), 0, 1),
        append("a", epoch(1), 0, 1),
        bad,
        append("b", epoch(1), 0, 1),
    ];
    let (_, waiting) = queue_behind_the_first(&recorder, &group, appends).await;
    recorder.gate.add_permits(Semaphore::MAX_PERMITS);
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(answer.await.unwrap());
    }
    assert!(
        matches!(answers[2], Err(Failure::Refused(_))),
        "{:?}",
        answers[2]
    );
    for kept in [0, 1, 3] {
        assert_eq!(answers[kept], Ok(Appended::Kept));
    }
    let calls = [
        vec!["first"],
        vec!["a", "bad", "b"],
        vec!["a"],
        vec!["bad"],
        vec!["b"],
    ];
    assert_eq!(recorder.calls(), calls);
}

#[tokio::test]
async fn st19_while_one_transaction_is_in_flight_the_next_collects() {
    let recorder = Recorder::new(Arc::new(Memory::open()), 0);
    let group = GroupCommit::start(Arc::clone(&recorder) as Arc<dyn Store>);
    let appends = ["a", "b", "c", "d"].map(|name| append(name, epoch(1), 0, 1));
    let (_, waiting) = queue_behind_the_first(&recorder, &group, appends).await;
    recorder.gate.add_permits(2);
    for answer in waiting {
        assert_eq!(answer.await.unwrap(), Ok(Appended::Kept));
    }
    assert_eq!(recorder.calls(), [vec!["a"], vec!["b", "c", "d"]]);
}

#[tokio::test]
async fn st19_a_transaction_has_a_limit_of_bytes_and_of_rooms() {
    let recorder = Recorder::new(Arc::new(Memory::open()), 0);
    let group = GroupCommit::start(Arc::clone(&recorder) as Arc<dyn Store>);
    let large = |name: &str| Append {
        rows: vec![Row {
            update: vec![0; 5 << 20].into(),
            ..row(1)
        }],
        ..append(name, epoch(1), 0, 0)
    };
    let mut appends = vec![
        append("0", epoch(1), 0, 1),
        large("a"),
        large("b"),
        large("c"),
    ];
    appends.extend((0..1_500).map(|at| append(&format!("{at:04}"), epoch(1), 0, 1)));
    let (_, waiting) = queue_behind_the_first(&recorder, &group, appends).await;
    recorder.gate.add_permits(Semaphore::MAX_PERMITS);
    for answer in waiting {
        assert_eq!(answer.await.unwrap(), Ok(Appended::Kept));
    }
    let sizes: Vec<usize> = recorder.calls().iter().map(Vec::len).collect();
    assert_eq!(sizes[..3], [1, 1, 1]);
    assert_eq!(sizes.iter().sum::<usize>(), 1_504);
    assert!(sizes.iter().all(|size| *size <= 1_000), "{sizes:?}");
}

#[tokio::test]
async fn st20_a_room_is_in_a_transaction_once_and_in_the_order_asked() {
    let recorder = Recorder::new(Arc::new(Memory::open()), 0);
    let group = GroupCommit::start(Arc::clone(&recorder) as Arc<dyn Store>);
    let appends = [
        append("first", epoch(1), 0, 1),
        append("a", epoch(1), 0, 1),
        append("a", epoch(1), 1, 1),
        append("b", epoch(1), 0, 1),
        append("a", epoch(1), 2, 1),
    ];
    let (_, waiting) = queue_behind_the_first(&recorder, &group, appends).await;
    recorder.gate.add_permits(Semaphore::MAX_PERMITS);
    for answer in waiting {
        assert_eq!(answer.await.unwrap(), Ok(Appended::Kept));
    }
    assert_eq!(
        recorder.calls(),
        [vec!["first"], vec!["a", "b"], vec!["a"], vec!["a"]]
    );
}

#[tokio::test]
async fn st22_a_store_that_is_away_is_told_to_all_and_each_retry_happens_once() {
    for fault in [Fault::BeforeWriting, Fault::AfterWriting] {
        let memory = Arc::new(Memory::open());
        let recorder = Recorder::new(Arc::clone(&memory) as Arc<dyn Store>, 0);
        let group = GroupCommit::start(Arc::clone(&recorder) as Arc<dyn Store>);
        let appends = ["first", "a", "b"].map(|name| append(name, epoch(1), 0, 1));
        let (retries, waiting) = queue_behind_the_first(&recorder, &group, appends).await;
        memory.fail_next_append(fault);
        memory.fail_next_append(fault);
        recorder.gate.add_permits(Semaphore::MAX_PERMITS);
        for answer in waiting {
            assert!(matches!(
                answer.await.unwrap(),
                Err(Failure::Unavailable(_))
            ));
        }
        for retry in retries {
            let name = retry.room.clone();
            assert_eq!(group.append(retry).await, Ok(Appended::Kept));
            let rows = memory
                .read(&name, epoch(1), Version::ZERO, ALL)
                .await
                .unwrap();
            assert_eq!(rows, [row(1)], "{fault:?}");
        }
    }
}

#[tokio::test]
async fn st23_what_is_queued_is_kept_after_the_last_handle_is_gone() {
    let memory = Arc::new(Memory::open());
    let recorder = Recorder::new(Arc::clone(&memory) as Arc<dyn Store>, 0);
    let group = GroupCommit::start(Arc::clone(&recorder) as Arc<dyn Store>);
    let appends = ["first", "a", "b"].map(|name| append(name, epoch(1), 0, 1));
    let (_, waiting) = queue_behind_the_first(&recorder, &group, appends).await;
    // Nobody waits for an answer either.
    for answer in waiting {
        answer.abort();
        assert!(answer.await.unwrap_err().is_cancelled());
    }
    drop(group);
    recorder.gate.add_permits(Semaphore::MAX_PERMITS);
    let _second_began = recorder.begun.acquire().await.unwrap();
    // The task lets go of the store when it ends.
    while Arc::strong_count(&recorder) > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(memory.list("", None, 10).await.unwrap().len(), 3);
}

pub(super) type Waiting = Vec<tokio::task::JoinHandle<Result<Appended, Failure>>>;

/// Queues appends: the first is held at the recorder's gate, so that the others collect.
///
/// Each is queued before the next is: a task that was spawned on a current-thread runtime, or that
/// took its place in the queue, has run as far as it can.
pub(super) async fn queue_behind_the_first(
    recorder: &Recorder,
    group: &GroupCommit,
    appends: impl IntoIterator<Item = Append>,
) -> (Vec<Append>, Waiting) {
    let mut queued = Vec::new();
    let mut waiting = Vec::new();
    for append in appends {
        let (began, begun) = tokio::sync::oneshot::channel();
        queued.push(append.clone());
        let group = group.clone();
        waiting.push(tokio::spawn(async move {
            let mut appending = std::pin::pin!(group.append(append));
            // The first poll takes the place in the queue, which has room.
            let first = futures_util::poll!(appending.as_mut());
            began.send(()).unwrap();
            match first {
                std::task::Poll::Ready(answer) => answer,
                std::task::Poll::Pending => appending.await,
            }
        }));
        begun.await.unwrap();
        if waiting.len() == 1 {
            recorder.begun.acquire().await.unwrap().forget();
        }
    }
    (queued, waiting)
}
