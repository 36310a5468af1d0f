// Owns what a room needs from whatever carries its frames: a socket of this tab, or another tab's.
import type { Emitter } from '../emitter.js'
import type { Closing, State } from './machine.js'
import type { Quality } from './quality.js'

export interface WireEvents {
  state: State
  /** Frames may be sent: a new conversation begins. */
  opened: undefined
  /** The conversation is over. */
  closed: undefined
  frame: Uint8Array
  /** Say something that the server answers, to see whether it is there. */
  heartbeat: undefined
  lost: Closing | undefined
  restored: undefined
  failed: Closing
  /** Another tab ended: what it was about to have confirmed is this tab's to send. */
  left: undefined
}

export interface Wire {
  readonly events: Emitter<WireEvents>
  readonly state: State
  readonly quality: Quality
  readonly isOpen: boolean
  start(): void
  stop(): void
  /** Try now, do not wait for the time. */
  wake(): void
  /** There is a new token, or a reason to try again what failed. */
  renewed(): void
  /** Drops the frame when nothing is open: a new conversation begins with what counts then. */
  send(frame: Uint8Array): void
  /** What came of a poll. */
  polled(answered: boolean): void
  /** How long the server took to answer. */
  roundTrip(ms: number): void
}
