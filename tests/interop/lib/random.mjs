// Owns dice that fall the same way twice: every random choice of a test comes from a seed that is printed.

/** mulberry32 over a hash of the seed: small, and good enough to shuffle with. */
export function dice (seed) {
  let state = hash(String(seed))
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return {
    next,
    /** An integer from `low` to `high`, both included. */
    int: (low, high) => low + Math.floor(next() * (high - low + 1)),
    pick: (list) => list[Math.floor(next() * list.length)],
    chance: (p) => next() < p,
    bytes: (length) => Uint8Array.from({ length }, () => Math.floor(next() * 256))
  }
}

/** The seed of this run: given, or taken from the clock once and printed with every failure. */
export const SEED = process.env.ROUNDTABLE_TEST_SEED ?? String(Date.now() % 1_000_000)

function hash (text) {
  let h = 2166136261
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619)
  return h
}
