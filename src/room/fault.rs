//! Owns faults that tests put into updates, to see what holds when the CRDT breaks. It is in no
//! program but those of tests.
//!
//! An update that carries the text `roundtable fault: apply abort` (or another of the moments and
//! ways below) does so at that moment.

#[cfg(all(feature = "fault-injection", not(debug_assertions)))]
compile_error!("fault-injection is for tests: it has no place in an optimised program");

/// What the document does with the update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It applies what a client sent.
    Apply,
    /// It takes stored bytes in.
    Load,
}

/// Does what the update says shall happen now, if it says so.
///
/// # Errors
///
/// When it shall fail as a library call fails.
///
/// # Panics
///
/// When it shall panic.
pub fn strike(moment: Moment, bytes: &[u8]) -> Result<(), String> {
    let moment = match moment {
        Moment::Apply => "apply",
        Moment::Load => "load",
    };
    let says = |way: &str| {
        let text = format!("roundtable fault: {moment} {way}");
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    if says("fail") {
        return Err("as the update says".into());
    }
    assert!(!says("panic"), "as the update says");
    if says("abort") {
        std::process::abort();
    }
    if says("overflow") {
        dig(1);
    }
    if says("hang") {
        loop {
            std::thread::park();
        }
    }
    Ok(())
}

/// Recurses until the stack ends.
#[expect(unconditional_recursion, reason = "the stack shall end")]
fn dig(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    dig(std::hint::black_box(depth + 1)) + frame[0]
}
