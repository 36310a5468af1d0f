//! Owns what presence has to be, whoever says what.

use roundtable::room::message::Shown;
use serde_json::Value;

use super::setting::PRESENCE_PER_ROOM_MAX;

/// Above what a client may give, by what a room counts up when it does not know the client.
const CLOCK_LIMIT: u32 = (1 << 31) + (1 << 21);

/// Every state is an object whose user is one of the world's; there are not too many.
pub fn check(shown: &[Shown]) {
    let here = shown.iter().filter_map(|shown| shown.state.as_deref());
    let mut count = 0;
    for state in here {
        count += 1;
        let state: Value = serde_json::from_str(state).expect("a state is JSON");
        let user = state["user"]["id"].as_str().expect("its user is set");
        assert!(user.starts_with("user "), "by the token: {user}");
    }
    // A state may be told twice in one message: as one of all, and as one's own.
    assert!(count <= 2 * PRESENCE_PER_ROOM_MAX);
    let highest = shown.iter().map(|shown| shown.clock).max();
    assert!(highest < Some(CLOCK_LIMIT), "clocks can be counted up");
}
