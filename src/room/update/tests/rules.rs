//! The rules one by one, on bytes made by hand, and what an update is said to touch.

mod roots;

use super::*;

/// `update("7:0 ...")` in pieces: sections of (client, clock, blocks) and delete ranges of (client,
/// start, length).
fn update(sections: &[(u64, u32, &[&[u8]])], deletes: &[(u8, u8, u8)]) -> Vec<u8> {
    let mut out = vec![sections.len() as u8];
    for (client, clock, blocks) in sections {
        out.push(blocks.len() as u8);
        crate::lib0::write_var_uint(&mut out, *client);
        crate::lib0::write_var_uint(&mut out, u64::from(*clock));
        out.extend(blocks.concat());
    }
    out.push(deletes.len() as u8);
    for (client, start, length) in deletes {
        out.extend([*client, 1, *start, *length]);
    }
    out
}

/// A character at the start of the text `t`.
const IN_TEXT: &[u8] = &[4, 1, 1, b't', 1, b'x'];
/// A map as the record `r` of `m`.
const RECORD: &[u8] = &[0x27, 1, 1, b'm', 1, b'r', 1];
/// The field `f` of the type 7:0.
const FIELD: &[u8] = &[0x28, 0, 7, 0, 1, b'f', 1, 0x7e];

fn pair(bytes: &[u8]) -> Pair {
    let mut pair = Pair::new();
    pair.push(bytes).expect("the beginning is sound");
    pair
}

fn malformed(why: &'static str) -> Option<Rejected> {
    Some(Rejected::Malformed(why))
}

fn field(root: &str, record: &str, field: &str) -> Named {
    (root.into(), Some(record.into()), Some(field.into()))
}

fn record(root: &str, record: &str) -> Named {
    (root.into(), Some(record.into()), None)
}

fn root(name: &str) -> Named {
    (name.into(), None, None)
}

#[test]
fn a_section_past_our_clock_is_a_gap() {
    let index = Index::new();
    assert_eq!(
        check(&update(&[(7, 1, &[IN_TEXT])], &[]), &index).err(),
        Some(Rejected::Gap)
    );
    let origin = [0x84, 8, 0, 1, b'x'];
    assert_eq!(
        check(&update(&[(7, 0, &[&origin])], &[]), &index).err(),
        Some(Rejected::Gap)
    );
    assert_eq!(
        check(&update(&[], &[(7, 0, 1)]), &index).err(),
        Some(Rejected::Gap)
    );
}

#[test]
fn clocks_of_a_deleted_epoch_are_former() {
    let index = Index::with_former([(7, 2), (8, 1)].into_iter().collect());
    let former = Some(Rejected::Former);
    assert_eq!(
        check(&update(&[(7, 0, &[IN_TEXT])], &[]), &index).err(),
        former
    );
    assert_eq!(
        check(&update(&[(7, 2, &[IN_TEXT])], &[]), &index).err(),
        former
    );
    let origin = [0x84, 8, 0, 1, b'x'];
    assert_eq!(
        check(&update(&[(9, 0, &[&origin])], &[]), &index).err(),
        former
    );
    assert_eq!(check(&update(&[], &[(7, 0, 1)]), &index).err(), former);
    assert!(check(&update(&[(9, 0, &[IN_TEXT])], &[]), &index).is_ok());
}

#[test]
fn known_blocks_may_come_again_and_go_on() {
    let mut pair = pair(&update(&[(7, 0, &[&[4, 1, 1, b't', 2, b'a', b'b']])], &[]));
    let longer = update(
        &[(7, 0, &[&[4, 1, 1, b't', 4, b'a', b'b', b'c', b'd']])],
        &[],
    );
    assert_eq!(pair.push(&longer), Ok(vec![root("t")]));
    assert!(check(&longer, &pair.index).unwrap().is_known());
    let elsewhere = update(
        &[(7, 0, &[&[4, 1, 1, b'u', 5, b'a', b'b', b'c', b'd', b'e']])],
        &[],
    );
    assert_eq!(
        check(&elsewhere, &pair.index).err(),
        malformed("block in two places")
    );
}

#[test]
fn ap11_what_goes_on_from_what_a_peer_collected_is_asked_for_again() {
    // A map under a key, deleted; a peer collected what was in it.
    let map = [0x27, 1, 1, b'm', 1, b'k', 1];
    let mut pair = pair(&update(&[(7, 0, &[&map, &[0, 1]])], &[(7, 0, 2)]));
    let whole = [0x21, 0, 7, 0, 1, b'n', 3];
    let gap = Some(Rejected::Gap);
    assert_eq!(
        check(&update(&[(7, 1, &[&whole])], &[]), &pair.index).err(),
        gap
    );
    let rest = [0x81, 7, 1, 2];
    assert_eq!(pair.push(&update(&[(7, 2, &[&rest])], &[])), Ok(vec![]));
    assert!(
        check(&update(&[(7, 1, &[&whole])], &[]), &pair.index)
            .unwrap()
            .is_known()
    );
}

#[test]
fn a_delete_is_known_once_it_is_recorded() {
    let mut pair = pair(&update(&[(7, 0, &[&[4, 1, 1, b't', 2, b'a', b'b']])], &[]));
    let delete = update(&[], &[(7, 0, 2)]);
    assert_eq!(pair.push(&delete), Ok(vec![root("t")]));
    let again = check(&update(&[], &[(7, 1, 1)]), &pair.index).unwrap();
    assert!(again.is_known());
    assert_eq!(again.touched(&pair.index).len(), 0);
}

#[test]
fn origins_in_two_places_are_refused() {
    let in_other: &[u8] = &[4, 1, 1, b'u', 1, b'x'];
    let both = [0xc4, 7, 0, 7, 1, 1, b'x'];
    let bytes = update(&[(8, 0, &[&both]), (7, 0, &[IN_TEXT, in_other])], &[]);
    assert_eq!(
        check(&bytes, &Index::new()).err(),
        malformed("origins in two places")
    );
}

#[test]
fn origins_between_which_no_client_writes_are_refused() {
    let field: &[u8] = &[0x28, 1, 1, b'm', 1, b'k', 1, 0x7e];
    let pair = pair(&update(&[(7, 0, &[field, IN_TEXT, IN_TEXT])], &[]));
    let after = |first: u8, origins: &[u8]| {
        let block = [&[first], origins, &[1, 0x7e]].concat();
        check(&update(&[(8, 0, &[&block])], &[]), &pair.index).err()
    };
    assert_eq!(after(0x88, &[7, 0]), None);
    let right = malformed("right origin under a key");
    assert_eq!(after(0x48, &[7, 0]), right);
    assert_eq!(after(0xc8, &[7, 0, 7, 0]), right);
    let same = [0xc4, 7, 1, 7, 1, 1, b'x'];
    assert_eq!(
        check(&update(&[(8, 0, &[&same])], &[]), &pair.index).err(),
        malformed("one item as both origins")
    );
}

#[test]
fn a_parent_that_is_no_type_is_refused() {
    let bytes = update(&[(7, 0, &[IN_TEXT, FIELD])], &[]);
    assert_eq!(
        check(&bytes, &Index::new()).err(),
        malformed("parent is not a type")
    );
}

#[test]
fn blocks_that_need_one_another_are_refused() {
    let (first, second) = ([0x84, 8, 0, 1, b'x'], [0x84, 7, 0, 1, b'x']);
    let bytes = update(&[(8, 0, &[&second]), (7, 0, &[&first])], &[]);
    assert_eq!(
        check(&bytes, &Index::new()).err(),
        malformed("blocks that need one another")
    );
    let itself = update(&[(7, 0, &[&second])], &[]);
    assert_eq!(
        check(&itself, &Index::new()).err(),
        malformed("block that needs a later one")
    );
}

#[test]
fn sections_may_need_later_sections_back_and_forth() {
    let after_7_0 = [0x84, 7, 0, 1, b'x'];
    let after_8_0 = [0x84, 8, 0, 1, b'x'];
    let after_7_1 = [0x84, 7, 1, 1, b'x'];
    let bytes = update(
        &[
            (8, 0, &[&after_7_0, &after_7_1]),
            (7, 0, &[IN_TEXT, &after_8_0]),
        ],
        &[],
    );
    let mut pair = Pair::new();
    assert_eq!(pair.push(&bytes), Ok(vec![root("t")]));
}

#[test]
fn what_lies_beside_or_in_something_collected_is_gone() {
    let mut pair = pair(&update(&[(7, 0, &[&[0, 2]])], &[]));
    let beside = update(&[(8, 0, &[&[0x84, 7, 0, 1, b'x']])], &[]);
    assert_eq!(pair.push(&beside), Ok(vec![]));
    let within = update(&[(9, 0, &[FIELD])], &[]);
    assert_eq!(pair.push(&within), Ok(vec![]));
    let half = update(&[(10, 0, &[IN_TEXT, &[0xc4, 7, 0, 10, 0, 1, b'x']])], &[]);
    assert_eq!(
        pair.push(&half),
        Err(Rejected::Malformed("origins in two places"))
    );
}

#[test]
fn a_parent_that_was_deleted_makes_its_children_gone() {
    let mut pair = pair(&update(&[(7, 0, &[&[0x21, 1, 1, b'm', 1, b'r', 1]])], &[]));
    assert_eq!(pair.push(&update(&[(8, 0, &[FIELD])], &[])), Ok(vec![]));
    read_all(&pair.doc);
}

#[test]
fn delete_ranges_must_be_in_order_and_hold_something() {
    let index = pair(&update(
        &[(7, 0, &[&[4, 1, 1, b't', 4, b'a', b'b', b'c', b'd']])],
        &[],
    ))
    .index;
    let ranges = |bytes: &[u8]| check(bytes, &index).map(|_| ());
    assert_eq!(ranges(&[0, 1, 7, 2, 0, 1, 1, 2]), Ok(()));
    assert_eq!(ranges(&[0, 1, 7, 0]), Ok(()));
    let order = Err(Rejected::Malformed("delete ranges out of order"));
    assert_eq!(ranges(&[0, 1, 7, 2, 0, 2, 1, 2]), order);
    assert_eq!(ranges(&[0, 1, 7, 2, 2, 1, 0, 1]), order);
    assert_eq!(
        ranges(&[0, 1, 7, 1, 0, 0]),
        Err(Rejected::Malformed("block or range of no length"))
    );
    assert_eq!(
        ranges(&[0, 2, 7, 1, 0, 1, 7, 1, 1, 1]),
        Err(Rejected::Malformed("client twice in an update"))
    );
    assert_eq!(
        ranges(&[0, 0, 0]),
        Err(Rejected::Malformed("bytes after the delete set"))
    );
}

#[test]
fn content_must_suit_its_parent() {
    let cases: [(&[u8], &[u8], &str); 7] = [
        // A map takes no sequence, an array no text and no keys, an XML element only XML.
        (
            &[7, 1, 1, b'a', 1],
            &[4, 0, 7, 0, 1, b'x'],
            "content that its parent does not take",
        ),
        (
            &[7, 1, 1, b'a', 1],
            &[8, 0, 7, 0, 1, 0x7e],
            "content that its parent does not take",
        ),
        (
            &[7, 1, 1, b'a', 0],
            &[4, 0, 7, 0, 1, b'x'],
            "content that its parent does not take",
        ),
        (&[7, 1, 1, b'a', 0], FIELD, "key in a sequence"),
        (
            &[7, 1, 1, b'x', 4],
            &[4, 0, 7, 0, 1, b'x'],
            "content that its parent does not take",
        ),
        (
            &[7, 1, 1, b'x', 4],
            &[7, 0, 7, 0, 1],
            "content that its parent does not take",
        ),
        (
            RECORD,
            &[0x24, 0, 7, 0, 1, b'f', 1, b'x'],
            "text under a key",
        ),
    ];
    for (first, second, why) in cases {
        // In one update and in two.
        let together = update(&[(7, 0, &[first, second])], &[]);
        assert_eq!(
            check(&together, &Index::new()).err(),
            malformed(why),
            "{first:?}"
        );
        let index = pair(&update(&[(7, 0, &[first])], &[])).index;
        let apart = update(&[(7, 1, &[second])], &[]);
        assert_eq!(check(&apart, &index).err(), malformed(why), "{first:?}");
    }
}
