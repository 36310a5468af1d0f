//! The rules one by one, on bytes made by hand, and what an update is said to touch.

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

#[test]
fn a_map_takes_no_sequence_later() {
    let index = pair(&update(&[(7, 0, &[RECORD])], &[])).index;
    let sequence: &[u8] = &[8, 1, 1, b'm', 1, 0x7e];
    let bytes = update(&[(7, 1, &[sequence])], &[]);
    assert_eq!(check(&bytes, &index).err(), malformed("sequence in a map"));
}

#[test]
fn a_sequence_in_a_map_that_was_kept_makes_it_a_sequence() {
    let bare: &[u8] = &[1, 1, 1, b'm', 1];
    let sequence: &[u8] = &[8, 1, 1, b'm', 1, 0x7e];
    let mut index = pair(&update(&[(7, 0, &[RECORD])], &[])).index;
    let kinds = |index: &Index| index.roots().map(|root| root.1).collect::<Vec<_>>();
    for (clock, block, expected) in [(1, bare, None), (2, sequence, Some(RootKind::Array))] {
        let bytes = update(&[(7, clock, &[block])], &[]);
        let kept = check_state(&bytes, &index).expect("what was kept is taken");
        index.accept(kept);
        assert_eq!(kinds(&index), Vec::from_iter(expected));
    }
    let other_way = update(&[(7, 0, &[sequence, RECORD])], &[]);
    assert_eq!(kinds(&pair(&other_way).index), [RootKind::Array]);
}

#[test]
fn a_root_is_the_same_in_whatever_order_its_content_comes() {
    let map: &[u8] = &[7, 1, 1, b't', 1];
    let xml: &[u8] = &[7, 1, 1, b't', 3, 1, b'p'];
    let value: &[u8] = &[8, 1, 1, b't', 1, 0x7e];
    let deleted: &[u8] = &[1, 1, 1, b't', 1];
    let cases: [(&[&[u8]], RootKind); 6] = [
        (&[map, IN_TEXT, xml], RootKind::Text),
        (&[map, value, xml], RootKind::Array),
        (&[xml, deleted], RootKind::Xml),
        (&[xml, map], RootKind::Array),
        (&[xml, IN_TEXT], RootKind::Text),
        (&[deleted, value], RootKind::Array),
    ];
    for (blocks, kind) in cases {
        let mut blocks = blocks.to_vec();
        for _ in 0..blocks.len() {
            blocks.rotate_left(1);
            let together = check(&update(&[(7, 0, &blocks)], &[]), &Index::new()).unwrap();
            assert_eq!(together.new_roots(), [("t".into(), kind)]);
            let mut index = Index::new();
            for (clock, block) in (0..).zip(&blocks) {
                let apart = check(&update(&[(7, clock, &[block])], &[]), &index).unwrap();
                index.accept(apart);
            }
            assert_eq!(index.roots().map(|root| root.1).collect::<Vec<_>>(), [kind]);
        }
    }
}

#[test]
fn attributes_make_no_map_of_a_text_in_whatever_order() {
    let attribute: &[u8] = &[0x28, 1, 1, b't', 1, b'd', 1, 0x7e];
    for blocks in [[attribute, IN_TEXT], [IN_TEXT, attribute]] {
        let mut pair = Pair::new();
        let touched = pair.push(&update(&[(7, 0, &blocks)], &[]));
        assert_eq!(touched, Ok(vec![root("t")]));
        let roots: Vec<_> = pair
            .index
            .roots()
            .map(|(name, kind)| (&**name, kind))
            .collect();
        assert_eq!(roots, [("t", RootKind::Text)]);
    }
}

#[test]
fn a_root_whose_content_is_deleted_shows_its_kind_later() {
    let mut pair = pair(&update(&[(7, 0, &[&[1, 1, 1, b't', 2]])], &[]));
    assert_eq!(pair.index.roots().count(), 0);
    let bytes = update(&[(7, 2, &[&[0x84, 7, 1, 1, b'x']])], &[]);
    let checked = check(&bytes, &pair.index).unwrap();
    assert_eq!(checked.new_roots(), [("t".into(), RootKind::Text)]);
    assert_eq!(pair.push(&bytes), Ok(vec![root("t")]));
}

#[test]
fn touches_name_root_record_or_field() {
    let mut pair = Pair::new();
    // A record with a field, in one update.
    let touched = pair
        .push(&update(&[(7, 0, &[RECORD, FIELD])], &[]))
        .unwrap();
    assert_eq!(touched, [record("m", "r"), field("m", "r", "f")]);
    // An array as a field, and something in it.
    let tags: &[u8] = &[0x27, 0, 7, 0, 1, b'g', 0];
    let tag: &[u8] = &[8, 0, 7, 2, 1, 0x7e];
    let touched = pair.push(&update(&[(7, 2, &[tags, tag])], &[])).unwrap();
    assert_eq!(touched, [field("m", "r", "g")]);
    // An array as a record, and something in it.
    let list: &[u8] = &[0x27, 1, 1, b'm', 1, b'l', 0];
    let entry: &[u8] = &[7, 0, 7, 4, 1];
    let inner: &[u8] = &[0x28, 0, 7, 5, 1, b'f', 1, 0x7e];
    let touched = pair
        .push(&update(&[(7, 4, &[list, entry, inner])], &[]))
        .unwrap();
    assert_eq!(touched, [record("m", "l")]);
    // Deleting the field, then the record.
    assert_eq!(
        pair.push(&update(&[], &[(7, 1, 1)])),
        Ok(vec![field("m", "r", "f")])
    );
    assert_eq!(
        pair.push(&update(&[], &[(7, 0, 1)])),
        Ok(vec![record("m", "r")])
    );
}

#[test]
fn many_touches_come_once_each_and_in_order() {
    let blocks: Vec<Vec<u8>> = (0..60)
        .map(|at| vec![0x28, 1, 1, b'm', 1, b'A' + at % 30, 1, 0x7e])
        .collect();
    let blocks: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
    let index = Index::new();
    let checked = check(&update(&[(7, 0, &blocks)], &[]), &index).unwrap();
    let keys: Vec<_> = (0..30)
        .map(|at| record("m", &char::from(b'A' + at).to_string()))
        .collect();
    assert_eq!(checked.touched(&index).map(named).collect::<Vec<_>>(), keys);
}

#[test]
fn typing_costs_the_index_nothing() {
    let mut pair = pair(&update(&[(7, 0, &[IN_TEXT])], &[]));
    let before = pair.index.bytes();
    for clock in 1..100 {
        let bytes = update(&[(7, clock, &[&[0x84, 7, clock as u8 - 1, 1, b'x']])], &[]);
        pair.push(&bytes).unwrap();
    }
    assert_eq!(pair.index.bytes(), before);
}
