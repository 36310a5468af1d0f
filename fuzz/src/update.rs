//! Owns the target `update`: updates of clients in order, forged ones and any bytes, through the
//! validator into the CRDT. What is taken applies whole; the document is read, encoded, folded,
//! split and diffed without harm, and its change events say what became of its records.

use std::sync::LazyLock;

use bytes::Bytes;
use roundtable::room::document::{Applied, Document, Fault};
use roundtable::room::index::StateVector;
use roundtable::room::update::split;

use super::author::Author;
use super::forge::forge;
use super::log::{Records, SERVER, assert_same, fold, roots};
use super::script::Script;

/// More would only make an input slow.
const STEPS_MAX: usize = 48;

/// A document with some of everything, made by client 1.
static BASE: LazyLock<Bytes> = LazyLock::new(|| {
    let author = Author::new(1);
    // Each kind of edit, after its number of edits and its texts.
    for (kind, text) in (0..16).flat_map(|kind| [(kind, 1), (kind, 4)]) {
        let _ = author.edit(&mut Script::new(&[0, 1, text, kind, 1, 2, 3]));
    }
    author.beyond(&StateVector::default())
});

/// A list of updates.
pub fn run(input: &[u8]) {
    let mut run = Run::new();
    if input.first().is_some_and(|first| first % 2 == 0) {
        assert!(run.push(&BASE), "a client's state is taken");
    }
    let mut script = Script::new(input.get(1..).unwrap_or_default());
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        run.step(&mut script);
    }
    run.judge();
}

struct Run {
    document: Document,
    author: Author,
    records: Records,
    taken: Vec<Bytes>,
    /// Something was taken that no client in order made.
    is_hostile: bool,
}

impl Run {
    fn new() -> Self {
        Self {
            document: Document::new(SERVER, StateVector::default()),
            author: Author::new(301),
            records: Records::default(),
            taken: Vec::new(),
            is_hostile: false,
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.below(8) {
            0 | 1 => {
                let update = script.bytes();
                self.is_hostile |= self.push(update);
            }
            2..6 => {
                let update = forge(script, &self.clocks());
                self.is_hostile |= self.push(&update);
            }
            6 => {
                let update = self.author.edit(script);
                let _ = self.push(&update);
            }
            _ => {
                let lacking = self.document.diff(&self.author.clocks());
                self.author.take(&lacking);
            }
        }
    }

    fn clocks(&self) -> StateVector {
        StateVector::parse(&self.document.state_vector()).expect("its own")
    }

    /// Answers whether the update changed something.
    fn push(&mut self, update: &[u8]) -> bool {
        match self.document.apply(update) {
            Ok(Applied::Changed(changes)) => {
                changes.iter().for_each(|change| self.records.take(change));
                self.taken.push(Bytes::copy_from_slice(update));
                assert_eq!(
                    self.document.knows(update),
                    Ok(true),
                    "what was taken is known"
                );
                true
            }
            Ok(Applied::Nothing) | Err(Fault::Rejected(_)) => false,
            Err(Fault::Broken(why)) => panic!("an update that was let through: {why}"),
        }
    }

    fn judge(mut self) {
        let json = self.document.json();
        roots(&json);
        self.records.assert_are_those_of(&self.document);

        let state = self.document.state();
        let is_known = self.document.knows(&state) == Ok(true);
        assert!(
            is_known || self.is_hostile,
            "what it sends is known when it comes back"
        );
        let mut again = fold(&[], [&*state]);
        assert_same(&again.json(), &json, self.is_hostile);
        assert_eq!(again.state_vector(), self.document.state_vector());
        let is_known = again.knows(&state) == Ok(true);
        assert!(
            is_known || self.is_hostile,
            "what it was loaded from is known"
        );

        let log = fold(&[], self.taken.iter().map(|update| &**update));
        assert_same(&log.json(), &json, self.is_hostile);
        assert_eq!(log.state_vector(), self.document.state_vector());

        // A client is sent it in pieces.
        let client = Author::new(302);
        split(&state, 100)
            .iter()
            .for_each(|piece| client.take(piece));
        let client = fold(&[], [&*client.beyond(&StateVector::default())]);
        assert_same(&client.json(), &json, self.is_hostile);

        // A server that has half of it and is told what it lacks.
        let half = self.taken.len() / 2;
        let mut late = fold(&[], self.taken[..half].iter().map(|update| &**update));
        let has = StateVector::parse(&late.state_vector()).expect("its own");
        match late.load(&again.diff(&has)) {
            Ok(()) => assert_same(&late.json(), &json, self.is_hostile),
            // What makes two things of one root may be taken in one order and not in another.
            Err(Fault::Rejected(_)) => assert!(self.is_hostile, "a diff is sound"),
            Err(Fault::Broken(why)) => panic!("a diff of a sound document: {why}"),
        }
    }
}
