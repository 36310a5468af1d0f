//! Owns the streams of edits that the benches make: the same at every run.

use yrs::{Doc, Map, MapPrelim, OffsetKind, Options, ReadTxn, Text, Transact};

fn new_doc() -> Doc {
    let client_id = yrs::block::ClientID::new(3_000_000_001);
    Doc::with_options(Options {
        client_id,
        offset_kind: OffsetKind::Utf16,
        ..Options::default()
    })
}

/// One character after the other, each where `place` says.
pub fn typing(count: u32, place: impl Fn(u32) -> u32) -> Vec<Vec<u8>> {
    let doc = new_doc();
    let text = doc.get_or_insert_text("text");
    let type_at = |at| {
        let mut txn = doc.transact_mut();
        text.insert(&mut txn, at, "x");
        txn.encode_update_v1()
    };
    (0..count).map(|clock| type_at(place(clock))).collect()
}

/// A table of 1,000 records of 10 fields, then one field set after the other.
pub fn fields(count: u32) -> Vec<Vec<u8>> {
    fields_of(1_000, count)
}

/// The same of so many records.
pub fn fields_of(records: u32, count: u32) -> Vec<Vec<u8>> {
    let doc = new_doc();
    fill(&doc, records, 10);
    let mut updates = vec![
        doc.transact()
            .encode_state_as_update_v1(&yrs::StateVector::default()),
    ];
    let map = doc.get_or_insert_map("records");
    for turn in 0..count {
        let mut txn = doc.transact_mut();
        let record = map
            .get(&txn, &record_id(turn * 7_919 % records))
            .expect("it is there");
        let record = record.cast::<yrs::MapRef>().expect("a map");
        record.insert(&mut txn, format!("field{}", turn % 10), turn);
        updates.push(txn.encode_update_v1());
    }
    updates
}

/// The state of a table.
pub fn table(records: u32, width: u32) -> Vec<u8> {
    let doc = new_doc();
    fill(&doc, records, width);
    doc.transact()
        .encode_state_as_update_v1(&yrs::StateVector::default())
}

fn fill(doc: &Doc, count: u32, width: u32) {
    let records = doc.get_or_insert_map("records");
    let mut txn = doc.transact_mut();
    for row in 0..count {
        let record = records.insert(&mut txn, record_id(row), MapPrelim::default());
        for field in 0..width {
            record.insert(&mut txn, format!("field{field}"), format!("value {row}"));
        }
    }
}

fn record_id(row: u32) -> String {
    format!("rec{row:014}")
}
