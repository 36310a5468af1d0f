//! Owns the faults that are planted between rooms and their world, and shows that each is caught.

use crate::run::{self, Outcome};

/// What goes wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The room is told that its append is kept before the store was asked.
    AckBeforeAppend,
    /// The disk loses the last entry with the power: its version is given again.
    VersionReused,
    /// An update is not sent to those who are live.
    UpdateDropped,
    /// A diff lacks its first chunk.
    ChunkDropped,
    /// The result of an operation is not kept.
    ResultLost,
    /// That somebody left is not told.
    PresenceGhost,
    /// A snapshot has everything but its last entry.
    SnapshotShort,
    /// What a deleted epoch held is not remembered.
    OldEpochAccepted,
    /// An ack is never sent.
    AckLost,
}

/// Plants a fault in world after world until the model objects.
fn caught(fault: Fault, within: u64, by: &[&str]) {
    for seed in 0..within {
        match run::world(seed, Some(fault), false) {
            Outcome::Fine(_) => {}
            Outcome::Broken(reason) => {
                let is_expected = by.iter().any(|rule| reason.contains(rule));
                assert!(is_expected, "{fault:?} is caught by another rule: {reason}");
                println!("{fault:?}: caught after {} worlds: {reason}", seed + 1);
                return;
            }
        }
    }
    panic!("{fault:?} is not caught within {within} worlds");
}

#[test]
fn an_ack_before_its_append_is_caught() {
    caught(Fault::AckBeforeAppend, 5, &["G1"]);
}

#[test]
fn a_version_that_is_used_again_is_caught() {
    caught(Fault::VersionReused, 50, &["G1", "G2", "G4"]);
}

#[test]
fn an_update_that_is_not_sent_is_caught() {
    caught(Fault::UpdateDropped, 5, &["G3"]);
}

#[test]
fn a_diff_that_lacks_something_is_caught() {
    caught(Fault::ChunkDropped, 50, &["G3"]);
}

#[test]
fn a_presence_ghost_is_caught() {
    caught(Fault::PresenceGhost, 200, &["PR"]);
}

#[test]
fn a_snapshot_that_is_one_entry_short_is_caught() {
    caught(Fault::SnapshotShort, 200, &["G4"]);
}

#[test]
fn content_of_a_deleted_epoch_is_caught() {
    caught(Fault::OldEpochAccepted, 1_000, &["deleted"]);
}

#[test]
fn an_ack_that_is_lost_is_caught() {
    caught(Fault::AckLost, 5, &["G1"]);
}

#[test]
fn a_result_that_is_not_kept_is_caught() {
    caught(Fault::ResultLost, 2_000, &["G5"]);
}
