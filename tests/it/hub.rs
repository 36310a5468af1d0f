//! Owns the tests of the hub: rooms that open, rest, end and come back, on the memory store and with
//! a clock that stands still unless everybody waits.

mod store;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use roundtable::hub::{Attachment, Changes, Clock, Denial, Gathered, Hub};
use roundtable::ids::{Millis, Now, RoomId, UnixMillis, Version};
use roundtable::limits::Limits;
use roundtable::room::{Access, End, Event, Grant, Identity, Reason, Refusal};
use roundtable::store::{Page, Retention, Store};
use roundtable::wire::{Dialect, Request};
use yrs::{Doc, Map, ReadTxn, Transact, WriteTxn};

use store::Watched;

/// The clock of the runtime, which tests stop.
struct Stopped {
    started: tokio::time::Instant,
    dice: AtomicU64,
}

impl Clock for Stopped {
    fn now(&self) -> Now {
        let ms = self.started.elapsed().as_millis() as u64;
        Now {
            mono: Millis(ms + 1),
            wall: UnixMillis(ms as i64 + 1),
        }
    }

    fn random(&self) -> u128 {
        u128::from(self.dice.fetch_add(1, Ordering::Relaxed)) << 64 | 77
    }
}

fn hub(store: &Arc<Watched>, limits: Limits) -> Hub {
    let clock = Stopped {
        started: tokio::time::Instant::now(),
        dice: AtomicU64::new(1),
    };
    Hub::new(store.clone(), Arc::new(clock), Arc::new(limits))
}

fn room() -> RoomId {
    RoomId::parse("room").unwrap()
}

fn grant(user: &str) -> Grant {
    Grant {
        identity: Arc::new(Identity {
            user: user.into(),
            name: None,
            color: None,
            avatar: None,
            is_guest: false,
        }),
        access: Access::Admin,
        expires_at: None,
    }
}

async fn attach(hub: &Hub) -> Attachment {
    let live = Some(Dialect::Yjs);
    hub.attach(&room(), grant("ada"), live, None).await.unwrap()
}

async fn json(hub: &Hub) -> String {
    hub.ask(&room(), &grant("ada"), |room, _| room.json())
        .await
        .unwrap()
}

/// A client's document and its next edit.
struct Client(Doc);

impl Client {
    fn new(id: u64) -> Self {
        Self(Doc::with_client_id(id))
    }

    fn set(&self, value: &str) -> Bytes {
        let mut txn = self.0.transact_mut();
        let root = txn.get_or_insert_map("root");
        root.insert(&mut txn, "key", value);
        txn.encode_update_v1().into()
    }
}

/// Waits for the answer to a submission.
async fn answer(attachment: &Attachment) -> Event {
    loop {
        match attachment.event().await {
            Event::Missing { .. } | Event::Presence(_) => {}
            event => return event,
        }
    }
}

async fn edit(attachment: &mut Attachment, update: &Bytes) -> Version {
    attachment.submit(update.clone()).await.unwrap();
    match answer(attachment).await {
        Event::Kept { version, .. } => version,
        other => panic!("{other:?}"),
    }
}

/// Lets time pass until something is so; the clock runs only while nothing else does.
async fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if is_so() {
            return;
        }
        tokio::time::advance(Duration::from_millis(50)).await;
        tokio::task::yield_now().await;
    }
    panic!("it never came to be");
}

#[tokio::test(start_paused = true)]
async fn hu1_a_hundred_who_come_at_once_are_one_opening() {
    let store = Watched::new();
    let hub = hub(&store, Limits::default());
    let all = (0..100).map(|_| attach(&hub));
    let attached = futures_util::future::join_all(all).await;
    assert_eq!(
        (attached.len(), store.loads(), hub.live_rooms()),
        (100, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn hu2_an_opening_that_fails_leaves_nothing_behind() {
    let store = Watched::new();
    let limits = Limits {
        rooms_per_user_max: 1,
        ..Limits::default()
    };
    let hub = hub(&store, limits);
    store.go_away(true);
    let refused = hub.attach(&room(), grant("ada"), None, None).await;
    assert_eq!(refused.err(), Some(Denial::Unavailable));
    assert_eq!(hub.live_rooms(), 0);
    store.go_away(false);
    attach(&hub).await;
}

#[tokio::test(start_paused = true)]
async fn hu3_a_room_that_rests_leaves_a_snapshot_and_is_the_same_when_it_is_back() {
    let store = Watched::new();
    let hub = hub(&store, Limits::default());
    let mut ada = attach(&hub).await;
    assert_eq!(
        edit(&mut ada, &Client::new(11).set("kept")).await,
        Version(1)
    );
    let before = json(&hub).await;
    drop(ada);
    until(|| hub.live_rooms() == 0).await;
    let loaded = store.load(&room()).await.unwrap();
    assert_eq!(loaded.snapshot.unwrap().version, Version(1));
    assert_eq!(json(&hub).await, before);
    let mut bob = attach(&hub).await;
    assert_eq!(
        edit(&mut bob, &Client::new(22).set("next")).await,
        Version(2)
    );
}

#[tokio::test(start_paused = true)]
async fn hu4_a_room_whose_store_is_away_goes_on_and_acks_when_it_is_back() {
    let store = Watched::new();
    let hub = hub(&store, Limits::default());
    let (mut ada, mut bob) = (attach(&hub).await, attach(&hub).await);
    store.go_away(true);
    ada.submit(Client::new(11).set("early")).await.unwrap();
    let mut frames = VecDeque::new();
    until(|| {
        assert_eq!(bob.gather(1 << 20, &mut frames), Gathered::Frames);
        !frames.is_empty()
    })
    .await;
    assert_eq!(json(&hub).await, r#"{"root":{"key":"early"}}"#);
    tokio::time::advance(Duration::from_secs(60)).await;
    while let Some(event) = ada.next_event() {
        assert!(matches!(event, Event::Missing { .. }), "{event:?}");
    }
    store.go_away(false);
    assert!(matches!(
        answer(&ada).await,
        Event::Kept {
            version: Version(1),
            ..
        }
    ));
}

#[tokio::test(start_paused = true)]
async fn hu5_rooms_are_bounded_in_all_and_per_user() {
    let store = Watched::new();
    let limits = Limits {
        rooms_max: 3,
        rooms_per_user_max: 2,
        ..Limits::default()
    };
    let hub = hub(&store, limits);
    let open = async |user: &str, name: &str| {
        let name = RoomId::parse(name).unwrap();
        hub.attach(&name, grant(user), None, None).await
    };
    let first = open("ada", "a").await.unwrap();
    let _second = open("ada", "b").await.unwrap();
    assert_eq!(open("ada", "c").await.err(), Some(Denial::TooMany));
    let _third = open("bob", "c").await.unwrap();
    let _shared = open("ada", "c").await.unwrap();
    assert_eq!(open("bob", "d").await.err(), Some(Denial::Unavailable));
    drop(first);
    until(|| hub.live_rooms() == 2).await;
    open("ada", "d").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn hu6_a_drain_keeps_everything_and_ends_every_session() {
    let store = Watched::new();
    let hub = hub(&store, Limits::default());
    let mut ada = attach(&hub).await;
    store.go_away(true);
    ada.submit(Client::new(11).set("last")).await.unwrap();
    let drain = tokio::spawn({
        let hub = hub.clone();
        async move { hub.drain(Duration::from_secs(20)).await }
    });
    until(|| hub.is_leaving()).await;
    let new = RoomId::parse("new").unwrap();
    let late = hub.attach(&new, grant("bob"), None, None).await;
    assert_eq!(late.err(), Some(Denial::Unavailable));
    store.go_away(false);
    assert!(matches!(answer(&ada).await, Event::Kept { .. }));
    assert_eq!(answer(&ada).await, Event::Ended(End::Unavailable));
    assert!(drain.await.unwrap());
    let head = store.load(&room()).await.unwrap().head.unwrap();
    assert_eq!((head.version, hub.live_rooms()), (Version(1), 0));
}

#[tokio::test(start_paused = true)]
async fn hu7_a_reader_that_falls_behind_gets_one_diff_and_has_everything() {
    let store = Watched::new();
    let limits = Limits {
        ring_bytes_max: 200,
        ..Limits::default()
    };
    let hub = hub(&store, limits);
    let (mut ada, mut slow) = (attach(&hub).await, attach(&hub).await);
    let client = Client::new(11);
    for edit_number in 0..50 {
        edit(&mut ada, &client.set(&edit_number.to_string())).await;
    }
    let mut frames = VecDeque::new();
    let Gathered::Behind(state_vector) = slow.gather(1 << 20, &mut frames) else {
        panic!("the ring holds so much");
    };
    assert!(frames.is_empty());
    slow.request(Request::Sync { state_vector }).await.unwrap();
    let Event::Diff {
        chunks,
        since,
        as_of,
    } = answer(&slow).await
    else {
        panic!("a diff");
    };
    assert!(since.is_empty());
    slow.jump(as_of);
    assert_eq!(slow.gather(1 << 20, &mut frames), Gathered::Frames);
    assert!(frames.is_empty(), "it has everything");
    let state = client.0.transact();
    let state = state.encode_state_as_update_v1(&yrs::StateVector::default());
    assert_eq!(chunks.concat(), state);
}

#[tokio::test(start_paused = true)]
async fn hu8_a_deleted_room_comes_back_as_another_and_refuses_what_it_held() {
    let store = Watched::new();
    let hub = hub(&store, Limits::default());
    let client = Client::new(11);
    let mut all = Vec::new();
    for value in ["first", "second", "third"] {
        let mut ada = attach(&hub).await;
        let fresh = Client::new(20 + all.len() as u64);
        let update = fresh.set(value);
        assert_eq!(edit(&mut ada, &update).await, Version(1));
        all.push(update);
        ada.delete().await.unwrap();
        assert_eq!(answer(&ada).await, Event::Ended(End::RoomDeleted));
        assert_eq!(json(&hub).await, "{}");
        until(|| hub.live_rooms() == 0).await;
        let ada = attach(&hub).await;
        for old in &all {
            let mut teller = attach(&hub).await;
            let ticket = teller.submit(old.clone()).await.unwrap();
            let refusal = Refusal::EpochChanged;
            assert_eq!(answer(&teller).await, Event::Refused { ticket, refusal });
        }
        drop(ada);
    }
    let mut ada = attach(&hub).await;
    assert_eq!(edit(&mut ada, &client.set("new")).await, Version(1));
}

#[tokio::test(start_paused = true)]
async fn hu9_who_drops_an_attachment_or_the_wait_for_one_is_gone() {
    let store = Watched::new();
    let hub = hub(&store, Limits::default());
    let _here = attach(&hub).await;
    let other = attach(&hub).await;
    let sessions = async || {
        hub.ask(&room(), &grant("ada"), |room, _| room.portrait())
            .await
            .unwrap()
            .sessions
    };
    assert_eq!(sessions().await, 2);
    drop(other);
    tokio::task::yield_now().await;
    assert_eq!(sessions().await, 1);
    for steps in 0..6 {
        let mut coming = Box::pin(attach(&hub));
        for _ in 0..steps {
            // The room's task runs between two looks, and may have let it in already.
            assert!(futures_util::poll!(coming.as_mut()).is_pending() || steps > 0);
            tokio::task::yield_now().await;
            if steps > 0 {
                break;
            }
        }
        drop(coming);
        tokio::task::yield_now().await;
        assert_eq!(sessions().await, 1, "after {steps} steps");
    }
}

#[tokio::test(start_paused = true)]
async fn hu10_who_takes_nothing_of_what_is_said_is_ended_and_forgotten() {
    let store = Watched::new();
    let limits = Limits {
        outbox_events_max: 10,
        ..Limits::default()
    };
    let hub = hub(&store, limits);
    let mut stuck = attach(&hub).await;
    let client = Client::new(11);
    let update = client.set("known");
    for _ in 0..20 {
        stuck.submit(update.clone()).await.unwrap();
        json(&hub).await;
    }
    assert_eq!(stuck.next_event(), Some(Event::Ended(End::Idle)));
    assert_eq!(stuck.next_event(), None);
    until(|| hub.live_rooms() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn hu11_a_question_that_kills_the_room_is_not_asked_for_ever() {
    let store = Watched::new();
    let hub = hub(&store, Limits::default());
    let mut ada = attach(&hub).await;
    edit(&mut ada, &Client::new(11).set("kept")).await;
    let killed = hub
        .ask(&room(), &grant("ada"), |_, _| -> () {
            panic!("of the test")
        })
        .await;
    assert_eq!(killed, Err(Denial::Internal));
    assert_eq!(answer(&ada).await, Event::Ended(End::Internal));
    assert_eq!(json(&hub).await, r#"{"root":{"key":"kept"}}"#);
}

#[tokio::test(start_paused = true)]
async fn hu12_a_log_that_was_pruned_elsewhere_is_answered_with_the_state() {
    let store = Watched::new();
    let limits = Limits {
        recent_entries_max: 2,
        ..Limits::default()
    };
    let hub = hub(&store, limits);
    let mut ada = attach(&hub).await;
    let client = Client::new(11);
    for value in ["a", "b", "c"] {
        edit(&mut ada, &client.set(value)).await;
    }
    let changes = async |after| {
        let since = Some((None, Version(after)));
        hub.changes(&room(), &grant("ada"), since).await.unwrap()
    };
    let Changes::Replay {
        entries, has_more, ..
    } = changes(0).await
    else {
        panic!("the log has them");
    };
    assert_eq!((entries.len(), has_more), (2, true));
    let epoch = store.load(&room()).await.unwrap().head.unwrap().epoch;
    let snapshot = roundtable::store::Snapshot {
        version: Version(3),
        state: Bytes::from_static(&[0, 0]),
    };
    store
        .save_snapshot(&room(), epoch, &snapshot)
        .await
        .unwrap();
    let records = store.records();
    assert_eq!(
        records
            .project(&room(), epoch, Version(0), Version(3), &[])
            .await,
        Ok(true)
    );
    store
        .prune(&room(), epoch, Retention::since(UnixMillis(i64::MAX)))
        .await
        .unwrap();
    let Changes::Snapshot { reason, head, .. } = changes(0).await else {
        panic!("nothing can be replayed");
    };
    assert_eq!((reason, head.version), (Reason::Pruned, Version(3)));
    let page = Page { rows: 9, bytes: 9 };
    assert!(
        store
            .read(&room(), epoch, Version(0), page)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn hu13_who_comes_while_a_room_ends_is_let_into_the_next_one() {
    let store = Watched::new();
    let hub = hub(&store, Limits::default());
    let _first = attach(&hub).await;
    let (room, grant) = (room(), grant("ada"));
    let killing = hub.ask(&room, &grant, |_, _| -> () { panic!("of the test") });
    let (killed, mut late) = futures_util::future::join(killing, attach(&hub)).await;
    assert_eq!(killed, Err(Denial::Internal));
    // The question killed that room, too: who was let in is told so, and never left without a word.
    while late.submit(Client::new(11).set("late")).await.is_ok() {
        match answer(&late).await {
            Event::Ended(end) => {
                assert_eq!(end, End::Internal);
                late = attach(&hub).await;
            }
            Event::Kept { .. } => return,
            other => panic!("{other:?}"),
        }
    }
    let mut again = attach(&hub).await;
    assert_eq!(
        edit(&mut again, &Client::new(11).set("late")).await,
        Version(1)
    );
}
