//! Owns the target `yjs`: any bytes as a message of a y-websocket client. What is read is read
//! again from its own encoding, and presence that peers are told from the server's.

use roundtable::lib0::{write_buffer, write_string, write_var_uint};
use roundtable::room::message::{Occasion, Presented, Shown};
use roundtable::wire::websocket::HEADER_BYTES_MAX;
use roundtable::wire::{Request, Violation, yjs};

const AWARENESS_BYTES_MAX: usize = 512;

/// All bytes are one message.
pub fn run(message: &[u8]) {
    let request = match yjs::receive(message, AWARENESS_BYTES_MAX) {
        Ok(request) => request,
        Err(Violation::TooLarge) => {
            assert!(message.len() > AWARENESS_BYTES_MAX);
            return;
        }
        Err(Violation::Malformed(_)) => return,
    };
    let encoded = encode(&request);
    assert_eq!(yjs::receive(&encoded, usize::MAX), Ok(request.clone()));
    match request {
        Request::Present(states) => told(&states),
        Request::Sync { state_vector } => {
            let mut frame = Vec::new();
            yjs::write_step_1(&mut frame, &state_vector);
            assert_eq!(payload(&frame), encoded);
        }
        Request::Submit { occasion, update } => {
            let mut frame = match occasion {
                Occasion::Answer => yjs::step_2_header(update.len()),
                Occasion::Edit => yjs::update_header(update.len()),
            };
            frame.extend_from_slice(&update);
            assert_eq!(payload(&frame), encoded);
        }
        Request::AskPresence => {}
    }
}

/// A request as a client says it.
pub(crate) fn encode(request: &Request) -> Vec<u8> {
    let mut out = Vec::new();
    match request {
        Request::Sync { state_vector } => {
            out.extend([0, 0]);
            write_buffer(&mut out, state_vector);
        }
        Request::Submit { occasion, update } => {
            let step = match occasion {
                Occasion::Answer => 1,
                Occasion::Edit => 2,
            };
            out.extend([0, step]);
            write_buffer(&mut out, update);
        }
        Request::Present(states) => {
            let mut payload = Vec::new();
            write_var_uint(&mut payload, states.len() as u64);
            for Presented {
                client,
                clock,
                state,
            } in states
            {
                write_var_uint(&mut payload, *client);
                write_var_uint(&mut payload, u64::from(*clock));
                let state = state.as_deref().unwrap_or(b"null");
                write_string(
                    &mut payload,
                    std::str::from_utf8(state).expect("read as UTF-8"),
                );
            }
            out.push(1);
            write_buffer(&mut out, &payload);
        }
        Request::AskPresence => out.push(3),
    }
    out
}

/// What peers are told of states can be read as what was said.
fn told(states: &[Presented]) {
    let shown: Vec<_> = states
        .iter()
        .map(|presented| Shown {
            client: presented.client,
            clock: presented.clock,
            state: presented
                .state
                .as_deref()
                .map(|state| std::str::from_utf8(state).expect("read as UTF-8").into()),
        })
        .collect();
    let mut frame = Vec::new();
    yjs::write_presence(&mut frame, &shown);
    let read = yjs::receive(payload(&frame), usize::MAX);
    assert_eq!(read, Ok(Request::Present(states.to_vec())));
}

/// What a whole frame of the server holds.
fn payload(frame: &[u8]) -> &[u8] {
    let (header, length) = match frame[1] {
        126 => (4, usize::from(u16::from_be_bytes([frame[2], frame[3]]))),
        127 => {
            let length = frame[2..HEADER_BYTES_MAX].try_into().expect("eight bytes");
            (HEADER_BYTES_MAX, u64::from_be_bytes(length) as usize)
        }
        short => (2, usize::from(short)),
    };
    assert_eq!(
        frame.len(),
        header + length,
        "the header announces the message"
    );
    &frame[header..]
}
