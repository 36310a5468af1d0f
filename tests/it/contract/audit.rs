//! Owns the rules of the audit log.

use roundtable::ids::UnixMillis;
use roundtable::store::audit::{AuditEvent, AuditQuery, FORGET_MAX};
use roundtable::store::{Failure, Store};

use super::{World, on_every_store};

on_every_store![
    st47_lines_come_back_newest_first_as_they_went_in,
    st47_lines_are_asked_for_by_room_and_user,
    st47_what_is_not_json_is_refused_and_no_line_of_the_call_is_kept,
    st48_old_lines_are_dropped_a_bounded_number_at_a_time,
];

fn event(action: &str, at: i64) -> AuditEvent {
    AuditEvent {
        at: UnixMillis(at),
        action: action.into(),
        user: Some("ada".into()),
        room: Some("größe".into()),
        is_allowed: true,
        address: Some("[::1]:80".into()),
        detail: r#"{"a":  "\u0000"}"#.into(),
    }
}

fn any() -> AuditQuery {
    AuditQuery {
        limit: 100_000,
        ..AuditQuery::default()
    }
}

async fn events(store: &dyn Store, query: &AuditQuery) -> Vec<AuditEvent> {
    let lines = store.audit().lines(query).await.unwrap();
    assert!(lines.windows(2).all(|pair| pair[0].id > pair[1].id));
    lines.into_iter().map(|line| line.event).collect()
}

async fn st47_lines_come_back_newest_first_as_they_went_in(world: &World) {
    let store = world.open().await;
    assert_eq!(events(&*store, &any()).await, []);
    let odd = AuditEvent {
        at: UnixMillis(-1),
        action: "'; DROP TABLE audit; --".into(),
        user: None,
        room: Some("no name\nof a room \u{10ffff}".into()),
        is_allowed: false,
        address: None,
        detail: "null".into(),
    };
    let written = [event("first", 9), odd.clone(), event("third", 3)];
    store.audit().record(&written[..2]).await.unwrap();
    store.audit().record(&[]).await.unwrap();
    store.audit().record(&written[2..]).await.unwrap();
    let mut expected = written.to_vec();
    expected.reverse();
    assert_eq!(events(&*store, &any()).await, expected);
    // They are there when the store is opened again.
    let store = world.open().await;
    assert_eq!(events(&*store, &any()).await, expected);
    // U+0000 is kept as another character.
    let nul = AuditEvent {
        action: "a\0b".into(),
        user: Some("\0".into()),
        room: Some("room\0".into()),
        address: Some("\0\0".into()),
        ..odd.clone()
    };
    store.audit().record(&[nul]).await.unwrap();
    let query = AuditQuery {
        room: Some("room\0".into()),
        ..any()
    };
    let kept = AuditEvent {
        action: "a\u{fffd}b".into(),
        user: Some("\u{fffd}".into()),
        room: Some("room\u{fffd}".into()),
        address: Some("\u{fffd}\u{fffd}".into()),
        ..odd
    };
    assert_eq!(events(&*store, &query).await, [kept]);
}

async fn st47_lines_are_asked_for_by_room_and_user(world: &World) {
    let store = world.open().await;
    let mut written = Vec::new();
    for number in 0..60 {
        let pick = |names: [Option<&str>; 3], at: i64| names[at as usize % 3].map(str::to_owned);
        written.push(AuditEvent {
            user: pick([Some("ada"), Some("bob"), None], number),
            room: pick([Some("a"), None, Some("A")], number / 3),
            ..event("try", number)
        });
    }
    store.audit().record(&written).await.unwrap();
    written.reverse();
    for (room, user) in [
        (None, None),
        (Some("a"), None),
        (None, Some("ada")),
        (Some("A"), Some("bob")),
        (Some("b"), None),
        (Some(""), Some("")),
    ] {
        let is_asked_for = |event: &&AuditEvent| {
            (room.is_none() || event.room.as_deref() == room)
                && (user.is_none() || event.user.as_deref() == user)
        };
        let expected: Vec<AuditEvent> = written.iter().filter(is_asked_for).cloned().collect();
        let mut query = AuditQuery {
            room: room.map(str::to_owned),
            user: user.map(str::to_owned),
            ..any()
        };
        assert_eq!(events(&*store, &query).await, expected);
        // Page by page, nothing is lost and nothing comes twice.
        query.limit = 7;
        let mut paged = Vec::new();
        loop {
            let page = store.audit().lines(&query).await.unwrap();
            assert!(page.len() <= 7);
            let Some(last) = page.last() else { break };
            query.before = Some(last.id);
            paged.extend(page.into_iter().map(|line| line.event));
        }
        assert_eq!(paged, expected);
    }
    let none = AuditQuery { limit: 0, ..any() };
    assert_eq!(events(&*store, &none).await, []);
}

async fn st47_what_is_not_json_is_refused_and_no_line_of_the_call_is_kept(world: &World) {
    let store = world.open().await;
    for detail in ["", "{", "[\"a\0b\"]"] {
        let bad = AuditEvent {
            detail: detail.into(),
            ..event("bad", 1)
        };
        let refused = store.audit().record(&[event("good", 1), bad]).await;
        assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");
    }
    assert_eq!(events(&*store, &any()).await, []);
}

async fn st48_old_lines_are_dropped_a_bounded_number_at_a_time(world: &World) {
    let store = world.open().await;
    let most = FORGET_MAX as i64;
    let times = (0..most + 10).chain([-5, most * 2]);
    let written: Vec<AuditEvent> = times.map(|at| event("try", at)).collect();
    store.audit().record(&written).await.unwrap();
    let audit = store.audit();
    assert_eq!(audit.forget(UnixMillis(-5)).await, Ok(0));
    assert_eq!(audit.forget(UnixMillis(2)).await, Ok(3));
    assert_eq!(events(&*store, &any()).await.len(), FORGET_MAX + 9);
    for dropped in [FORGET_MAX as u64, 8, 0] {
        assert_eq!(audit.forget(UnixMillis(most * 2)).await, Ok(dropped));
    }
    let left = [event("try", most * 2)];
    assert_eq!(events(&*store, &any()).await, left);
    // A number is never given twice, also not that of a line that was dropped.
    let last = audit.lines(&any()).await.unwrap()[0].id;
    assert_eq!(audit.forget(UnixMillis(i64::MAX)).await, Ok(1));
    audit.record(&[event("next", 1)]).await.unwrap();
    assert!(audit.lines(&any()).await.unwrap()[0].id > last);
}
