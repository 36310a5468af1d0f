//! Sends hostile updates through the validator into the CRDT: what is taken must apply whole, leave
//! nothing pending, and be read, encoded, reloaded and split without harm.
//!
//! The input is a list of updates, each behind a two-byte length; they go to a document with some
//! of everything.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use roundtable::room::index::{Index, RootKind};
use roundtable::room::update::{Checked, check, check_state, split};
use yrs::types::ToJson;
use yrs::updates::decoder::Decode;
use yrs::{
    Array, Doc, GetString, Map, MapPrelim, OffsetKind, Options, ReadTxn, StateVector, Text,
    Transact, Update, WriteTxn, XmlElementPrelim, XmlFragment,
};

static BASE: LazyLock<Vec<u8>> = LazyLock::new(base);

fuzz_target!(|input: &[u8]| {
    let mut room = Room::load(&BASE);
    let mut rest = input;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(after.len());
        let (update, after) = after.split_at(length);
        rest = after;
        if let Ok(checked) = check(update, &room.index) {
            room.apply(update, checked);
        }
    }
    room.read();
    let state = room.state();
    let again = Room::load(&state);
    assert_eq!(again.index.clocks(), room.index.clocks());
    assert!(check(&state, &again.index).expect("its own state is sound").is_known());
    let mut pieces = Room::load(&[0, 0]);
    for piece in split(&state, 100) {
        let checked = check(&piece, &pieces.index).expect("a piece of a sound state is sound");
        pieces.apply(&piece, checked);
    }
    assert_eq!(pieces.index.clocks(), room.index.clocks());
    pieces.read();
});

struct Room {
    doc: Doc,
    index: Index,
}

impl Room {
    fn load(state: &[u8]) -> Self {
        let mut room = Self { doc: new_doc(4_000_000_007), index: Index::new() };
        room.index.reserve_client(4_000_000_007);
        let checked = check_state(state, &room.index).expect("a state is sound");
        room.apply(state, checked);
        room
    }

    fn apply(&mut self, update: &[u8], checked: Checked) {
        let decoded = Update::decode_v1(update).expect("a checked update decodes");
        self.doc.transact_mut().apply_update(decoded).expect("a checked update applies");
        assert!(!self.doc.transact().has_missing_updates(), "nothing is pending");
        for (name, kind) in checked.new_roots() {
            let mut txn = self.doc.transact_mut();
            match kind {
                RootKind::Map => drop(txn.get_or_insert_map(&**name)),
                RootKind::Array => drop(txn.get_or_insert_array(&**name)),
                RootKind::Text => drop(txn.get_or_insert_text(&**name)),
                RootKind::Xml => drop(txn.get_or_insert_xml_fragment(&**name)),
            }
        }
        self.index.accept(checked);
        let vector = self.doc.transact().state_vector();
        let clocks = vector.iter().map(|(client, clock)| (client.get(), *clock)).collect();
        assert_eq!(self.index.clocks(), clocks, "the index is in step");
    }

    fn state(&self) -> Vec<u8> {
        self.doc.transact().encode_state_as_update_v1(&StateVector::default())
    }

    /// Reads every root as the kind that the index says.
    fn read(&self) {
        let txn = self.doc.transact();
        for (name, kind) in self.index.roots() {
            match kind {
                RootKind::Map => drop(txn.get_map(&**name).map(|map| map.to_json(&txn))),
                RootKind::Array => drop(txn.get_array(&**name).map(|array| array.to_json(&txn))),
                RootKind::Text => drop(txn.get_text(&**name).map(|text| text.get_string(&txn))),
                RootKind::Xml => {
                    drop(txn.get_xml_fragment(&**name).map(|xml| xml.get_string(&txn)));
                }
            }
        }
    }
}

fn new_doc(client: u64) -> Doc {
    let client_id = yrs::block::ClientID::new(client);
    Doc::with_options(Options { client_id, offset_kind: OffsetKind::Utf16, ..Options::default() })
}

fn base() -> Vec<u8> {
    let doc = new_doc(1);
    let (text, map) = (doc.get_or_insert_text("t"), doc.get_or_insert_map("m"));
    let (array, xml) = (doc.get_or_insert_array("a"), doc.get_or_insert_xml_fragment("x"));
    let mut txn = doc.transact_mut();
    text.insert(&mut txn, 0, "hello world");
    text.remove_range(&mut txn, 3, 2);
    map.insert(&mut txn, "k", 1);
    map.insert(&mut txn, "k", 2);
    let nested = map.insert(&mut txn, "n", MapPrelim::from([("x", "y")]));
    nested.insert(&mut txn, "x", "z");
    array.insert_range(&mut txn, 0, [1, 2, 3, 4]);
    array.remove(&mut txn, 1);
    xml.insert(&mut txn, 0, XmlElementPrelim::empty("p"));
    drop(txn);
    doc.transact().encode_state_as_update_v1(&StateVector::default())
}
