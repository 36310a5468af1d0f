//! Owns finding recorded editing histories (`ROUNDTABLE_DATA`), and making one where there are
//! none.

use std::io::Read;
use std::path::PathBuf;

use yrs::{Doc, GetString, OffsetKind, Options, Text, Transact};

/// Making one takes longer for every edit that is there.
const MADE_MAX: u32 = 40_000;

/// A history of one writer: Yjs updates (v1) in the order in which they were made.
pub struct Trace {
    /// What the results are called by.
    pub name: String,
    /// The updates.
    pub updates: Vec<Vec<u8>>,
}

/// The recorded histories, or made ones.
pub fn traces() -> Vec<Trace> {
    let folder = std::env::var_os("ROUNDTABLE_DATA").map_or("../shared/data".into(), PathBuf::from);
    [("json-crdt-patch", 18_639), ("automerge-paper", 259_778)]
        .into_iter()
        .map(|(name, count)| {
            let file = folder.join(format!("{name}.updates.bin.gz"));
            match std::fs::File::open(&file) {
                Ok(file) => Trace {
                    name: name.into(),
                    updates: read(file),
                },
                Err(_) => Trace {
                    name: format!("made for {name}"),
                    updates: make(count.min(MADE_MAX)),
                },
            }
        })
        .collect()
}

/// Records of a length (u32, little-endian) and so many bytes, compressed.
fn read(file: std::fs::File) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file)
        .read_to_end(&mut bytes)
        .expect("a whole file");
    let mut rest = &bytes[..];
    let mut updates = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (update, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        updates.push(update.to_vec());
        rest = after;
    }
    updates
}

/// Somebody types, now and then jumps elsewhere, and takes every fifth character back.
fn make(count: u32) -> Vec<Vec<u8>> {
    let client_id = yrs::block::ClientID::new(2_769_180_640);
    let doc = Doc::with_options(Options {
        client_id,
        offset_kind: OffsetKind::Utf16,
        ..Options::default()
    });
    let text = doc.get_or_insert_text("text");
    let (mut at, mut length) = (0, 0_u32);
    let updates = (0..count).map(|turn| {
        let mut txn = doc.transact_mut();
        if turn % 97 == 96 {
            at = turn.wrapping_mul(2_654_435_761) % (length + 1);
        }
        if turn % 5 == 4 && at > 0 {
            at -= 1;
            length -= 1;
            text.remove_range(&mut txn, at, 1);
        } else {
            text.insert(&mut txn, at, "x");
            at += 1;
            length += 1;
        }
        txn.encode_update_v1()
    });
    let updates = updates.collect();
    debug_assert_eq!(text.get_string(&doc.transact()).len(), length as usize);
    updates
}
