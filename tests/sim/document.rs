//! Owns a Yjs document as a client has it, what people do to it, and how it is read for comparing.

use bytes::Bytes;
use roundtable::room::Document;
use roundtable::room::index::StateVector;
use yrs::updates::decoder::Decode;
use yrs::{
    Array, ArrayPrelim, ClientID, Doc, Map, MapPrelim, MapRef, OffsetKind, Options, Out, ReadTxn,
    Text, TextPrelim, Transact, TransactionMut, Update, WriteTxn,
};

use crate::dice::Dice;

/// A client's document. Its Yjs client id is never used by another.
pub struct Copy {
    doc: Doc,
}

impl Copy {
    pub fn new(client: u64) -> Self {
        let doc = Doc::with_options(Options {
            offset_kind: OffsetKind::Utf16,
            ..Options::with_client_id(ClientID::new(client))
        });
        Self { doc }
    }

    /// One to four changes in one transaction; returns its update.
    pub fn edit(&self, dice: &mut Dice) -> Bytes {
        self.transact(|txn| {
            for _ in 0..=dice.below(3) {
                edit(txn, dice);
            }
        })
    }

    /// A change that meets no other: what somebody beside the server does.
    pub fn edit_alone(&self, dice: &mut Dice) -> Bytes {
        let value = dice.text();
        self.transact(|txn| {
            txn.get_or_insert_map("theirs").insert(txn, "value", value);
        })
    }

    fn transact(&self, edit: impl FnOnce(&mut TransactionMut<'_>)) -> Bytes {
        let mut txn = self.doc.transact_mut();
        edit(&mut txn);
        txn.encode_update_v1().into()
    }

    /// Takes an update in; whether it left no gap.
    #[must_use]
    pub fn take(&self, update: &[u8]) -> bool {
        let update = Update::decode_v1(update).expect("what a room sends can be decoded");
        let mut txn = self.doc.transact_mut();
        txn.apply_update(update).expect("and applied");
        !txn.has_missing_updates()
    }

    pub fn clocks(&self) -> StateVector {
        let clocks = self.doc.transact().state_vector();
        let clocks = clocks.iter().map(|(client, clock)| (client.get(), *clock));
        clocks.collect()
    }

    /// What it has beyond a state vector.
    pub fn beyond(&self, since: &StateVector) -> Bytes {
        let since = since
            .iter()
            .map(|(client, clock)| (ClientID::new(client), clock));
        let txn = self.doc.transact();
        txn.encode_state_as_update_v1(&since.collect()).into()
    }

    /// The document, read as a room reads its own.
    pub fn json(&self) -> String {
        let mut document = Document::new(1, StateVector::default());
        let state = self.beyond(&StateVector::default());
        document.load(&state).expect("a client's document is sound");
        document.json()
    }
}

/// From which clock on each client's content in an update begins.
pub fn lower_clocks(update: &[u8]) -> Vec<(u64, u32)> {
    let update = Update::decode_v1(update).expect("what is kept can be decoded");
    let lower = update.state_vector_lower();
    lower.iter().map(|(id, clock)| (id.get(), *clock)).collect()
}

fn edit(txn: &mut TransactionMut<'_>, dice: &mut Dice) {
    let name = *dice.pick(&["t0", "t1", "t2"]);
    let value = dice.text();
    match dice.below(14) {
        0..5 => {
            let field = *dice.pick(&["name", "shop", "by"]);
            record_in(txn, name).insert(txn, field, value);
        }
        5 => drop(record_in(txn, name).remove(txn, "name")),
        6 => drop(txn.get_or_insert_map("tasks").remove(txn, name)),
        7 => {
            let record = MapPrelim::from([("name", value)]);
            txn.get_or_insert_map("tasks").insert(txn, name, record);
        }
        8 => drop(txn.get_or_insert_map("tasks").insert(txn, name, value)),
        9 => match record_in(txn, name).get(txn, "note") {
            Some(Out::YText(text)) => {
                let at = dice.below(text.len(txn) as usize + 1);
                text.push(txn, &value);
                if at == 0 && text.len(txn) > 0 {
                    text.remove_range(txn, 0, 1);
                }
            }
            _ => drop(record_in(txn, name).insert(txn, "note", TextPrelim::new(value))),
        },
        10 => match record_in(txn, name).get(txn, "tags") {
            Some(Out::YArray(tags)) if tags.len(txn) > 2 => tags.remove(txn, 1),
            Some(Out::YArray(tags)) => drop(tags.push_back(txn, value)),
            _ => drop(record_in(txn, name).insert(txn, "tags", ArrayPrelim::from([value]))),
        },
        11 => match record_in(txn, name).get(txn, "in") {
            Some(Out::YMap(inner)) => drop(inner.insert(txn, "deep", value)),
            _ => drop(record_in(txn, name).insert(txn, "in", MapPrelim::default())),
        },
        12 => txn.get_or_insert_text("text").push(txn, &value),
        _ => drop(txn.get_or_insert_array("list").push_back(txn, value)),
    }
}

/// The record, made if it is not there.
fn record_in(txn: &mut TransactionMut<'_>, record: &str) -> MapRef {
    let tasks = txn.get_or_insert_map("tasks");
    match tasks.get(txn, record) {
        Some(Out::YMap(found)) => found,
        _ => tasks.insert(txn, record, MapPrelim::default()),
    }
}
