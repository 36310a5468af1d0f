//! Owns the seeds that fail when the bug that they found is back: each runs always.

/// A seed and what was wrong.
pub const SEEDS: &[(u64, &str)] = &[
    (
        1,
        "presence that was told while a diff was awaited was lost",
    ),
    (
        9,
        "after a restart a client was told under a clock that its peers knew",
    ),
    (
        7_906,
        "an echo of somebody who left was taken for a first word",
    ),
    (
        2,
        "who was cut before its first word saw nobody when it came back",
    ),
    (
        1_250,
        "a reader was ahead of its room and was sent the whole state for ever",
    ),
    (
        58_493,
        "a room that does not know yet that it is deleted says rightly what is pruned",
    ),
    (
        80_820,
        "an append of a server that died comes after another one opened the room, which deletes it",
    ),
    (
        121_945,
        "an operation whose result was told late is as old as its entry, and forgotten with it",
    ),
    (
        377_027,
        "what goes on from what a peer had collected already was refused as malformed",
    ),
    (
        551_750,
        "a retry of what another server kept was told a version that its own batch had moved",
    ),
];
