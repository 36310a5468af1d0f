//! AP: what an edit does to the document, and what is said of it.

mod admitting;

use yrs::{Any, Array, ArrayPrelim, Text, TextPrelim, XmlElementPrelim, XmlFragment};

use super::*;

fn alone() -> (World, Client) {
    let mut world = World::new();
    world.attach(1);
    (world, Client::new(11))
}

#[test]
fn ap1_a_new_record_is_a_create_with_the_value_of_every_field() {
    let (mut world, ada) = alone();
    let update = ada.edit(|txn| {
        let record = record_in(txn, "t1");
        record.insert(txn, "name", "milk");
        record.insert(txn, "done", false);
        record.insert(txn, "count", 2.5);
    });
    let fields = vec![
        field("count", Value::Absent, json("2.5")),
        field("done", Value::Absent, json("false")),
        field("name", Value::Absent, json("\"milk\"")),
    ];
    assert_eq!(
        world.changes(1, &update),
        [change(ChangeKind::Create, "t1", fields)]
    );
}

#[test]
fn ap2_an_update_names_the_fields_that_changed_with_old_and_new_values() {
    let (mut world, ada) = alone();
    let first = ada.edit(|txn| {
        let record = record_in(txn, "t1");
        record.insert(txn, "name", "milk");
        record.insert(txn, "shop", "corner");
    });
    world.changes(1, &first);
    let second = ada.edit(|txn| {
        let record = record_in(txn, "t1");
        record.insert(txn, "name", "bread");
        record.insert(txn, "price", 3);
    });
    let fields = vec![
        field("name", json("\"milk\""), json("\"bread\"")),
        field("price", Value::Absent, json("3")),
    ];
    assert_eq!(
        world.changes(1, &second),
        [change(ChangeKind::Update, "t1", fields)]
    );
}

#[test]
fn ap3_a_delete_has_the_old_values_and_a_removed_field_no_new_one() {
    let (mut world, ada) = alone();
    let first = ada.edit(|txn| {
        let record = record_in(txn, "t1");
        record.insert(txn, "name", "milk");
        record.insert(txn, "shop", Any::Null);
    });
    world.changes(1, &first);
    let second = ada.edit(|txn| {
        let record = record_in(txn, "t1");
        record.remove(txn, "shop");
    });
    let fields = vec![field("shop", json("null"), Value::Absent)];
    assert_eq!(
        world.changes(1, &second),
        [change(ChangeKind::Update, "t1", fields)]
    );
    let third = ada.edit(|txn| {
        let tasks = txn.get_or_insert_map("tasks");
        tasks.remove(txn, "t1");
    });
    let fields = vec![field("name", json("\"milk\""), Value::Absent)];
    assert_eq!(
        world.changes(1, &third),
        [change(ChangeKind::Delete, "t1", fields)]
    );
}

#[test]
fn ap4_a_change_inside_a_nested_value_is_one_of_the_whole_field() {
    let (mut world, ada) = alone();
    let (mut text, mut list) = (None, None);
    let first = ada.edit(|txn| {
        let record = record_in(txn, "t1");
        text = Some(record.insert(txn, "note", TextPrelim::new("buy")));
        list = Some(record.insert(txn, "tags", ArrayPrelim::from(["a"])));
        let inner = record.insert(txn, "by", MapPrelim::default());
        inner.insert(txn, "who", "ada");
    });
    let (text, list) = (text.expect("made"), list.expect("made"));
    world.changes(1, &first);
    let second = ada.edit(|txn| {
        text.push(txn, " milk");
        list.push_back(txn, "b");
        let record = record_in(txn, "t1");
        if let Some(yrs::Out::YMap(by)) = record.get(txn, "by") {
            by.insert(txn, "who", "bob");
        }
    });
    let mut changes = world.changes(1, &second);
    changes[0].fields.sort_by(|a, b| a.field.cmp(&b.field));
    let fields = vec![
        field("by", json(r#"{"who":"ada"}"#), json(r#"{"who":"bob"}"#)),
        field("note", json("\"buy\""), json("\"buy milk\"")),
        field("tags", json(r#"["a"]"#), json(r#"["a","b"]"#)),
    ];
    assert_eq!(changes, [change(ChangeKind::Update, "t1", fields)]);
}

#[test]
fn ap5_a_value_over_4_kb_is_left_out_and_said_to_be_too_long() {
    let (mut world, ada) = alone();
    let fits = "x".repeat(record::VALUE_BYTES_MAX - 2);
    world.changes(1, &ada.set("t1", "note", &fits));
    let too_long = format!("{fits}y");
    let quoted = json(&format!("\"{fits}\""));
    let fields = vec![field("note", quoted, Value::TooLong)];
    assert_eq!(
        world.changes(1, &ada.set("t1", "note", &too_long)),
        [change(ChangeKind::Update, "t1", fields)]
    );
    let other = format!("{fits}zz");
    let fields = vec![field("note", Value::TooLong, Value::TooLong)];
    assert_eq!(
        world.changes(1, &ada.set("t1", "note", &other)),
        [change(ChangeKind::Update, "t1", fields)]
    );
}

#[test]
fn ap6_a_record_put_in_the_place_of_another_is_an_update_of_what_differs() {
    let (mut world, ada) = alone();
    let put = |values: [(&'static str, &'static str); 2]| {
        ada.edit(|txn| {
            let tasks = txn.get_or_insert_map("tasks");
            tasks.insert(txn, "t1", MapPrelim::from(values));
        })
    };
    world.changes(1, &put([("a", "same"), ("b", "old")]));
    let fields = vec![
        field("b", json("\"old\""), Value::Absent),
        field("c", Value::Absent, json("\"new\"")),
    ];
    assert_eq!(
        world.changes(1, &put([("a", "same"), ("c", "new")])),
        [change(ChangeKind::Update, "t1", fields)]
    );
}

#[test]
fn ap7_a_write_of_the_same_value_is_kept_and_has_no_event() {
    let (mut world, ada) = alone();
    world.changes(1, &ada.set("t1", "name", "milk"));
    assert_eq!(world.changes(1, &ada.set("t1", "name", "milk")), []);
    assert_eq!(world.room.position().version, Version(2));
}

#[test]
fn ap8_what_is_no_record_is_a_document_event() {
    let (mut world, ada) = alone();
    let plain = ada.edit(|txn| {
        let tasks = txn.get_or_insert_map("tasks");
        tasks.insert(txn, "title", "plain");
    });
    assert_eq!(world.changes(1, &plain), [document_change("tasks")]);
    let text = ada.edit(|txn| {
        let text = txn.get_or_insert_text("note");
        text.push(txn, "hello");
    });
    assert_eq!(world.changes(1, &text), [document_change("note")]);
    let xml = ada.edit(|txn| {
        let xml = txn.get_or_insert_xml_fragment("page");
        xml.push_back(txn, XmlElementPrelim::empty("p"));
    });
    assert_eq!(world.changes(1, &xml), [document_change("page")]);
    let list = ada.edit(|txn| {
        let list = txn.get_or_insert_array("list");
        list.push_back(txn, 1);
    });
    assert_eq!(world.changes(1, &list), [document_change("list")]);
    let record = ada.edit(|txn| {
        let tasks = txn.get_or_insert_map("tasks");
        tasks.insert(txn, "title", MapPrelim::from([("a", "b")]));
    });
    let fields = vec![field("a", Value::Absent, json("\"b\""))];
    assert_eq!(
        world.changes(1, &record),
        [
            change(ChangeKind::Create, "title", fields),
            document_change("tasks")
        ]
    );
}

#[test]
fn ap9_of_concurrent_writes_only_the_one_that_wins_is_an_event() {
    let (ada, bob) = (Client::new(11), Client::new(22));
    let first = ada.set("t1", "name", "first");
    bob.take(&first);
    let (of_ada, of_bob) = (ada.set("t1", "name", "ada"), bob.set("t1", "name", "bob"));
    let winner = |updates: [&Bytes; 2]| {
        let mut world = World::new();
        world.attach(1);
        world.changes(1, &first);
        let told = updates.map(|update| world.changes(1, update));
        (told.map(|changes| changes.len()), world.room.json())
    };
    let (told, document) = winner([&of_ada, &of_bob]);
    assert_eq!(told, [1, 1]);
    assert_eq!(document, r#"{"tasks":{"t1":{"name":"bob"}}}"#);
    let (told, document) = winner([&of_bob, &of_ada]);
    assert_eq!(told, [1, 0], "the late write loses and changes nothing");
    assert_eq!(document, r#"{"tasks":{"t1":{"name":"bob"}}}"#);
}

#[test]
fn ap17_a_sequence_with_nothing_in_it_reads_as_none_before_and_after_a_reload() {
    let (mut world, ada) = alone();
    let typed = ada.edit(|txn| txn.get_or_insert_text("note").push(txn, "milk"));
    let erased = ada.edit(|txn| txn.get_or_insert_text("note").remove_range(txn, 0, 4));
    world.changes(1, &typed);
    assert_eq!(world.room.json(), r#"{"note":"milk"}"#);
    world.changes(1, &erased);
    let mut reloaded = Document::new(1, none());
    reloaded.load(&world.room.state()).expect("its own state");
    assert_eq!([reloaded.json(), world.room.json()], ["{}", "{}"]);
}

#[test]
fn ap18_undefined_is_no_field_and_null_in_a_list() {
    let (mut world, ada) = alone();
    let list = yrs::Any::from(vec![yrs::Any::Undefined]);
    let update = ada.edit(|txn| {
        let record = record_in(txn, "t1");
        record.insert(txn, "gone", yrs::Any::Undefined);
        record.insert(txn, "list", list);
        let inner = [("deep".to_owned(), yrs::Any::Undefined)];
        record.insert(txn, "inner", std::collections::HashMap::from(inner));
    });
    let fields = vec![
        field("inner", Value::Absent, json("{}")),
        field("list", Value::Absent, json("[null]")),
    ];
    let created = change(ChangeKind::Create, "t1", fields);
    assert_eq!(world.changes(1, &update), [created]);
    let expected = r#"{"tasks":{"t1":{"inner":{},"list":[null]}}}"#;
    assert_eq!(world.room.json(), expected);
}

#[test]
fn ap17_a_number_reads_the_same_before_and_after_a_reload() {
    let (mut world, _) = alone();
    // As a client in JavaScript writes a BigInt.
    let numbers = [1 << 60, (1 << 60) + 1, -(1 << 53), i64::MAX, i64::MIN];
    let mut update = vec![1, 1, 11, 0, 8, 1, 1, b'n', numbers.len() as u8];
    for number in numbers {
        update.push(122);
        update.extend(number.to_be_bytes());
    }
    update.push(0);
    world.submit(1, &update.into());
    let mut reloaded = Document::new(1, none());
    reloaded.load(&world.room.state()).expect("its own state");
    let exact = "1152921504606846976,1152921504606846977,-9007199254740992";
    let rounded = "9.223372036854776e+18,-9223372036854775808";
    let expected = format!("{{\"n\":[{exact},{rounded}]}}");
    assert_eq!(
        [reloaded.json(), world.room.json()],
        [&*expected, &*expected]
    );
}
