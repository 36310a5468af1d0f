//! Real histories and vectors from outside the repository, where they are.

use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;

use super::*;

/// The folder of vectors and traces; says so where there is none.
fn folder() -> Option<PathBuf> {
    let given = std::env::var_os("ROUNDTABLE_DATA").map(PathBuf::from);
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = given.unwrap_or(default);
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "no data at {}: the seeded generators stand in",
        folder.display()
    );
    None
}

fn read(folder: &std::path::Path, name: &str) -> Vec<u8> {
    let bytes = std::fs::read(folder.join(name)).expect(name);
    if !name.ends_with(".gz") {
        return bytes;
    }
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(&bytes[..])
        .read_to_end(&mut out)
        .expect(name);
    out
}

fn json(folder: &std::path::Path, name: &str) -> Value {
    serde_json::from_slice(&read(folder, name)).expect(name)
}

/// Applies updates as a server does that asks for what is missing: those with a gap come again
/// later.
fn settle(pair: &mut Pair, updates: &[Vec<u8>]) -> Result<(), Rejected> {
    let mut waiting: Vec<&Vec<u8>> = updates.iter().collect();
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut later = Vec::new();
        for update in waiting {
            match pair.push(update) {
                Ok(_) => {}
                Err(Rejected::Gap) => later.push(update),
                Err(why) => return Err(why),
            }
        }
        if later.len() == before {
            return Err(Rejected::Gap);
        }
        waiting = later;
    }
    Ok(())
}

#[test]
fn update_vectors_are_taken() {
    let Some(folder) = folder() else { return };
    for case in json(&folder, "vectors/updates.json").as_array().unwrap() {
        let is_state_vector = case["op"] == "decodeStateVector";
        if case["encoding"] != "v1" {
            continue;
        }
        let updates = case["updates"].as_array().unwrap().iter();
        let updates: Vec<_> = updates
            .map(|update| hex(update.as_str().unwrap()))
            .collect();
        let mut pair = Pair::new();
        let outcome = if is_state_vector {
            StateVector::parse(&updates[0]).expect("a state vector");
            Ok(())
        } else {
            settle(&mut pair, &updates)
        };
        let name = case["name"].as_str().unwrap();
        let expected = match name {
            // It begins past the start of a client's clocks: there is nothing to begin with.
            "diff_updates_compatibility_v1" => outcome,
            // Written with the legacy JSON content of Yjs before 13.
            "testArrayCompatibilityV1" | "testMapDecodingCompatibilityV1" => outcome,
            _ => Ok(()),
        };
        println!("{name}: {outcome:?}");
        assert_eq!(outcome, expected, "{name}");
        let _ = state(&pair.doc);
    }
}

#[test]
fn whole_documents_are_taken_but_for_a_sub_document() {
    let Some(folder) = folder() else { return };
    for name in ["basic", "database", "with-subdoc", "b4-update"] {
        let bytes = read(&folder, &format!("vectors/docs/{name}.v1.bin.gz"));
        let outcome = check_state(&bytes, &Index::new()).map(|_| ());
        if name == "with-subdoc" {
            assert_eq!(outcome, Err(Rejected::Malformed("sub-document")));
            continue;
        }
        assert_eq!(outcome, Ok(()), "{name}");
        let pair = Pair::from_state(&bytes);
        assert_eq!(pair.index.clocks(), clocks_of(&pair.doc), "{name}");
        split_gives_the_same(&bytes);
        println!("{name}: {:?}", pair.index.roots().collect::<Vec<_>>());
    }
}

#[test]
fn random_documents_of_yrs_are_taken() {
    let Some(folder) = folder() else { return };
    let lines = String::from_utf8(read(&folder, "vectors/yrs-random.jsonl.gz")).unwrap();
    let mut refused = BTreeMap::<String, usize>::new();
    for line in lines.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let updates: Vec<_> = case["updates"]
            .as_array()
            .unwrap()
            .iter()
            .map(base64)
            .collect();
        let mut pair = Pair::new();
        if let Err(why) = settle(&mut pair, &updates) {
            *refused.entry(why.to_string()).or_default() += 1;
            continue;
        }
        let (full, mut again) = (state(&pair.doc), Index::new());
        let checked = check_state(&full, &again).expect("its state is sound");
        again.accept(checked);
        assert_eq!(again.clocks(), pair.index.clocks());
    }
    assert_eq!(refused, BTreeMap::new());
}

fn base64(text: &Value) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD
        .decode(text.as_str().unwrap())
        .unwrap()
}

#[test]
fn malformed_frames_neither_panic_nor_harm() {
    let Some(folder) = folder() else { return };
    let protocol = json(&folder, "vectors/protocol.json");
    let base = hex(protocol["malformed_base_update_hex"].as_str().unwrap());
    let mut taken = 0;
    for case in protocol["malformed"].as_array().unwrap() {
        let frame = hex(case["hex"].as_str().unwrap());
        // The bytes of any message may reach the validator, whatever they were meant as.
        for from in 0..frame.len().min(8) {
            let _ = StateVector::parse(&frame[from..]);
            let mut pair = Pair::from_state(&base);
            if pair.push(&frame[from..]).is_ok() {
                taken += 1;
                read_all(&pair.doc);
            }
        }
    }
    println!("{taken} of them were updates");
}

#[test]
fn traces_are_taken_whole() {
    let Some(folder) = folder() else { return };
    for name in ["json-crdt-patch", "friendsforever", "table-small"] {
        let updates = trace(&folder, name);
        let mut index = Index::new();
        let doc = new_doc(0xffff_fff0);
        for update in &updates {
            let checked = check(update, &index).expect(name);
            assert!(!checked.is_known());
            apply(&doc, update);
            index.accept(checked);
        }
        assert_eq!(index.clocks(), clocks_of(&doc), "{name}");
        let full = state(&doc);
        let mut again = Index::new();
        let checked = check_state(&full, &again).expect(name);
        again.accept(checked);
        assert_eq!(again.clocks(), index.clocks());
        assert!(again.roots().eq(index.roots()));
        assert!(check(&full, &again).expect(name).is_known());
        split_gives_the_same(&full);
        println!(
            "{name}: {} updates, index {} bytes",
            updates.len(),
            index.bytes()
        );
    }
}

/// A trace's updates in a causal order.
fn trace(folder: &std::path::Path, name: &str) -> Vec<Vec<u8>> {
    let bytes = read(folder, &format!("{name}.updates.bin.gz"));
    let mut records = Vec::new();
    let mut rest = &bytes[..];
    while let Some((length, after)) = rest.split_first_chunk() {
        let (record, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        records.push(record.to_vec());
        rest = after;
    }
    if !folder.join(format!("{name}.causal.json.gz")).exists() {
        return records;
    }
    let sidecar = json(folder, &format!("{name}.json"));
    let number = |value: &Value| value.as_u64().unwrap() as usize;
    let firsts: Vec<_> = sidecar["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| number(&agent["first"]))
        .collect();
    let causal = json(folder, &format!("{name}.causal.json.gz"));
    let order = causal["order"].as_array().unwrap().iter();
    order
        .map(|step| records[firsts[number(&step[0])] + number(&step[1])].clone())
        .collect()
}

fn split_gives_the_same(full: &[u8]) {
    let whole = Pair::from_state(full);
    for chunk_bytes in [200, 4_096, 65_536] {
        let mut pair = Pair::new();
        for chunk in split(full, chunk_bytes) {
            let checked = check(&chunk, &pair.index).expect("a chunk is sound");
            apply(&pair.doc, &chunk);
            pair.take(checked);
        }
        assert_eq!(pair.index.clocks(), whole.index.clocks());
        assert_eq!(pair.view(), whole.view());
        if full.len() > 100_000 {
            break;
        }
    }
}
