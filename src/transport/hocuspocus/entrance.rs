//! Owns who is let in to a document: tokens as they come, are asked for, and end.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};

use super::documents::{Done, Entered, Inside, Shut, Stage, Term};
use super::outside::Outside;
use super::{HocuspocusSocket, Stop};
use crate::auth::{Auth, Bearer, Denied, Secret};
use crate::hub::attachment::Gone;
use crate::hub::{Denial, Hub};
use crate::ids::{Millis, RoomId, UnixMillis};
use crate::room::{End, Identity};
use crate::transport::requests::{code_of, words_of};
use crate::wire::hocuspocus;
use crate::wire::{Dialect, Request};

/// The state vector of who has nothing.
const NOTHING: &[u8] = &[0];

impl<S: AsyncRead + AsyncWrite + Unpin> HocuspocusSocket<S> {
    /// A token came for a document: the first that is good lets its client in, later ones go on
    /// from it.
    pub(super) fn knock(&mut self, place: usize, token: String) {
        let token = Secret::new(token);
        match &mut self.documents.at(place).stage {
            Stage::Outside(outside) if outside.entering.is_some() => {
                outside.next_token = Some(token);
            }
            Stage::Outside(_) => self.enter(place, token),
            Stage::Inside(inside) if inside.refreshing.is_some() => {
                inside.next_token = Some(token);
            }
            Stage::Inside(_) => self.refresh(place, token),
        }
    }

    fn enter(&mut self, place: usize, token: Secret) {
        match self.documents.at(place).address.room() {
            Ok(room) => {
                let entering = self.check(token).enter(room);
                if let Stage::Outside(outside) = &mut self.documents.at(place).stage {
                    outside.begin(Box::pin(entering));
                }
            }
            Err(invalid) => self.turn_away(place, &format!("malformed: {invalid}")),
        }
    }

    fn refresh(&mut self, place: usize, token: Secret) {
        let check = self.check(token.clone());
        if let Some(inside) = self.documents.inside(place) {
            inside.refreshing = Some((token, Box::pin(async move { check.bearer().await })));
        }
    }

    fn check(&self, token: Secret) -> Check {
        Check {
            auth: self.app.auth.clone(),
            hub: self.app.hub.clone(),
            presented: self.presented.clone(),
            token,
        }
    }

    /// Goes on with what was waited for.
    pub(super) async fn done(&mut self, place: usize, done: Done) -> Result<(), Stop> {
        match done {
            Done::Entered(entered) => match *entered {
                Ok(entered) => self.entered(place, entered).await,
                Err(shut) => self.shut(place, shut),
            },
            Done::Refreshed(checked) => match *checked {
                Ok(bearer) => self.refreshed(place, bearer).await,
                Err(denied) => self.not_refreshed(place, denied),
            },
        }
    }

    async fn entered(&mut self, place: usize, entered: Entered) -> Result<(), Stop> {
        let identity = entered.grant.identity.clone();
        self.note(place, "join", Some(&identity), true);
        let census = self.app.hub.census();
        self.seat.get_or_insert_with(|| census.seat(&identity.user));
        let now = self.line.now().wall;
        let document = self.documents.at(place);
        let Stage::Outside(outside) = &mut document.stage else {
            return Ok(());
        };
        let resumes = outside.was_inside && !outside.asks_to_sync();
        let (passed_over, next_token) = (outside.passed_over, outside.next_token.take());
        let mut inside = Inside::new(entered, now, outside.unhold());
        if !document.address.is_plain() {
            inside.attachment.readdress(document.address.clone());
        }
        let access = inside.access;
        document.stage = Stage::Inside(Box::new(inside));
        document.is_woken = true;
        let address = document.address.clone();
        self.say(|out| hocuspocus::write_authenticated(out, address.as_str(), access));
        if resumes {
            // It does not say what it has, and has missed something.
            let state_vector = Bytes::from_static(NOTHING);
            self.request(place, Request::Sync { state_vector }).await?;
        }
        self.serve_held(place).await?;
        self.documents.at(place).ledger.pass_over(passed_over);
        if let Some(token) = next_token {
            self.knock(place, token.expose().to_owned());
        }
        Ok(())
    }

    fn shut(&mut self, place: usize, shut: Shut) -> Result<(), Stop> {
        let (code, reason) = match shut {
            Shut::Token(denied) => {
                self.note_denied(place, denied)?;
                (code_of(denied), denied.to_string())
            }
            // It comes back when the socket does.
            Shut::Room(Denial::Unavailable) => return Ok(()),
            Shut::Room(denial) => {
                let (code, message) = words_of(denial);
                (code, message.to_owned())
            }
        };
        self.turn_away(place, &format!("{code}: {reason}"));
        if let Stage::Outside(outside) = &mut self.documents.at(place).stage
            && let Some(token) = outside.next_token.take()
        {
            self.enter(place, token);
        }
        Ok(())
    }

    fn turn_away(&mut self, place: usize, reason: &str) {
        if let Stage::Outside(outside) = &mut self.documents.at(place).stage {
            outside.turn_away();
        }
        self.deny(place, reason);
    }

    fn deny(&mut self, place: usize, reason: &str) {
        let address = self.documents.at(place).address.clone();
        self.say(|out| hocuspocus::write_denied(out, address.as_str(), reason));
    }

    async fn refreshed(&mut self, place: usize, bearer: Bearer) -> Result<(), Stop> {
        let now = self.line.now().wall;
        let document = self.documents.at(place);
        let (Stage::Inside(inside), Ok(room)) = (&mut document.stage, document.address.room())
        else {
            return Ok(());
        };
        if bearer.identity.user != inside.user {
            self.deny(place, "forbidden: the token is of another user");
            return self.refresh_next(place);
        }
        let grant = match bearer.grant(&room) {
            Ok(grant) => grant,
            Err(denied) => {
                self.note_denied(place, denied)?;
                return self.put_out(place, &format!("{}: {denied}", code_of(denied)));
            }
        };
        inside.access = grant.access;
        inside.term = Term::of(grant.expires_at, now);
        let (access, renewed) = (inside.access, inside.attachment.renew(grant).await);
        if let Err(Gone) = renewed {
            return self.last_words(place);
        }
        let address = document.address.clone();
        self.say(|out| hocuspocus::write_authenticated(out, address.as_str(), access));
        self.refresh_next(place)
    }

    /// The session goes on to the end of the token that it has.
    fn not_refreshed(&mut self, place: usize, denied: Denied) -> Result<(), Stop> {
        let now = self.line.now().wall;
        if let (Denied::Unavailable, Some(inside)) = (denied, self.documents.inside(place)) {
            if let Some(term) = &mut inside.term {
                term.ask_again(now);
            }
            return self.refresh_next(place);
        }
        self.note_denied(place, denied)?;
        self.deny(place, &format!("{}: {denied}", code_of(denied)));
        self.refresh_next(place)
    }

    fn refresh_next(&mut self, place: usize) -> Result<(), Stop> {
        let inside = self.documents.inside(place);
        if let Some(token) = inside.and_then(|inside| inside.next_token.take()) {
            self.refresh(place, token);
        }
        Ok(())
    }

    /// The session ends, and its client is told why; it may come with another token.
    pub(super) fn put_out(&mut self, place: usize, reason: &str) -> Result<(), Stop> {
        self.let_go(place);
        self.deny(place, reason);
        Ok(())
    }

    /// The session ends.
    pub(super) fn let_go(&mut self, place: usize) {
        let document = self.documents.at(place);
        document.ledger.strand();
        document.stage = Stage::Outside(Outside::after_inside());
    }

    /// The token has expired. One that is being checked counts as new.
    pub(super) fn expire(&mut self, place: usize) -> Result<(), Stop> {
        let inside = self.documents.inside(place);
        let token = inside.and_then(|inside| {
            let next = inside.next_token.take();
            next.or_else(|| inside.refreshing.take().map(|(token, _)| token))
        });
        let expired = Denied::Expired;
        self.put_out(place, &format!("{}: {expired}", code_of(expired)))?;
        if let Some(token) = token {
            self.enter(place, token);
        }
        Ok(())
    }

    /// Asks for tokens before they are over, and ends what is; says when something is due next.
    pub(super) fn watch_terms(&mut self) -> Result<Option<Millis>, Stop> {
        let now = self.line.now();
        let mut next: Option<UnixMillis> = None;
        for place in 0..self.documents.len() {
            let inside = self.documents.inside(place);
            let Some(term) = inside.and_then(|inside| inside.term.as_mut()) else {
                continue;
            };
            if term.until <= now.wall {
                self.expire(place)?;
                continue;
            }
            let is_due = !term.is_asked && term.ask_at <= now.wall;
            term.is_asked |= is_due;
            let due = term.due();
            next = Some(next.map_or(due, |next| next.min(due)));
            if is_due {
                let address = self.documents.at(place).address.clone();
                self.say(|out| hocuspocus::write_token_wanted(out, address.as_str()));
            }
        }
        Ok(next.map(|at| now.mono.plus((at.0 - now.wall.0).max(0) as u64)))
    }

    /// Notes who is not let in. Too many bad tokens of one address end the socket.
    fn note_denied(&mut self, place: usize, denied: Denied) -> Result<(), Stop> {
        let now = self.line.now().mono;
        if self.app.door.is_failing(&self.witness, &denied, now) {
            return Err(Stop::End(End::TooFast));
        }
        let action = match denied {
            Denied::Forbidden => "access",
            Denied::Missing | Denied::Invalid(_) | Denied::Expired => "token",
            Denied::Unavailable => return Ok(()),
        };
        self.note(place, action, None, false);
        Ok(())
    }

    fn note(&mut self, place: usize, action: &'static str, who: Option<&Identity>, may: bool) {
        let room = self.documents.at(place).address.room();
        let room = room.ok().map(|room| room.as_str().to_owned());
        let witness = self.witness.become_of(who);
        let detail = json!({ "path": "/hocuspocus" });
        witness.note(&self.app, action, room, may, detail);
    }
}

/// A token that is to be checked.
struct Check {
    auth: Auth,
    hub: Hub,
    presented: Result<Bearer, Denied>,
    token: Secret,
}

impl Check {
    /// Whose token it is. None at all is that of the upgrade, or what `--dev` lets in.
    async fn bearer(&self) -> Result<Bearer, Denied> {
        let now = self.hub.now().wall;
        if !self.token.expose().is_empty() {
            return self.auth.authenticate(Some(self.token.expose()), now).await;
        }
        let bearer = self.presented.clone()?;
        bearer.check_expiry(now)?;
        Ok(bearer)
    }

    /// Lets somebody in. While the database, or the keys, are away, so is the answer.
    async fn enter(self, room: RoomId) -> Result<Entered, Shut> {
        let limits = self.hub.limits();
        let mut wait_ms = limits.retry_ms_min;
        loop {
            match self.try_enter(&room).await {
                Err(Shut::Token(Denied::Unavailable) | Shut::Room(Denial::Unavailable))
                    if !self.hub.is_leaving() => {}
                entered => return entered,
            }
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            wait_ms = (wait_ms * 2).min(limits.retry_ms_max);
        }
    }

    async fn try_enter(&self, room: &RoomId) -> Result<Entered, Shut> {
        let bearer = self.bearer().await.map_err(Shut::Token)?;
        let grant = bearer.grant(room).map_err(Shut::Token)?;
        let dialect = Some(Dialect::Hocuspocus);
        let attached = self.hub.attach(room, grant.clone(), dialect, None).await;
        let attachment = attached.map_err(Shut::Room)?;
        Ok(Entered { attachment, grant })
    }
}
