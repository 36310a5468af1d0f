//! Owns presence and messages of clients without a connection of their own.

use std::sync::Arc;

use super::attachment::Gone;
use super::push::Unjudged;
use super::{Attachment, Denial, Hub};
use crate::ids::RoomId;
use crate::room::message::Utterance;
use crate::room::presence::{Appearance, Person};
use crate::room::{End, Event, Grant};

impl Hub {
    /// Who is here.
    pub async fn people(&self, room: &RoomId, grant: &Grant) -> Result<Vec<Arc<Person>>, Denial> {
        self.ask(room, grant, |room, now| room.everyone(now)).await
    }

    /// Says how a device is here; answers when the room has taken it.
    pub async fn appear(
        &self,
        room: &RoomId,
        grant: Grant,
        appearance: Appearance,
    ) -> Result<(), Unjudged> {
        let attached = self.attach(room, grant.clone(), None, None).await;
        let mut attachment = attached.map_err(Unjudged::Denied)?;
        let sent = attachment.appear(appearance).await;
        self.heard(room, &grant, &attachment, sent.map(drop)).await
    }

    /// Sends a message to everyone in a room; answers when it is on its way.
    pub async fn say(
        &self,
        room: &RoomId,
        grant: Grant,
        client: Option<Arc<str>>,
        utterance: Utterance,
    ) -> Result<(), Unjudged> {
        let attached = self.attach(room, grant.clone(), None, client).await;
        let mut attachment = attached.map_err(Unjudged::Denied)?;
        let sent = attachment.say(utterance).await;
        self.heard(room, &grant, &attachment, sent.map(drop)).await
    }

    /// Waits until the room has heard what was sent, and says what it said to that.
    async fn heard(
        &self,
        room: &RoomId,
        grant: &Grant,
        attachment: &Attachment,
        sent: Result<(), Gone>,
    ) -> Result<(), Unjudged> {
        sent.map_err(|Gone| Unjudged::Ended(End::Unavailable))?;
        let asked = self.ask(room, grant, |_, _| ()).await;
        asked.map_err(Unjudged::Denied)?;
        match attachment.next_event() {
            Some(Event::Refused { refusal, .. }) => Err(Unjudged::Refused(refusal)),
            Some(Event::Ended(end)) => Err(Unjudged::Ended(end)),
            _ => Ok(()),
        }
    }
}
