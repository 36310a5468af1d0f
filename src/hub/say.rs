//! Owns what is said to those who are in a room.

use std::sync::Arc;

use super::inbox::{Address, Said, Undeliverable};
use super::{Denial, Hub};
use crate::ids::RoomId;
use crate::room::Grant;
use crate::wire::messages::Words;

/// Why nothing was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsaid {
    /// The room is not to be reached.
    Denied(Denial),
    /// The message is not taken.
    Undeliverable(Undeliverable),
}

impl Hub {
    /// Says something to every user who has a session in a room now, but its sender; whether
    /// that may write there is asked before.
    pub async fn say_in_room(
        &self,
        room: &RoomId,
        grant: &Grant,
        words: Words,
    ) -> Result<Said, Unsaid> {
        let asked = self
            .ask(room, grant, |room, now| room.users(now.wall))
            .await;
        let mut users = asked.map_err(Unsaid::Denied)?;
        let sender = &grant.identity.user;
        users.remove(sender);
        let users: Vec<Arc<str>> = users.into_iter().collect();
        let to = Address::Room(room.clone());
        let said = self.inbox().say_to(&users, to, sender, words);
        said.map_err(Unsaid::Undeliverable)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::hub::Clock;
    use crate::ids::{Millis, Now, UnixMillis};
    use crate::limits::Limits;
    use crate::room::{Access, Identity};
    use crate::store::memory::Memory;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Now {
            Now {
                mono: Millis(5_000),
                wall: UnixMillis(5_000),
            }
        }

        fn random(&self) -> u128 {
            7
        }
    }

    fn grant(user: &str, expires_at: i64) -> Grant {
        let identity = Identity {
            user: user.into(),
            name: None,
            color: None,
            avatar: None,
            is_guest: false,
        };
        Grant {
            identity: Arc::new(identity),
            access: Access::Write,
            expires_at: Some(UnixMillis(expires_at)),
        }
    }

    #[tokio::test]
    async fn in14_whoever_is_there_is_told_once_unless_its_grant_is_over() {
        let limits = Arc::new(Limits::default());
        let hub = Hub::new(Arc::new(Memory::open()), Arc::new(Still), limits);
        let room = RoomId::parse("r").expect("a name");
        let mut there = Vec::new();
        for (user, expires_at) in [
            ("ada", 9_000),
            ("bob", 9_000),
            ("bob", 9_000),
            ("eve", 5_000),
        ] {
            let grant = grant(user, expires_at);
            there.push(hub.attach(&room, grant, None, None).await.ok());
        }
        assert!(there.iter().all(Option::is_some));
        let words = Words {
            r#type: "hello".into(),
            payload: Box::<RawValue>::default(),
            correlation_id: None,
        };
        let said = hub.say_in_room(&room, &grant("ada", 9_000), words).await;
        let said = said.expect("said");
        let heard = |user: &str| {
            let polled = hub.inbox().poll(user, 0, |_| true);
            let ids = polled.messages.iter().map(|it| it.message.id.clone());
            ids.collect::<Vec<_>>()
        };
        assert_eq!(heard("bob"), [said.id]);
        assert_eq!(heard("ada"), [] as [&str; 0]);
        assert_eq!(heard("eve"), [] as [&str; 0]);
    }
}
