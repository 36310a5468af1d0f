// Owns what a close code means: 44xx "not like this", 45xx and all others "again, with jitter".
import type { Closing } from './machine.js'

/** Codes of the server. */
export const UNAUTHENTICATED = 4401
export const UNAVAILABLE = 4503
export const IDLE = 4508

/** No socket was opened, or it ended without a goodbye. */
export const ABNORMAL = 1006

/** The most that a server is believed about when to come back. */
const PACE_MS_MAX = 120_000

/**
 * Reads a close. `renewable` is whether another token can be had: then an expired one is a reason
 * to come back with a new one.
 */
export function closingOf(code: number, reason: string, renewable: boolean): Closing {
  if (code === UNAUTHENTICATED && renewable) return { code, reason, kind: 'again' }
  if (code >= 4400 && code < 4500) return { code, reason, kind: 'fatal' }
  const pace = /retry after (\d+) ms/.exec(reason)
  if (!pace) return { code, reason, kind: 'again' }
  return { code, reason, kind: 'paced', afterMs: Math.min(Number(pace[1]), PACE_MS_MAX) }
}
