// Owns talk between the tabs of one origin: what they tell each other, and who tells it.
import { Emitter } from '../emitter.js'
import type { State } from '../connection/machine.js'
import type { Quality } from '../connection/quality.js'
import type { Entry, Failure } from '../outbox.js'

/** Everything tabs say to each other. */
export type TabMessage =
  /** Edits of a tab, which are kept already. */
  | { type: 'edited', room: string, entries: Entry[] }
  /** Edits that are durable on the server. */
  | { type: 'settled', room: string, ids: string[] }
  | { type: 'refused', room: string, ids: string[], failure: Failure }
  /** A conflict that somebody decided on this device: one of its own, or a dismissed one. */
  | { type: 'decided', room: string, id: string, source: 'device' | 'server' }
  /** A tab wants the shared connection. */
  | { type: 'hello', tab: string }
  /** A frame for one conversation of the leader: in the next it would be out of place. */
  | { type: 'send', tab: string, leader: string, opened: number, frame: Uint8Array }
  | { type: 'ask', what: 'wake' | 'renewed' }
  | {
    type: 'leader'
    leader: string
    /** How many conversations it has begun: another number is another one. */
    opened: number
    isOpen: boolean
    state: State
    quality: Quality
  }
  | { type: 'frame', leader: string, frame: Uint8Array }

export class TabChannel {
  readonly events = new Emitter<{ message: TabMessage }>()
  #channel: BroadcastChannel | undefined

  /** Without BroadcastChannel nobody hears anything, and nobody has to. */
  constructor(scope: string) {
    if (typeof BroadcastChannel === 'undefined') return
    this.#channel = new BroadcastChannel(scope)
    this.#channel.onmessage = (event: MessageEvent<TabMessage>) => {
      this.events.emit('message', event.data)
    }
    // In Node a channel would keep the process from ending.
    ;(this.#channel as { unref?: () => void }).unref?.()
  }

  tell(message: TabMessage): void {
    this.#channel?.postMessage(message)
  }

  close(): void {
    this.#channel?.close()
    this.#channel = undefined
    this.events.clear()
  }
}
