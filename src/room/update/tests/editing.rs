//! Clients that edit, merge and delete at random; and their bytes, bent at random.

use proptest::prelude::*;
use yrs::types::Attrs;
use yrs::{
    Array, ArrayPrelim, MapPrelim, Text, TextPrelim, TransactionMut, XmlElementPrelim, XmlFragment,
    XmlTextPrelim,
};

use super::*;

/// A generator of numbers: one seed makes everything.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 16
    }

    fn below(&mut self, bound: u64) -> u32 {
        (self.next() % bound.max(1)) as u32
    }

    fn one<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const WORDS: [&str; 5] = ["x", "hello", "é", "😀😀", "end\n"];

/// A client with its document, and how much of the server's log it has.
struct Peer {
    doc: Doc,
    seen: usize,
    outbox: Vec<Vec<u8>>,
}

impl Peer {
    fn new(client: u64) -> Self {
        let doc = new_doc(client);
        doc.get_or_insert_map("records");
        doc.get_or_insert_array("list");
        doc.get_or_insert_text("text");
        doc.get_or_insert_xml_fragment("xml");
        Self {
            doc,
            seen: 0,
            outbox: Vec::new(),
        }
    }

    fn edit(&mut self, dice: &mut Dice) {
        let mut txn = self.doc.transact_mut();
        for _ in 0..=dice.below(3) {
            match dice.below(8) {
                0..=2 => edit_records(&mut txn, dice),
                3 => edit_list(&mut txn, dice),
                4 | 5 => edit_text(&mut txn, dice),
                _ => edit_xml(&mut txn, dice),
            }
        }
        let update = txn.encode_update_v1();
        drop(txn);
        self.outbox.push(update);
    }

    fn pull(&mut self, log: &[Vec<u8>]) {
        for update in &log[self.seen..] {
            apply(&self.doc, update);
        }
        self.seen = log.len();
    }
}

fn edit_records(txn: &mut TransactionMut<'_>, dice: &mut Dice) {
    let records = txn.get_or_insert_map("records");
    let (record, key) = (dice.one(&KEYS), dice.one(&KEYS));
    let nested = match records.get(txn, record) {
        Some(Out::YMap(map)) => Some(map),
        _ => None,
    };
    match (dice.below(9), nested) {
        (0, _) => drop(records.insert(txn, record, MapPrelim::from([(key, "new")]))),
        (1, _) => drop(records.remove(txn, record)),
        (2, _) => drop(records.insert(txn, record, dice.below(9))),
        (3, _) => drop(records.insert(txn, record, ArrayPrelim::from(["one", "two"]))),
        (4, Some(map)) => drop(map.remove(txn, key)),
        (5, Some(map)) => drop(map.insert(txn, key, ArrayPrelim::from([1, 2, 3]))),
        (6, Some(map)) => drop(map.insert(txn, key, TextPrelim::new(dice.one(&WORDS)))),
        (_, Some(map)) => match map.get(txn, key) {
            Some(Out::YArray(array)) => drop(array.insert(txn, 0, dice.one(&WORDS))),
            Some(Out::YText(text)) => text.push(txn, dice.one(&WORDS)),
            _ => drop(map.insert(txn, key, dice.below(100))),
        },
        (_, None) => drop(records.insert(txn, record, MapPrelim::default())),
    }
}

fn edit_list(txn: &mut TransactionMut<'_>, dice: &mut Dice) {
    let list = txn.get_or_insert_array("list");
    let length = list.len(txn);
    let at = dice.below(u64::from(length) + 1);
    match dice.below(4) {
        0 if at < length => list.remove(txn, at),
        1 => drop(list.insert(txn, at, MapPrelim::from([("k", dice.one(&WORDS))]))),
        2 => list.insert_range(txn, at, [1, 2, 3]),
        _ => drop(list.insert(txn, at, dice.one(&WORDS))),
    }
}

fn edit_text(txn: &mut TransactionMut<'_>, dice: &mut Dice) {
    let text = txn.get_or_insert_text("text");
    let length = text.len(txn);
    let at = dice.below(u64::from(length) + 1);
    let rest = u64::from(length - at);
    match dice.below(5) {
        0 | 1 if rest > 0 => text.remove_range(txn, at, 1 + dice.below(rest.min(4))),
        2 if rest > 0 => {
            let bold = Attrs::from([("bold".into(), true.into())]);
            text.format(txn, at, 1 + dice.below(rest), bold);
        }
        3 => drop(text.insert_embed(txn, at, Any::from(dice.below(9)))),
        _ => text.insert(txn, at, dice.one(&WORDS)),
    }
}

fn edit_xml(txn: &mut TransactionMut<'_>, dice: &mut Dice) {
    let xml = txn.get_or_insert_xml_fragment("xml");
    let length = xml.len(txn);
    let at = dice.below(u64::from(length) + 1);
    match dice.below(4) {
        0 if at < length => xml.remove_range(txn, at, 1),
        1 => drop(xml.insert(txn, at, XmlTextPrelim::new(dice.one(&WORDS)))),
        _ => {
            let element = xml.insert(txn, at, XmlElementPrelim::empty(dice.one(&KEYS)));
            element.insert(txn, 0, XmlTextPrelim::new(dice.one(&WORDS)));
        }
    }
}

/// Peers that edit at once and a server that hears them one after the other. Answers the server and
/// its log.
fn edited(dice: &mut Dice, steps: u32) -> (Pair, Vec<Vec<u8>>) {
    let mut server = Pair::new();
    // Clients ask for roots by kind; the server learns kinds from content, as here.
    let mut peers: Vec<_> = (0..3).map(|at| Peer::new(1 + at * 1_000_003)).collect();
    let mut log = Vec::new();
    for _ in 0..steps {
        let at = dice.below(peers.len() as u64) as usize;
        let peer = &mut peers[at];
        match dice.below(3) {
            // A room that was closed and opened again knows less of what is deleted, and takes the
            // same.
            _ if dice.below(20) == 0 => server = Pair::from_state(&state(&server.doc)),
            0 => peer.pull(&log),
            1 => peer.edit(dice),
            _ => {
                for update in peer.outbox.drain(..) {
                    server
                        .push(&update)
                        .expect("an edit in causal order is taken");
                    log.push(update);
                }
            }
        }
    }
    for peer in &mut peers {
        for update in peer.outbox.drain(..) {
            server
                .push(&update)
                .expect("an edit in causal order is taken");
            log.push(update);
        }
    }
    for peer in &mut peers {
        peer.pull(&log);
        // A peer's whole state, as it sends it at a reconnect, says nothing new.
        let whole = state(&peer.doc);
        server.push(&whole).expect("a peer's state is taken");
        assert!(check(&whole, &server.index).expect("again").is_known());
        assert_eq!(clocks_of(&peer.doc), server.index.clocks());
    }
    (server, log)
}

/// Bends bytes at a few places.
fn bend(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = dice.below(bytes.len() as u64) as usize;
        match dice.below(7) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at] = dice.next() as u8,
            2 => bytes[at] = bytes[at].wrapping_add(1),
            3 => bytes[at] = bytes[at].wrapping_sub(1),
            4 => drop(bytes.remove(at)),
            5 => bytes.insert(at, dice.next() as u8 & 0x8f),
            _ => {
                let other = dice.below(bytes.len() as u64) as usize;
                bytes[at] = bytes[other];
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_edit_in_causal_order_is_taken_and_what_it_changes_is_touched(seed: u64) {
        let (server, _) = edited(&mut Dice(seed), 120);
        let full = state(&server.doc);
        let again = Pair::from_state(&full);
        prop_assert_eq!(again.index.clocks(), server.index.clocks());
        prop_assert_eq!(again.index.state_vector(), server.index.state_vector());
        let kinds: BTreeMap<_, _> = server.index.roots().collect();
        for (name, kind) in again.index.roots() {
            prop_assert_eq!(kinds.get(name), Some(&kind));
        }
        prop_assert!(check(&full, &again.index).unwrap().is_known());
    }

    #[test]
    fn a_split_state_is_the_same_document(seed: u64, chunk_bytes in 1..600_usize) {
        let (server, _) = edited(&mut Dice(seed), 80);
        let full = state(&server.doc);
        let whole = Pair::from_state(&full);
        let mut pair = Pair::new();
        for chunk in split(&full, chunk_bytes) {
            pair.push(&chunk).expect("a chunk is taken after those before it");
        }
        prop_assert_eq!(pair.view(), whole.view());
        prop_assert_eq!(pair.index.clocks(), whole.index.clocks());
        let known = check(&full, &pair.index).unwrap().is_known();
        prop_assert!(known);
    }

    #[test]
    fn bent_bytes_are_refused_or_harmless(seed: u64) {
        let mut dice = Dice(seed);
        let (server, log) = edited(&mut dice, 60);
        let full = state(&server.doc);
        let mut pair = Pair::from_state(&full);
        for round in 0..300 {
            let mut bytes = log[dice.below(log.len() as u64) as usize].clone();
            if round % 8 == 0 {
                bytes = full.clone();
            }
            bend(&mut bytes, &mut dice);
            let _ = StateVector::parse(&bytes);
            if pair.push(&bytes).is_ok() {
                read_all(&pair.doc);
            }
            if round % 50 == 49 {
                // From a document that begins with these bytes, too.
                pair = Pair::new();
            }
        }
    }
}
