//! Presence by its rules: PR, and LI11.

use super::*;

const ADA: u64 = 11;

fn who(user: &str) -> Identity {
    Identity {
        user: user.into(),
        name: Some(format!("The {user}").into()),
        color: Some("#123456".into()),
        avatar: None,
        is_guest: false,
    }
}

fn says(client: u64, clock: u32, state: &str) -> Vec<Presented> {
    let state = (state != "null").then(|| state.to_owned().into());
    vec![Presented {
        client,
        clock,
        state,
    }]
}

fn session(n: u64) -> SessionId {
    SessionId(n)
}

struct World {
    presence: Presence,
    limits: Limits,
}

impl World {
    fn new() -> Self {
        Self {
            presence: Presence::default(),
            limits: Limits::default(),
        }
    }

    fn first(&mut self, n: u64, user: &str, states: Vec<Presented>) -> Told {
        self.presence
            .take(
                session(n),
                &who(user),
                true,
                states,
                UnixMillis(0),
                &self.limits,
            )
            .expect("fit")
    }

    fn then(&mut self, n: u64, user: &str, states: Vec<Presented>) -> Told {
        self.presence
            .take(
                session(n),
                &who(user),
                false,
                states,
                UnixMillis(0),
                &self.limits,
            )
            .expect("fit")
    }

    fn changes(&mut self) -> Vec<(u64, u32, Option<String>)> {
        let changes = self.presence.drain_changes();
        changes
            .iter()
            .map(|s| (s.client, s.clock, s.state.as_deref().map(str::to_owned)))
            .collect()
    }
}

fn stamped(user: &str, rest: &str) -> Option<String> {
    Some(format!(
        r##"{{{rest}"user":{{"color":"#123456","id":"{user}","name":"The {user}"}}}}"##
    ))
}

#[test]
fn pr2_identity_is_stamped_from_the_token() {
    let mut world = World::new();
    world.first(
        1,
        "ada",
        says(
            ADA,
            1,
            r#"{"user":{"id":"bob","name":"Bob","avatar":"x"},"a":1}"#,
        ),
    );
    assert_eq!(world.changes(), [(ADA, 2, stamped("ada", r#""a":1,"#))]);
}

#[test]
fn pr30_what_a_guest_says_of_itself_is_short_text_or_nothing() {
    let guest = Identity {
        name: None,
        is_guest: true,
        ..who("guest-1")
    };
    for (said, kept) in [
        (
            r#"{"name":"Eve","color":"red","avatar":"x","id":"bob"}"#,
            r#"{"avatar":"x","color":"red","id":"guest-1","name":"Eve"}"#,
        ),
        (
            r#"{"name":5,"color":null,"avatar":["x"],"mood":{"x":1}}"#,
            r##"{"color":"#123456","id":"guest-1","mood":{"x":1}}"##,
        ),
        (
            r#"{"name":"a\nb","color":{},"avatar":""}"#,
            r##"{"color":"#123456","id":"guest-1"}"##,
        ),
        ("5", r##"{"color":"#123456","id":"guest-1"}"##),
    ] {
        let state = stamp::stamp(format!(r#"{{"user":{said}}}"#).as_bytes(), &guest);
        assert_eq!(state.as_deref(), Ok(&*format!(r#"{{"user":{kept}}}"#)));
    }
    let long = format!(r#"{{"user":{{"name":"{}"}}}}"#, "x".repeat(257));
    let state = stamp::stamp(long.as_bytes(), &guest);
    assert_eq!(
        state.as_deref(),
        Ok(r##"{"user":{"color":"#123456","id":"guest-1"}}"##)
    );
}

#[test]
fn pr12_a_first_word_gets_a_new_clock_and_its_owner_is_told() {
    let mut world = World::new();
    let told = world.first(1, "ada", says(ADA, 0, "{}"));
    assert_eq!(
        told.own
            .iter()
            .map(|s| (s.client, s.clock))
            .collect::<Vec<_>>(),
        [(ADA, 1)]
    );
}

#[test]
fn pr9_a_repetition_is_dropped_and_a_change_under_a_known_clock_is_not() {
    let mut world = World::new();
    world.first(1, "ada", says(ADA, 4, r#"{"a":1}"#));
    world.changes();
    assert_eq!(
        world.then(1, "ada", says(ADA, 5, r#"{"a":1}"#)),
        Told::default()
    );
    assert_eq!(world.changes(), []);
    let told = world.then(1, "ada", says(ADA, 5, r#"{"a":2}"#));
    assert_eq!(told.own.len(), 1);
    assert_eq!(world.changes(), [(ADA, 6, stamped("ada", r#""a":2,"#))]);
}

#[test]
fn pr9_the_echo_of_our_own_word_is_not_a_change() {
    let mut world = World::new();
    let told = world.first(1, "ada", says(ADA, 4, r#"{"a":1}"#));
    world.changes();
    let echo = told.own[0].state.as_deref().expect("a state").to_owned();
    assert_eq!(world.then(1, "ada", says(ADA, 5, &echo)), Told::default());
    assert_eq!(world.changes(), []);
}

#[test]
fn pr3_nobody_speaks_for_another() {
    let mut world = World::new();
    world.first(1, "ada", says(ADA, 1, "{}"));
    world.changes();
    world.first(2, "bob", says(ADA, 9, r#"{"a":1}"#));
    world.then(2, "bob", says(ADA, 9, "null"));
    world.then(2, "ada", says(ADA, 2, r#"{"a":1}"#));
    assert_eq!(world.changes(), []);
}

#[test]
fn pr4_a_clean_leave_is_told_at_once_and_a_lost_connection_after_its_grace() {
    let mut world = World::new();
    world.first(1, "ada", says(ADA, 1, "{}"));
    world.first(2, "bob", says(22, 1, "{}"));
    world.changes();
    world.presence.leave(session(1));
    assert_eq!(world.changes(), [(ADA, 2, None)]);
    world.presence.lose(session(2), Millis(5_000));
    assert_eq!(world.presence.deadline(), Some(Millis(5_000)));
    world.presence.lapse(Millis(4_999));
    assert_eq!(world.changes(), []);
    world.presence.lapse(Millis(5_000));
    assert_eq!(world.changes(), [(22, 2, None)]);
    assert_eq!(world.presence.deadline(), None);
    assert!(world.presence.is_empty());
}

#[test]
fn pr5_a_return_within_the_grace_never_left_and_has_a_new_clock() {
    let mut world = World::new();
    world.first(1, "ada", says(ADA, 7, "{}"));
    world.changes();
    world.presence.lose(session(1), Millis(5_000));
    let told = world.first(2, "ada", says(ADA, 7, "{}"));
    assert_eq!(told.own.iter().map(|s| s.clock).collect::<Vec<_>>(), [9]);
    world.presence.lapse(Millis(9_000));
    assert_eq!(world.changes(), [(ADA, 9, stamped("ada", ""))]);
}

#[test]
fn pr5_who_is_back_may_speak_first_of_another_id() {
    let mut world = World::new();
    world.first(1, "ada", says(ADA, 7, "{}"));
    world.first(2, "ada", says(12, 1, "{}"));
    world.changes();
    world.then(2, "ada", says(ADA, 9, r#"{"a":1}"#));
    world.presence.leave(session(1));
    assert_eq!(world.changes(), [(ADA, 10, stamped("ada", r#""a":1,"#))]);
}

#[test]
fn pr8_a_return_takes_over_from_a_connection_that_only_looks_alive() {
    let mut world = World::new();
    world.first(1, "ada", says(ADA, 7, "{}"));
    world.first(2, "ada", says(ADA, 7, "{}"));
    world.changes();
    world.presence.leave(session(1));
    assert_eq!(world.changes(), []);
    world.presence.lose(session(2), Millis(1));
    world.presence.lapse(Millis(1));
    assert_eq!(world.changes(), [(ADA, 9, None)]);
}

#[test]
fn pr5_a_return_after_the_grace_has_a_clock_that_beats_the_goodbye() {
    let mut world = World::new();
    world.first(1, "ada", says(ADA, 7, "{}"));
    world.presence.leave(session(1));
    world.changes();
    world.first(2, "ada", says(ADA, 3, "{}"));
    assert_eq!(world.changes(), [(ADA, 9, stamped("ada", ""))]);
}

#[test]
fn pr7_who_returns_is_told_of_everyone_under_clocks_it_does_not_know() {
    let mut world = World::new();
    let greet = |world: &mut World, n: u64, user: &str| {
        let greeting = world.presence.greet(session(n), &who(user));
        let everyone = greeting.everyone.iter().map(|s| (s.client, s.clock));
        let others = greeting.others.iter().map(|(session, _)| session.0);
        (everyone.collect::<Vec<_>>(), others.collect::<Vec<_>>())
    };
    greet(&mut world, 1, "ada");
    world.first(1, "ada", says(ADA, 7, "{}"));
    assert_eq!(greet(&mut world, 2, "bob"), (vec![(ADA, 8)], vec![]));
    world.first(2, "bob", says(22, 4, "{}"));
    world.presence.lose(session(1), Millis(5_000));
    let after = (vec![(ADA, 8), (22, 6)], vec![2]);
    assert_eq!(greet(&mut world, 3, "ada"), after);
}

#[test]
fn pr7_of_guests_any_may_be_back() {
    let mut world = World::new();
    let guest = |user: &str| Identity {
        is_guest: true,
        ..who(user)
    };
    world.first(2, "bob", says(22, 4, "{}"));
    world.presence.greet(session(1), &guest("guest-1"));
    let greeting = world.presence.greet(session(3), &guest("guest-2"));
    assert_eq!(greeting.everyone[0].clock, 6);
}

#[test]
fn li11_states_are_bounded_in_size_and_number_and_must_be_objects() {
    let mut world = World::new();
    let mut take = |states| {
        world
            .presence
            .take(
                session(1),
                &who("ada"),
                true,
                states,
                UnixMillis(0),
                &world.limits,
            )
            .map(|_| ())
    };
    assert!(matches!(take(says(1, 1, "[1]")), Err(Unfit::Malformed(_))));
    assert!(matches!(
        take(says(1, 1, "{\"a\":")),
        Err(Unfit::Malformed(_))
    ));
    assert!(matches!(
        take(says(1, u32::MAX, "{}")),
        Err(Unfit::Malformed(_))
    ));
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(20_000));
    assert_eq!(take(says(1, 1, &long)), Err(Unfit::TooLarge));
    let many = (0..50).flat_map(|client| says(client, 1, "{}")).collect();
    assert_eq!(take(many), Err(Unfit::TooLarge));
}

#[test]
fn pr16_who_said_goodbye_and_is_back_is_seen_and_the_echo_of_a_state_is_not() {
    let mut world = World::new();
    world.first(1, "ada", says(ADA, 4, "{}"));
    world.first(2, "bob", says(22, 1, "{}"));
    world.then(1, "ada", says(ADA, 6, "null"));
    assert_eq!(world.changes()[0], (ADA, 5, None));
    world.then(2, "bob", says(ADA, 5, "{}"));
    world.first(3, "eve", says(ADA, 5, "{}"));
    assert_eq!(world.changes(), []);
    world.then(1, "ada", says(ADA, 7, "{}"));
    assert_eq!(world.changes(), [(ADA, 8, stamped("ada", ""))]);
}

#[test]
fn pr16_who_speaks_under_a_clock_from_before_its_goodbye_is_told_that_clock() {
    let mut world = World::new();
    world.first(1, "ada", says(ADA, 90, "{}"));
    world.presence.leave(session(1));
    let own = |told: Told| -> Vec<_> {
        let own = told.own.into_iter();
        own.map(|s| (s.client, s.clock, s.state)).collect()
    };
    assert_eq!(
        own(world.first(2, "ada", says(ADA, 3, "null"))),
        [(ADA, 91, None)]
    );
    assert_eq!(
        own(world.then(2, "ada", says(ADA, 4, "{}"))),
        [(ADA, 91, None)]
    );
    assert_eq!(own(world.then(2, "ada", says(ADA, 91, "null"))), []);
    assert_eq!(own(world.then(2, "ada", says(ADA, 92, "{}"))).len(), 1);
}

#[test]
fn pr17_who_is_unknown_after_a_restart_is_told_under_clocks_beyond_those_before_it() {
    let told_at = |wall: i64| {
        let mut presence = Presence::default();
        let limits = Limits::default();
        let states = says(ADA, 7, "{}");
        let told = presence.take(
            session(1),
            &who("ada"),
            true,
            states,
            UnixMillis(wall),
            &limits,
        );
        told.expect("fit").own[0].clock
    };
    let now = 1_700_000_000_000;
    assert!(told_at(now + 1_000) > told_at(now) + 100);
    assert!(told_at(now) < 8 + (1 << 20) && told_at(i64::MAX) < 8 + (1 << 20));
}
