//! Owns presence as JSON clients know it: devices by name, and who joined, changed and left since
//! the last tick.
//!
//! A device has a client id of its own among those of Yjs clients, beyond the 32 bits that they
//! choose from. The room speaks for it: it counts its clock, and says its state again before Yjs
//! clients give it up.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;

use super::leap::leap;
use super::stamp::stamp;
use super::{Member, Owner, Presence, Unfit};
use crate::ids::{Millis, Now, SessionId, UnixMillis};
use crate::limits::Limits;
use crate::room::Identity;
use crate::room::message::Shown;

/// Yjs clients choose ids below this.
const DEVICE_IDS_MIN: u64 = 1 << 32;

/// Beyond this JavaScript cannot count.
const DEVICE_IDS_MAX: u64 = 1 << 53;

/// What a device says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appearance {
    /// The device; the session's own if it is not named.
    pub device: Option<Arc<str>>,
    /// The state as JSON text; `None` says goodbye.
    pub state: Option<Bytes>,
    /// It lapses after so long unless it is said again, whatever becomes of the session.
    pub lease_ms: Option<u64>,
}

/// Somebody who is here, as was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The user.
    pub user: Arc<str>,
    /// The device; of a Yjs client its client id.
    pub client: Arc<str>,
    /// The state with its identity stamped.
    pub state: Arc<str>,
    /// When it was first told.
    pub since: UnixMillis,
}

/// What of presence is told at a tick.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stir {
    /// How many live events of presence there were: its number.
    pub count: u64,
    /// Who was not here before.
    pub joined: Vec<Arc<Person>>,
    /// Whose state is another one.
    pub updated: Vec<Arc<Person>>,
    /// Who is not here any more.
    pub left: Vec<Arc<Person>>,
}

impl Stir {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.updated.is_empty() && self.left.is_empty()
    }
}

type Device = (Arc<str>, Arc<str>);

/// Devices, and what was told of everybody.
#[derive(Debug, Default)]
pub(super) struct People {
    told: BTreeMap<u64, Arc<Person>>,
    clients: HashMap<Device, u64>,
    devices: HashMap<u64, Device>,
    /// When states are said again, and how often.
    renewal: Option<(Millis, u64)>,
}

impl People {
    /// When states are said again.
    pub(super) fn renewal(&self) -> Option<Millis> {
        let is_needed = !self.devices.is_empty();
        self.renewal.filter(|_| is_needed).map(|(at, _)| at)
    }

    fn forget(&mut self, client: u64) {
        if let Some(device) = self.devices.remove(&client) {
            self.clients.remove(&device);
        }
    }

    /// The client id of a device: always the same, unless another device has it.
    fn client_of(&self, device: &Device) -> u64 {
        if let Some(&client) = self.clients.get(device) {
            return client;
        }
        let mut hasher = DefaultHasher::new();
        device.hash(&mut hasher);
        let span = DEVICE_IDS_MAX - DEVICE_IDS_MIN;
        let mut place = hasher.finish() % span;
        while self.devices.contains_key(&(DEVICE_IDS_MIN + place)) {
            place = (place + 1) % span;
        }
        DEVICE_IDS_MIN + place
    }
}

impl Presence {
    /// Takes what a device says of itself, until its session ends or, with a lease, until then.
    pub fn appear(
        &mut self,
        session: SessionId,
        identity: &Identity,
        client: &Arc<str>,
        appearance: &Appearance,
        now: Now,
        limits: &Limits,
    ) -> Result<(), Unfit> {
        let device = (identity.user.clone(), client.clone());
        let id = self.people.client_of(&device);
        let Some(state) = &appearance.state else {
            if self.people.devices.contains_key(&id) {
                self.remove(id);
            }
            return Ok(());
        };
        if state.len() > limits.presence_state_bytes_max {
            return Err(Unfit::TooLarge);
        }
        let stamped = stamp(state, identity)?;
        let owner = match appearance.lease_ms {
            Some(ms) => Owner::Nobody(now.mono.plus(ms)),
            None => Owner::Session(session),
        };
        self.must_have_place(id, session, &identity.user, owner, limits)?;
        let is_change = self.members.get(&id).is_none_or(|it| it.state != stamped);
        if is_change {
            let is_known = self.members.contains_key(&id) || self.gone.contains_key(&id);
            let ahead = if is_known { 0 } else { leap(now.wall) };
            let clock = self.known_clock(id) + 1 + ahead;
            self.forget_gone(id);
            self.changed.insert(id);
            self.put(id, clock, stamped, &device, owner);
        } else if let Some(member) = self.members.remove(&id) {
            self.put(id, member.clock, stamped, &device, owner);
            self.own(id, member.owner, owner);
        }
        if is_change {
            self.own(id, owner, owner);
        }
        let every_ms = limits.heartbeat_ms;
        let renewal = (now.mono.plus(every_ms), every_ms);
        self.people.renewal.get_or_insert(renewal);
        Ok(())
    }

    fn must_have_place(
        &self,
        id: u64,
        session: SessionId,
        user: &str,
        owner: Owner,
        limits: &Limits,
    ) -> Result<(), Unfit> {
        let is_new = !self.members.contains_key(&id);
        let held = match owner {
            Owner::Session(_) => {
                let owned = self.owned.get(&session);
                owned.map_or(0, |owned| owned.len() - usize::from(owned.contains(&id)))
            }
            Owner::Nobody(_) if is_new => {
                let members = self.members.values();
                let leased = |it: &&Member| matches!(it.owner, Owner::Nobody(_));
                members
                    .filter(leased)
                    .filter(|it| &*it.user == user)
                    .count()
            }
            Owner::Nobody(_) => 0,
        };
        let is_full = is_new && self.members.len() >= limits.presence_per_room_max;
        match is_full || held >= limits.presence_per_session_max {
            true => Err(Unfit::TooLarge),
            false => Ok(()),
        }
    }

    fn put(&mut self, id: u64, clock: u32, state: Arc<str>, device: &Device, owner: Owner) {
        let member = Member {
            clock,
            given: 0,
            state,
            user: device.0.clone(),
            owner,
        };
        if let Some(Owner::Session(former)) = self.members.insert(id, member).map(|it| it.owner)
            && owner != Owner::Session(former)
        {
            self.disown(former, id);
        }
        self.people.clients.insert(device.clone(), id);
        self.people.devices.insert(id, device.clone());
    }

    /// Notes whose a client is from now on.
    fn own(&mut self, id: u64, former: Owner, owner: Owner) {
        if let Owner::Session(former) = former
            && owner != Owner::Session(former)
        {
            self.disown(former, id);
        }
        match owner {
            Owner::Session(session) => {
                self.owned.entry(session).or_default().insert(id);
            }
            Owner::Nobody(until) => {
                self.next_lapse = Some(self.next_lapse.map_or(until, |next| next.min(until)));
            }
        }
    }

    /// Says the states of devices again when that is due, for Yjs clients; to who reads JSON it is
    /// no change.
    pub(super) fn renew_devices(&mut self, now: Millis) {
        let Some((at, every_ms)) = self.people.renewal else {
            return;
        };
        if now < at {
            return;
        }
        let is_needed = !self.people.devices.is_empty();
        self.people.renewal = is_needed.then(|| (now.plus(every_ms), every_ms));
        for id in self.people.devices.keys() {
            if let Some(member) = self.members.get_mut(id) {
                member.clock += 1;
                self.changed.insert(*id);
            }
        }
    }

    /// What these states, which are told now, are to who was told before.
    pub fn stir(&mut self, shown: &[Shown], count: u64, wall: UnixMillis) -> Stir {
        let mut stir = Stir {
            count,
            ..Stir::default()
        };
        for Shown { client, state, .. } in shown {
            let known = self.people.told.get(client);
            let (Some(state), Some(member)) = (state, self.members.get(client)) else {
                stir.left.extend(self.people.told.remove(client));
                self.people.forget(*client);
                continue;
            };
            if known.is_some_and(|known| known.state == *state) {
                continue;
            }
            let person = self.portray(*client, member, wall);
            match known.is_some() {
                true => stir.updated.push(person.clone()),
                false => stir.joined.push(person.clone()),
            }
            self.people.told.insert(*client, person);
        }
        stir
    }

    /// Everyone who was told of, as they were.
    #[must_use]
    pub fn people(&self) -> Vec<Arc<Person>> {
        self.people.told.values().cloned().collect()
    }

    /// Everyone who is here, whether or not that was told yet.
    pub fn everyone(&mut self, now: Now) -> Vec<Arc<Person>> {
        self.lapse(now.mono);
        let members: BTreeMap<_, _> = self.members.iter().collect();
        let people = members.into_iter();
        people
            .map(|(client, member)| self.portray(*client, member, now.wall))
            .collect()
    }

    fn portray(&self, client: u64, member: &Member, wall: UnixMillis) -> Arc<Person> {
        let told = self.people.told.get(&client);
        Arc::new(Person {
            user: member.user.clone(),
            client: match self.people.devices.get(&client) {
                Some((_, name)) => name.clone(),
                None => client.to_string().into(),
            },
            state: member.state.clone(),
            since: told.map_or(wall, |told| told.since),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        presence: Presence,
        limits: Limits,
        count: u64,
    }

    fn at(ms: u64) -> Now {
        Now {
            mono: Millis(ms),
            wall: UnixMillis(ms as i64),
        }
    }

    fn who(user: &str) -> Identity {
        Identity {
            user: user.into(),
            name: None,
            color: Some("#123456".into()),
            avatar: None,
            is_guest: false,
        }
    }

    fn says(state: &str, lease_ms: Option<u64>) -> Appearance {
        Appearance {
            device: None,
            state: (state != "null").then(|| state.to_owned().into()),
            lease_ms,
        }
    }

    /// Who joined, changed and left, as `user/client`.
    type Names = (Vec<String>, Vec<String>, Vec<String>);

    fn names(joined: &[&str], updated: &[&str], left: &[&str]) -> Names {
        let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        (own(joined), own(updated), own(left))
    }

    impl World {
        fn new() -> Self {
            Self {
                presence: Presence::default(),
                limits: Limits::default(),
                count: 0,
            }
        }

        fn appear(&mut self, session: u64, device: &str, appearance: &Appearance, ms: u64) {
            let (user, client) = device.split_once('/').expect("user/client");
            let session = SessionId(session);
            let presence = &mut self.presence;
            let client = client.into();
            let taken = presence.appear(
                session,
                &who(user),
                &client,
                appearance,
                at(ms),
                &self.limits,
            );
            assert_eq!(taken, Ok(()));
        }

        fn tick(&mut self, ms: u64) -> (Vec<Shown>, Names) {
            self.presence.lapse(Millis(ms));
            self.count += 1;
            let shown = self.presence.drain_changes();
            let stir = self.presence.stir(&shown, self.count, at(ms).wall);
            let told = |people: &[Arc<Person>]| {
                let names = people.iter().map(|it| format!("{}/{}", it.user, it.client));
                names.collect::<Vec<_>>()
            };
            let told = (told(&stir.joined), told(&stir.updated), told(&stir.left));
            (shown.to_vec(), told)
        }
    }

    #[test]
    fn pr18_joined_updated_and_left_are_different_things_and_the_same_state_is_told_once() {
        let mut world = World::new();
        world.appear(1, "ada/tab", &says(r#"{"x":1}"#, None), 0);
        world.appear(1, "ada/tab", &says(r#"{"x":2}"#, None), 0);
        assert_eq!(world.tick(0).1, names(&["ada/tab"], &[], &[]));
        world.appear(1, "ada/tab", &says(r#"{"x":2}"#, None), 50);
        assert_eq!(world.tick(50), (vec![], names(&[], &[], &[])));
        world.appear(1, "ada/tab", &says(r#"{"x":3}"#, None), 60);
        world.appear(2, "bob/tab", &says("{}", None), 60);
        world.appear(3, "eve/tab", &says("{}", None), 60);
        world.presence.leave(SessionId(3));
        assert_eq!(world.tick(100).1, names(&["bob/tab"], &["ada/tab"], &[]));
        let people = world.presence.people();
        let ada = people.iter().find(|it| &*it.user == "ada").expect("here");
        assert_eq!(
            (ada.since, ada.state.contains(r#""x":3"#)),
            (UnixMillis(0), true)
        );
        world.appear(1, "ada/tab", &says("null", None), 150);
        world.presence.leave(SessionId(2));
        let (_, _, mut left) = world.tick(150).1;
        left.sort();
        assert_eq!(left, ["ada/tab", "bob/tab"]);
        assert_eq!(world.presence.people(), []);
    }

    #[test]
    fn pr28_who_is_here_is_known_before_it_is_told() {
        let mut world = World::new();
        let everyone = |world: &mut World, ms| {
            let people = world.presence.everyone(at(ms)).into_iter();
            let people = people.map(|it| (it.client.to_string(), it.state.to_string(), it.since.0));
            people.collect::<Vec<_>>()
        };
        let state = |x| format!(r##"{{"user":{{"color":"#123456","id":"ada"}},"x":{x}}}"##);
        world.appear(1, "ada/tab", &says(r#"{"x":1}"#, None), 10);
        assert_eq!(everyone(&mut world, 20), [("tab".into(), state(1), 20)]);
        world.tick(50);
        world.appear(1, "ada/tab", &says(r#"{"x":2}"#, None), 60);
        assert_eq!(everyone(&mut world, 70), [("tab".into(), state(2), 50)]);
        // What was asked for is told in its turn all the same.
        assert_eq!(world.tick(100).1, names(&[], &["ada/tab"], &[]));
        world.appear(1, "ada/tab", &says("null", None), 110);
        assert_eq!(everyone(&mut world, 120), []);
        world.appear(1, "ada/tab", &says(r#"{"x":3}"#, Some(1_000)), 130);
        assert_eq!(everyone(&mut world, 1_129).len(), 1);
        assert_eq!(everyone(&mut world, 1_130), []);
    }

    #[test]
    fn pr19_a_device_that_is_back_within_its_grace_time_neither_left_nor_joined() {
        let mut world = World::new();
        let state = says(r#"{"x":1}"#, None);
        world.appear(1, "ada/tab", &state, 0);
        world.tick(0);
        world.presence.lose(SessionId(1), Millis(5_000));
        world.appear(2, "ada/tab", &state, 1_000);
        assert_eq!(world.tick(9_000).1, names(&[], &[], &[]));
        // The late end of the former connection is nobody's.
        world.presence.leave(SessionId(1));
        assert_eq!(world.tick(9_050).1, names(&[], &[], &[]));
        world.presence.lose(SessionId(2), Millis(14_000));
        assert_eq!(world.tick(13_999).1, names(&[], &[], &[]));
        assert_eq!(world.tick(14_000).1, names(&[], &[], &["ada/tab"]));
    }

    #[test]
    fn pr20_a_device_has_one_client_id_beyond_those_of_yjs_clients() {
        let mut world = World::new();
        let mut ids = Vec::new();
        for session in 1..=2 {
            world.appear(session, "ada/tab", &says("{}", None), 0);
            world.appear(session, "ada/phone", &says("{}", None), 0);
            ids.push(
                world
                    .tick(0)
                    .0
                    .iter()
                    .map(|it| it.client)
                    .collect::<Vec<_>>(),
            );
            world.presence.leave(SessionId(session));
            world.tick(0);
        }
        assert_eq!(ids[0], ids[1]);
        assert_eq!(ids[0].len(), 2);
        assert!(
            ids[0]
                .iter()
                .all(|id| (DEVICE_IDS_MIN..DEVICE_IDS_MAX).contains(id))
        );
        // Another device that stands where a new one would is passed over.
        let mut people = People::default();
        let device: Device = ("ada".into(), "tab".into());
        let id = people.client_of(&device);
        people.devices.insert(id, ("bob".into(), "tab".into()));
        assert_eq!(people.client_of(&device), id + 1);
    }

    #[test]
    fn pr21_a_device_is_said_again_before_yjs_clients_give_it_up() {
        let mut world = World::new();
        world.appear(1, "ada/tab", &says("{}", None), 0);
        let first = world.tick(0).0[0].clone();
        assert_eq!(world.presence.deadline(), Some(Millis(15_000)));
        let (shown, told) = world.tick(15_000);
        let clock = first.clock + 1;
        assert_eq!(shown, [Shown { clock, ..first }]);
        assert_eq!(
            told,
            names(&[], &[], &[]),
            "who reads JSON hears nothing of it"
        );
        assert_eq!(world.presence.deadline(), Some(Millis(30_000)));
        world.presence.leave(SessionId(1));
        world.tick(15_050);
        assert_eq!(world.presence.deadline(), None);
    }

    #[test]
    fn pr22_a_lease_lapses_unless_it_is_renewed() {
        let mut world = World::new();
        let lease = says("{}", Some(30_000));
        world.appear(1, "ada/poll", &lease, 0);
        world.presence.lose(SessionId(1), Millis(5_000));
        assert_eq!(world.tick(0).1, names(&["ada/poll"], &[], &[]));
        world.appear(2, "ada/poll", &lease, 20_000);
        assert_eq!(world.tick(49_999).1, names(&[], &[], &[]));
        assert_eq!(world.tick(50_000).1, names(&[], &[], &["ada/poll"]));
    }

    #[test]
    fn pr23_devices_are_bounded_per_session_and_per_user() {
        for lease_ms in [None, Some(30_000)] {
            let mut world = World::new();
            let appearance = says("{}", lease_ms);
            for n in 0..16 {
                world.appear(1, &format!("ada/{n}"), &appearance, 0);
            }
            let (ada, limits) = (who("ada"), world.limits.clone());
            let mut more = |client: &str, appearance: &Appearance| {
                let session = SessionId(1);
                let client = client.into();
                let presence = &mut world.presence;
                presence.appear(session, &ada, &client, appearance, at(0), &limits)
            };
            assert_eq!(more("16", &appearance), Err(Unfit::TooLarge));
            assert_eq!(more("15", &appearance), Ok(()));
            let long = says(&format!(r#"{{"x":"{}"}}"#, "x".repeat(20_000)), lease_ms);
            assert_eq!(more("15", &long), Err(Unfit::TooLarge));
            assert!(matches!(
                more("15", &says("[]", lease_ms)),
                Err(Unfit::Malformed(_))
            ));
        }
    }
}
