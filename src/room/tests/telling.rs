//! TE: what leaves at once, and to whom. PR13: presence by ticks.

use super::*;
use crate::room::message::Presented;

fn says(n: u64, clock: u32) -> Input {
    Input::Present {
        session: SessionId(n),
        states: vec![Presented {
            client: n,
            clock,
            state: Some(format!(r#"{{"at":{clock}}}"#).into()),
        }],
    }
}

fn sync(n: u64, state_vector: Bytes) -> Input {
    Input::Sync {
        session: SessionId(n),
        state_vector,
    }
}

fn live(effects: &[Effect]) -> Vec<&Effect> {
    let is_live = |effect: &&Effect| matches!(effect, Effect::Live { .. });
    effects.iter().filter(is_live).collect()
}

#[test]
fn te5_an_update_leaves_at_once_as_it_came_for_all_but_its_sender() {
    let mut world = World::new();
    world.attach(1);
    world.attach(2);
    let update = Client::new(11).set("t1", "name", "milk");
    let effects = world.submit(1, &update);
    let expected = Effect::Live {
        except: Some(SessionId(1)),
        event: LiveEvent::Update(update),
    };
    assert_eq!(live(&effects), [&expected]);
}

#[test]
fn te6_who_comes_is_asked_what_it_has_and_told_who_is_here() {
    let mut world = World::new();
    let ask = |state_vector: &Bytes| Event::Missing {
        state_vector: state_vector.clone(),
    };
    let empty = Bytes::from_static(&[0]);
    assert_eq!(told(&world.attach(1), 1), [ask(&empty)]);
    world.tell(says(1, 3));
    let ada = Client::new(11);
    world.submit(1, &ada.set("t1", "name", "milk"));
    let events = told(&world.attach(2), 2);
    assert_eq!(events[0], ask(&ada.state_vector()));
    assert!(matches!(&events[1..], [Event::Presence(states)] if states.len() == 1));
    assert_eq!(world.attach_as(3, Access::Read, Listen::Answers), []);
}

#[test]
fn te7_a_diff_has_what_the_peer_lacks_and_says_where_the_cursor_goes_on() {
    let mut world = World::new();
    world.attach(1);
    let (ada, bob) = (Client::new(11), Client::new(22));
    let first = ada.set("t1", "name", "milk");
    world.submit(1, &first);
    bob.take(&first);
    world.submit(1, &ada.set("t1", "name", "bread"));
    let events = told(&world.tell(sync(1, bob.state_vector())), 1);
    let [
        Event::Diff {
            chunks,
            since,
            as_of,
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!((since.len(), *as_of), (0, 2));
    chunks.iter().for_each(|chunk| bob.take(chunk));
    assert_eq!(bob.json(), world.room.json());
}

#[test]
fn te8_who_joins_a_large_room_is_sent_a_state_made_before_and_the_updates_since() {
    let mut world = World::new();
    world.attach(1);
    let ada = Client::new(11);
    world.submit(1, &ada.set("t1", "note", &"x".repeat(600_000)));
    let join = |world: &mut World| {
        let mut events = told(&world.tell(sync(1, Bytes::from_static(&[0]))), 1);
        let Some(Event::Diff { chunks, since, .. }) = events.pop() else {
            panic!("a diff");
        };
        let joiner = Client::new(33);
        chunks
            .iter()
            .chain(&since)
            .for_each(|chunk| joiner.take(chunk));
        assert_eq!(joiner.json(), world.room.json());
        (chunks, since.len())
    };
    let (first, since) = join(&mut world);
    assert!((first.len() > 1 || first[0].len() > 600_000) && since == 0);
    world.submit(1, &ada.set("t1", "name", "milk"));
    let (second, since) = join(&mut world);
    assert!(Arc::ptr_eq(&first, &second) && since == 1);
    for edit in 0..40 {
        let value = format!("{edit}{}", "y".repeat(3_000));
        world.submit(1, &ada.set("t1", "other", &value));
    }
    let (third, since) = join(&mut world);
    assert!(!Arc::ptr_eq(&first, &third) && since < 40);
}

#[test]
fn te9_a_state_vector_that_cannot_be_read_ends_the_session() {
    let mut world = World::new();
    world.attach(1);
    let claims_much = Bytes::from_static(&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1]);
    assert_eq!(
        told(&world.tell(sync(1, claims_much)), 1),
        [Event::Ended(End::Malformed("state vector"))]
    );
}

#[test]
fn pr13_moves_within_a_tick_are_one_message_and_the_first_is_told_at_once() {
    let mut world = World::new();
    world.now.wall = UnixMillis(0);
    world.attach(1);
    world.attach(2);
    let clocks = |effects: &[Effect]| -> Vec<Vec<(u64, u32)>> {
        let events = live(effects).into_iter().map(|effect| match effect {
            Effect::Live {
                event: LiveEvent::Presence(shown),
                ..
            } => shown.iter().map(|s| (s.client, s.clock)).collect(),
            other => panic!("{other:?}"),
        });
        events.collect()
    };
    assert_eq!(clocks(&world.tell(says(1, 3))), [[(1, 4)]]);
    for clock in 5..25 {
        assert_eq!(clocks(&world.tell(says(1, clock))).len(), 0);
    }
    world.tell(says(2, 7));
    assert_eq!(clocks(&world.wait(49)).len(), 0);
    assert_eq!(clocks(&world.wait(1)), [[(1, 24), (2, 8)]]);
    assert_eq!(clocks(&world.wait(1_000)).len(), 0);
}

#[test]
fn pr14_presence_needs_a_token_that_is_still_good() {
    let mut world = World::new();
    world.attach(1);
    world.now.wall = UnixMillis(1_000_000_000);
    let over = [Event::Ended(End::Expired)];
    assert_eq!(told(&world.tell(says(1, 3)), 1), over);
    let ask = Input::AskPresence {
        session: SessionId(1),
    };
    assert_eq!(told(&world.tell(ask), 1), over);
    assert_eq!(world.room.deadline(), None, "nobody is told of it");
}

#[test]
fn pr15_presence_that_a_diff_passes_over_is_told_again_with_it() {
    let mut world = World::new();
    world.now.wall = UnixMillis(0);
    world.attach(1);
    world.attach(2);
    let empty = Bytes::from_static(&[0]);
    let is_diff = |event: &Event| matches!(event, Event::Diff { .. });
    let events = told(&world.tell(sync(2, empty.clone())), 2);
    assert!(matches!(&events[..], [diff] if is_diff(diff)), "{events:?}");
    world.tell(says(1, 3));
    let events = told(&world.tell(sync(2, empty.clone())), 2);
    let [diff, Event::Presence(shown)] = &events[..] else {
        panic!("{events:?}");
    };
    assert!(is_diff(diff));
    assert_eq!((shown[0].client, shown[0].clock), (1, 4));
    world.tell(Input::Detach {
        session: SessionId(1),
        departure: Departure::Clean,
    });
    world.wait(100);
    let events = told(&world.tell(sync(2, empty.clone())), 2);
    assert!(matches!(&events[1..], [Event::Presence(shown)] if shown[0].state.is_none()));
    let events = told(&world.tell(sync(2, empty)), 2);
    assert!(matches!(&events[..], [diff] if is_diff(diff)), "{events:?}");
}

#[test]
fn te10_who_is_asked_in_turn_is_asked_as_often_as_it_asks() {
    let mut world = World::new();
    assert_eq!(world.attach_as(1, Access::Write, Listen::InTurn), []);
    let ada = Client::new(11);
    let ask = |state_vector: Bytes| Event::Missing { state_vector };
    let is_diff = |event: &Event| matches!(event, Event::Diff { .. });
    let first = ada.set("t1", "name", "milk");
    for _ in 0..2 {
        let events = told(&world.tell(sync(1, Bytes::from_static(&[0]))), 1);
        assert_eq!(events[0], ask(Bytes::from_static(&[0])));
        assert!(matches!(&events[1..], [diff] if is_diff(diff)));
    }
    let second = ada.set("t1", "name", "bread");
    assert_eq!(world.submit(1, &second), [], "it was asked already");
    let answer = Input::Submit {
        session: SessionId(1),
        ticket: Ticket(2),
        occasion: Occasion::Answer,
        update: first,
    };
    world.tell(answer);
    let events = told(&world.submit(1, &ada.set("t1", "name", "eggs")), 1);
    assert!(matches!(&events[..], [Event::Missing { .. }]), "{events:?}");
    assert_eq!(world.room.json(), r#"{"tasks":{"t1":{"name":"milk"}}}"#);
}
