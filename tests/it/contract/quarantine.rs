//! Owns the rules of quarantine.

use bytes::Bytes;
use roundtable::ids::UnixMillis;
use roundtable::store::quarantine::{Case, CaseId, Finding, Kind};

use super::{World, append, epoch, on_every_store, room};

on_every_store![
    st28_what_is_confined_is_held_and_comes_back_as_it_went_in,
    st29_confining_the_same_again_is_the_same_case,
    st30_a_release_ends_the_holding_and_keeps_the_case,
    st31_forgetting_drops_the_bytes_and_removing_the_case,
    st32_a_case_outlives_its_room,
];

fn update(name: &str, bytes: &'static [u8], at: i64) -> Finding {
    Finding {
        room: room(name),
        kind: Kind::Update,
        reason: format!("it \"broke\" {name}"),
        hash: Bytes::from(bytes.repeat(32)),
        marks: Bytes::from_static(&[0, 1, 255]),
        bytes: Bytes::from_static(bytes),
        at: UnixMillis(at),
    }
}

fn whole(name: &str) -> Finding {
    Finding {
        kind: Kind::Room,
        hash: Bytes::new(),
        marks: Bytes::new(),
        bytes: Bytes::new(),
        ..update(name, &[0], 9)
    }
}

fn case(id: CaseId, finding: &Finding) -> Case {
    let finding = finding.clone();
    Case {
        id,
        room: finding.room,
        kind: finding.kind,
        reason: finding.reason,
        hash: finding.hash,
        marks: finding.marks,
        size: Some(finding.bytes.len() as u64),
        created_at: finding.at,
        released_at: None,
    }
}

async fn st28_what_is_confined_is_held_and_comes_back_as_it_went_in(world: &World) {
    let store = world.open().await;
    let kept = store.quarantine();
    let name = "größe/\u{10ffff}";
    let findings = [update(name, &[1], 5), update("b", &[1], 6), whole(name)];
    let mut ids = Vec::new();
    for finding in &findings {
        ids.push(kept.confine(finding).await.unwrap());
    }
    assert!(ids.is_sorted() && ids[0] != ids[1]);
    let [first, other, closed] = [0, 1, 2].map(|at| case(ids[at], &findings[at]));
    assert_eq!(
        kept.held(&room(name)).await,
        Ok(vec![first.clone(), closed.clone()])
    );
    assert_eq!(kept.held(&room("b")).await, Ok(vec![other.clone()]));
    assert_eq!(kept.held(&room("c")).await, Ok(vec![]));
    let all = vec![first.clone(), other, closed];
    assert_eq!(kept.cases(CaseId(0), 9).await, Ok(all.clone()));
    assert_eq!(kept.cases(ids[0], 1).await, Ok(vec![all[1].clone()]));
    let found = kept.case(ids[0]).await.unwrap();
    assert_eq!(found, Some((first, Some(Bytes::from_static(&[1])))));
    assert_eq!(kept.case(CaseId(999)).await, Ok(None));
    assert_eq!(kept.held_rooms().await, Ok(1));
    assert_eq!(
        world.open().await.quarantine().cases(CaseId(0), 9).await,
        Ok(all)
    );
}

async fn st29_confining_the_same_again_is_the_same_case(world: &World) {
    let store = world.open().await;
    let finding = update("a", &[7], 1);
    let later = Finding {
        at: UnixMillis(2),
        reason: "another".into(),
        ..finding.clone()
    };
    let kept = store.quarantine();
    let tries = (0..8).map(|_| kept.confine(&finding));
    let ids = futures_util::future::try_join_all(tries).await.unwrap();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(kept.confine(&later).await, Ok(ids[0]));
    assert_eq!(
        kept.held(&room("a")).await,
        Ok(vec![case(ids[0], &finding)])
    );
}

async fn st30_a_release_ends_the_holding_and_keeps_the_case(world: &World) {
    let store = world.open().await;
    let kept = store.quarantine();
    let finding = update("a", &[7], 1);
    let id = kept.confine(&finding).await.unwrap();
    let closed = kept.confine(&whole("a")).await.unwrap();
    assert_eq!(kept.release(id, UnixMillis(50)).await, Ok(true));
    assert_eq!(kept.release(id, UnixMillis(60)).await, Ok(true));
    assert_eq!(kept.release(closed, UnixMillis(60)).await, Ok(true));
    assert_eq!(kept.release(CaseId(999), UnixMillis(60)).await, Ok(false));
    assert_eq!(kept.held(&room("a")).await, Ok(vec![]));
    assert_eq!(kept.held_rooms().await, Ok(0));
    let released = Case {
        released_at: Some(UnixMillis(50)),
        ..case(id, &finding)
    };
    assert_eq!(kept.cases(CaseId(0), 1).await, Ok(vec![released.clone()]));
    // What does it again is another case.
    let again = kept.confine(&finding).await.unwrap();
    assert!(again > closed);
    assert_eq!(kept.held(&room("a")).await, Ok(vec![case(again, &finding)]));
}

async fn st31_forgetting_drops_the_bytes_and_removing_the_case(world: &World) {
    let store = world.open().await;
    let kept = store.quarantine();
    let finding = update("a", &[7], 1);
    let id = kept.confine(&finding).await.unwrap();
    assert_eq!(kept.forget(id).await, Ok(true));
    let forgotten = Case {
        size: None,
        ..case(id, &finding)
    };
    assert_eq!(kept.case(id).await, Ok(Some((forgotten.clone(), None))));
    assert_eq!(kept.held(&room("a")).await, Ok(vec![forgotten]));
    assert_eq!(kept.remove(id).await, Ok(true));
    assert_eq!(kept.held(&room("a")).await, Ok(vec![]));
    assert_eq!(kept.case(id).await, Ok(None));
    assert_eq!(kept.remove(id).await, Ok(false));
    assert_eq!(kept.forget(id).await, Ok(false));
    assert!(kept.confine(&finding).await.unwrap() > id);
}

async fn st32_a_case_outlives_its_room(world: &World) {
    let store = world.open().await;
    store.append(&[append("a", epoch(1), 0, 1)]).await.unwrap();
    let finding = update("a", &[7], 1);
    let id = store.quarantine().confine(&finding).await.unwrap();
    let former = Bytes::from_static(&[0]);
    assert_eq!(store.delete(&room("a"), epoch(1), &former).await, Ok(true));
    assert_eq!(
        store.quarantine().held(&room("a")).await,
        Ok(vec![case(id, &finding)])
    );
    assert_eq!(store.list("", None, 9).await, Ok(vec![]));
}
