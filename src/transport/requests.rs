//! Owns what the messages of a JSON socket ask for, and what becomes of what was waited for.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::carrier::Carrier;
use super::holds::{Hold, Waiting};
use super::jsonws::{Done, JsonSocket, Then, is_retryable};
use super::letters::Ear;
use super::line::Stop;
use crate::auth::{Bearer, Denied, Secret};
use crate::hub::Denial;
use crate::hub::attachment::Gone;
use crate::hub::reader::{CaughtUp, Since};
use crate::ids::RoomId;
use crate::room::message::Utterance;
use crate::room::presence::Appearance;
use crate::room::sessions::require;
use crate::room::{Access, End, Grant};
use crate::wire::Code;
use crate::wire::ask::Ask;
use crate::wire::notice::{MessageId, Notice};
use crate::wire::operations::Push;
use crate::wire::push;

/// What is done at once and kept nowhere.
enum Does {
    /// Presence.
    Appear(Appearance),
    /// A message to a room.
    Say(Utterance),
}

impl<C: Carrier> JsonSocket<C> {
    /// Does what a message asks for, or begins to.
    pub(super) async fn answer(&mut self, id: Option<MessageId>, ask: Ask<'_>) -> Result<(), Stop> {
        match ask {
            Ask::Ping => self.say(&Notice::pong(id.as_deref())),
            Ask::Token { token } => self.check(id, token),
            Ask::Subscribe {
                room,
                since,
                recent,
                client,
            } => {
                let since = match (since, recent) {
                    (Some((epoch, version)), _) => Since::Seen(epoch, version),
                    (None, Some(count)) => Since::Recent(count),
                    (None, None) => Since::New,
                };
                self.subscribe(id, room, since, client);
            }
            Ask::Unsubscribe { room } => self.unsubscribe(id.as_deref(), &room),
            Ask::Follow { topic } => self.follow(id.as_deref(), &topic),
            Ask::Unfollow { topic } => self.unfollow(id.as_deref(), &topic),
            Ask::SayTo { to, words } => self.say_to(id.as_deref(), to, words),
            Ask::Push { room, push } => self.push(id, room, &push).await,
            Ask::Present {
                room,
                client,
                state,
            } => {
                let device = client.map(Into::into);
                let does = Does::Appear(Appearance {
                    device,
                    state,
                    lease_ms: None,
                });
                self.act(id, &room, does).await;
            }
            Ask::Say { room, utterance } => self.act(id, &room, Does::Say(utterance)).await,
        }
        Ok(())
    }

    /// What the bearer may do in a room; who may nothing is told so.
    fn grant(&mut self, id: Option<&RawValue>, room: &RoomId) -> Option<Grant> {
        let denied = match &self.bearer {
            None => Denied::Missing,
            Some(bearer) => match bearer.grant(room) {
                Ok(grant) => return Some(grant),
                Err(denied) => denied,
            },
        };
        self.refuse(id, Some(room), code_of(denied), &denied.to_string());
        None
    }

    fn subscribe(
        &mut self,
        id: Option<MessageId>,
        room: RoomId,
        since: Since,
        client: Option<String>,
    ) {
        let Some(grant) = self.grant(id.as_deref(), &room) else {
            return;
        };
        let client: Option<Arc<str>> = client.map(Into::into);
        if let Some(place) = self.holds.find(&room) {
            let hold = self.holds.at(place);
            if client.is_none() || client == hold.client {
                hold.reader.subscribe(id, since);
                return;
            }
            // Another device: what the former one waits for is not answered to this one.
            let mut hold = self.holds.remove(place);
            let message = "the room was subscribed to as another device";
            for notice in hold.unanswered("unavailable", message, true) {
                self.say(&notice);
            }
            hold.reader.say_goodbye();
        }
        if self.is_full(id.as_deref(), &room) {
            return;
        }
        self.enter(room, grant, client, Then::Subscribe { id, since });
    }

    fn is_full(&mut self, id: Option<&RawValue>, room: &RoomId) -> bool {
        let is_full = self.holds.len() >= self.app.hub.limits().rooms_per_socket_max;
        if is_full {
            let message = "this socket has as many rooms as it may have";
            self.refuse(id, Some(room), "too_many_requests", message);
        }
        is_full
    }

    /// Enters a room, and goes on there.
    pub(super) fn enter(
        &mut self,
        room: RoomId,
        grant: Grant,
        client: Option<Arc<str>>,
        then: Then,
    ) {
        let hub = self.app.hub.clone();
        self.begin(async move {
            let reader = hub.reader(&room, grant, client.clone()).await;
            Done::Entered {
                room,
                client,
                then,
                reader,
            }
        });
    }

    fn unsubscribe(&mut self, id: Option<&RawValue>, room: &RoomId) {
        if let Some(place) = self.holds.find(room) {
            let hold = self.holds.at(place);
            hold.reader.unsubscribe();
            hold.reader.say_goodbye();
            self.let_go(place);
        }
        self.say(&Notice::ok(id));
    }

    async fn push(&mut self, id: Option<MessageId>, room: RoomId, push: &Push<'_>) {
        let Some(grant) = self.grant(id.as_deref(), &room) else {
            return;
        };
        let place = self.holds.find(&room);
        if place.is_none() && self.is_full(id.as_deref(), &room) {
            return;
        }
        let hub = self.app.hub.clone();
        let (operations, misfits) = push::sort(push, || hub.fresh_id());
        let then = Then::Push {
            client: push.client.as_deref().map(Into::into),
            operations,
            waiting: Waiting { id, misfits },
        };
        match place {
            Some(place) => self.go_on(place, then).await,
            None => self.enter(room, grant, None, then),
        }
    }

    /// Goes on in a room that was entered.
    async fn go_on(&mut self, place: usize, then: Then) {
        let hold = self.holds.at(place);
        match then {
            Then::Subscribe { id, since } => hold.reader.subscribe(id, since),
            Then::Push {
                client,
                operations,
                waiting,
            } => match hold.reader.operate(client, operations).await {
                Ok(ticket) => drop(hold.pushes.insert(ticket, waiting)),
                Err(Gone) => {
                    // How the room ended is among what it told last.
                    hold.is_woken = true;
                    let room = hold.room.clone();
                    let message = "the room ended; try again";
                    self.refuse(waiting.id.as_deref(), Some(&room), "unavailable", message);
                }
            },
        }
    }

    /// Does what is done at once and kept nowhere; only a refusal of the room comes later.
    async fn act(&mut self, id: Option<MessageId>, room: &RoomId, does: Does) {
        let Some(grant) = self.grant(id.as_deref(), room) else {
            return;
        };
        let found = self.holds.find(room);
        let Some(place) = found.filter(|&it| self.holds.at(it).reader.is_subscribed()) else {
            let message = "subscribe to the room first";
            return self.refuse(id.as_deref(), Some(room), "not_found", message);
        };
        let (needed, bytes, bytes_max) = match &does {
            Does::Appear(Appearance { state, .. }) => {
                let bytes = state.as_ref().map_or(0, bytes::Bytes::len);
                let bytes_max = self.app.hub.limits().presence_state_bytes_max;
                (Access::Read, bytes, bytes_max)
            }
            Does::Say(utterance) => {
                let bytes_max = self.app.hub.limits().message_bytes_max;
                (Access::Write, utterance.payload.0.len(), bytes_max)
            }
        };
        if let Err(refusal) = require(&grant, needed, self.line.now().wall) {
            let message = refusal.to_string();
            return self.refuse(id.as_deref(), Some(room), refusal.code(), &message);
        }
        if bytes > bytes_max {
            let message = "there is more in it than the limit";
            return self.refuse(id.as_deref(), Some(room), "too_large", message);
        }
        let reader = &mut self.holds.at(place).reader;
        let done = match does {
            Does::Appear(appearance) => reader.appear(appearance).await,
            Does::Say(utterance) => reader.say(utterance).await,
        };
        match done {
            // Nobody waits for an answer to a cursor's move.
            Ok(_) if id.is_none() => {}
            Ok(_) => self.say(&Notice::ok(id.as_deref())),
            Err(Gone) => {
                self.holds.at(place).is_woken = true;
                let message = "the room ended; try again";
                self.refuse(id.as_deref(), Some(room), "unavailable", message);
            }
        }
    }

    /// Checks a token, which may take a while.
    fn check(&mut self, id: Option<MessageId>, token: String) {
        let (auth, now) = (self.app.auth.clone(), self.line.now().wall);
        let token = Secret::new(token);
        self.begin(async move {
            // An empty one counts as none, which `--dev` lets in.
            let checked = auth.authenticate(Some(token.expose()), now).await;
            Done::Checked(id, Box::new(checked))
        });
    }

    /// Goes on with what was waited for.
    pub(super) async fn done(&mut self, done: Done) -> Result<(), Stop> {
        match done {
            Done::Entered {
                room,
                client,
                then,
                reader,
            } => match reader {
                Ok(reader) => self.entered(Hold::new(room, reader, client), then).await,
                Err(denial) => {
                    let id = match then {
                        Then::Subscribe { id, .. } => id,
                        Then::Push { waiting, .. } => waiting.id,
                    };
                    self.deny(id.as_deref(), &room, denial);
                }
            },
            Done::CaughtUp(room, caught_up) => self.caught_up(&room, caught_up),
            Done::Checked(id, checked) => return self.checked(id, *checked).await,
        }
        Ok(())
    }

    async fn entered(&mut self, hold: Hold, then: Then) {
        let place = self.holds.add(hold);
        self.go_on(place, then).await;
    }

    fn deny(&mut self, id: Option<&RawValue>, room: &RoomId, denial: Denial) {
        let (code, message) = words_of(denial);
        self.refuse(id, Some(room), code, message);
    }

    fn caught_up(&mut self, room: &RoomId, caught_up: Result<CaughtUp, Denial>) {
        let Some(place) = self.holds.find(room) else {
            return;
        };
        let hold = self.holds.at(place);
        hold.is_woken = true;
        match caught_up {
            Ok(caught_up) => {
                hold.reader.arrive(&caught_up);
                for notice in &caught_up.notices {
                    self.say(notice);
                }
            }
            Err(denial) => {
                let id = hold.reader.give_up();
                self.deny(id.as_deref(), room, denial);
                self.let_go(place);
            }
        }
    }

    /// A token was checked: it becomes that of the connection, and of all its rooms.
    async fn checked(
        &mut self,
        id: Option<MessageId>,
        checked: Result<Bearer, Denied>,
    ) -> Result<(), Stop> {
        let fresh = match (checked, &self.bearer) {
            (Err(Denied::Unavailable), None) => return Err(Stop::End(End::Unavailable)),
            (Err(_), None) => return Err(Stop::End(End::Expired)),
            (Err(denied), Some(_)) => {
                let message = denied.to_string();
                self.refuse(id.as_deref(), None, code_of(denied), &message);
                return Ok(());
            }
            (Ok(fresh), bearer) => {
                if bearer
                    .as_ref()
                    .is_some_and(|it| !self.may_become(it, &fresh))
                {
                    let message = "the token is of another user";
                    self.refuse(id.as_deref(), None, "forbidden", message);
                    return Ok(());
                }
                fresh
            }
        };
        self.line.expires_at(fresh.expires_at);
        for place in (0..self.holds.len()).rev() {
            let hold = self.holds.at(place);
            let room = hold.room.clone();
            match fresh.grant(&room) {
                // An error says that the room is gone; that is among what it told last.
                Ok(grant) => drop(hold.reader.renew(grant).await),
                Err(denied) => {
                    let mut hold = self.holds.remove(place);
                    let code = code_of(denied);
                    let message = denied.to_string();
                    for notice in hold.unanswered(code, &message, is_retryable(code)) {
                        self.say(&notice);
                    }
                    if hold.reader.is_subscribed() {
                        self.say(&Notice::reset(&room, code));
                    }
                }
            }
        }
        let is_other =
            (self.bearer.as_ref()).is_none_or(|it| it.identity.user != fresh.identity.user);
        self.bearer = Some(fresh);
        if is_other {
            self.ear = Ear::of(&self.app, self.bearer.as_ref());
        } else {
            self.listen_on();
        }
        self.say(&Notice::ok(id.as_deref()));
        Ok(())
    }

    /// A connection stays who it is; only a guest who is nowhere yet may become somebody.
    fn may_become(&self, is: &Bearer, fresh: &Bearer) -> bool {
        is.identity.user == fresh.identity.user || (is.identity.is_guest && self.holds.is_empty())
    }
}

pub(super) fn words_of(denial: Denial) -> (&'static str, &'static str) {
    match denial {
        Denial::Unavailable => ("unavailable", "the room cannot be opened now"),
        Denial::TooMany => ("too_many_requests", "this user has too many rooms open"),
        Denial::Quarantined => ("unavailable", "the room is in quarantine"),
        Denial::Internal => ("internal", "the server failed"),
    }
}

pub(super) fn code_of(denied: Denied) -> &'static str {
    match denied {
        Denied::Missing | Denied::Invalid(_) | Denied::Expired => "unauthenticated",
        Denied::Forbidden => "forbidden",
        Denied::Unavailable => "unavailable",
    }
}
