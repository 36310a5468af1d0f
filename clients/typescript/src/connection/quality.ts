// Owns how good the connection is: the round trip, and when the server was last heard.

export interface Quality {
  /** A smoothed round trip in milliseconds; none before the first. */
  roundTripMs?: number
  /** When the server was last heard, in milliseconds since 1970. */
  lastSeenAt?: number
  /** `good` up to 150 ms, `fair` up to 500 ms, `poor` beyond; `none` without a connection. */
  level: 'good' | 'fair' | 'poor' | 'none'
}

/** The weight of a new round trip against those before: that of TCP (RFC 6298). */
const WEIGHT = 1 / 8
const GOOD_MS = 150
const FAIR_MS = 500

export class QualityMeter {
  #roundTripMs: number | undefined
  #lastSeenAt: number | undefined

  seen(now: number): void {
    this.#lastSeenAt = now
  }

  roundTrip(ms: number): void {
    const before = this.#roundTripMs
    this.#roundTripMs = before === undefined ? ms : before + (ms - before) * WEIGHT
  }

  read(isConnected: boolean): Quality {
    const level = isConnected ? levelOf(this.#roundTripMs) : 'none'
    return {
      level,
      ...(this.#roundTripMs === undefined ? {} : { roundTripMs: Math.round(this.#roundTripMs) }),
      ...(this.#lastSeenAt === undefined ? {} : { lastSeenAt: this.#lastSeenAt })
    }
  }
}

function levelOf(ms: number | undefined): Quality['level'] {
  if (ms === undefined || ms <= GOOD_MS) return 'good'
  return ms <= FAIR_MS ? 'fair' : 'poor'
}
