//! Owns clients in order: documents of their own, whose updates are those that Yjs makes.

use bytes::Bytes;
use roundtable::room::index::StateVector;
use yrs::types::Attrs;
use yrs::updates::decoder::Decode;
use yrs::{
    Any, Array, ArrayPrelim, ClientID, Doc, GetString, Map, MapPrelim, MapRef, OffsetKind, Options,
    Out, ReadTxn, Text, TextPrelim, TextRef, Transact, TransactionMut, Update, WriteTxn,
    XmlElementPrelim, XmlFragment, XmlTextPrelim,
};

use super::script::Script;

const RECORDS: [&str; 3] = ["t0", "t1", "t2"];
const FIELDS: [&str; 3] = ["name", "shop", "by"];
const TEXTS: [&str; 5] = ["x", "hello", "é", "\"q\"\n", "end"];

/// One client with its document.
pub struct Author {
    doc: Doc,
}

impl Author {
    /// A client with nothing.
    pub fn new(id: u64) -> Self {
        Self {
            doc: Doc::with_options(Options {
                offset_kind: OffsetKind::Utf16,
                ..Options::with_client_id(ClientID::new(id))
            }),
        }
    }

    /// Makes one transaction; returns its update.
    pub fn edit(&self, script: &mut Script<'_>) -> Bytes {
        let mut txn = self.doc.transact_mut();
        for _ in 0..=script.below(3) {
            edit(&mut txn, script);
        }
        txn.encode_update_v1().into()
    }

    /// Takes what a room sends.
    pub fn take(&self, update: &[u8]) {
        let update = Update::decode_v1(update).expect("rooms send what can be decoded");
        let mut txn = self.doc.transact_mut();
        txn.apply_update(update).expect("and applied");
    }

    /// What it has.
    pub fn clocks(&self) -> StateVector {
        let clocks = self.doc.transact().state_vector();
        let clocks = clocks.iter();
        clocks
            .map(|(client, clock)| (client.get(), *clock))
            .collect()
    }

    /// What it has beyond a state vector.
    pub fn beyond(&self, since: &StateVector) -> Bytes {
        let since = since.iter();
        let since = since
            .map(|(client, clock)| (ClientID::new(client), clock))
            .collect();
        self.doc.transact().encode_state_as_update_v1(&since).into()
    }
}

fn edit(txn: &mut TransactionMut<'_>, script: &mut Script<'_>) {
    let name = script.pick(&RECORDS);
    let value = script.pick(&TEXTS);
    match script.below(16) {
        0..3 => drop(record(txn, name).insert(txn, script.pick(&FIELDS), value)),
        3 => drop(record(txn, name).remove(txn, "name")),
        4 => drop(txn.get_or_insert_map("tasks").remove(txn, name)),
        5 => {
            let prelim = MapPrelim::from([("name", value)]);
            txn.get_or_insert_map("tasks").insert(txn, name, prelim);
        }
        6 => drop(txn.get_or_insert_map("tasks").insert(txn, name, value)),
        7 => match record(txn, name).get(txn, "note") {
            Some(Out::YText(text)) => write(&text, txn, script),
            _ => drop(record(txn, name).insert(txn, "note", TextPrelim::new(value))),
        },
        8 => match record(txn, name).get(txn, "tags") {
            Some(Out::YArray(tags)) if tags.len(txn) > 2 => tags.remove(txn, 1),
            Some(Out::YArray(tags)) => drop(tags.push_back(txn, value)),
            _ => drop(record(txn, name).insert(txn, "tags", ArrayPrelim::from([value]))),
        },
        9 => match record(txn, name).get(txn, "in") {
            Some(Out::YMap(inner)) => drop(inner.insert(txn, "deep", value)),
            _ => drop(record(txn, name).insert(txn, "in", MapPrelim::default())),
        },
        10 => {
            let long = value.repeat(usize::from(script.byte()) * 20);
            record(txn, name).insert(txn, "name", long);
        }
        11 | 12 => {
            let text = txn.get_or_insert_text("text");
            write(&text, txn, script);
        }
        13 => {
            let list = txn.get_or_insert_array("list");
            let at = script.below(list.len(txn).min(200) as usize + 1) as u32;
            if script.below(3) == 0 && at < list.len(txn) {
                list.remove(txn, at);
            } else {
                list.insert(txn, at, value);
            }
        }
        14 => {
            let xml = txn.get_or_insert_xml_fragment("xml");
            let last = xml.len(txn);
            if last > 3 {
                xml.remove_range(txn, 0, 2);
            } else if script.below(2) == 0 {
                xml.insert(txn, last, XmlElementPrelim::empty("p"));
            } else {
                xml.insert(txn, last, XmlTextPrelim::new(value));
            }
        }
        _ => {
            let number = f64::from(script.byte()) / 4.0;
            record(txn, name).insert(txn, "by", number);
        }
    }
}

/// The record, made if it is not there.
fn record(txn: &mut TransactionMut<'_>, record: &str) -> MapRef {
    let tasks = txn.get_or_insert_map("tasks");
    match tasks.get(txn, record) {
        Some(Out::YMap(found)) => found,
        _ => tasks.insert(txn, record, MapPrelim::default()),
    }
}

/// Where a pair of surrogates may be cut, or somebody made something else of the text, a client in
/// order writes only at the end.
fn write(text: &TextRef, txn: &mut TransactionMut<'_>, script: &mut Script<'_>) {
    let length = text.len(txn);
    let is_plain = length < 200 && text.get_string(txn).chars().count() == length as usize;
    let at = if is_plain {
        script.below(length as usize + 1) as u32
    } else {
        length
    };
    let value = script.pick(&TEXTS);
    match script.below(6) {
        0 if is_plain && at < length => text.remove_range(txn, at, 1),
        1 if is_plain && at < length => {
            let bold = Attrs::from([("b".into(), Any::Bool(script.below(2) == 0))]);
            text.format(txn, at, 1, bold);
        }
        2 => drop(text.insert_embed(txn, at, Any::Bool(true))),
        _ => text.insert(txn, at, value),
    }
}
