//! Owns the rules of listing records: order, pages, what changed since, filters.

use roundtable::ids::{UnixMillis, Version};
use roundtable::store::Store;
use roundtable::store::records::{RecordOrder, RecordQuery, RecordRow, Since};

use super::records::{all, deleted, key, record, respell, told};
use super::{World, append, epoch, on_every_store, room};

on_every_store![
    st39_records_are_listed_by_id_in_byte_order,
    st39_records_are_listed_by_update,
    st39_pages_neither_lose_nor_repeat,
    st39_a_page_ends_with_its_limit_and_follows_on_any_place,
    st40_records_changed_since_a_version_or_a_time,
    st41_a_filter_finds_a_string_a_number_and_a_boolean,
    st41_null_lists_and_objects_are_found_by_no_filter,
    st41_numbers_are_what_they_count,
    st41_fields_of_any_name_are_found,
    st41_all_filters_have_to_be_met,
    st42_a_text_with_a_nul_finds_nothing_and_is_a_place,
];

/// The ids of what is listed in room `a` of epoch 1.
async fn ids(store: &dyn Store, query: &RecordQuery) -> Vec<String> {
    let listed = store.records().list(&room("a"), epoch(1), query).await;
    let (_, rows) = listed.unwrap();
    rows.into_iter().map(|row| row.key.record).collect()
}

/// Records of the collection `tasks`: id, version.
fn rows(of: &[(&str, u64)]) -> Vec<RecordRow> {
    let rows = of.iter();
    rows.map(|(id, version)| record("tasks", id, *version, "{}"))
        .collect()
}

async fn st39_records_are_listed_by_id_in_byte_order(world: &World) {
    let store = world.open().await;
    let mut names = [
        "b",
        "a",
        "B",
        "ä",
        "10",
        "9",
        "",
        "Ā",
        "日",
        "\u{10ffff}",
        "🎲",
        "_",
        "\u{ffff}",
        "a/b",
        "a b",
        "'",
        "%",
    ];
    let mut told_rows: Vec<RecordRow> = (names.iter().zip(1..))
        .map(|(name, version)| record("tasks", name, version, "{}"))
        .collect();
    told_rows.push(record("Tasks", "c", 1, "{}"));
    told_rows.push(record("tasks ", "c", 1, "{}"));
    told_rows.push(deleted("c", 3));
    told(&*store, "a", epoch(1), 20, &told_rows).await;
    told(&*store, "b", epoch(1), 1, &rows(&[("other", 1)])).await;
    names.sort_unstable();
    assert_eq!(ids(&*store, &all("tasks")).await, names);
    assert_eq!(ids(&*store, &all("Tasks")).await, ["c"]);
    for nothing in ["", "task"] {
        assert_eq!(ids(&*store, &all(nothing)).await, [""; 0]);
    }
    let list = |name: &str, of: u128| {
        let (store, name) = (&store, room(name));
        async move { store.records().list(&name, epoch(of), &all("tasks")).await }
    };
    // What is told is said with the version up to which it is, also when there is nothing.
    let (projected, mut listed) = list("a", 1).await.unwrap();
    listed.iter_mut().for_each(respell);
    told_rows.truncate(names.len());
    told_rows.sort_by(|one, other| one.key.cmp(&other.key));
    assert_eq!((projected, listed), (Version(20), told_rows));
    let empty = store
        .records()
        .list(&room("a"), epoch(1), &all("none"))
        .await;
    assert_eq!(empty, Ok((Version(20), vec![])));
    store.append(&[append("c", epoch(1), 0, 1)]).await.unwrap();
    for (name, of) in [("a", 2), ("c", 1), ("nowhere", 1)] {
        assert_eq!(list(name, of).await, Ok((Version::ZERO, vec![])));
    }
}

async fn st39_records_are_listed_by_update(world: &World) {
    let store = world.open().await;
    let mut told_rows = rows(&[("b", 3), ("ä", 1), ("c", 3), ("B", 3), ("a", 10), ("z", 2)]);
    told_rows.push(deleted("x", 2));
    told(&*store, "a", epoch(1), 10, &told_rows).await;
    let mut query = RecordQuery {
        order: RecordOrder::Update,
        ..all("tasks")
    };
    let in_order = ["ä", "z", "B", "b", "c", "a"];
    assert_eq!(ids(&*store, &query).await, in_order);
    query.after = Some((Version(3), "b".into()));
    assert_eq!(ids(&*store, &query).await, ["c", "a"]);
    query.after = Some((Version(2), "\u{10ffff}".into()));
    assert_eq!(ids(&*store, &query).await, ["B", "b", "c", "a"]);
    // A change moves a record to the end.
    store.append(&[append("a", epoch(1), 10, 1)]).await.unwrap();
    let moved = store
        .records()
        .project(
            &room("a"),
            epoch(1),
            Version(10),
            Version(11),
            &rows(&[("z", 11)]),
        )
        .await;
    assert_eq!(moved, Ok(true));
    query.after = None;
    assert_eq!(ids(&*store, &query).await, ["ä", "B", "b", "c", "a", "z"]);
}

async fn st39_pages_neither_lose_nor_repeat(world: &World) {
    let store = world.open().await;
    let told_rows: Vec<RecordRow> = (0..400_u64)
        .map(|number| {
            let id = format!("{}", number * 7_919 % 1_000);
            let data = format!(r#"{{"part":{}}}"#, number % 3);
            let row = record("tasks", &id, 1 + number * 31 % 50, &data);
            RecordRow {
                deleted_at: (number % 10 == 0).then_some(UnixMillis(0)),
                ..row
            }
        })
        .collect();
    told(&*store, "a", epoch(1), 50, &told_rows).await;
    for order in [RecordOrder::Id, RecordOrder::Update] {
        for (since, filters) in [
            (None, vec![]),
            (Some(Since::Version(Version(17))), vec![]),
            (Some(Since::Time(UnixMillis(1_020))), vec![]),
            (None, vec![("part".to_owned(), "1".to_owned())]),
        ] {
            let mut query = RecordQuery {
                order,
                since,
                filters,
                ..all("tasks")
            };
            let (_, whole) = store
                .records()
                .list(&room("a"), epoch(1), &query)
                .await
                .unwrap();
            assert!(whole.len() > 90, "{query:?} finds {}", whole.len());
            query.limit = 13;
            let mut paged = Vec::new();
            loop {
                let (projected, page) = store
                    .records()
                    .list(&room("a"), epoch(1), &query)
                    .await
                    .unwrap();
                assert_eq!(projected, Version(50));
                assert!(page.len() <= 13);
                let Some(last) = page.last() else { break };
                query.after = Some((last.version, last.key.record.clone()));
                paged.extend(page);
            }
            assert!(paged == whole, "{query:?}");
        }
    }
}

async fn st39_a_page_ends_with_its_limit_and_follows_on_any_place(world: &World) {
    let store = world.open().await;
    let told_rows = rows(&[("a", 3), ("b", 2), ("c", 1)]);
    told(&*store, "a", epoch(1), 3, &told_rows).await;
    for (order, after, limit, expected) in [
        (RecordOrder::Id, None, 0, &[][..]),
        (RecordOrder::Id, None, 2, &["a", "b"]),
        (RecordOrder::Id, None, usize::MAX, &["a", "b", "c"]),
        // The version of a place by id means nothing.
        (RecordOrder::Id, Some((9, "a")), 9, &["b", "c"]),
        (RecordOrder::Id, Some((0, "aa")), 9, &["b", "c"]),
        (RecordOrder::Id, Some((0, "")), 9, &["a", "b", "c"]),
        (RecordOrder::Id, Some((0, "c")), 9, &[]),
        (RecordOrder::Update, Some((0, "")), 2, &["c", "b"]),
        (RecordOrder::Update, Some((2, "a")), 9, &["b", "a"]),
        (RecordOrder::Update, Some((2, "b")), 9, &["a"]),
        (RecordOrder::Update, Some((u64::MAX, "")), 9, &[]),
    ] {
        let query = RecordQuery {
            order,
            after: after.map(|(version, id)| (Version(version), id.to_owned())),
            limit,
            ..all("tasks")
        };
        assert_eq!(ids(&*store, &query).await, expected, "{query:?}");
    }
}

async fn st40_records_changed_since_a_version_or_a_time(world: &World) {
    let store = world.open().await;
    // The clock was set back between versions 2 and 3.
    let told_rows =
        [("a", 1, 500), ("b", 2, 900), ("c", 3, 300), ("d", 4, 900)].map(|(id, version, at)| {
            RecordRow {
                updated_at: UnixMillis(at),
                ..record("tasks", id, version, "{}")
            }
        });
    told(&*store, "a", epoch(1), 4, &told_rows).await;
    for (since, expected) in [
        (Since::Version(Version(0)), &["a", "b", "c", "d"][..]),
        (Since::Version(Version(2)), &["c", "d"]),
        (Since::Version(Version(4)), &[]),
        (Since::Version(Version(u64::MAX)), &[]),
        (Since::Time(UnixMillis(i64::MIN)), &["a", "b", "c", "d"]),
        (Since::Time(UnixMillis(500)), &["a", "b", "d"]),
        (Since::Time(UnixMillis(501)), &["b", "d"]),
        (Since::Time(UnixMillis(i64::MAX)), &[]),
    ] {
        for order in [RecordOrder::Id, RecordOrder::Update] {
            let query = RecordQuery {
                order,
                since: Some(since),
                ..all("tasks")
            };
            assert_eq!(ids(&*store, &query).await, expected, "{query:?}");
        }
    }
}

/// The ids of the records whose fields meet filters.
async fn met(store: &dyn Store, filters: &[(&str, &str)]) -> Vec<String> {
    let filters = filters.iter();
    let query = RecordQuery {
        filters: filters
            .map(|(field, text)| ((*field).to_owned(), (*text).to_owned()))
            .collect(),
        ..all("tasks")
    };
    ids(store, &query).await
}

/// Tells records with these fields.
async fn with_fields(store: &dyn Store, of: &[(&str, &str)]) {
    let rows: Vec<RecordRow> = (of.iter())
        .map(|(id, data)| record("tasks", id, 1, data))
        .collect();
    told(store, "a", epoch(1), 1, &rows).await;
}

async fn st41_a_filter_finds_a_string_a_number_and_a_boolean(world: &World) {
    let store = world.open().await;
    let of = [
        ("a", r#"{"x":"3"}"#),
        ("b", r#"{"x":3}"#),
        ("c", r#"{"x":true}"#),
        ("d", r#"{"x":"true"}"#),
        ("e", r#"{"x":false}"#),
        ("f", r#"{"x":""}"#),
        ("g", r#"{"x":" 3"}"#),
        ("h", r#"{"x":"Größe \"日本\" \\ 🎲\n"}"#),
        ("i", r#"{"y":"3"}"#),
        ("j", r#"{"x":1}"#),
        ("k", r#"{"x":0}"#),
    ];
    with_fields(&*store, &of).await;
    for (text, expected) in [
        ("3", &["a", "b"][..]),
        ("true", &["c", "d"]),
        ("false", &["e"]),
        ("", &["f"]),
        (" 3", &["g"]),
        ("3 ", &[]),
        ("Größe \"日本\" \\ 🎲\n", &["h"]),
        ("größe \"日本\" \\ 🎲\n", &[]),
        ("True", &[]),
        ("1", &["j"]),
        ("0", &["k"]),
        ("%", &[]),
        ("\"3\"", &[]),
    ] {
        assert_eq!(met(&*store, &[("x", text)]).await, expected, "{text:?}");
    }
}

async fn st41_null_lists_and_objects_are_found_by_no_filter(world: &World) {
    let store = world.open().await;
    let of = [
        ("a", r#"{"x":null}"#),
        ("b", r#"{"x":[3]}"#),
        ("c", r#"{"x":{"y":3}}"#),
        ("d", r#"{"x":[]}"#),
        ("e", r#"{"x":{}}"#),
        ("f", "{}"),
    ];
    with_fields(&*store, &of).await;
    for text in [
        "null",
        "",
        "[3]",
        "[]",
        "{}",
        "{\"y\":3}",
        "{\"y\": 3}",
        "3",
        "0",
        "false",
    ] {
        assert_eq!(met(&*store, &[("x", text)]).await, [""; 0], "{text:?}");
    }
}

async fn st41_numbers_are_what_they_count(world: &World) {
    let store = world.open().await;
    let of = [
        ("a", r#"{"x":3}"#),
        ("b", r#"{"x":-0.5}"#),
        ("c", r#"{"x":0.1}"#),
        ("d", r#"{"x":1e300}"#),
        ("e", r#"{"x":9007199254740993}"#),
        ("f", r#"{"x":-9223372036854775808}"#),
        ("g", r#"{"x":0}"#),
        ("h", r#"{"x":1e21}"#),
        ("i", r#"{"x":9007199254740992}"#),
    ];
    with_fields(&*store, &of).await;
    for (text, expected) in [
        ("3", &["a"][..]),
        ("3.0", &["a"]),
        ("3e0", &["a"]),
        ("0.3E1", &["a"]),
        ("03", &[]),
        ("+3", &[]),
        ("3.", &[]),
        ("0x3", &[]),
        ("-0.5", &["b"]),
        ("-.5", &[]),
        ("0.1", &["c"]),
        ("0.10", &["c"]),
        ("1e300", &["d"]),
        ("1e999", &[]),
        ("NaN", &[]),
        ("Infinity", &[]),
        ("9007199254740993", &["e"]),
        ("9007199254740992", &["i"]),
        ("9007199254740992.0", &["i"]),
        ("-9223372036854775808", &["f"]),
        ("0", &["g"]),
        ("-0", &["g"]),
        ("-0.0", &["g"]),
        ("1000000000000000000000", &["h"]),
    ] {
        assert_eq!(met(&*store, &[("x", text)]).await, expected, "{text:?}");
    }
}

async fn st41_fields_of_any_name_are_found(world: &World) {
    let store = world.open().await;
    let names = [
        "",
        "a.b",
        "$",
        "$.x",
        "[0]",
        "#-1",
        "q\"uote",
        "'",
        "\\",
        "\\u0041",
        "größe",
        "日本 🎲",
        "a b",
        "\n",
        "0",
        "?",
        "$1",
    ];
    let mut fields = serde_json::Map::new();
    for (name, number) in names.iter().zip(0..) {
        fields.insert((*name).to_owned(), number.into());
    }
    let data = serde_json::Value::from(fields).to_string();
    let nested = r#"{"a":{"b":1},"x":[0],"A":9}"#;
    with_fields(&*store, &[("all", &data), ("nested", nested)]).await;
    for (name, number) in names.iter().zip(0..) {
        let number = number.to_string();
        assert_eq!(met(&*store, &[(name, &number)]).await, ["all"], "{name:?}");
        let other = format!("{number}0");
        assert_eq!(met(&*store, &[(name, &other)]).await, [""; 0], "{name:?}");
    }
    for name in ["$.a.b", "a.c", "x[0]", "$.A", "\"A\""] {
        for text in ["0", "1", "9"] {
            assert_eq!(met(&*store, &[(name, text)]).await, [""; 0], "{name:?}");
        }
    }
    assert_eq!(met(&*store, &[("A", "9")]).await, ["nested"]);
}

async fn st41_all_filters_have_to_be_met(world: &World) {
    let store = world.open().await;
    let of = [
        ("a", r#"{"x":1,"y":"1"}"#),
        ("b", r#"{"x":1,"y":"2"}"#),
        ("c", r#"{"x":2,"y":"2"}"#),
    ];
    with_fields(&*store, &of).await;
    assert_eq!(met(&*store, &[("x", "1"), ("y", "2")]).await, ["b"]);
    assert_eq!(met(&*store, &[("y", "2"), ("y", "2")]).await, ["b", "c"]);
    assert_eq!(met(&*store, &[("y", "1"), ("y", "2")]).await, [""; 0]);
    assert_eq!(met(&*store, &[]).await, ["a", "b", "c"]);
}

async fn st42_a_text_with_a_nul_finds_nothing_and_is_a_place(world: &World) {
    let store = world.open().await;
    let of = [
        ("a", r#"{"x":3}"#),
        ("ab", "{}"),
        ("b", r#"{"":"","x":""}"#),
    ];
    with_fields(&*store, &of).await;
    for collection in ["tasks\0", "\0", "\0tasks"] {
        assert_eq!(ids(&*store, &all(collection)).await, [""; 0]);
    }
    for filter in [("x", "3\0"), ("x", "\0"), ("x\0", "3"), ("\0", "")] {
        assert_eq!(met(&*store, &[filter]).await, [""; 0], "{filter:?}");
        assert_eq!(met(&*store, &[("x", "3"), filter]).await, [""; 0]);
    }
    let keys = ["a\0", "a\0b", "\0"].map(|id| key("tasks", id));
    let name = room("a");
    let recall = store.records().recall(&name, epoch(1), &[], &keys).await;
    let recall = recall.unwrap();
    assert_eq!((recall.projected, recall.records), (Version(1), vec![]));
    for (after, expected) in [
        ("\0", &["a", "ab", "b"][..]),
        ("a\0", &["ab", "b"]),
        ("a\0z", &["ab", "b"]),
        ("ab\0", &["b"]),
        ("b\0", &[]),
    ] {
        for order in [RecordOrder::Id, RecordOrder::Update] {
            let query = RecordQuery {
                order,
                after: Some((Version(1), after.to_owned())),
                ..all("tasks")
            };
            assert_eq!(ids(&*store, &query).await, expected, "{query:?}");
        }
    }
}
