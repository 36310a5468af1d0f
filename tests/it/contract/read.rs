//! Owns the rules of reading, snapshots, pruning, deleting and listing.

use bytes::Bytes;
use roundtable::ids::{UnixMillis, Version};
use roundtable::store::{
    Append, Appended, Failure, Head, Listed, Loaded, Page, Retention, Row, Snapshot,
};

use super::{ALL, World, append, epoch, on_every_store, project, room, row};

on_every_store![
    st8_reading_begins_after_a_version_and_has_no_gaps,
    st9_a_page_ends_with_its_rows_or_its_bytes,
    st10_the_newest_snapshot_is_loaded,
    st11_a_snapshot_ahead_of_the_head_is_refused,
    st12_pruning_drops_old_rows_that_a_snapshot_covers,
    st12_pruning_stops_at_the_first_row_that_stays,
    st12_pruning_drops_any_number_of_rows,
    st13_what_was_pruned_is_not_read_around,
    st14_deleting_ends_an_epoch,
    st15_a_deleted_epoch_does_not_come_back,
    st16_rooms_are_listed_by_their_bytes,
    st16_a_prefix_is_taken_literally,
];

fn snapshot(version: u64, state: &'static str) -> Snapshot {
    Snapshot {
        version: Version(version),
        state: Bytes::from_static(state.as_bytes()),
    }
}

async fn st8_reading_begins_after_a_version_and_has_no_gaps(world: &World) {
    let store = world.open().await;
    store
        .append(&[append("a", epoch(1), 0, 2), append("b", epoch(2), 0, 9)])
        .await
        .unwrap();
    store.append(&[append("a", epoch(1), 2, 3)]).await.unwrap();
    for after in [0, 1, 2, 4, 5, 6, 99, i64::MAX as u64, u64::MAX] {
        let rows = store
            .read(&room("a"), epoch(1), Version(after), ALL)
            .await
            .unwrap();
        let expected: Vec<Row> = (1..=5)
            .filter(|version| *version > after)
            .map(row)
            .collect();
        assert_eq!(rows, expected, "after {after}");
    }
    assert_eq!(
        store
            .read(&room("a"), epoch(2), Version::ZERO, ALL)
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        store
            .read(&room("c"), epoch(1), Version::ZERO, ALL)
            .await
            .unwrap(),
        []
    );
}

async fn st9_a_page_ends_with_its_rows_or_its_bytes(world: &World) {
    let store = world.open().await;
    // An update of 70 bytes and events of 30 weigh 100.
    let rows = (1..=5).map(|version| Row {
        update: Bytes::from(vec![7; 70]),
        events: format!("[{}]", " ".repeat(28)),
        ..row(version)
    });
    let call = Append {
        rows: rows.collect(),
        ..append("a", epoch(1), 0, 0)
    };
    store.append(&[call]).await.unwrap();
    for (rows, bytes, expected) in [
        (3, usize::MAX, 3),
        (5, usize::MAX, 5),
        (usize::MAX, usize::MAX, 5),
        (0, 0, 1),
        (10, 0, 1),
        (10, 1, 1),
        (10, 100, 1),
        (10, 101, 2),
        (10, 200, 2),
        (10, 499, 5),
        (2, 499, 2),
    ] {
        let page = Page { rows, bytes };
        let read = store
            .read(&room("a"), epoch(1), Version::ZERO, page)
            .await
            .unwrap();
        assert_eq!(read.len(), expected, "{page:?}");
        assert_eq!(read[0].version, Version(1));
    }
    let page = Page {
        rows: 10,
        bytes: 101,
    };
    let read = store
        .read(&room("a"), epoch(1), Version(2), page)
        .await
        .unwrap();
    let versions: Vec<u64> = read.iter().map(|row| row.version.0).collect();
    assert_eq!(versions, [3, 4]);
}

async fn st10_the_newest_snapshot_is_loaded(world: &World) {
    let store = world.open().await;
    let name = room("a");
    store.append(&[append("a", epoch(1), 0, 5)]).await.unwrap();
    for (saved, loaded) in [
        (snapshot(2, "two"), snapshot(2, "two")),
        (snapshot(1, "one"), snapshot(2, "two")),
        (snapshot(2, "two"), snapshot(2, "two")),
        (snapshot(5, ""), snapshot(5, "")),
        (snapshot(4, "four"), snapshot(5, "")),
    ] {
        store.save_snapshot(&name, epoch(1), &saved).await.unwrap();
        assert_eq!(store.load(&name).await.unwrap().snapshot, Some(loaded));
    }
    store.append(&[append("a", epoch(1), 5, 1)]).await.unwrap();
    store
        .save_snapshot(&name, epoch(2), &snapshot(6, "of another epoch"))
        .await
        .unwrap();
    assert_eq!(
        store.load(&name).await.unwrap().snapshot,
        Some(snapshot(5, ""))
    );
}

async fn st11_a_snapshot_ahead_of_the_head_is_refused(world: &World) {
    let store = world.open().await;
    store.append(&[append("a", epoch(1), 0, 2)]).await.unwrap();
    let refused = store
        .save_snapshot(&room("a"), epoch(1), &snapshot(3, "three"))
        .await;
    assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");
    assert_eq!(store.load(&room("a")).await.unwrap().snapshot, None);
}

async fn st12_pruning_drops_old_rows_that_a_snapshot_covers(world: &World) {
    let store = world.open().await;
    let (name, one) = (room("a"), epoch(1));
    let ever = UnixMillis(i64::MAX);
    let at_most = |below| Retention {
        before: UnixMillis(0),
        below: Version(below),
    };
    let prune = async |retention| store.prune(&name, one, retention).await.unwrap();
    let oldest = async || store.load(&name).await.unwrap().head.unwrap().oldest;
    store.append(&[append("a", one, 0, 10)]).await.unwrap();
    project(&*store, "a", one, 10).await;
    // Nothing is covered.
    assert_eq!(prune(Retention::since(ever)).await, Some(Version(1)));
    store
        .save_snapshot(&name, one, &snapshot(3, "three"))
        .await
        .unwrap();
    store
        .save_snapshot(&name, one, &snapshot(6, "six"))
        .await
        .unwrap();
    // Row 3 was made at 1003, and stays.
    assert_eq!(
        prune(Retention::since(UnixMillis(1_003))).await,
        Some(Version(3))
    );
    assert_eq!(oldest().await, Version(3));
    assert_eq!(
        prune(Retention::since(UnixMillis(0))).await,
        Some(Version(3))
    );
    // Too many go, however young.
    for (below, left) in [(0, 3), (4, 4)] {
        assert_eq!(prune(at_most(below)).await, Some(Version(left)));
    }
    assert_eq!(
        store
            .prune(&name, epoch(2), Retention::since(ever))
            .await
            .unwrap(),
        None
    );
    assert_eq!(prune(Retention::since(ever)).await, Some(Version(7)));
    assert_eq!(oldest().await, Version(7));
    let rows = store.read(&name, one, Version(6), ALL).await.unwrap();
    assert_eq!(rows, (7..=10).map(row).collect::<Vec<_>>());
    // What no snapshot covers is never too many.
    assert_eq!(prune(at_most(9)).await, Some(Version(7)));
    // All of the log may go.
    store
        .save_snapshot(&name, one, &snapshot(10, "ten"))
        .await
        .unwrap();
    assert_eq!(prune(Retention::since(ever)).await, Some(Version(11)));
    assert_eq!(
        store.load(&name).await.unwrap().snapshot,
        Some(snapshot(10, "ten"))
    );
    assert_eq!(
        store.append(&[append("a", one, 10, 1)]).await.unwrap(),
        [Appended::Kept]
    );
    assert_eq!(
        store.read(&name, one, Version(10), ALL).await.unwrap(),
        [row(11)]
    );
    assert_eq!(oldest().await, Version(11));
}

async fn st12_pruning_stops_at_the_first_row_that_stays(world: &World) {
    let store = world.open().await;
    // A clock was set back between rows 2 and 3.
    let rows = [500, 900, 300, 400]
        .into_iter()
        .zip(1..)
        .map(|(at, version)| Row {
            at: UnixMillis(at),
            ..row(version)
        });
    let call = Append {
        rows: rows.collect(),
        ..append("a", epoch(1), 0, 0)
    };
    store.append(&[call]).await.unwrap();
    project(&*store, "a", epoch(1), 4).await;
    store
        .save_snapshot(&room("a"), epoch(1), &snapshot(4, "four"))
        .await
        .unwrap();
    let oldest = store
        .prune(&room("a"), epoch(1), Retention::since(UnixMillis(800)))
        .await
        .unwrap();
    assert_eq!(oldest, Some(Version(2)));
    assert_eq!(
        store
            .read(&room("a"), epoch(1), Version(1), ALL)
            .await
            .unwrap()
            .len(),
        3
    );
}

async fn st12_pruning_drops_any_number_of_rows(world: &World) {
    let store = world.open().await;
    store
        .append(&[append("a", epoch(1), 0, 12_000)])
        .await
        .unwrap();
    project(&*store, "a", epoch(1), 12_000).await;
    store
        .save_snapshot(&room("a"), epoch(1), &snapshot(11_000, "most"))
        .await
        .unwrap();
    let oldest = store
        .prune(&room("a"), epoch(1), Retention::since(UnixMillis(i64::MAX)))
        .await
        .unwrap();
    assert_eq!(oldest, Some(Version(11_001)));
    let rows = store
        .read(&room("a"), epoch(1), Version(11_000), ALL)
        .await
        .unwrap();
    assert_eq!(rows, (11_001..=12_000).map(row).collect::<Vec<_>>());
}

async fn st13_what_was_pruned_is_not_read_around(world: &World) {
    let store = world.open().await;
    store.append(&[append("a", epoch(1), 0, 5)]).await.unwrap();
    project(&*store, "a", epoch(1), 5).await;
    store
        .save_snapshot(&room("a"), epoch(1), &snapshot(3, "three"))
        .await
        .unwrap();
    store
        .prune(&room("a"), epoch(1), Retention::since(UnixMillis(i64::MAX)))
        .await
        .unwrap();
    for after in [0, 1, 2] {
        let rows = store
            .read(&room("a"), epoch(1), Version(after), ALL)
            .await
            .unwrap();
        assert_eq!(rows, [], "after {after}");
    }
    let rows = store
        .read(&room("a"), epoch(1), Version(3), ALL)
        .await
        .unwrap();
    assert_eq!(rows, [row(4), row(5)]);
}

async fn st14_deleting_ends_an_epoch(world: &World) {
    let store = world.open().await;
    let name = room("a");
    let former = Bytes::from_static(b"vector 1");
    store
        .append(&[append("a", epoch(1), 0, 3), append("b", epoch(9), 0, 1)])
        .await
        .unwrap();
    store
        .save_snapshot(&name, epoch(1), &snapshot(2, "two"))
        .await
        .unwrap();
    assert!(!store.delete(&name, epoch(2), &former).await.unwrap());
    assert!(store.load(&name).await.unwrap().head.is_some());
    assert!(store.delete(&name, epoch(1), &former).await.unwrap());
    assert!(!store.delete(&name, epoch(1), &Bytes::new()).await.unwrap());
    let gone = Loaded {
        former: former.clone(),
        ..Loaded::default()
    };
    assert_eq!(store.load(&name).await.unwrap(), gone);
    assert_eq!(
        store
            .read(&name, epoch(1), Version::ZERO, ALL)
            .await
            .unwrap(),
        []
    );
    let late = store.append(&[append("a", epoch(1), 3, 1)]).await.unwrap();
    assert_eq!(late, [Appended::Moved(None)]);
    assert_eq!(store.list("", None, 10).await.unwrap().len(), 1);

    assert_eq!(
        store.append(&[append("a", epoch(2), 0, 1)]).await.unwrap(),
        [Appended::Kept]
    );
    let again = store.load(&name).await.unwrap();
    assert_eq!(
        again.head.map(|head| (head.epoch, head.version)),
        Some((epoch(2), Version(1)))
    );
    assert_eq!((again.snapshot, again.former), (None, former));
    assert_eq!(
        store
            .read(&name, epoch(2), Version::ZERO, ALL)
            .await
            .unwrap(),
        [row(1)]
    );
    // What the caller merged replaces what was kept.
    assert!(
        store
            .delete(&name, epoch(2), &Bytes::from_static(b"vector 2"))
            .await
            .unwrap()
    );
    assert_eq!(
        store.load(&name).await.unwrap().former,
        Bytes::from_static(b"vector 2")
    );
}

async fn st15_a_deleted_epoch_does_not_come_back(world: &World) {
    let store = world.open().await;
    let first = append("a", epoch(1), 0, 1);
    store.append(std::slice::from_ref(&first)).await.unwrap();
    store
        .delete(&room("a"), epoch(1), &Bytes::new())
        .await
        .unwrap();
    assert_eq!(
        store.append(&[first]).await.unwrap(),
        [Appended::Moved(None)]
    );
    assert_eq!(store.load(&room("a")).await.unwrap(), Loaded::default());
}

async fn st16_rooms_are_listed_by_their_bytes(world: &World) {
    let store = world.open().await;
    let mut names = [
        "b",
        "a",
        "B",
        "ä",
        "a:10",
        "a:9",
        "a-",
        "Ā",
        "日",
        "\u{10ffff}",
        "🎲",
        "_",
    ];
    let call: Vec<Append> = names
        .iter()
        .map(|name| append(name, epoch(1), 0, 1))
        .collect();
    store.append(&call).await.unwrap();
    names.sort_unstable();
    let all = store.list("", None, 100).await.unwrap();
    let listed: Vec<&str> = all.iter().map(|line| line.room.as_str()).collect();
    assert_eq!(listed, names);
    let first = Listed {
        room: room("B"),
        head: Head {
            epoch: epoch(1),
            version: Version(1),
            oldest: Version(1),
            created_at: UnixMillis(1_001),
            updated_at: UnixMillis(1_001),
        },
    };
    assert_eq!(all[0], first);

    let mut paged: Vec<Listed> = Vec::new();
    loop {
        let after = paged.last().map(|line| line.room.clone());
        let page = store.list("", after.as_ref(), 5).await.unwrap();
        assert!(page.len() <= 5);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    assert_eq!(store.list("", None, 0).await.unwrap(), []);
    // A cursor need not be a room, nor begin with the prefix.
    let listed = store.list("a", Some(&room("a:1")), 100).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(
        store.list("a", Some(&room("A")), 100).await.unwrap().len(),
        4
    );
    assert_eq!(store.list("a", Some(&room("c")), 100).await.unwrap(), []);
}

async fn st16_a_prefix_is_taken_literally(world: &World) {
    let store = world.open().await;
    let names = [
        "a%b",
        "a_b",
        "axb",
        "a\\b",
        "A%b",
        "a*b",
        "\u{10ffff}",
        "\u{d7ff}",
        "\u{e000}",
    ];
    let call: Vec<Append> = names
        .iter()
        .map(|name| append(name, epoch(1), 0, 1))
        .collect();
    store.append(&call).await.unwrap();
    for (prefix, count) in [
        ("a%", 1),
        ("a_", 1),
        ("%", 0),
        ("a\\", 1),
        ("a*", 1),
        ("a", 5),
        ("A", 1),
        ("a%b", 1),
        ("a%bc", 0),
        ("\u{10ffff}", 1),
        ("\u{d7ff}", 1),
        ("a\0", 0),
        ("", 9),
    ] {
        assert_eq!(
            store.list(prefix, None, 100).await.unwrap().len(),
            count,
            "{prefix:?}"
        );
    }
}
