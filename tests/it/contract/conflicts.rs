//! Owns the rules of conflicts: listed, looked at, ended.

use roundtable::ids::{RoomId, UnixMillis, Version};
use roundtable::store::Retention;
use roundtable::store::records::{Conflict, ConflictQuery, ConflictRow, Resolved};
use roundtable::store::{Append, Failure, Snapshot, Store};
use uuid::Uuid;

use super::ops::conflict;
use super::{World, append, epoch, on_every_store, project, room, row};

on_every_store![
    st45_conflicts_are_listed_by_id,
    st45_a_conflict_names_who_was_overwritten_while_the_log_does,
    st46_a_conflict_is_ended_once,
];

fn any() -> ConflictQuery {
    ConflictQuery {
        limit: 100,
        ..ConflictQuery::default()
    }
}

fn resolved(resolution: &str, by: &str) -> Resolved {
    Resolved {
        resolution: resolution.into(),
        by: by.into(),
        at: UnixMillis(-3),
    }
}

async fn ids(store: &dyn Store, query: &ConflictQuery) -> Vec<u128> {
    let conflicts = store.records().conflicts(query).await.unwrap();
    conflicts.iter().map(|it| it.row.id.as_u128()).collect()
}

/// Rooms `a`, `b` and `größe` of two versions, with conflicts that were not made in the order of
/// their ids.
async fn three_rooms(store: &dyn Store) {
    let call = [
        (
            "a",
            vec![conflict(u128::MAX, 2), conflict(0, 2), conflict(1 << 64, 2)],
        ),
        ("b", vec![conflict(5, 2), conflict(1 << 127, 2)]),
        ("größe", vec![conflict(3, 2)]),
    ]
    .map(|(name, conflicts)| Append {
        conflicts,
        ..append(name, epoch(1), 0, 2)
    });
    store.append(&call).await.unwrap();
}

async fn st45_conflicts_are_listed_by_id(world: &World) {
    let store = world.open().await;
    assert_eq!(ids(&*store, &any()).await, []);
    three_rooms(&*store).await;
    let all = [0, 3, 5, 1 << 64, 1 << 127, u128::MAX];
    assert_eq!(ids(&*store, &any()).await, all);
    for number in [3, 1 << 64] {
        let ended = store
            .records()
            .resolve(Uuid::from_u128(number), &resolved("mine", "eve"))
            .await;
        assert_eq!(ended, Ok(true));
    }
    let of = |names: &[&str]| Some(names.iter().map(|name| room(name)).collect::<Vec<RoomId>>());
    let after = |number| Some(Uuid::from_u128(number));
    for (query, expected) in [
        (
            ConflictQuery {
                rooms: of(&["a"]),
                ..any()
            },
            vec![0, 1 << 64, u128::MAX],
        ),
        (
            ConflictQuery {
                rooms: of(&["größe", "b", "b"]),
                ..any()
            },
            vec![3, 5, 1 << 127],
        ),
        (
            ConflictQuery {
                rooms: of(&["A", "nowhere"]),
                ..any()
            },
            vec![],
        ),
        (
            ConflictQuery {
                rooms: of(&[]),
                ..any()
            },
            vec![],
        ),
        (
            ConflictQuery {
                resolved: Some(true),
                ..any()
            },
            vec![3, 1 << 64],
        ),
        (
            ConflictQuery {
                resolved: Some(false),
                ..any()
            },
            vec![0, 5, 1 << 127, u128::MAX],
        ),
        (
            ConflictQuery {
                after: after(0),
                ..any()
            },
            all[1..].to_vec(),
        ),
        (
            ConflictQuery {
                after: after(4),
                ..any()
            },
            all[2..].to_vec(),
        ),
        (
            ConflictQuery {
                after: after(u128::MAX),
                ..any()
            },
            vec![],
        ),
        (ConflictQuery { limit: 0, ..any() }, vec![]),
        (
            ConflictQuery {
                limit: 2,
                after: after(3),
                ..any()
            },
            vec![5, 1 << 64],
        ),
        (
            ConflictQuery {
                rooms: of(&["a", "b"]),
                resolved: Some(false),
                after: after(0),
                limit: 2,
            },
            vec![5, 1 << 127],
        ),
    ] {
        assert_eq!(ids(&*store, &query).await, expected, "{query:?}");
    }
}

async fn st45_a_conflict_names_who_was_overwritten_while_the_log_does(world: &World) {
    let store = world.open().await;
    let (name, one) = (room("a"), epoch(1));
    let removed = ConflictRow {
        mine: None,
        theirs: None,
        ..conflict(2, 4)
    };
    let rows = Append {
        conflicts: vec![conflict(1, 2), removed.clone()],
        ..append("a", one, 0, 4)
    };
    store.append(&[rows]).await.unwrap();
    let mut expected = Conflict {
        room: name.clone(),
        row: conflict(1, 2),
        theirs_actors: Some(row(1).actors),
        resolved: None,
    };
    let second = Conflict {
        row: removed,
        theirs_actors: Some(row(3).actors),
        ..expected.clone()
    };
    let records = store.records();
    let listed = records.conflicts(&any()).await.unwrap();
    assert_eq!(listed, [expected.clone(), second.clone()]);
    let found = async |number| records.conflict(Uuid::from_u128(number)).await.unwrap();
    assert_eq!(found(1).await, Some(expected.clone()));
    assert_eq!(found(3).await, None);
    // The row of version 1 goes; the conflict stays.
    project(&*store, "a", one, 4).await;
    let state = bytes::Bytes::from_static(b"state");
    let version = Version(2);
    let snapshot = Snapshot { version, state };
    store.save_snapshot(&name, one, &snapshot).await.unwrap();
    let pruned = store
        .prune(&name, one, Retention::since(UnixMillis(i64::MAX)))
        .await;
    assert_eq!(pruned, Ok(Some(Version(3))));
    expected.theirs_actors = None;
    assert_eq!(found(1).await, Some(expected.clone()));
    assert_eq!(records.conflicts(&any()).await.unwrap(), [expected, second]);
}

async fn st46_a_conflict_is_ended_once(world: &World) {
    let store = world.open().await;
    three_rooms(&*store).await;
    let records = store.records();
    for (number, resolution) in [(0, "mine"), (3, "theirs"), (5, "merged")] {
        let id = Uuid::from_u128(number);
        let ended = resolved(resolution, "größe");
        assert_eq!(records.resolve(id, &ended).await, Ok(true));
        assert_eq!(records.resolve(id, &ended).await, Ok(false));
        let other = resolved("mine", "bob");
        assert_eq!(records.resolve(id, &other).await, Ok(false));
        let kept = records.conflict(id).await.unwrap().unwrap();
        assert_eq!(kept.resolved, Some(ended));
    }
    let bob = resolved("mine", "bob");
    assert_eq!(records.resolve(Uuid::from_u128(7), &bob).await, Ok(false));
    let id = Uuid::from_u128(1 << 64);
    for (resolution, by) in [("", "ada"), ("Mine", "ada"), ("mine", "a\0")] {
        let refused = records.resolve(id, &resolved(resolution, by)).await;
        assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");
    }
    // Of many who end it at once, one does.
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = world.open().await;
        tasks.spawn(async move {
            let by = resolved("merged", &format!("user {number}"));
            (store.records().resolve(id, &by).await.unwrap(), by)
        });
    }
    let mut won = tasks.join_all().await;
    won.retain(|(is_first, _)| *is_first);
    assert_eq!(won.len(), 1);
    let kept = records.conflict(id).await.unwrap().unwrap();
    assert_eq!(kept.resolved.as_ref(), Some(&won[0].1));
}
