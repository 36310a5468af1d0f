//! Owns what the clients of documents ask for, once they are let in.

use tokio::io::{AsyncRead, AsyncWrite};

use super::documents::Stage;
use super::{HocuspocusSocket, Stop};
use crate::hub::attachment::Gone;
use crate::limits::SUBMISSIONS_WAITING_MAX;
use crate::room::End;
use crate::room::message::Utterance;
use crate::wire::hocuspocus::{self, Ask};
use crate::wire::{Request, ask};

impl<S: AsyncRead + AsyncWrite + Unpin> HocuspocusSocket<S> {
    /// Asks the room, or holds what is asked until somebody is let in.
    pub(super) async fn serve(&mut self, place: usize, ask: Ask) -> Result<(), Stop> {
        let is_sync = matches!(ask, Ask::Room(Request::Sync { .. }));
        match &mut self.documents.at(place).stage {
            Stage::Outside(outside) => {
                outside.hold(ask);
                let limits = self.app.hub.limits();
                let (bytes, messages) = self.documents.waiting();
                if bytes > limits.outside_bytes_max || messages > limits.outside_messages_max {
                    return Err(Stop::Reset("too much waits for a token"));
                }
                Ok(())
            }
            Stage::Inside(inside) if !inside.held.is_empty() || (inside.awaits_diff && is_sync) => {
                inside.held.push_back(ask);
                Ok(())
            }
            Stage::Inside(_) => self.ask(place, ask).await,
        }
    }

    /// Serves what was held, up to what has to wait for a diff.
    pub(super) async fn serve_held(&mut self, place: usize) -> Result<(), Stop> {
        while let Some(inside) = self.documents.inside(place) {
            let is_sync = matches!(inside.held.front(), Some(Ask::Room(Request::Sync { .. })));
            if is_sync && inside.awaits_diff {
                break;
            }
            let Some(ask) = inside.held.pop_front() else {
                break;
            };
            self.ask(place, ask).await?;
        }
        Ok(())
    }

    async fn ask(&mut self, place: usize, ask: Ask) -> Result<(), Stop> {
        match ask {
            Ask::Room(request) => {
                if let Request::Sync { state_vector } = &request {
                    self.documents.at(place).ledger.began(state_vector);
                }
                self.request(place, request).await
            }
            Ask::Stateless(payload) => self.speak(place, &payload).await,
            Ask::Token(_) | Ask::Close | Ask::Unknown => Ok(()),
        }
    }

    /// Tells the room what the peer wants; waits while the room is busy.
    pub(super) async fn request(&mut self, place: usize, request: Request) -> Result<(), Stop> {
        let document = self.documents.at(place);
        let Stage::Inside(inside) = &mut document.stage else {
            return Ok(());
        };
        let submitted = match &request {
            Request::Submit { occasion, update } => Some((*occasion, update.clone())),
            Request::Sync { .. } | Request::Present(_) | Request::AskPresence => None,
        };
        inside.awaits_diff |= matches!(request, Request::Sync { .. });
        let asked = inside.attachment.request(request).await;
        if let (Ok(ticket), Some((occasion, update))) = (asked, submitted) {
            document.heard_at = self.line.now().mono;
            document.ledger.submitted(ticket, occasion, &update);
            if document.ledger.len() > SUBMISSIONS_WAITING_MAX {
                return self.end(place, &End::TooFast);
            }
        }
        match asked {
            Ok(_) => Ok(()),
            Err(Gone) => self.last_words(place),
        }
    }

    /// A stateless payload is a message to everyone else in the room.
    async fn speak(&mut self, place: usize, payload: &str) -> Result<(), Stop> {
        if payload.len() > self.app.hub.limits().message_bytes_max {
            let message = "there is more in it than the limit";
            self.unsaid(place, "too_large", message);
            return Ok(());
        }
        let Some(inside) = self.documents.inside(place) else {
            return Ok(());
        };
        let utterance = Utterance {
            event: hocuspocus::STATELESS_EVENT.into(),
            payload: ask::text(payload),
        };
        match inside.attachment.say(utterance).await {
            Ok(_) => Ok(()),
            Err(Gone) => self.last_words(place),
        }
    }
}
