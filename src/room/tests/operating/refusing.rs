//! OP: operations that are refused, and how many may wait.

use super::*;

#[test]
fn op17_a_value_is_kept_as_it_reads() {
    let texts = [
        ("9007199254740992", "9007199254740992"),
        ("24000000000000000", "24000000000000000"),
        // As JavaScript writes 2^63.
        ("9223372036854776000", "9.223372036854776e+18"),
        ("1.0", "1"),
        ("1e300", "1e+300"),
        ("9007199254740991.0", "9007199254740991"),
        ("2.2250738585072011e-308", "2.225073858507201e-308"),
        ("-0.5", "-0.5"),
        (
            "{\"b\":[],\"a\":\"\\u0000\"}",
            "{\"a\":\"\\u0000\",\"b\":[]}",
        ),
    ];
    for (text, canonically) in texts {
        let value = serde_json::from_str(text).expect("JSON");
        assert_eq!(&*canonical(&value).expect("shallow").0, canonically);
    }
}

#[test]
fn op18_operations_that_wait_are_bounded_and_one_push_always_fits() {
    let limits = Limits {
        operations_waiting_max: 2,
        ..Limits::default()
    };
    let mut table = Table::new();
    table.world = World::with(limits);
    table.world.attach_as(1, Access::Write, Listen::Answers);
    let ops = |n: u64| (0..n).map(|k| op(&k.to_string(), Create, &k.to_string(), js!({})));
    let asked = table.operate(1, ops(3).collect());
    let refusals = table.operate(1, ops(1).collect());
    assert_eq!(told(&refusals, 1), [refused(1, Refusal::Unavailable)]);
    let effects = table.serve(asked);
    assert_eq!(results_in(&effects).map(|it| it.len()), Some(3));
}

#[test]
fn op19_only_who_may_write_operates() {
    let mut table = with_task();
    table.world.attach_as(3, Access::Read, Listen::Answers);
    let effects = table.operate(3, vec![op("1", Delete, "t1", js!({}))]);
    assert_eq!(told(&effects, 3), [refused(1, Refusal::Forbidden)]);
}

#[test]
fn op20_what_is_no_collection_or_no_record_is_not_written_over() {
    let mut table = Table::new();
    let ada = Client::new(11);
    table.edit(&ada.edit(|txn| {
        txn.get_or_insert_map("tasks").insert(txn, "plain", 1);
        let text = txn.get_or_insert_text("notes");
        yrs::Text::insert(&text, txn, 0, "hi");
    }));
    let mut onto_text = op("1", Create, "r", js!({}));
    onto_text.place.collection = "notes".into();
    for operation in [
        onto_text,
        op("2", Upsert, "plain", js!({})),
        op("3", Delete, "plain", js!({})),
    ] {
        assert!(matches!(
            table.one(operation).objection,
            Some(Objection::Taken(_))
        ));
    }
    assert_eq!(table.json(), r#"{"notes":"hi","tasks":{"plain":1}}"#);
}
