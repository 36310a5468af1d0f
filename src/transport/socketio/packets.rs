//! Owns which of the engine's packets are a session's own, and counts them in an answer to a poll.

/// What parts packets in a payload (Engine.IO 4); JSON has no such byte.
const SEPARATOR: u8 = 0x1e;

/// Whether a packet that begins so is an event or an answer, which sessions count: message, event;
/// message, ack. The engine's own packets, connects and disconnects are not.
pub fn is_counted(lead: &[u8]) -> bool {
    matches!(lead, [b'4', b'2' | b'3'])
}

/// The counted packets in the payload of a poll.
pub fn counted(payload: &[u8]) -> usize {
    let packets = payload.split(|byte| *byte == SEPARATOR);
    packets
        .filter(|packet| packet.get(..2).is_some_and(is_counted))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn si21_events_and_answers_are_counted_and_what_the_engine_says_is_not() {
        assert_eq!(counted(b""), 0);
        assert_eq!(counted(b"0{\"sid\":\"42\"}"), 0);
        assert_eq!(counted(b"40{\"sid\":\"a\"}\x1e2\x1e6"), 0);
        assert_eq!(
            counted(b"42[\"a\",\"\\u001e42\"]\x1e2\x1e4312[{}]\x1e41\x1e42[\"b\"]"),
            3
        );
    }
}
