//! Owns messages to users and topics on a JSON socket: what is said, and what is heard.

use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::value::RawValue;

use super::App;
use super::carrier::Carrier;
use super::jsonws::JsonSocket;
use crate::auth::{Bearer, Denied};
use crate::hub::inbox::listener::{Listener, TooManyTopics};
use crate::hub::inbox::{Address, Parcel, Undeliverable};
use crate::room::Access;
use crate::wire::messages::{To, Words};
use crate::wire::notice::Notice;
use crate::wire::present::{Addressed, letter};

/// Where a socket hears what is said to its user.
pub struct Ear(Option<Listener>);

impl Ear {
    /// Listens as the user whom the token names.
    pub(super) fn of(app: &App, bearer: Option<&Bearer>) -> Self {
        Self(bearer.map(|bearer| app.hub.inbox().listen(&bearer.identity.user)))
    }

    /// Ready once there may be a new message.
    pub(super) fn poll_woken(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.0 {
            Some(listener) => listener.poll_woken(cx),
            None => Poll::Pending,
        }
    }
}

fn encode(parcel: &Parcel) -> Notice {
    let to = match &parcel.to {
        Address::Room(room) => Addressed::Room(room),
        Address::User(user) => Addressed::User(user),
        Address::Topics(topics) => Addressed::Topics(topics),
        Address::Everyone => Addressed::Everyone,
    };
    letter(&parcel.message, to)
}

impl<C: Carrier> JsonSocket<C> {
    /// Goes on with a fresh token of the same user: topics that it does not grant are heard no
    /// more.
    pub(super) fn listen_on(&mut self) {
        if let (Some(listener), Some(bearer)) = (&mut self.ear.0, &self.bearer) {
            listener.retain(|topic| bearer.topic(topic).is_ok());
        }
    }

    /// Makes ready what was said to the user, as far as the peer takes it. What is too much is
    /// left to polling.
    pub(super) fn hear(&mut self) {
        while self.line.wants() > 0
            && let Some(parcel) = self.ear.0.as_ref().and_then(Listener::next_parcel)
        {
            let notice = parcel.notice(encode);
            self.line.tell(&notice);
        }
    }

    /// Whether the bearer reaches an access to a topic; who does not is told so.
    fn may(&mut self, id: Option<&RawValue>, topic: &str, access: Access) -> bool {
        let granted = match &self.bearer {
            None => Err(Denied::Missing),
            Some(bearer) => bearer.topic(topic),
        };
        let denied = match granted {
            Ok(granted) if granted >= access => return true,
            Ok(_) => Denied::Forbidden,
            Err(denied) => denied,
        };
        self.refuse(
            id,
            None,
            super::requests::code_of(denied),
            &denied.to_string(),
        );
        false
    }

    /// Hears a topic from now on.
    pub(super) fn follow(&mut self, id: Option<&RawValue>, topic: &str) {
        if !self.may(id, topic, Access::Read) {
            return;
        }
        let followed = match &mut self.ear.0 {
            Some(listener) => listener.subscribe(topic),
            None => Ok(()),
        };
        match followed {
            Ok(()) => self.say(&Notice::ok(id)),
            Err(TooManyTopics) => {
                let message = "this socket follows as many topics as it may";
                self.refuse(id, None, "too_many_requests", message);
            }
        }
    }

    /// Hears it no more.
    pub(super) fn unfollow(&mut self, id: Option<&RawValue>, topic: &str) {
        if let Some(listener) = &mut self.ear.0 {
            listener.unsubscribe(topic);
        }
        self.say(&Notice::ok(id));
    }

    /// Says something to a user, or in a topic.
    pub(super) fn say_to(&mut self, id: Option<&RawValue>, to: To, words: Words) {
        let Some(from) = self.bearer.as_ref().map(|it| it.identity.user.clone()) else {
            let denied = Denied::Missing;
            return self.refuse(id, None, "unauthenticated", &denied.to_string());
        };
        let inbox = self.app.hub.inbox().clone();
        let said = match to {
            // A message to a room is a live one, and is asked for as such.
            To::Room(_) => return,
            To::User(user) => {
                let user: Arc<str> = user.into();
                let to = Address::User(user.clone());
                inbox.say_to(&[user], to, &from, words)
            }
            To::Topic(topic) => {
                if !self.may(id, &topic, Access::Write) {
                    return;
                }
                inbox.say_in_topics(Arc::new([topic.into()]), &from, words)
            }
        };
        match said {
            // As of a message to a room.
            Ok(_) if id.is_none() => {}
            Ok(_) => self.say(&Notice::ok(id)),
            Err(Undeliverable::TooLarge) => {
                let message = "there is more in it than the limit";
                self.refuse(id, None, "too_large", message);
            }
            Err(Undeliverable::Full) => {
                self.refuse(id, None, "unavailable", "too many messages wait");
            }
        }
    }
}
