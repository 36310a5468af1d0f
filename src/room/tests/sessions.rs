//! SE: who comes and goes, and how a room ends.

use super::*;

fn delete(n: u64) -> Input {
    Input::Delete {
        session: SessionId(n),
    }
}

fn is_erase(effect: &Effect) -> bool {
    matches!(effect, Effect::Erase { .. })
}

/// A room with a writer, an administrator, and an edit in flight.
fn in_flight() -> (World, Client, AppendId) {
    let mut world = World::new();
    world.attach(1);
    world.attach_as(2, Access::Admin, Listen::Answers);
    let ada = Client::new(11);
    let effects = world.submit(1, &ada.set("t1", "name", "milk"));
    let (id, ..) = append_in(&effects).expect("an append");
    (world, ada, id)
}

#[test]
fn se1_a_session_that_is_over_changes_nothing_and_is_told_nothing() {
    let mut world = World::new();
    world.attach(1);
    world.tell(detach(1));
    let update = Client::new(11).set("t1", "name", "milk");
    assert_eq!(world.submit(1, &update), []);
    assert_eq!(world.room.json(), "{}");
    assert_eq!(world.tell(detach(1)), []);
}

#[test]
fn se2_a_grant_ends_with_its_time_and_a_fresh_one_goes_on() {
    let mut world = World::new();
    world.attach(1);
    let ada = Client::new(11);
    world.now.wall = UnixMillis(1_000_000_000);
    let update = ada.set("t1", "name", "milk");
    assert_eq!(
        told(&world.submit(1, &update), 1),
        [refused(1, Refusal::Expired)]
    );
    let sync = Input::Sync {
        session: SessionId(1),
        state_vector: Bytes::from_static(&[0]),
    };
    assert_eq!(told(&world.tell(sync), 1), [Event::Ended(End::Expired)]);
    let fresh = Grant {
        expires_at: None,
        ..grant(1, Access::Write)
    };
    world.tell(Input::Renew {
        session: SessionId(1),
        grant: fresh,
    });
    assert!(append_in(&world.submit(1, &update)).is_some());
}

#[test]
fn se3_a_fresh_grant_may_be_a_smaller_one() {
    let mut world = World::new();
    world.attach(1);
    world.tell(Input::Renew {
        session: SessionId(1),
        grant: grant(1, Access::Read),
    });
    let update = Client::new(11).set("t1", "name", "milk");
    assert_eq!(
        told(&world.submit(1, &update), 1),
        [refused(1, Refusal::Forbidden)]
    );
}

#[test]
fn se4_a_room_takes_so_many_sessions_and_no_more() {
    let mut world = World::with(Limits {
        sessions_per_room_max: 1,
        ..Limits::default()
    });
    world.attach(1);
    assert_eq!(told(&world.attach(2), 2), [Event::Ended(End::TooFast)]);
    world.tell(detach(1));
    assert!(matches!(
        told(&world.attach(2), 2)[..],
        [Event::Missing { .. }]
    ));
}

#[test]
fn se5_an_acknowledgement_outlives_the_session_that_waited_for_it() {
    let (mut world, _, id) = in_flight();
    world.tell(detach(1));
    world.tell(detach(2));
    let quiet = world.wait(100_000);
    assert_eq!(quiet, [], "a room with something in flight does not rest");
    let effects = world.appended(id, Outcome::Kept);
    assert!(matches!(effects[0], Effect::Release { .. }));
}

#[test]
fn se6_a_room_without_sessions_rests_after_its_time_with_a_snapshot() {
    let (mut world, _, id) = in_flight();
    world.appended(id, Outcome::Kept);
    world.tell(detach(1));
    world.tell(detach(2));
    assert_eq!(world.wait(29_999), []);
    let through = Version(1);
    assert_eq!(world.wait(1), [Effect::Compact { through }]);
    let compacted = Input::Compacted {
        kept: Some((through, Version(1))),
    };
    assert_eq!(world.tell(compacted), [Effect::Rest]);
    assert_eq!(world.wait(29_999), [], "somebody was at the door");
    assert_eq!(world.wait(1), [Effect::Rest]);
    world.attach(3);
    assert_eq!(world.wait(100_000), []);
}

#[test]
fn se7_a_room_rests_without_a_snapshot_when_that_fails() {
    let (mut world, _, id) = in_flight();
    world.appended(id, Outcome::Kept);
    world.tell(detach(1));
    world.tell(detach(2));
    let through = Version(1);
    assert_eq!(world.wait(30_000), [Effect::Compact { through }]);
    let failed = world.tell(Input::Compacted { kept: None });
    assert_eq!(failed, [Effect::Rest]);
}

#[test]
fn se8_a_drain_says_the_last_word_when_everything_is_durable() {
    let (mut world, ada, id) = in_flight();
    let second = ada.set("t1", "name", "bread");
    world.submit(1, &second);
    assert_eq!(world.tell(Input::Drain), []);
    let late = ada.set("t1", "name", "late");
    assert_eq!(
        told(&world.submit(1, &late), 1),
        [refused(1, Refusal::Unavailable)]
    );
    assert_eq!(told(&world.attach(3), 3), [Event::Ended(End::Unavailable)]);
    world.appended(id, Outcome::Unclear);
    let again = world.wait(100);
    let effects = world.keep(&again);
    assert!(append_in(&effects).is_some(), "the backlog goes first");
    let effects = world.keep(&effects);
    assert_eq!(told(&effects, 1), [kept(&[1], &[&second], 2)]);
    let end = End::Unavailable;
    assert_eq!(effects.last(), Some(&Effect::Abandon { end }));
    let mut quiet = World::new();
    let end = End::Unavailable;
    assert_eq!(quiet.tell(Input::Drain), [Effect::Abandon { end }]);
}

#[test]
fn se9_only_an_administrator_deletes_a_room() {
    let (mut world, _, _) = in_flight();
    assert_eq!(
        told(&world.tell(delete(1)), 1),
        [refused(0, Refusal::Forbidden)]
    );
    world.now.wall = UnixMillis(1_000_000_000);
    assert_eq!(
        told(&world.tell(delete(2)), 2),
        [refused(0, Refusal::Expired)]
    );
}

#[test]
fn se10_a_deletion_waits_for_the_flight_and_ends_everyone_when_it_is_done() {
    let (mut world, ada, id) = in_flight();
    assert_eq!(world.tell(delete(2)), []);
    assert_eq!(world.tell(delete(2)), [], "once is enough");
    let late = ada.set("t1", "name", "late");
    assert_eq!(
        told(&world.submit(1, &late), 1),
        [refused(1, Refusal::RoomDeleted)]
    );
    assert_eq!(told(&world.attach(3), 3), [Event::Ended(End::Unavailable)]);
    let effects = world.appended(id, Outcome::Kept);
    let former = world.room.state_vector();
    assert_eq!(effects.last(), Some(&Effect::Erase { former }));
    let end = End::RoomDeleted;
    let done = world.tell(Input::Erased { is_done: true });
    assert_eq!(done, [Effect::Abandon { end }]);
}

#[test]
fn se11_a_deletion_does_not_wait_for_an_append_that_is_unclear() {
    let (mut world, _, id) = in_flight();
    world.appended(id, Outcome::Unclear);
    assert!(world.tell(delete(2)).iter().any(is_erase));
    assert_eq!(world.wait(100_000), [], "and it is not tried again");
    let (mut world, _, id) = in_flight();
    world.tell(delete(2));
    let effects = world.appended(id, Outcome::Unclear);
    assert!(effects.iter().any(is_erase));
}

#[test]
fn se12_a_deletion_that_fails_sends_everyone_away_for_now() {
    let (mut world, _, id) = in_flight();
    world.appended(id, Outcome::Kept);
    assert!(world.tell(delete(2)).iter().any(is_erase));
    let end = End::Unavailable;
    assert_eq!(
        world.tell(Input::Erased { is_done: false }),
        [Effect::Abandon { end }]
    );
}

#[test]
fn se13_a_room_that_is_being_erased_neither_rests_nor_drains_away() {
    let (mut world, _, id) = in_flight();
    world.appended(id, Outcome::Kept);
    world.tell(delete(2));
    world.tell(detach(1));
    world.tell(detach(2));
    assert_eq!(world.wait(100_000), [], "it says how the erasing ended");
    assert_eq!(world.tell(Input::Drain), [], "and does so before it drains");
    let end = End::RoomDeleted;
    let done = world.tell(Input::Erased { is_done: true });
    assert_eq!(done, [Effect::Abandon { end }]);
}

#[test]
fn se14_a_deletion_that_lost_the_race_buries_what_others_wrote_too() {
    let (mut world, ada, id) = in_flight();
    world.tell(delete(2));
    let stands = Outcome::Moved(Some((EPOCH, Version(1))));
    let effects = world.appended(id, stands);
    assert_eq!(effects, [Effect::Fetch { after: Version(0) }]);
    let bob = Client::new(22);
    let entry = Entry {
        version: Version(1),
        at: UnixMillis(0),
        actors: Vec::new(),
        updates: vec![bob.set("t2", "name", "x")],
        op: None,
        events: Vec::new(),
    };
    world.tell(Input::Fetched {
        entries: Some(vec![Arc::new(entry)]),
    });
    let effects = world.tell(Input::Fetched {
        entries: Some(Vec::new()),
    });
    ada.take(&bob.beyond(&[0]));
    let former = index::StateVector::parse(&ada.state_vector()).expect("a state vector");
    let [Effect::Erase { former: buried }] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(index::StateVector::parse(buried), Ok(former));
    assert_eq!(world.wait(100_000), [], "nothing is appended any more");
}

#[test]
fn se15_an_epoch_buries_the_epochs_before_it() {
    let former: index::StateVector = [(11, 4), (22, 9)].into_iter().collect();
    let mut world = World::open(Limits::default(), Version::ZERO, Document::new(1, former));
    world.attach_as(1, Access::Admin, Listen::Live);
    let first = world.submit(1, &Client::new(33).set("t1", "name", "x"));
    world.keep(&first);
    let effects = world.tell(delete(1));
    let [Effect::Erase { former }] = &effects[..] else {
        panic!("{effects:?}");
    };
    let former = index::StateVector::parse(former).expect("a state vector");
    let clocks: Vec<_> = [11, 22, 33].map(|client| former.clock(client)).into();
    assert_eq!(clocks[..2], [4, 9]);
    assert!(clocks[2] > 0);
}
