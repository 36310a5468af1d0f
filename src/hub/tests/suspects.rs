//! Tests of what follows a crash: suspects are probed, the guilty are held, and until then their
//! rooms stay closed.

use std::path::Path;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::*;
use crate::hub::crash::{Suspect, dead_runs};
use crate::hub::suspects::Verdict;

/// Answers what it is told to, when it is told to.
struct Told {
    verdicts: Mutex<Vec<Verdict>>,
    probed: Mutex<Vec<Suspect>>,
    may: Semaphore,
}

#[async_trait]
impl Probe for Told {
    async fn probe(&self, suspect: &Suspect) -> Verdict {
        self.may.acquire().await.expect("open").forget();
        self.probed.lock().push(suspect.clone());
        self.verdicts.lock().pop().expect("a verdict")
    }
}

fn told(mut verdicts: Vec<Verdict>) -> Arc<Told> {
    verdicts.reverse();
    Arc::new(Told {
        verdicts: Mutex::new(verdicts),
        probed: Mutex::default(),
        may: Semaphore::new(0),
    })
}

/// A run that died while it applied an update to room `a`.
fn dead(folder: &Path, update: &Bytes) -> Vec<DeadRun> {
    let run = folder.join("died");
    std::fs::create_dir_all(&run).expect("made");
    let suspect = Suspect {
        room: room("a"),
        updates: vec![update.clone()],
    };
    std::fs::write(run.join("lock"), "").expect("written");
    std::fs::write(run.join("1"), suspect.encode()).expect("written");
    dead_runs(folder).expect("readable")
}

/// What one verdict leads to: who is held, and whether the room and the update are let in.
async fn after(verdicts: Vec<Verdict>) -> (Vec<Kind>, Option<Denial>, Option<Event>) {
    let store = Arc::new(Memory::open());
    let folder = tempfile::tempdir().expect("a folder");
    let client = Client::new(1);
    let update = client.set("k", "suspect");
    let dead = dead(folder.path(), &update);
    let limits = Arc::new(Limits::default());
    let hub = Hub::after(&dead, store.clone(), clock(), limits, CrashJournal::none());
    let tries = verdicts.len();
    let probe = told(verdicts);
    let judging = tokio::spawn({
        let (hub, probe) = (hub.clone(), probe.clone());
        async move { hub.judge(dead, probe).await }
    });
    assert_eq!(
        denial(&hub, "b").await,
        None,
        "other rooms are served at once"
    );
    let mut early = Box::pin(denial(&hub, "a"));
    for _ in 0..100 {
        assert!(futures_util::poll!(early.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    probe.may.add_permits(tries);
    let denied = early.await;
    judging.await.expect("judged");
    assert_eq!(probe.probed.lock().len(), tries);
    assert!(
        dead_runs(folder.path()).expect("readable").is_empty(),
        "it is buried"
    );
    let kinds = held(&store, "a")
        .await
        .iter()
        .map(|case| case.kind)
        .collect();
    if denied.is_some() {
        return (kinds, denied, None);
    }
    let mut ada = attach(&hub, "a").await;
    ada.submit(client.all()).await.expect("taken");
    (kinds, denied, Some(answer(&ada).await))
}

#[tokio::test(start_paused = true)]
async fn co8_an_innocent_room_is_opened_with_what_comes() {
    let (kinds, denied, told) = after(vec![Verdict::Innocent]).await;
    assert_eq!((kinds, denied), (vec![], None));
    assert!(matches!(told, Some(Event::Kept { .. })), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn co8_a_guilty_update_is_held_and_its_room_opened() {
    let marks = crate::room::Document::new(9, Default::default())
        .marks(&Client::new(1).set("k", "suspect"));
    let verdict = Verdict::Update {
        index: 0,
        marks: marks.encode(),
        reason: "it kills".into(),
    };
    let (kinds, denied, told) = after(vec![verdict]).await;
    assert_eq!((kinds, denied), (vec![Kind::Update], None));
    let refusal = Refusal::Quarantined;
    let ticket = crate::room::Ticket(1);
    assert_eq!(told, Some(Event::Refused { ticket, refusal }));
}

#[tokio::test(start_paused = true)]
async fn co8_a_guilty_room_is_held() {
    let reason = "it kills".into();
    let (kinds, denied, _) = after(vec![Verdict::Room { reason }]).await;
    assert_eq!(
        (kinds, denied),
        (vec![Kind::Room], Some(Denial::Quarantined))
    );
}

#[tokio::test(start_paused = true)]
async fn co8_a_probe_that_cannot_be_made_is_made_again_and_not_for_ever() {
    let unclear = || Verdict::Unclear {
        reason: "no memory".into(),
    };
    let reason = "it kills".into();
    let (kinds, ..) = after(vec![unclear(), unclear(), Verdict::Room { reason }]).await;
    assert_eq!(kinds, [Kind::Room]);
    let (kinds, denied, _) = after((0..5).map(|_| unclear()).collect()).await;
    assert_eq!((kinds, denied), (vec![], None));
}

#[tokio::test(start_paused = true)]
async fn co8_who_leaves_while_it_is_probed_does_not_wait_for_it() {
    let store = Arc::new(Memory::open());
    let folder = tempfile::tempdir().expect("a folder");
    let dead = dead(folder.path(), &Client::new(1).set("k", "suspect"));
    let limits = Arc::new(Limits::default());
    let hub = Hub::after(&dead, store, clock(), limits, CrashJournal::none());
    let waiting = tokio::spawn({
        let hub = hub.clone();
        async move { denial(&hub, "a").await }
    });
    tokio::task::yield_now().await;
    assert!(hub.drain(Duration::from_secs(1)).await);
    assert_eq!(waiting.await.expect("ended"), Some(Denial::Unavailable));
    drop(dead);
    assert_eq!(
        dead_runs(folder.path()).expect("readable").len(),
        1,
        "the next start judges it"
    );
}
