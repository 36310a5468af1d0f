// Owns events across rooms by name: `tasks:updated`, `tasks:*`, `*`.
import { Emitter, type Unsubscribe } from './emitter.js'
import type { RecordChange } from './mirror.js'

/** What happened to one record, in whichever room. */
export interface BusEvent extends RecordChange {
  /** `tasks:updated`, whatever was listened to. */
  name: string
  room: string
}

export class Bus {
  #events = new Emitter<Record<string, BusEvent>>()

  on(name: string, listener: (event: BusEvent) => void): Unsubscribe {
    return this.#events.on(name, listener)
  }

  tell(room: string, changes: RecordChange[]): void {
    for (const change of changes) {
      const name = `${change.collection}:${change.type}`
      const event = { ...change, name, room }
      for (const heard of [name, `${change.collection}:*`, '*']) this.#events.emit(heard, event)
    }
  }
}
