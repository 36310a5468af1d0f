//! Tests of the inbox, over a clock that is set.

use std::sync::atomic::{AtomicI64, AtomicU64};

use serde_json::value::RawValue;

use super::*;
use crate::ids::{Now, UnixMillis};

/// A clock that is set by hand; it may be set back, but for its monotonic part.
#[derive(Default)]
struct Hands {
    wall: AtomicI64,
    mono: AtomicU64,
    dice: AtomicU64,
}

impl Hands {
    fn pass(&self, ms: u64) {
        self.wall.fetch_add(ms as i64, Ordering::Relaxed);
        self.mono.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> Now {
        Now {
            mono: Millis(self.mono.load(Ordering::Relaxed)),
            wall: UnixMillis(self.wall.load(Ordering::Relaxed)),
        }
    }

    fn random(&self) -> u128 {
        u128::from(self.dice.fetch_add(1, Ordering::Relaxed)) << 64
    }
}

struct World {
    hands: Arc<Hands>,
    census: Arc<Census>,
    inbox: Arc<Inbox>,
}

fn world(limits: Limits) -> World {
    let hands = Arc::new(Hands::default());
    hands.pass(1_000_000);
    let census = Arc::new(Census::default());
    let inbox = Inbox::new(hands.clone(), Arc::new(limits), census.clone());
    World {
        hands,
        census,
        inbox: Arc::new(inbox),
    }
}

fn words(kind: &str) -> Words {
    Words {
        r#type: kind.into(),
        payload: RawValue::from_string("{}".into()).expect("JSON"),
        correlation_id: None,
    }
}

fn sized(bytes: usize) -> Words {
    let text = format!("\"{}\"", "x".repeat(bytes - 2));
    Words {
        payload: RawValue::from_string(text).expect("JSON"),
        ..words("large")
    }
}

fn user(name: &str) -> Arc<str> {
    name.into()
}

impl World {
    fn say(&self, to: &str, what: &str) -> Result<Said, Undeliverable> {
        self.say_words(to, words(what))
    }

    fn say_words(&self, to: &str, words: Words) -> Result<Said, Undeliverable> {
        let to = user(to);
        let address = Address::User(to.clone());
        self.inbox.say_to(&[to], address, &user("sam"), words)
    }

    fn news(&self, what: &str) -> Said {
        let said = self.inbox.say_to_everyone(&user("root"), words(what));
        said.expect("taken")
    }

    fn topics(&self, topics: &[&str], what: &str) -> Said {
        let topics = topics.iter().map(|it| user(it)).collect();
        let said = self.inbox.say_in_topics(topics, &user("root"), words(what));
        said.expect("taken")
    }

    /// What a user has missed who hears one topic, and where it goes on.
    fn poll(&self, name: &str, since: i64) -> (Vec<String>, i64) {
        let polled = self.inbox.poll(name, since, |topic| topic == "heard");
        let types = polled.messages.iter().map(|it| it.message.r#type.clone());
        (types.collect(), polled.timestamp)
    }
}

fn taken(listener: &Listener) -> Vec<String> {
    std::iter::from_fn(|| listener.next_parcel())
        .map(|parcel| parcel.message.r#type.clone())
        .collect()
}

#[test]
fn in1_a_poll_gives_what_came_strictly_after_once_and_in_order() {
    let world = world(Limits::default());
    let (nothing, begin) = world.poll("bob", 0);
    assert_eq!(nothing, [] as [&str; 0]);
    let mut times = Vec::new();
    for what in ["a", "b", "c"] {
        times.push(world.say("bob", what).expect("taken").timestamp);
    }
    world.say("eve", "other").expect("taken");
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    assert_eq!(world.poll("bob", begin).0, ["a", "b", "c"]);
    assert_eq!(world.poll("bob", times[0]).0, ["b", "c"]);
    let (_, end) = world.poll("bob", 0);
    // In the same millisecond.
    world.say("bob", "d").expect("taken");
    let (later, end) = world.poll("bob", end);
    assert_eq!(later, ["d"]);
    assert_eq!(world.poll("bob", end).0, [] as [&str; 0]);
    assert_eq!(world.poll("eve", 0).0, ["other"]);
}

#[test]
fn in2_timestamps_rise_for_everybody_also_when_the_clock_is_set_back() {
    let world = world(Limits::default());
    let mut since = 0;
    let mut heard = Vec::new();
    for step in 0..40_i64 {
        match step % 4 {
            0 => drop(world.say("bob", "own").expect("taken")),
            1 => drop(world.news("news")),
            2 => drop(world.topics(&["unheard"], "unheard")),
            _ => world
                .hands
                .wall
                .store(1_000_000 - step * 100, Ordering::Relaxed),
        }
        let (told, timestamp) = world.poll("bob", since);
        assert!(timestamp >= since, "{timestamp} after {since}");
        since = timestamp;
        heard.extend(told);
    }
    assert_eq!(heard, ["own", "news"].repeat(10));
    let all = world.inbox.poll("bob", 0, |_| true);
    let times: Vec<i64> = all.messages.iter().map(|it| it.message.timestamp).collect();
    assert_eq!(times.len(), 30);
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
}

#[test]
fn in3_messages_are_kept_for_five_minutes() {
    let world = world(Limits::default());
    world.say("bob", "old").expect("taken");
    world.news("old news");
    world.hands.pass(299_999);
    let (told, since) = world.poll("bob", 0);
    assert_eq!(told, ["old", "old news"]);
    world.say("bob", "young").expect("taken");
    world.hands.pass(1);
    assert_eq!(world.poll("bob", 0).0, ["young"]);
    assert_eq!(world.inbox.cleanup(), 2);
    assert_eq!(world.inbox.waiting().queues, 1);
    world.hands.pass(300_000);
    assert_eq!(world.inbox.cleanup(), 1);
    assert_eq!(world.inbox.waiting().queues, 0);
    assert_eq!(world.inbox.held.load(Ordering::Relaxed), 0);
    let next = world.say("bob", "next").expect("taken").timestamp;
    assert!(next > since);
}

#[test]
fn in4_the_oldest_goes_first_when_a_user_has_too_many() {
    let limits = Limits {
        inbox_messages_max: 3,
        inbox_user_bytes_max: 10_000,
        ..Limits::default()
    };
    let world = world(limits);
    for what in ["a", "b", "c", "d"] {
        world.say("bob", what).expect("taken");
    }
    assert_eq!(world.poll("bob", 0).0, ["b", "c", "d"]);
    world.news("e");
    assert_eq!(world.poll("bob", 0).0, ["c", "d", "e"]);
    world.say_words("bob", sized(9_500)).expect("taken");
    assert_eq!(world.poll("bob", 0).0, ["e", "large"]);
    world
        .say_words("bob", sized(20_000))
        .expect("alone it fits");
    assert_eq!(world.poll("bob", 0).0, ["e", "large"]);
}

#[test]
fn in5_what_waits_is_bounded_in_users_and_bytes() {
    let limits = Limits {
        inbox_users_max: 2,
        inbox_message_bytes_max: 1_000,
        inbox_bytes_max: 3_500,
        ..Limits::default()
    };
    let world = world(limits);
    let refused = world.say_words("bob", sized(1_001));
    assert_eq!(refused, Err(Undeliverable::TooLarge));
    world.say_words("bob", sized(1_000)).expect("taken");
    world.say("eve", "a").expect("taken");
    assert_eq!(world.say("joe", "a"), Err(Undeliverable::Full));
    world.say_words("eve", sized(1_000)).expect("taken");
    let refused = world.say_words("eve", sized(1_000));
    assert_eq!(refused, Err(Undeliverable::Full));
    // What is over its time makes room by itself.
    world.hands.pass(300_000);
    world.say("joe", "a").expect("taken");
}

#[test]
fn in6_a_message_to_many_is_one_and_reaches_each() {
    let world = world(Limits::default());
    world.say("bob", "own").expect("taken");
    let users = [user("bob"), user("eve")];
    let to = Address::Room(RoomId::parse("r").expect("a name"));
    let said = world.inbox.say_to(&users, to, &user("sam"), words("all"));
    let said = said.expect("taken");
    assert_eq!(world.poll("bob", 0).0, ["own", "all"]);
    assert_eq!(world.poll("eve", 0).0, ["all"]);
    assert_eq!(world.poll("sam", 0).0, [] as [&str; 0]);
    let [bob, eve] = ["bob", "eve"].map(|name| world.inbox.poll(name, 0, |_| true).messages);
    assert!(Arc::ptr_eq(&bob[1], &eve[0]));
    assert_eq!(bob[1].message.id, said.id);
    let encoded = bob[1].notice(|_| Notice::drain(1));
    assert_eq!(eve[0].notice(|_| Notice::drain(2)), encoded);
}

#[test]
fn in7_a_topic_reaches_those_who_hear_it() {
    let world = world(Limits::default());
    world.topics(&["heard", "other"], "both");
    world.topics(&["other"], "other");
    assert_eq!(world.poll("bob", 0).0, ["both"]);
    assert_eq!(world.inbox.poll("bob", 0, |_| false).messages.len(), 0);
}

#[test]
fn in8_a_listener_is_told_its_users_messages_and_the_topics_it_follows() {
    let world = world(Limits::default());
    let mut one = world.inbox.listen(&user("bob"));
    let two = world.inbox.listen(&user("bob"));
    one.subscribe("a").expect("few");
    one.subscribe("a").expect("known");
    one.subscribe("b").expect("few");
    assert_eq!(world.inbox.waiting().topics, 2);
    world.say("bob", "own").expect("taken");
    world.say("eve", "hers").expect("taken");
    world.topics(&["a", "b", "c"], "once");
    world.news("news");
    assert_eq!(taken(&one), ["own", "once", "news"]);
    assert_eq!(taken(&two), ["own", "news"]);
    one.unsubscribe("a");
    world.topics(&["a"], "left");
    world.topics(&["b"], "still");
    assert_eq!(taken(&one), ["still"]);
    assert_eq!((world.census.connections(), world.census.users()), (2, 1));
    drop((one, two));
    assert_eq!((world.census.connections(), world.census.users()), (0, 0));
    assert_eq!(world.inbox.waiting().topics, 0);
    let inner = world.inbox.inner.lock();
    assert_eq!(inner.ears.topics(), 0);
}

#[tokio::test]
async fn in8_a_listener_that_takes_nothing_loses_the_oldest_and_is_woken() {
    let limits = Limits {
        inbox_untaken_max: 2,
        inbox_topics_max: 1,
        ..Limits::default()
    };
    let world = world(limits);
    let mut slow = world.inbox.listen(&user("bob"));
    slow.subscribe("a").expect("the first");
    assert_eq!(slow.subscribe("b"), Err(TooManyTopics));
    for what in ["a", "b", "c"] {
        world.say("bob", what).expect("taken");
    }
    slow.woken().await;
    assert_eq!(taken(&slow), ["b", "c"]);
    assert_eq!((slow.take_lost(), slow.take_lost()), (1, 0));
    // Nothing is lost for who polls.
    assert_eq!(world.poll("bob", 0).0, ["a", "b", "c"]);
}

#[tokio::test]
async fn in11_whoever_waits_is_woken_by_a_message_a_topic_and_the_news() {
    let world = world(Limits::default());
    let waiting = world.inbox.wait(&user("bob"));
    assert_eq!(world.census.connections(), 0);
    world.say("bob", "own").expect("taken");
    waiting.woken().await;
    world.topics(&["any"], "topic");
    waiting.woken().await;
    world.news("news");
    waiting.woken().await;
    world.say("eve", "hers").expect("taken");
    assert!(futures_util::poll!(std::pin::pin!(waiting.woken())).is_pending());
}
