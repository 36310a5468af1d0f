//! Rules: what a root is, whatever its content and the order in which that comes; what is touched.

use super::*;

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
