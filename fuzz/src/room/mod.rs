//! Owns the target `room`: any bytes as a list of what a room is told by clients in order, by
//! hostile ones, by its store and by time. Each step is held to the room's rules.

mod calm;
mod judge;
mod ledger;
mod operator;
mod peer;
mod presence;
mod pushes;
mod setting;
mod store;
mod told;
mod world;

use bytes::Bytes;
use roundtable::ids::{Epoch, Version};
use roundtable::lib0::write_var_uint;
use roundtable::room::message::Presented;
use roundtable::room::{Access, Departure, Effect, Input, Listen, Occasion, Outcome, Ticket};
use uuid::Uuid;

use self::setting::grant;
use self::world::World;
use super::forge::{CLIENTS, forge};
use super::script::Script;

/// More would only make an input slow.
const STEPS_MAX: usize = 120;

/// What a state may be: good ones, and what no client in order sends.
const STATES: [&[u8]; 6] = [
    b"{}",
    b"{\"x\":1}",
    b"{\"user\":{\"id\":\"eve\"}}",
    b"7",
    b"{",
    b"\xff",
];

/// A list of steps.
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        step(&mut world, &mut script);
    }
    world.settle();
    world.judge();
}

fn step(world: &mut World, script: &mut Script<'_>) {
    let action = match script.byte() {
        byte @ ..224 => byte % 32,
        byte => 32 + byte % 8,
    };
    // A store that is behind is waited for: until then a room is told nothing else.
    if !(22..32).contains(&action) && world.room.is_full() {
        return world.answer(0);
    }
    let peer = script.below(world.peers.len());
    world.is_hostile |= (4..10).contains(&action);
    match action {
        0..4 => {
            let update = world.peers[peer].author.edit(script);
            submit(world, peer, Occasion::Edit, update);
        }
        4..8 => {
            let update = forge(script, &world.clocks());
            submit(world, peer, Occasion::Edit, update.into());
        }
        8 => {
            let update = Bytes::copy_from_slice(script.bytes());
            submit(
                world,
                peer,
                script.pick(&[Occasion::Edit, Occasion::Answer]),
                update,
            );
        }
        9 => {
            let mut update = world.peers[peer].author.edit(script).to_vec();
            let at = script.below(update.len());
            update[at] = script.byte();
            submit(world, peer, Occasion::Edit, update.into());
            // Its own document has something else under the same clocks.
            world.renew_author(peer);
        }
        // It is written and lost on its way: what follows leaves a gap.
        10 => drop(world.peers[peer].author.edit(script)),
        11 => repeat(world, peer, script),
        12 | 13 => world.peers[peer].wants_diff = true,
        14 => sync_at_will(world, peer, script),
        15 => answer_what_is_missing(world, peer),
        16 => present(world, peer, script),
        17 => {
            if let Some(session) = world.peers[peer].session {
                world.tell(Input::AskPresence { session });
            }
        }
        18..21 => come_or_go(world, peer, script),
        21 => renew(world, peer, script),
        22..26 => world.answer(script.byte()),
        26 => world.others_write(script),
        27 | 28 => world.wait(script.pick(&[1, 40, 1_000, 6_000, 40_000])),
        29 => world.wait(script.pick(&[0, 100_000_000])),
        30 => end(world, peer, script),
        31 => moved_elsewhere(world, script),
        32..36 => operator::push(world, peer, script),
        36 => operator::push_again(world, peer, script),
        37 => world.write_behind(script.byte()),
        38 => world.ease(),
        _ => world.overtake(),
    }
    if let Some(at) = world.peers.iter().position(|peer| peer.wants_diff) {
        world.catch_up(at);
    }
}

fn submit(world: &mut World, peer: usize, occasion: Occasion, update: Bytes) {
    if let Some(session) = world.peers[peer].session {
        world.tickets += 1;
        let ticket = Ticket(world.tickets);
        world.peers[peer].sent.push(update.clone());
        world.tell(Input::Submit {
            session,
            ticket,
            occasion,
            update,
        });
    }
}

fn repeat(world: &mut World, peer: usize, script: &mut Script<'_>) {
    let from = script.below(world.peers.len());
    let sent = &world.peers[from].sent;
    if !sent.is_empty() {
        let update = sent[script.below(sent.len())].clone();
        submit(world, peer, Occasion::Edit, update);
    }
}

fn answer_what_is_missing(world: &mut World, peer: usize) {
    if let Some(state_vector) = world.peers[peer].asked.take() {
        let update = world.peers[peer].author.beyond(&state_vector);
        submit(world, peer, Occasion::Answer, update);
    }
}

/// A state vector of any clients at any clocks.
fn sync_at_will(world: &mut World, peer: usize, script: &mut Script<'_>) {
    let Some(session) = world.peers[peer].session else {
        return;
    };
    let state_vector = if script.below(4) == 0 {
        Bytes::copy_from_slice(script.bytes())
    } else {
        let clients = script.below(4);
        let first = script.below(CLIENTS.len());
        let mut out = Vec::new();
        write_var_uint(&mut out, clients as u64);
        for at in 0..clients {
            write_var_uint(&mut out, CLIENTS[(first + at) % CLIENTS.len()]);
            write_var_uint(&mut out, u64::from(script.byte()));
        }
        out.into()
    };
    // It takes the place of what the peer asked before, if that still waits.
    world.peers[peer].awaits_diff = false;
    world.tell(Input::Sync {
        session,
        state_vector,
    });
}

fn present(world: &mut World, peer: usize, script: &mut Script<'_>) {
    let Some(session) = world.peers[peer].session else {
        return;
    };
    let states = (0..=script.below(4)).map(|_| Presented {
        client: u64::from(script.byte() % 12),
        clock: match script.byte() {
            255 => u32::MAX,
            254 => i32::MAX as u32,
            clock => u32::from(clock % 8),
        },
        state: match script.below(8) {
            0 => None,
            1 => Some(vec![b' '; 600].into()),
            2 => Some(Bytes::copy_from_slice(script.bytes())),
            _ => Some(Bytes::from_static(script.pick(&STATES))),
        },
    });
    let states = states.collect();
    world.tell(Input::Present { session, states });
}

fn come_or_go(world: &mut World, peer: usize, script: &mut Script<'_>) {
    if let Some(session) = world.peers[peer].session {
        let departure = script.pick(&[Departure::Lost, Departure::Clean]);
        world.peers[peer].leave();
        return world.tell(Input::Detach { session, departure });
    }
    let session = world.next_session();
    world.peers[peer].session = Some(session);
    let access = script.pick(&[Access::Write, Access::Write, Access::Read, Access::Admin]);
    let listen = script.pick(&[Listen::Live, Listen::Live, Listen::Answers]);
    world.peers[peer].listen = listen;
    world.tell(Input::Attach {
        session,
        grant: grant(peer, access, world.expiry(script.byte())),
        client: "tab".into(),
        listen,
    });
}

fn renew(world: &mut World, peer: usize, script: &mut Script<'_>) {
    if let Some(session) = world.peers[peer].session {
        let access = script.pick(&[Access::Write, Access::Read, Access::Admin]);
        let grant = grant(peer, access, world.expiry(script.byte()));
        world.tell(Input::Renew { session, grant });
    }
}

/// The process ends in order, or not, or the room is deleted.
fn end(world: &mut World, peer: usize, script: &mut Script<'_>) {
    match (script.below(3), world.peers[peer].session) {
        (0, _) => world.tell(Input::Drain),
        (1, Some(session)) => world.tell(Input::Delete { session }),
        _ => world.reopen(script.below(2) == 0),
    }
}

/// The store says that the room is not what this one takes it for.
fn moved_elsewhere(world: &mut World, script: &mut Script<'_>) {
    let Some(Effect::Append { id, .. }) = world.asked.front() else {
        return world.answer(script.byte());
    };
    let id = *id;
    world.asked.pop_front();
    world.is_moved = true;
    let stands = match script.below(2) {
        0 => None,
        _ => Some((Epoch(Uuid::from_u128(99)), Version(1))),
    };
    let outcome = Outcome::Moved(stands);
    world.tell(Input::Appended { id, outcome });
}
