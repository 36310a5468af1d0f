//! What fuzzing found worth keeping, as ordinary tests: every file of `fuzz/corpus/<target>/` goes
//! through what the target does with its bytes.

use std::fs;
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
mod targets;

#[test]
fn every_corpus_runs_without_a_finding() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, run) in targets::TARGETS {
        let folder = corpora.join(name);
        let files = fs::read_dir(&folder).expect("each target has a corpus");
        let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{} has inputs", folder.display());
        for path in paths {
            let bytes = fs::read(&path).expect("a file of the corpus");
            // The test's output ends with the file that it fails on.
            println!("{name}: {}", path.display());
            run(&bytes);
        }
    }
}

#[test]
fn every_target_takes_no_bytes_at_all() {
    for (_, run) in targets::TARGETS {
        run(&[]);
    }
}

#[test]
fn every_target_has_its_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let files = fs::read_dir(&folder).expect("the programs of the targets");
    let names = files.map(|file| file.expect("a file").path());
    let mut names: Vec<_> = names
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    let targets: Vec<_> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, targets);
}
