//! Tests of the crash journal, in folders of their own.

use super::*;
use crate::ids::{Epoch, SessionId, Version};
use crate::room::{Occasion, Ticket};
use tokio::sync::Semaphore;

fn room(name: &str) -> RoomId {
    RoomId::parse(name).expect("a name")
}

fn suspect(name: &str, updates: &[&'static [u8]]) -> Suspect {
    Suspect {
        room: room(name),
        updates: updates.iter().map(|it| Bytes::from_static(it)).collect(),
    }
}

fn mail(update: &'static [u8]) -> Mail {
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned();
    let input = Input::Submit {
        session: SessionId(1),
        ticket: Ticket(1),
        occasion: Occasion::Edit,
        update: Bytes::from_static(update),
    };
    Mail::Input(input, permit.expect("a permit"))
}

/// A room that nobody wrote.
fn core() -> Room {
    let standing = crate::room::Standing {
        room: room("a"),
        epoch: Epoch(uuid::Uuid::nil()),
        head: Version::ZERO,
        oldest: Version(1),
        snapshot: Version::ZERO,
        tail: crate::room::Tail::default(),
    };
    let document = crate::room::Document::new(1, Default::default());
    Room::open(&standing, document, 1, Arc::default())
}

/// Leaves the folder as a process that died does: the lock ends with it.
fn die(journal: CrashJournal) {
    drop(journal);
}

#[test]
fn co6_a_dead_run_says_what_it_was_doing() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = CrashJournal::begin(folder.path(), "run").expect("begun");
    let first = journal.mail(&room("a"), &core(), &[mail(b"one"), mail(b"two")]);
    let second = journal.room(&room("b"));
    assert!(first.is_some() && second.is_some());
    drop((first, second));
    die(journal);
    let mut dead = dead_runs(folder.path()).expect("readable");
    assert_eq!(dead.len(), 1);
    let run = dead.pop().expect("one");
    let mut suspects = run.suspects.clone();
    suspects.sort_by(|a, b| a.room.cmp(&b.room));
    assert_eq!(
        suspects,
        [suspect("a", &[b"one", b"two"]), suspect("b", &[])]
    );
    assert!(
        dead_runs(folder.path()).expect("readable").is_empty(),
        "it is being judged"
    );
    run.bury();
    assert!(dead_runs(folder.path()).expect("readable").is_empty());
}

#[test]
fn co6_a_slot_is_used_again_and_a_shorter_note_hides_the_longer() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = CrashJournal::begin(folder.path(), "run").expect("begun");
    drop(journal.mail(
        &room("a"),
        &core(),
        &[mail(b"a long update"), mail(b"and another")],
    ));
    drop(journal.mail(&room("a"), &core(), &[mail(b"short")]));
    die(journal);
    let dead = dead_runs(folder.path()).expect("readable");
    assert_eq!(dead[0].suspects, [suspect("a", &[b"short"])]);
}

#[test]
fn co6_a_run_that_goes_on_or_ended_is_not_dead() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = CrashJournal::begin(folder.path(), "run").expect("begun");
    let note = journal.room(&room("a"));
    assert!(dead_runs(folder.path()).expect("readable").is_empty());
    drop(note);
    journal.end();
    die(journal);
    assert!(dead_runs(folder.path()).expect("readable").is_empty());
    assert!(
        dead_runs(&folder.path().join("none"))
            .expect("readable")
            .is_empty()
    );
}

#[test]
fn co6_what_does_not_reach_the_document_is_not_noted() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = CrashJournal::begin(folder.path(), "run").expect("begun");
    assert!(journal.input(&room("a"), &core(), &Input::Tick).is_none());
    assert!(journal.mail(&room("a"), &core(), &[]).is_none());
    assert!(CrashJournal::none().room(&room("a")).is_none());
    let sync = Input::Sync {
        session: SessionId(1),
        state_vector: Bytes::new(),
    };
    assert!(journal.input(&room("a"), &core(), &sync).is_some());
}

#[test]
fn co6_a_half_written_slot_is_nobody() {
    let whole = suspect("room", &[b"update"]).encode();
    assert_eq!(Suspect::decode(&whole), Some(suspect("room", &[b"update"])));
    for end in 0..whole.len() {
        assert_eq!(Suspect::decode(&whole[..end]), None, "cut at {end}");
    }
    assert_eq!(Suspect::decode(&[1, 0, 0, 0, 9]), None);
}

#[tokio::test]
async fn co6_a_fold_is_noted_for_the_room_it_is_done_for_wherever_it_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = CrashJournal::begin(folder.path(), "run").expect("begun");
    assert!(work().note().is_none(), "a command's fold is nobody's");
    let sent = journal.during(room("a"), async { work() }).await;
    let noted = tokio::task::spawn_blocking(move || sent.note().is_some());
    assert!(noted.await.expect("noted"));
    die(journal);
    let dead = dead_runs(folder.path()).expect("readable");
    assert_eq!(dead[0].suspects, [suspect("a", &[])]);
}
