//! Owns the rules of writing: first appends, versions, retries, races, refusals.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use roundtable::ids::{AppendId, UnixMillis, Version};
use roundtable::store::{Append, Appended, Failure, Head, Loaded, Retention, Row, Snapshot};
use uuid::Uuid;

use super::{ALL, World, append, epoch, on_every_store, room, row};

on_every_store![
    st1_a_room_comes_into_being_with_its_first_append,
    st2_what_is_kept_comes_back_as_it_went_in,
    st2_a_large_update_comes_back_as_it_went_in,
    st2_names_with_quotes_and_other_scripts_and_of_full_length_are_names,
    st3_an_append_elsewhere_than_at_the_head_is_moved,
    st4_rooms_of_one_call_are_independent,
    st5_a_retry_finds_what_the_first_try_wrote,
    st5_an_append_dropped_at_any_moment_happens_once,
    st6_of_appends_at_one_head_one_is_kept,
    st6_two_stores_with_the_same_rooms_never_block_each_other,
    st7_an_append_that_contradicts_itself_is_refused,
    st7_what_is_not_json_is_refused_and_nothing_of_the_call_is_kept,
];

async fn st1_a_room_comes_into_being_with_its_first_append(world: &World) {
    let store = world.open().await;
    let (name, one) = (room("a"), epoch(1));
    let snapshot = Snapshot {
        version: Version(1),
        state: Bytes::from_static(b"state"),
    };
    assert_eq!(store.load(&name).await.unwrap(), Loaded::default());
    assert_eq!(
        store.read(&name, one, Version::ZERO, ALL).await.unwrap(),
        []
    );
    store.save_snapshot(&name, one, &snapshot).await.unwrap();
    assert_eq!(
        store
            .prune(&name, one, Retention::since(UnixMillis(i64::MAX)))
            .await
            .unwrap(),
        None
    );
    assert!(!store.delete(&name, one, &Bytes::new()).await.unwrap());
    assert_eq!(store.list("", None, 10).await.unwrap(), []);
    assert_eq!(store.load(&name).await.unwrap(), Loaded::default());

    assert_eq!(
        store.append(&[append("a", one, 0, 2)]).await.unwrap(),
        [Appended::Kept]
    );
    let head = Head {
        epoch: one,
        version: Version(2),
        oldest: Version(1),
        created_at: UnixMillis(1_001),
        updated_at: UnixMillis(1_002),
    };
    let loaded = Loaded {
        head: Some(head),
        ..Loaded::default()
    };
    assert_eq!(store.load(&name).await.unwrap(), loaded);
    store.ping().await.unwrap();
}

async fn st2_what_is_kept_comes_back_as_it_went_in(world: &World) {
    let store = world.open().await;
    let odd = Row {
        version: Version(1),
        at: UnixMillis(-1),
        actors: r#"[ {"userId": "o'\"k",  "clientId":"ü"} ]"#.into(),
        ops: r#"["a","a"]"#.into(),
        update: Bytes::from_static(b"\0\xff\0"),
        events: r#"[{"b":1,"a":"x\u0000y","b":1.0e2, "c":12345678901234567890.10}]"#.into(),
    };
    let empty = Row {
        version: Version(2),
        at: UnixMillis(0),
        actors: "[]".into(),
        ops: "[]".into(),
        update: Bytes::new(),
        events: "[]".into(),
    };
    let rows = vec![odd, empty];
    let odd = Append {
        rows: rows.clone(),
        ..append("a", epoch(1), 0, 0)
    };
    assert_eq!(store.append(&[odd]).await.unwrap(), [Appended::Kept]);
    assert_eq!(
        store
            .read(&room("a"), epoch(1), Version::ZERO, ALL)
            .await
            .unwrap(),
        rows
    );
}

async fn st2_a_large_update_comes_back_as_it_went_in(world: &World) {
    let store = world.open().await;
    let update: Vec<u8> = (0..5_000_000_u32)
        .map(|at| (at ^ (at >> 9)) as u8)
        .collect();
    let rows = vec![Row {
        update: update.into(),
        ..row(1)
    }];
    let large = Append {
        rows: rows.clone(),
        ..append("a", epoch(1), 0, 0)
    };
    assert_eq!(store.append(&[large]).await.unwrap(), [Appended::Kept]);
    let read = store
        .read(&room("a"), epoch(1), Version::ZERO, ALL)
        .await
        .unwrap();
    assert!(read == rows, "5 MB that differ are not worth printing");
}

async fn st2_names_with_quotes_and_other_scripts_and_of_full_length_are_names(world: &World) {
    let store = world.open().await;
    let long = "\"".repeat(255);
    let names = [
        "'; DROP TABLE rooms; --",
        "\\\"q\"",
        "Größe/日本 🎲",
        "a b",
        "$1?1:a{}",
        &long,
    ];
    for (name, number) in names.into_iter().zip(1..) {
        let first = append(name, epoch(number), 0, 1);
        assert_eq!(
            store.append(&[first]).await.unwrap(),
            [Appended::Kept],
            "{name}"
        );
        let head = store.load(&room(name)).await.unwrap().head.unwrap();
        assert_eq!(head.epoch, epoch(number), "{name}");
        let listed = store.list(name, None, 10).await.unwrap();
        assert_eq!(listed.len(), 1, "{name}");
        assert_eq!(listed[0].room, room(name));
    }
}

async fn st3_an_append_elsewhere_than_at_the_head_is_moved(world: &World) {
    let store = world.open().await;
    store.append(&[append("a", epoch(1), 0, 3)]).await.unwrap();
    let before = store.load(&room("a")).await.unwrap();
    for (at, expected) in [
        (append("a", epoch(1), 2, 1), Some((epoch(1), Version(3)))),
        (append("a", epoch(1), 0, 1), Some((epoch(1), Version(3)))),
        (append("a", epoch(1), 4, 1), Some((epoch(1), Version(3)))),
        (append("a", epoch(2), 3, 1), Some((epoch(1), Version(3)))),
        (append("a", epoch(2), 0, 1), Some((epoch(1), Version(3)))),
        (append("b", epoch(1), 3, 1), None),
    ] {
        assert_eq!(
            store.append(&[at]).await.unwrap(),
            [Appended::Moved(expected)]
        );
    }
    assert_eq!(store.load(&room("a")).await.unwrap(), before);
    assert_eq!(store.load(&room("b")).await.unwrap(), Loaded::default());
    let rows = store
        .read(&room("a"), epoch(1), Version::ZERO, ALL)
        .await
        .unwrap();
    assert_eq!(rows, [row(1), row(2), row(3)]);
}

async fn st4_rooms_of_one_call_are_independent(world: &World) {
    let store = world.open().await;
    let retried = append("d", epoch(4), 0, 1);
    store
        .append(&[append("b", epoch(2), 0, 1), retried.clone()])
        .await
        .unwrap();
    let call = [
        append("c", epoch(3), 0, 2),
        append("b", epoch(2), 0, 1),
        append("a", epoch(1), 7, 1),
        retried,
        append("0", epoch(5), 0, 1),
    ];
    let answers = [
        Appended::Kept,
        Appended::Moved(Some((epoch(2), Version(1)))),
        Appended::Moved(None),
        Appended::Kept,
        Appended::Kept,
    ];
    assert_eq!(store.append(&call).await.unwrap(), answers);
    let listed = store.list("", None, 10).await.unwrap();
    let stands: Vec<_> = listed
        .iter()
        .map(|line| (line.room.as_str(), line.head.version.0))
        .collect();
    assert_eq!(stands, [("0", 1), ("b", 1), ("c", 2), ("d", 1)]);
    assert_eq!(store.append(&[]).await.unwrap(), []);
}

async fn st5_a_retry_finds_what_the_first_try_wrote(world: &World) {
    let store = world.open().await;
    let first = append("a", epoch(1), 0, 2);
    let second = append("a", epoch(1), 2, 2);
    for try_of in [&first, &first, &second, &first, &second, &second] {
        assert_eq!(
            store.append(std::slice::from_ref(try_of)).await.unwrap(),
            [Appended::Kept]
        );
    }
    let rows = store
        .read(&room("a"), epoch(1), Version::ZERO, ALL)
        .await
        .unwrap();
    assert_eq!(rows, [row(1), row(2), row(3), row(4)]);
    // Another append at the same place is not a retry.
    let other = Append {
        id: AppendId(Uuid::new_v4()),
        ..second
    };
    let moved = Appended::Moved(Some((epoch(1), Version(4))));
    assert_eq!(store.append(&[other]).await.unwrap(), [moved]);
}

async fn st5_an_append_dropped_at_any_moment_happens_once(world: &World) {
    let store = world.open().await;
    for version in 0..20 {
        let dropped = append("a", epoch(1), version, 1);
        {
            let call = [dropped.clone()];
            let mut trying = pin!(store.append(&call));
            let mut polls = 0;
            std::future::poll_fn(|context| {
                polls += 1;
                match trying.as_mut().poll(context) {
                    Poll::Pending if polls <= version => Poll::Pending,
                    _ => Poll::Ready(()),
                }
            })
            .await;
        }
        assert_eq!(store.append(&[dropped]).await.unwrap(), [Appended::Kept]);
    }
    let rows = store
        .read(&room("a"), epoch(1), Version::ZERO, ALL)
        .await
        .unwrap();
    assert_eq!(rows, (1..=20).map(row).collect::<Vec<_>>());
}

async fn st6_of_appends_at_one_head_one_is_kept(world: &World) {
    const TASKS: u64 = 8;
    const EACH: usize = 5;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let store = world.open().await;
        tasks.spawn(async move {
            let (mut expected, mut kept) = (0, Vec::new());
            while kept.len() < EACH {
                match store
                    .append(&[append("a", epoch(1), expected, 1)])
                    .await
                    .unwrap()[..]
                {
                    [Appended::Kept] => {
                        expected += 1;
                        kept.push(expected);
                    }
                    [Appended::Moved(Some((_, head)))] => expected = head.0,
                    ref other => panic!("{other:?}"),
                }
            }
            kept
        });
    }
    let mut kept: Vec<u64> = tasks.join_all().await.concat();
    kept.sort_unstable();
    let all = 1..=TASKS * EACH as u64;
    assert_eq!(kept, all.clone().collect::<Vec<_>>());
    let store = world.open().await;
    let rows = store
        .read(&room("a"), epoch(1), Version::ZERO, ALL)
        .await
        .unwrap();
    assert_eq!(rows, all.map(row).collect::<Vec<_>>());
}

async fn st6_two_stores_with_the_same_rooms_never_block_each_other(world: &World) {
    const ROOMS: u64 = 30;
    let mut tasks = tokio::task::JoinSet::new();
    for backwards in [false, true] {
        let store = world.open().await;
        tasks.spawn(async move {
            let mut kept = 0;
            for expected in 0..10 {
                let mut call: Vec<Append> = (0..ROOMS)
                    .map(|at| append(&format!("room {at}"), epoch(at.into()), expected, 1))
                    .collect();
                if backwards {
                    call.reverse();
                }
                let answers = store.append(&call).await.unwrap();
                kept += answers
                    .iter()
                    .filter(|answer| **answer == Appended::Kept)
                    .count();
            }
            kept
        });
    }
    assert_eq!(
        tasks.join_all().await.iter().sum::<usize>(),
        10 * ROOMS as usize
    );
    for line in world.open().await.list("", None, 100).await.unwrap() {
        assert_eq!(line.head.version, Version(10));
    }
}

async fn st7_an_append_that_contradicts_itself_is_refused(world: &World) {
    let store = world.open().await;
    let good = append("good", epoch(1), 0, 1);
    let gap = Append {
        rows: vec![row(1), row(3)],
        ..append("bad", epoch(1), 0, 0)
    };
    let early = Append {
        rows: vec![row(1)],
        ..append("bad", epoch(1), 1, 0)
    };
    for call in [
        vec![good.clone(), append("bad", epoch(1), 0, 0)],
        vec![good.clone(), gap],
        vec![good.clone(), early],
        vec![good.clone(), append("bad", epoch(1), i64::MAX as u64, 1)],
        vec![good.clone(), append("good", epoch(1), 1, 1)],
    ] {
        let refused = store.append(&call).await;
        assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");
    }
    assert_eq!(store.list("", None, 10).await.unwrap(), []);
}

async fn st7_what_is_not_json_is_refused_and_nothing_of_the_call_is_kept(world: &World) {
    let store = world.open().await;
    for text in ["", "[1,]", "[\"a\0b\"]"] {
        let bad = Append {
            rows: vec![Row {
                events: text.into(),
                ..row(1)
            }],
            ..append("bad", epoch(1), 0, 0)
        };
        let refused = store.append(&[append("good", epoch(1), 0, 1), bad]).await;
        assert!(
            matches!(refused, Err(Failure::Refused(_))),
            "{text}: {refused:?}"
        );
    }
    assert_eq!(store.list("", None, 10).await.unwrap(), []);
    let good = append("good", epoch(1), 0, 1);
    assert_eq!(store.append(&[good]).await.unwrap(), [Appended::Kept]);
}
