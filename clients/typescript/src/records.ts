// Owns a collection as the application sees it: plain objects in, plain objects out.
import * as Y from 'yjs'
import { Emitter, type Unsubscribe } from './emitter.js'
import { orderedId } from './ids.js'
import type { Mirror, RecordChange } from './mirror.js'
import type { Outbox, RecordState } from './outbox.js'
import { isEqual, plain, writable, type Fields, type Snapshot } from './values.js'

/** Members of a record; a member that is `undefined` is removed. */
export type Patch<T extends object> = { [Name in keyof T]?: T[Name] | undefined }

export interface ListOptions<T extends object> {
  where?: (record: Snapshot<T>) => boolean
  /** By id without it, which is by age for ids that were given by `create`. */
  sort?: (a: Snapshot<T>, b: Snapshot<T>) => number
}

export class Records<T extends object = Fields> {
  readonly name: string
  #doc: Y.Doc
  #map: Y.Map<unknown>
  #mirror: Mirror
  #outbox: Outbox
  #events = new Emitter<{ changes: RecordChange[] }>()
  #all: Snapshot<T>[] | undefined

  constructor(name: string, doc: Y.Doc, mirror: Mirror, outbox: Outbox) {
    this.name = name
    this.#doc = doc
    this.#map = doc.getMap(name)
    this.#mirror = mirror
    this.#outbox = outbox
    mirror.events.on('changes', (changes) => {
      const own = changes.filter((change) => change.collection === name)
      if (own.length === 0) return
      this.#all = undefined
      this.#events.emit('changes', own)
    })
  }

  get(id: string): Snapshot<T> | undefined {
    return this.#mirror.get(this.name, id) as Snapshot<T> | undefined
  }

  get size(): number { return this.#mirror.collection(this.name).size }

  /** Without options the same array until something changes. */
  list({ where, sort }: ListOptions<T> = {}): readonly Snapshot<T>[] {
    this.#all ??= [...this.#mirror.collection(this.name).values()]
      .sort((a, b) => (a.id < b.id ? -1 : 1)) as Snapshot<T>[]
    if (!where && !sort) return this.#all
    const found = where ? this.#all.filter(where) : [...this.#all]
    return sort ? found.sort(sort) : found
  }

  /** Makes a record and gives back its id. Throws when there is one of that id. */
  create(fields: T, id: string = orderedId()): string {
    if (this.#map.has(id)) throw new Error(`there is a record "${id}" in "${this.name}" already`)
    const entries = writables(fields).filter(([, value]) => value !== undefined)
    this.#map.set(id, new Y.Map(entries))
    return id
  }

  /** Writes the named fields, as far as they differ. Throws when there is no such record. */
  update(id: string, patch: Patch<T>): void {
    const record = this.#map.get(id)
    if (!(record instanceof Y.Map)) throw new Error(`there is no record "${id}" in "${this.name}"`)
    write(this.#doc, record as Y.Map<unknown>, patch)
  }

  /** `update`, or `create` when there is none. */
  upsert(id: string, patch: Patch<T>): void {
    if (this.#map.get(id) instanceof Y.Map) this.update(id, patch)
    else this.create(patch as T, id)
  }

  /** Whether there was one to remove. */
  remove(id: string): boolean {
    const had = this.#map.has(id)
    if (had) this.#map.delete(id)
    return had
  }

  /** Several changes as one: one notification, one version on the server. */
  batch(change: () => void): void {
    this.#doc.transact(change)
  }

  /** Told once per transaction that changed records of this collection. */
  subscribe(listener: (changes: RecordChange[]) => void): Unsubscribe {
    return this.#events.on('changes', listener)
  }

  /** Whether the record is durable on the server, as far as this device changed it. */
  stateOf(id: string): RecordState {
    return this.#outbox.stateOf(this.name, id)
  }
}

function writables(fields: object): [string, unknown][] {
  return Object.entries(fields)
    .filter(([name]) => name !== 'id')
    .map(([name, value]: [string, unknown]) =>
      [name, value === undefined ? undefined : writable(value, name)])
}

/** Only what differs is written: the same value again would win over somebody else's change. */
export function write(doc: Y.Doc, record: Y.Map<unknown>, patch: object): void {
  const entries = writables(patch)
  doc.transact(() => {
    for (const [name, value] of entries) {
      if (value === undefined) {
        if (record.has(name)) record.delete(name)
      } else if (!record.has(name) || !isEqual(plain(record.get(name)), value)) {
        record.set(name, value)
      }
    }
  })
}
