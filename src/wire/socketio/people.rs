//! Owns who is in a table, as its followers know it: one user may be there on many devices, and
//! only what changed of one is told.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::shapes::{CursorPosition, Selection, UserLeft, UserPresence};
use super::{Out, raw};
use crate::room::Identity;

/// What the client said of itself.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Own {
    /// How a guest wants to be called; of others the token says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Guest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_id: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection: Option<Box<RawValue>>,
    /// In the first state after a recovery alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reconnected: bool,
}

/// What a guest says of itself.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Guest {
    pub name: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<Arc<str>>,
}

/// A device in a presence message.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Person<'a> {
    #[serde(borrow)]
    user_id: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    client_id: std::borrow::Cow<'a, str>,
    user: User,
    #[serde(borrow)]
    state: State<'a>,
}

#[derive(Debug, Deserialize)]
struct User {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    color: Option<String>,
    #[serde(default)]
    avatar: Option<String>,
}

/// A state is of an application's making: any member may be anything.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct State<'a> {
    #[serde(borrow, default)]
    view_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cursor: Option<&'a RawValue>,
    #[serde(borrow, default)]
    selection: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reconnected: Option<&'a RawValue>,
}

/// Who left.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Left<'a> {
    #[serde(borrow)]
    client_id: std::borrow::Cow<'a, str>,
}

/// A device that is there.
#[derive(Debug)]
struct Seen {
    user: Box<str>,
    cursor: Option<Box<str>>,
    selection: Option<Box<str>>,
    reconnected: bool,
}

/// Who is there, by device.
#[derive(Debug, Default)]
pub(super) struct People {
    seen: HashMap<Box<str>, Seen>,
    /// Devices by user.
    users: HashMap<Box<str>, usize>,
}

impl Seen {
    fn of(person: &Person<'_>) -> Self {
        let text = |raw: Option<&RawValue>| raw.map(|raw| raw.get().into());
        Self {
            user: (*person.user_id).into(),
            cursor: text(person.state.cursor),
            selection: text(person.state.selection),
            reconnected: person.state.reconnected.is_some(),
        }
    }
}

impl Person<'_> {
    fn portray<'a>(&'a self, table: &'a str, now: &'a str) -> UserPresence<'a> {
        UserPresence {
            user_id: &self.user_id,
            user_name: self.user.name.as_deref().unwrap_or(&self.user_id),
            avatar_url: self.user.avatar.as_deref(),
            table_id: table,
            view_id: self.state.view_id.unwrap_or(nowhere()),
            cursor: self.state.cursor,
            selection: self.state.selection,
            last_seen: now,
            color: self.user.color.as_deref(),
        }
    }
}

/// A view without a name.
fn nowhere() -> &'static RawValue {
    serde_json::from_str("\"\"").expect("a string")
}

impl People {
    /// Begins anew with those who are there; returns each user once. `me` may not be among them.
    pub(super) fn begin(
        &mut self,
        table: &str,
        now: &str,
        all: &[Person<'_>],
        me: (&Identity, &Own),
    ) -> Box<RawValue> {
        *self = Self::default();
        let mut told = Vec::new();
        for person in all {
            if !self.users.contains_key(&*person.user_id) {
                told.push(person.portray(table, now));
            }
            self.add(person);
        }
        let (identity, own) = me;
        if !self.users.contains_key(&*identity.user) {
            told.push(UserPresence {
                user_id: &identity.user,
                user_name: identity.name.as_deref().unwrap_or(&identity.user),
                avatar_url: identity.avatar.as_deref(),
                table_id: table,
                view_id: own.view_id.as_deref().unwrap_or(nowhere()),
                cursor: own.cursor.as_deref(),
                selection: own.selection.as_deref(),
                last_seen: now,
                color: identity.color.as_deref(),
            });
        }
        raw(&told)
    }

    fn add(&mut self, person: &Person<'_>) {
        let seen = Seen::of(person);
        *self.users.entry(seen.user.clone()).or_default() += 1;
        if let Some(former) = self.seen.insert((*person.client_id).into(), seen) {
            self.forget(&former.user);
        }
    }

    /// One device less; whether it was the user's last.
    fn forget(&mut self, user: &str) -> bool {
        let Some(count) = self.users.get_mut(user) else {
            return false;
        };
        *count -= 1;
        let is_last = *count == 0;
        if is_last {
            self.users.remove(user);
        }
        is_last
    }

    /// A device joined, or moved. Nothing is told to `me` of itself.
    pub(super) fn update<A>(
        &mut self,
        me: &str,
        table: &str,
        now: &str,
        person: &Person<'_>,
        out: &mut impl Extend<Out<A>>,
    ) {
        let is_known = self.users.contains_key(&*person.user_id);
        let former = self.seen.remove(&*person.client_id);
        if let Some(former) = &former {
            self.forget(&former.user);
        }
        self.add(person);
        if *person.client_id == *me {
            return;
        }
        let was_back = former.as_ref().is_some_and(|seen| seen.reconnected);
        let is_back = person.state.reconnected.is_some() && !was_back;
        let mut tell = |event: &'static str, body| {
            out.extend([Out::Emit(event.into(), Some(body))]);
        };
        if is_known && is_back {
            tell("user_reconnected", raw(&person.portray(table, now)));
        } else if !is_known {
            tell("user_joined", raw(&person.portray(table, now)));
        }
        let text = |raw: Option<&RawValue>| raw.map(|raw| Box::<str>::from(raw.get()));
        let cursor = person.state.cursor;
        if text(cursor) != former.as_ref().and_then(|seen| seen.cursor.clone()) {
            let user_id = &*person.user_id;
            tell("cursor_position", raw(&CursorPosition { user_id, cursor }));
        }
        let selection = person.state.selection;
        if text(selection) != former.and_then(|seen| seen.selection) {
            let user_id = &*person.user_id;
            tell("selection", raw(&Selection { user_id, selection }));
        }
    }

    /// A device left.
    pub(super) fn leave<A>(&mut self, table: &str, left: &Left<'_>, out: &mut impl Extend<Out<A>>) {
        let Some(seen) = self.seen.remove(&*left.client_id) else {
            return;
        };
        if self.forget(&seen.user) {
            let body = raw(&UserLeft {
                user_id: &seen.user,
                table_id: table,
            });
            out.extend([Out::Emit("user_left".into(), Some(body))]);
        }
    }
}
