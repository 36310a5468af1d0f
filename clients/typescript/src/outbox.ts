// Owns what this device changed and the server has not confirmed: per change, per record, per room.
import * as Y from 'yjs'
import { Emitter } from './emitter.js'
import { keyOf, type Touch } from './touched.js'

export type RecordState = 'pending' | 'syncing' | 'saved' | 'failed'

/** Why the server did not take a change. */
export interface Failure {
  code: string
  message: string
}

/** One transaction of this device. */
export interface Entry {
  id: string
  room: string
  /** When, in milliseconds since 1970. */
  at: number
  update: Uint8Array
  touched: Touch[]
  failure?: Failure
}

/** Changes travel together up to so many bytes, far below what a frame may have. */
const BATCH_BYTES = 1024 * 1024

/** Changes in groups that fit a frame, in order; at least one group, perhaps with nothing in it. */
export function batches(entries: Entry[]): Entry[][] {
  let batch: Entry[] = []
  const all = [batch]
  let bytes = 0
  for (const entry of entries) {
    bytes += entry.update.length
    if (bytes > BATCH_BYTES && batch.length > 0) {
      all.push(batch = [])
      bytes = entry.update.length
    }
    batch.push(entry)
  }
  return all
}

/** All of them as one update. */
export function merged(entries: Entry[]): Uint8Array {
  const [first] = entries
  if (!first) return new Uint8Array()
  return entries.length === 1 ? first.update : Y.mergeUpdates(entries.map(({ update }) => update))
}

export interface Pending {
  /** Waiting to be sent. */
  pending: number
  /** Sent, and not confirmed yet. */
  syncing: number
  /** Refused; sent again after the next connection, or by `retry`. */
  failed: number
  /** All of these. */
  total: number
  /** When the oldest of them was made, in milliseconds since 1970. */
  oldestAt?: number
}

interface Held {
  entry: Entry
  isSent: boolean
}

export const NOTHING_PENDING: Pending = Object.freeze({
  pending: 0, syncing: 0, failed: 0, total: 0
})

export class Outbox {
  readonly events = new Emitter<{ change: Pending, failed: { ids: string[], failure: Failure } }>()
  #held = new Map<string, Held>()
  #byRecord = new Map<string, Set<Held>>()
  #tally = { syncing: 0, failed: 0 }
  #summary: Pending | undefined = NOTHING_PENDING

  add(entries: Entry[]): void {
    for (const entry of entries) {
      if (this.#held.has(entry.id)) continue
      const held = { entry, isSent: false }
      this.#held.set(entry.id, held)
      this.#tally.failed += Number(entry.failure !== undefined)
      for (const { collection, recordId } of entry.touched) {
        const key = keyOf(collection, recordId)
        const all = this.#byRecord.get(key)
        if (all) all.add(held)
        else this.#byRecord.set(key, new Set([held]))
      }
    }
    this.#changed(entries.length > 0)
  }

  /** Those were sent. */
  sent(ids: string[]): void {
    this.#each(ids, (held) => this.#mark(held, true))
  }

  /** Those were sent into the void. */
  unsent(ids: string[]): void {
    this.#each(ids, (held) => this.#mark(held, false, held.entry.failure))
  }

  /** Those are durable. Gives back which of them were here. */
  settle(ids: string[]): string[] {
    const known = ids.filter((id) => this.#held.has(id))
    this.#each(known, (held) => {
      this.#mark(held, false)
      this.#held.delete(held.entry.id)
      for (const { collection, recordId } of held.entry.touched) {
        const key = keyOf(collection, recordId)
        const all = this.#byRecord.get(key)
        all?.delete(held)
        if (all?.size === 0) this.#byRecord.delete(key)
      }
    })
    return known
  }

  fail(ids: string[], failure: Failure): void {
    const known = ids.filter((id) => this.#held.has(id))
    this.#each(known, (held) => this.#mark(held, false, failure))
    if (known.length > 0) this.events.emit('failed', { ids: known, failure })
  }

  /** What was refused waits to be sent once more. */
  retry(): void {
    const refused = this.all().filter(({ failure }) => failure).map(({ id }) => id)
    this.#each(refused, (held) => this.#mark(held, false))
  }

  /** All, in the order in which they were made. */
  all(): Entry[] {
    return [...this.#held.values()].map(({ entry }) => entry)
  }

  /** What should be sent: not under way, and not refused. */
  waiting(): Entry[] {
    return [...this.#held.values()]
      .filter(({ entry, isSent }) => !isSent && !entry.failure)
      .map(({ entry }) => entry)
  }

  /** The same object until something changes. */
  summary(): Pending {
    return (this.#summary ??= this.#count())
  }

  stateOf(collection: string, recordId?: string): RecordState {
    const held = this.#byRecord.get(keyOf(collection, recordId))
    if (!held) return 'saved'
    const all = [...held]
    if (all.some(({ entry }) => entry.failure)) return 'failed'
    return all.every(({ isSent }) => isSent) ? 'syncing' : 'pending'
  }

  /** Whether a change of this field, or of the whole record, waits to be confirmed. */
  touches(collection: string, recordId: string, field?: string): boolean {
    const held = this.#byRecord.get(keyOf(collection, recordId))
    if (!held || field === undefined) return held !== undefined
    return [...held].some(({ entry }) => entry.touched.some((touch) =>
      touch.collection === collection && touch.recordId === recordId &&
      (!touch.fields || touch.fields.includes(field))))
  }

  #count(): Pending {
    const total = this.#held.size
    const [oldest] = this.#held.values()
    if (!oldest) return NOTHING_PENDING
    const { syncing, failed } = this.#tally
    return { pending: total - failed - syncing, syncing, failed, total, oldestAt: oldest.entry.at }
  }

  #mark(held: Held, isSent: boolean, failure?: Failure): void {
    this.#tally.syncing += Number(isSent) - Number(held.isSent)
    this.#tally.failed += Number(failure !== undefined) - Number(held.entry.failure !== undefined)
    held.isSent = isSent
    if (failure) held.entry.failure = failure
    else delete held.entry.failure
  }

  #each(ids: string[], act: (held: Held) => void): void {
    let known = 0
    for (const id of ids) {
      const held = this.#held.get(id)
      if (held) act(held)
      known += held ? 1 : 0
    }
    this.#changed(known > 0)
  }

  #changed(isChanged: boolean): void {
    if (!isChanged) return
    this.#summary = undefined
    if (this.events.count('change') > 0) this.events.emit('change', this.summary())
  }
}
