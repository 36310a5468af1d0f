// Owns how long to wait before the next attempt.

export interface Backoff {
  /** The upper bound of the first wait. */
  minMs: number
  /** The upper bound of all later ones. */
  maxMs: number
}

export const BACKOFF: Backoff = { minMs: 1_000, maxMs: 30_000 }

/**
 * Exponential with full jitter: anything between nothing and a bound that doubles with each failed
 * attempt, so that clients which were lost together do not come back together.
 */
export function delay(
  attempt: number, random: number, { minMs, maxMs }: Backoff = BACKOFF
): number {
  return Math.round(random * Math.min(maxMs, minMs * 2 ** Math.min(attempt, 30)))
}
