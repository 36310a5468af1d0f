//! Tests of containment: what takes a room or the process down is held, and all else goes on. On
//! the memory store, with a clock that stands still unless everybody waits.

mod readers;
mod suspects;

use yrs::{Doc, Map, ReadTxn, Transact, WriteTxn};

use super::*;
use crate::ids::{Millis, UnixMillis, Version};
use crate::room::{Access, End, Event, Identity};
use crate::store::memory::Memory;
use crate::store::quarantine::{Case, CaseId, Finding, Kind};
use bytes::Bytes;

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

fn clock() -> Arc<dyn Clock> {
    Arc::new(Stopped {
        started: tokio::time::Instant::now(),
        dice: AtomicU64::new(1),
    })
}

fn hub(store: &Arc<Memory>) -> Hub {
    Hub::new(store.clone(), clock(), Arc::new(Limits::default()))
}

fn room(name: &str) -> RoomId {
    RoomId::parse(name).expect("a name")
}

fn grant() -> Grant {
    Grant {
        identity: Arc::new(Identity {
            user: "ada".into(),
            name: None,
            color: None,
            avatar: None,
            is_guest: false,
        }),
        access: Access::Admin,
        expires_at: None,
    }
}

async fn attach(hub: &Hub, name: &str) -> Attachment {
    let live = Some(Dialect::Yjs);
    let attached = hub.attach(&room(name), grant(), live, None).await;
    attached
        .map_err(|denial| format!("{denial:?}"))
        .expect("let in")
}

async fn denial(hub: &Hub, name: &str) -> Option<Denial> {
    hub.attach(&room(name), grant(), None, None).await.err()
}

async fn json(hub: &Hub, name: &str) -> String {
    let asked = hub.ask(&room(name), &grant(), |room, _| room.json()).await;
    asked.expect("answered")
}

async fn held(store: &Memory, name: &str) -> Vec<Case> {
    let held = store.quarantine().held(&room(name)).await;
    held.expect("readable")
}

/// A client's document and its next edit.
struct Client(Doc);

impl Client {
    fn new(id: u64) -> Self {
        Self(Doc::with_client_id(id))
    }

    fn set(&self, key: &str, value: &str) -> Bytes {
        let mut txn = self.0.transact_mut();
        let root = txn.get_or_insert_map("root");
        root.insert(&mut txn, key, value);
        txn.encode_update_v1().into()
    }

    /// Everything that it has, as it sends it when it is back.
    fn all(&self) -> Bytes {
        let txn = self.0.transact();
        let state = txn.encode_state_as_update_v1(&yrs::StateVector::default());
        state.into()
    }

    /// An edit that does something to the document that applies it.
    fn poison(&self, way: &str) -> Bytes {
        self.set("poison", &format!("roundtable fault: {way}"))
    }
}

async fn answer(attachment: &Attachment) -> Event {
    loop {
        match attachment.event().await {
            Event::Missing { .. } | Event::Presence(_) => {}
            event => return event,
        }
    }
}

async fn edit(attachment: &mut Attachment, update: &Bytes) -> Version {
    attachment.submit(update.clone()).await.expect("taken");
    match answer(attachment).await {
        Event::Kept { version, .. } => version,
        other => panic!("{other:?}"),
    }
}

/// One update breaks the document in some way: who is told what, and what is there afterwards.
async fn breaks(way: &str, reason: &str) {
    let store = Arc::new(Memory::open());
    let hub = hub(&store);
    let (mut ada, mut bob) = (attach(&hub, "a").await, attach(&hub, "a").await);
    let mut eve = attach(&hub, "b").await;
    assert_eq!(
        edit(&mut bob, &Client::new(2).set("k", "kept")).await,
        Version(1)
    );
    let poison = Client::new(1).poison(way);
    ada.submit(poison.clone()).await.expect("taken");
    assert_eq!(answer(&ada).await, Event::Ended(End::Malformed("update")));
    assert_eq!(answer(&bob).await, Event::Ended(End::Internal));
    // The other room goes on with who was there.
    assert_eq!(
        edit(&mut eve, &Client::new(3).set("k", "b")).await,
        Version(1)
    );
    assert_eq!(eve.next_event(), None);
    let mut bob = attach(&hub, "a").await;
    assert_eq!(json(&hub, "a").await, r#"{"root":{"k":"kept"}}"#);
    assert_eq!(
        edit(&mut bob, &Client::new(4).set("k", "on")).await,
        Version(2)
    );
    let held = held(&store, "a").await;
    let case = held.first().expect("it is held");
    assert_eq!(
        (held.len(), case.kind, case.reason.as_str()),
        (1, Kind::Update, reason)
    );
    let (_, bytes) = store
        .quarantine()
        .case(case.id)
        .await
        .expect("readable")
        .expect("there");
    assert_eq!(bytes, Some(poison));
}

#[tokio::test(start_paused = true)]
async fn co1_a_panic_ends_its_room_alone_which_is_rebuilt() {
    breaks(
        "apply panic",
        "the document broke on it: as the update says",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn co2_a_failure_of_the_crdt_ends_its_room_alone_which_is_rebuilt() {
    breaks("apply fail", "the document broke on it: as the update says").await;
}

#[tokio::test(start_paused = true)]
async fn co3_what_is_held_is_refused_in_any_encoding_and_the_room_lives() {
    let store = Arc::new(Memory::open());
    let hub = hub(&store);
    let mut ada = attach(&hub, "a").await;
    let client = Client::new(1);
    assert_eq!(edit(&mut ada, &client.set("k", "kept")).await, Version(1));
    let poison = client.poison("apply panic");
    ada.submit(poison.clone()).await.expect("taken");
    assert_eq!(answer(&ada).await, Event::Ended(End::Malformed("update")));
    let mut bob = attach(&hub, "a").await;
    let bobs = Client::new(2);
    assert_eq!(edit(&mut bob, &bobs.set("k", "1")).await, Version(2));
    let as_it_was = client.all();
    client.set("k", "and more");
    for again in [poison, as_it_was, client.all()] {
        let mut ada = attach(&hub, "a").await;
        let ticket = ada.submit(again).await.expect("taken");
        let refusal = Refusal::Quarantined;
        assert_eq!(answer(&ada).await, Event::Refused { ticket, refusal });
    }
    assert_eq!(edit(&mut bob, &bobs.set("k", "2")).await, Version(3));
    assert_eq!(held(&store, "a").await.len(), 1, "the room died once");
    // The same content is another matter in another room.
    let mut eve = attach(&hub, "b").await;
    assert_eq!(
        edit(&mut eve, &Client::new(1).set("k", "b")).await,
        Version(1)
    );
}

#[tokio::test(start_paused = true)]
async fn co3_a_released_update_comes_in_when_the_room_opens() {
    let store = Arc::new(Memory::open());
    let client = Client::new(1);
    let harmless = client.set("k", "harmless");
    let finding = Finding {
        room: room("a"),
        kind: Kind::Update,
        reason: "by mistake".into(),
        hash: crate::room::barred::hash_of(&harmless),
        marks: Bytes::new(),
        bytes: harmless.clone(),
        at: UnixMillis(1),
    };
    let id = store.quarantine().confine(&finding).await.expect("kept");
    let first = hub(&store);
    let mut ada = attach(&first, "a").await;
    let ticket = ada.submit(harmless.clone()).await.expect("taken");
    let refusal = Refusal::Quarantined;
    assert_eq!(answer(&ada).await, Event::Refused { ticket, refusal });
    store
        .quarantine()
        .release(id, UnixMillis(2))
        .await
        .expect("released");
    let next = hub(&store);
    let mut ada = attach(&next, "a").await;
    assert_eq!(edit(&mut ada, &harmless).await, Version(1));
}

#[tokio::test(start_paused = true)]
async fn co4_a_held_room_is_opened_by_nobody_until_it_is_released() {
    let store = Arc::new(Memory::open());
    let hub = hub(&store);
    let finding = Finding {
        room: room("a"),
        kind: Kind::Room,
        reason: "it kills".into(),
        hash: Bytes::new(),
        marks: Bytes::new(),
        bytes: Bytes::new(),
        at: UnixMillis(1),
    };
    let id = store.quarantine().confine(&finding).await.expect("kept");
    assert_eq!(denial(&hub, "a").await, Some(Denial::Quarantined));
    let asked = hub.ask(&room("a"), &grant(), |room, _| room.json()).await;
    assert_eq!(asked, Err(Denial::Quarantined));
    assert_eq!(hub.live_rooms(), 0, "nothing is left of the tries");
    assert_eq!(denial(&hub, "b").await, None);
    assert!(hub.is_ready().await);
    store
        .quarantine()
        .release(id, UnixMillis(2))
        .await
        .expect("released");
    assert_eq!(denial(&hub, "a").await, None);
}

#[tokio::test(start_paused = true)]
async fn co5_a_room_whose_updates_break_it_again_and_again_is_held() {
    let store = Arc::new(Memory::open());
    let hub = hub(&store);
    for id in 1..=3 {
        let mut ada = attach(&hub, "a").await;
        let poison = Client::new(id).poison("apply panic");
        ada.submit(poison).await.expect("taken");
        assert_eq!(answer(&ada).await, Event::Ended(End::Malformed("update")));
    }
    assert_eq!(denial(&hub, "a").await, Some(Denial::Quarantined));
    let held = held(&store, "a").await;
    let kinds: Vec<_> = held.iter().map(|case| case.kind).collect();
    assert_eq!(
        kinds,
        [Kind::Update, Kind::Update, Kind::Update, Kind::Room]
    );
    assert_eq!(held.last().expect("the room").id, CaseId(4));
    assert_eq!(denial(&hub, "b").await, None);
}

#[tokio::test(start_paused = true)]
async fn co1_a_room_is_not_rebuilt_before_the_update_is_held() {
    let store = Arc::new(Memory::open());
    let hub = hub(&store);
    let mut ada = attach(&hub, "a").await;
    (0..3).for_each(|_| store.fail_next_confine());
    let poison = Client::new(1).poison("apply panic");
    ada.submit(poison.clone()).await.expect("taken");
    assert_eq!(answer(&ada).await, Event::Ended(End::Malformed("update")));
    // It waits at the door while the store is away, and the clock runs.
    let mut again = attach(&hub, "a").await;
    let ticket = again.submit(poison).await.expect("taken");
    let refusal = Refusal::Quarantined;
    assert_eq!(answer(&again).await, Event::Refused { ticket, refusal });
}
