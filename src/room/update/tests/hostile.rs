//! Bytes that crash, hang or corrupt the CRDT when they reach it unchecked.

use yrs::{Array, MapPrelim, Text};

use super::*;

/// A document with some of everything, made by client 1 in one transaction.
fn base() -> Vec<u8> {
    let doc = new_doc(1);
    let (text, map) = (doc.get_or_insert_text("t"), doc.get_or_insert_map("m"));
    let array = doc.get_or_insert_array("a");
    let mut txn = doc.transact_mut();
    text.insert(&mut txn, 0, "hello world");
    text.remove_range(&mut txn, 3, 2);
    map.insert(&mut txn, "k", 1);
    map.insert(&mut txn, "k", 2);
    let nested = map.insert(&mut txn, "n", MapPrelim::from([("x", "y")]));
    nested.insert(&mut txn, "x", "z");
    array.insert_range(&mut txn, 0, [1, 2, 3, 4]);
    array.remove(&mut txn, 1);
    drop(txn);
    state(&doc)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum On {
    Empty,
    Base,
}

/// Pushes updates in order onto a document whose server has client id 1; whatever is taken must do
/// no harm.
fn push_all(on: On, updates: &[&str]) -> Vec<Option<Rejected>> {
    let mut pair = Pair {
        doc: new_doc(1),
        index: Index::new(),
    };
    if on == On::Base {
        let bytes = base();
        let checked = check_state(&bytes, &pair.index).expect("the base is sound");
        apply(&pair.doc, &bytes);
        pair.take(checked);
    }
    pair.index.reserve_client(1);
    let outcomes = updates
        .iter()
        .map(|update| pair.push(&hex(update)).err())
        .collect();
    read_all(&pair.doc);
    outcomes
}

#[test]
fn a_client_twice_in_one_update_is_refused() {
    let twice = Some(Rejected::Malformed("client twice in an update"));
    assert_eq!(
        push_all(On::Empty, &["0201070004010174014101070004010174014200"]),
        [twice]
    );
}

#[test]
fn legacy_json_content_is_refused() {
    let legacy = Some(Rejected::Malformed("legacy JSON content"));
    assert_eq!(
        push_all(On::Empty, &["01010705820903010131013200"]),
        [legacy]
    );
}

#[test]
fn an_emoji_in_an_array_is_refused() {
    let update = "010107000401016104f09f988000";
    let text = Some(Rejected::Malformed("text in an array"));
    assert_eq!(push_all(On::Base, &[update]), [text]);
    // On an empty document the same bytes make a text.
    assert_eq!(push_all(On::Empty, &[update]), [None]);
}

#[test]
fn reproducers_of_crashes_are_refused() {
    let cases: [(On, &str); 10] = [
        (On::Empty, "0102ff02ff0002000603010000170000000000000029fa"),
        (
            On::Empty,
            "810002020202020202020202020202020202020202000000010600130000",
        ),
        (
            On::Base,
            "810002020202020202020202020202020202020202000000010600130000",
        ),
        (On::Base, "010201feffffff0f00050300030002010200"),
        (
            On::Base,
            "01020000010101000300d6afffffffffffffffff3b0002afd627003b00b6003b00070028fb00630029fc",
        ),
        (
            On::Base,
            "010209ffffffffff02004200ff120000027e0202023b022c0202023600660038316902fb3221ff0402\
             09ffffffffff03ff42380174016211",
        ),
        (
            On::Base,
            "030307feffffff0f08010161027d017d012701016d016b028801000000010000010000",
        ),
        (
            On::Base,
            "030327010006010100060103743dfdff0101011313131313131313121320000000000001020000e90000\
             fc0102012603286e01037901020329017d000000ff2f151763e9a0e964e9e9",
        ),
        (
            On::Base,
            "010601132101016d03636e792f2801016d0362696e0174030102032901016d03646f6324633665613436\
             65632d616534312d02032901016d036403616e79012801016d0362696e01740301020404040404040404\
             040404040404040404040404040404040404040404040404040404040404040404040404040404047d03\
             01030200010401",
        ),
        (
            On::Base,
            "00000241060705000e0402040200010015040100000600810084002100a80027002100a8000800810088\
             16107455657c8120776f7200000804024106280705000e040304060785000e0402000000192600880000\
             7c20776f7282fd88",
        ),
    ];
    for (on, update) in cases {
        let outcome = push_all(on, &[update]);
        println!("{on:?} {} {outcome:?}", &update[..20]);
        assert!(outcome[0].is_some(), "{on:?} {update}");
    }
}

#[test]
fn sequences_that_crash_are_refused_or_harmless() {
    let cases: [&[&str]; 5] = [
        &[
            "030207ffffffff070a0500050207ffffffff07000500050207ffffffff070005000500",
            "010207ffffffff070005000500",
            "010207ffffffff070005000500",
            "010201000100010001010001000100",
        ],
        &[
            "010407ffffffff0723010174016e02010223010174016e02010223010174016e02010223010174016e02\
             01020207000700",
            "010407ffffffff0723010174016e02010223010174016e02010223010174016e02010223010171016b02\
             010200ffffffff0702ffffffffffffff0f00020200010105",
        ],
        &[
            "0302020c2501016d017a077b2261223a317d2501016d017a077b2261223a317d02020c2501016d016b07\
             7b2261223a317d010101710202010001000100010100010001010100",
        ],
        &[
            "0304010500ffffffff0f00ffffffff0f00ffffffff07a80100000301ffffffff0fa80714008801000001\
             0001000100010000",
        ],
        &[
            "010101002101016d016bffffffff0700",
            "010407ffffffff07a70700000100030305e7070307020208000700027d017d01010100",
            "02030108080001000027010161016e030170000500010000",
        ],
    ];
    for updates in cases {
        let outcomes = push_all(On::Base, updates);
        println!("{outcomes:?}");
        assert!(outcomes[0].is_some(), "{outcomes:?}");
    }
}

#[test]
fn a_block_of_the_servers_own_client_is_refused() {
    let mut pair = Pair::from_state(&base());
    pair.index.reserve_client(1);
    let clock = pair.index.clock(1) as u8;
    let update = [1, 1, 1, clock, 4, 1, 1, b't', 1, b'A', 0];
    assert_eq!(pair.push(&update), Err(Rejected::Forged));
    assert!(check_own(&update, &pair.index).is_ok());
    // What the server wrote before may come back.
    assert!(check(&base(), &pair.index).unwrap().is_known());
}

#[test]
fn a_value_nested_too_deep_is_refused() {
    let mut bomb = hex("0101070008010174 01");
    bomb.extend([0x75, 0x01].repeat(10_000));
    bomb.extend([0x7e, 0x00]);
    assert_eq!(
        check(&bomb, &Index::new()).err(),
        Some(Rejected::TooDeep("value"))
    );
}

#[test]
fn counts_that_the_bytes_do_not_back_are_refused() {
    let many = Some(Rejected::Malformed("count larger than the bytes left"));
    // Sections, blocks, values of an array, delete clients, delete ranges.
    for update in [
        "80c2d72f",
        "0180c2d72f07000401017401410000",
        "010107000801017401 7580c2d72f7e00",
        "0080c2d72f01",
        "000180c2d72f0101",
    ] {
        assert_eq!(check(&hex(update), &Index::new()).err(), many, "{update}");
    }
}

/// A chain of maps, each the value of the one before.
fn type_chain(length: usize) -> Vec<u8> {
    let mut bytes = vec![1];
    crate::lib0::write_var_uint(&mut bytes, length as u64);
    bytes.extend([7, 0]);
    for at in 0..length {
        bytes.push(0x27);
        if at == 0 {
            bytes.extend([1, 1, b'm']);
        } else {
            bytes.extend([0, 7]);
            crate::lib0::write_var_uint(&mut bytes, at as u64 - 1);
        }
        bytes.extend([1, b'k', 1]);
    }
    bytes.push(0);
    bytes
}

#[test]
fn types_nest_100_deep_and_no_deeper() {
    let deepest = type_chain(TYPE_DEPTH_MAX);
    let mut pair = Pair::new();
    pair.push(&deepest).expect("100 levels are fine");
    read_all(&pair.doc);
    let too_deep = Some(Rejected::TooDeep("type"));
    assert_eq!(
        check(&type_chain(TYPE_DEPTH_MAX + 1), &Index::new()).err(),
        too_deep
    );
    assert_eq!(check(&type_chain(10_000), &Index::new()).err(), too_deep);
    // The depth is remembered: one more level in an update of its own is refused too.
    let one_more = [
        1,
        1,
        8,
        0,
        0x27,
        0,
        7,
        TYPE_DEPTH_MAX as u8 - 1,
        1,
        b'k',
        1,
        0,
    ];
    assert_eq!(check(&one_more, &pair.index).err(), too_deep);
    let loaded = Pair::from_state(&state(&pair.doc));
    assert_eq!(check(&one_more, &loaded.index).err(), too_deep);
}
