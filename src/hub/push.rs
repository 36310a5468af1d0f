//! Owns how operations are sent to a room, and their results waited for.

use std::sync::Arc;

use super::{Denial, Hub};
use crate::ids::{Position, RoomId};
use crate::room::operation::{OpResult, Operation};
use crate::room::{End, Event, Grant, Refusal};

/// What operations came to.
#[derive(Debug)]
pub struct Pushed {
    /// In the order of the operations.
    pub results: Vec<OpResult>,
    /// Where the room stands.
    pub position: Position,
}

/// Why operations were not judged.
#[derive(Debug)]
pub enum Unjudged {
    /// The room is not to be reached.
    Denied(Denial),
    /// It says no.
    Refused(Refusal),
    /// It ended.
    Ended(End),
}

impl Hub {
    /// Operates on a room's records; answers when all of it is durable.
    pub async fn push(
        &self,
        room: &RoomId,
        grant: Grant,
        client: Option<Arc<str>>,
        operations: Vec<Operation>,
    ) -> Result<Pushed, Unjudged> {
        let attached = self.attach(room, grant, None, client).await;
        let mut attachment = attached.map_err(Unjudged::Denied)?;
        let sent = attachment.operate(None, operations).await;
        sent.map_err(|_| Unjudged::Ended(End::Unavailable))?;
        loop {
            match attachment.event().await {
                Event::Pushed {
                    results, position, ..
                } => return Ok(Pushed { results, position }),
                Event::Refused { refusal, .. } => return Err(Unjudged::Refused(refusal)),
                Event::Ended(end) => return Err(Unjudged::Ended(end)),
                Event::Diff { .. }
                | Event::Presence(_)
                | Event::Missing { .. }
                | Event::Kept { .. } => {}
            }
        }
    }
}
