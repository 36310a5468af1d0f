// Owns what keeps rooms on the device: the contract, and the one that keeps nothing.
import type { Entry, Failure } from '../outbox.js'

export interface Stored {
  updates: Uint8Array[]
  entries: Entry[]
}

/**
 * Every write is one transaction: an edit and its place in the outbox are kept together or not at
 * all. Writes are handed over at once and in order; who has to know waits for the promise.
 */
export interface Storage {
  load(room: string): Promise<Stored>
  /** Keeps updates, and entries that are to be confirmed. */
  add(room: string, updates: Uint8Array[], entries: Entry[]): Promise<void>
  /** Forgets entries that the server has confirmed. */
  settle(ids: string[]): Promise<void>
  fail(ids: string[], failure: Failure): Promise<void>
  /** Replaces a room's updates by one. */
  compact(room: string): Promise<void>
  forget(room: string): Promise<void>
  /** Small values beside the rooms. */
  read(key: string): Promise<unknown>
  write(key: string, value: unknown): Promise<void>
  close(): void
}

/** Where there is no IndexedDB, or the application wants none: a room lasts as long as its page. */
export class NoStorage implements Storage {
  load(): Promise<Stored> { return Promise.resolve({ updates: [], entries: [] }) }
  add(): Promise<void> { return Promise.resolve() }
  settle(): Promise<void> { return Promise.resolve() }
  fail(): Promise<void> { return Promise.resolve() }
  compact(): Promise<void> { return Promise.resolve() }
  forget(): Promise<void> { return Promise.resolve() }
  read(): Promise<unknown> { return Promise.resolve(undefined) }
  write(): Promise<void> { return Promise.resolve() }
  close(): void {}
}
