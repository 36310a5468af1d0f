// Owns concurrent overwrites, as this device saw them and as the server logged them: both values,
// and what to do about it.
import * as Y from 'yjs'
import type { Context } from '../context.js'
import { Emitter, type Unsubscribe } from '../emitter.js'
import { FROM_SERVER } from '../engine.js'
import { requestJson, segment } from '../http/request.js'
import { uuid } from '../ids.js'
import type { Mirror } from '../mirror.js'
import type { Outbox } from '../outbox.js'
import type { Status } from '../status.js'
import { recordIn } from '../touched.js'
import { isEqual, plain, type Fields } from '../values.js'
import { overlaps, type Overlap } from './concurrent.js'

export interface Conflict {
  readonly id: string
  readonly room: string
  readonly collection: string
  readonly recordId: string
  /** None when they removed the record that was changed here. */
  readonly field?: string
  /** What was written here; `undefined` for a removal. */
  readonly mine: unknown
  /** What somebody else wrote. */
  readonly theirs: unknown
  /** What stands, as long as nobody decides. */
  readonly current: unknown
  readonly at: number
  /** Who noticed: this device when it merged, or the server when a write came too late. */
  readonly source: 'device' | 'server'
  /** Who else, when the server knows. */
  readonly theirUserId?: string
  keepMine(): Promise<void>
  keepTheirs(): Promise<void>
  merge(value: unknown): Promise<void>
  /** Leaves what stands as it is. */
  dismiss(): void
}

/** As the server tells it: `mine` is the write that came later. */
interface Logged {
  id: string
  collection: string
  recordId: string
  field: string
  mine?: unknown
  theirs?: unknown
  userId: string
  theirsUserId?: string
  timestamp: string
}

/** As the device keeps it: until it is decided, whoever leaves the page meanwhile. */
interface Noticed extends Overlap { at: number }

type Resolution = 'mine' | 'theirs' | 'merged'

/** The part of a room that conflicts need. */
interface Host {
  readonly name: string
  readonly doc: Y.Doc
  readonly status: Status
  on(name: 'status', listener: (status: Status) => void): Unsubscribe
}

/** The log is asked again so long after records changed, at the earliest. */
const REFRESH_MS = 5_000
/** As many as the server gives at once. */
const PAGE = 1_000

export class Conflicts {
  #host: Host
  #mirror: Mirror
  #context: Context
  #events = new Emitter<{ conflict: Conflict, change: readonly Conflict[] }>()
  #open = new Map<string, Conflict>()
  #noticed = new Map<string, Noticed>()
  /** Of the server's: open there, and not to be told of here any more. */
  #dismissed = new Set<string>()
  #loaded: Promise<void>
  #list: readonly Conflict[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #unlisten: Unsubscribe[]
  #isWatching = false

  constructor(host: Host, outbox: Outbox, mirror: Mirror, context: Context) {
    this.#host = host
    this.#mirror = mirror
    this.#context = context
    this.#unlisten = [
      mirror.events.on('touched', ({ transaction, touches }) => {
        if (transaction.origin !== FROM_SERVER) return
        const known = {
          doc: host.doc,
          outbox,
          before: (collection: string, id: string) => mirror.get(collection, id)
        }
        const found = overlaps(transaction, touches, known)
        for (const overlap of found) this.#notice({ ...overlap, at: Date.now() })
        if (found.length > 0) this.#keep()
      }),
      context.channel.events.on('message', (message) => {
        if (message.type === 'decided' && message.room === host.name) {
          this.#leave(message.id, message.source)
        }
      })
    ]
    this.#loaded = this.#load()
  }

  /** Those that nobody has decided; the same array until that changes. */
  list(): readonly Conflict[] { return this.#list }

  /** Told of each new one; from now on the server's log is read, too. */
  on(listener: (conflict: Conflict) => void): Unsubscribe {
    this.#watch()
    return this.#events.on('conflict', listener)
  }

  /** Told when the list changes; from now on the server's log is read, too. */
  subscribe(listener: (conflicts: readonly Conflict[]) => void): Unsubscribe {
    this.#watch()
    return this.#events.on('change', listener)
  }

  /** Forgets on this device what was noticed and dismissed there. */
  async forget(): Promise<void> {
    await this.#loaded
    await this.#write(undefined, undefined)
  }

  /** Reads the server's log. */
  async refresh(): Promise<void> {
    const query = { room: this.#host.name, resolved: false, limit: PAGE }
    const { conflicts } =
      await requestJson<{ conflicts: Logged[] }>(this.#context.http, '/conflicts', { query })
    await this.#loaded
    const logged = new Set(conflicts.map(({ id }) => id))
    const count = this.#dismissed.size
    for (const id of this.#dismissed) if (!logged.has(id)) this.#dismissed.delete(id)
    if (this.#dismissed.size < count) this.#keep()
    for (const [id, { source }] of this.#open) {
      if (source === 'server' && !logged.has(id)) this.#remove(id)
    }
    for (const conflict of conflicts) {
      const isKnown = this.#open.has(conflict.id) || this.#dismissed.has(conflict.id)
      if (!isKnown) this.#add(this.#fromLog(conflict))
    }
  }

  stop(): void {
    clearTimeout(this.#timer)
    for (const unlisten of this.#unlisten) unlisten()
    this.#events.clear()
  }

  #watch(): void {
    if (this.#isWatching) return
    this.#isWatching = true
    // Once per connection, when everything of this device is in the log, too.
    let isRead = this.#host.status === 'saved'
    this.#unlisten.push(
      this.#host.on('status', (status) => {
        if (status === 'saved' && !isRead) this.#soon(0)
        isRead = status === 'saved' || (isRead && status === 'syncing')
      }),
      this.#mirror.events.on('changes', (changes) => {
        if (changes.some(({ isLocal }) => !isLocal)) this.#soon(REFRESH_MS)
      })
    )
    if (this.#host.status === 'saved') this.#soon(0)
  }

  #soon(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      // Without the server there is nothing to read; the next connection asks again.
      this.refresh().catch(() => {})
    }, ms)
  }

  #current(collection: string, recordId: string, field?: string): unknown {
    const record = recordIn(this.#host.doc, collection, recordId)
    return field === undefined ? record?.toJSON() : plain(record?.get(field))
  }

  async #load(): Promise<void> {
    // A device that keeps nothing says so elsewhere.
    const [kept, dismissed] = await Promise.all(this.#keys.map((key) =>
      this.#context.storage.read(key).catch(() => undefined)))
    for (const id of (dismissed as string[] | undefined) ?? []) this.#dismissed.add(id)
    for (const noticed of (kept as Noticed[] | undefined) ?? []) {
      if (!this.#noticed.has(idOf(noticed))) this.#notice(noticed)
    }
  }

  #keep(): void {
    // Not before it is known what was kept: that would be lost.
    this.#loaded.then(() => this.#write([...this.#noticed.values()], [...this.#dismissed]))
      .catch(() => {})
  }

  /** Under which names what was noticed and what was dismissed are kept. */
  get #keys(): string[] {
    return ['conflicts', 'dismissed'].map((what) => `${what} ${this.#host.name}`)
  }

  async #write(...values: (Noticed[] | string[] | undefined)[]): Promise<void> {
    const { storage } = this.#context
    await Promise.all(this.#keys.map((key, at) => storage.write(key, values[at])))
  }

  #notice(noticed: Noticed): void {
    const { collection, recordId, field, mine, theirs, at } = noticed
    // A later one about the same field takes the place of the earlier.
    const id = idOf(noticed)
    const drop = (): void => this.#decided(id, 'device')
    const decide = (value: unknown): Promise<void> => {
      this.#set(collection, recordId, field, value)
      drop()
      return Promise.resolve()
    }
    const current = (): unknown => this.#current(collection, recordId, field)
    this.#noticed.set(id, noticed)
    this.#add({
      id, room: this.#host.name, collection, recordId, ...(field === undefined ? {} : { field }),
      mine, theirs, at, source: 'device',
      get current() { return current() },
      keepMine: () => decide(mine),
      keepTheirs: () => decide(theirs),
      merge: decide,
      dismiss: drop
    })
  }

  #fromLog(logged: Logged): Conflict {
    const { id, collection, recordId, field, userId, theirsUserId } = logged
    const me = this.#context.tokens.claims.sub
    // The log's `mine` is the later write; here it is what this user wrote, if one of the two is.
    const isTurned = me !== undefined && theirsUserId === me && userId !== me
    const other = isTurned ? userId : theirsUserId
    const current = (): unknown => this.#current(collection, recordId, field)
    const [keep, give]: Resolution[] = isTurned ? ['theirs', 'mine'] : ['mine', 'theirs']
    return {
      id, room: this.#host.name, collection, recordId, field,
      mine: isTurned ? logged.theirs : logged.mine,
      theirs: isTurned ? logged.mine : logged.theirs,
      at: Date.parse(logged.timestamp), source: 'server',
      ...(other === undefined ? {} : { theirUserId: other }),
      get current() { return current() },
      keepMine: () => this.#resolve(id, keep ?? 'mine'),
      keepTheirs: () => this.#resolve(id, give ?? 'theirs'),
      merge: (value) => this.#resolve(id, 'merged', value),
      dismiss: () => this.#decided(id, 'server')
    }
  }

  async #resolve(id: string, resolution: Resolution, value?: unknown): Promise<void> {
    const json = { resolution, ...(resolution === 'merged' ? { value } : {}), clientId: uuid() }
    await requestJson(this.#context.http, `/conflicts/${segment(id)}/resolve`, {
      method: 'POST', json
    })
    this.#remove(id)
  }

  #set(collection: string, recordId: string, field: string | undefined, value: unknown): void {
    const doc = this.#host.doc
    doc.transact(() => {
      const records = doc.getMap(collection)
      if (field === undefined) return restore(records, recordId, value)
      const record = recordIn(doc, collection, recordId)
      if (value === undefined) record?.delete(field)
      else if (!isEqual(plain(record?.get(field)), value)) record?.set(field, value)
    })
  }

  #add(conflict: Conflict): void {
    this.#open.set(conflict.id, conflict)
    this.#changed()
    this.#events.emit('conflict', conflict)
  }

  /** On this device, and so in all of its tabs. */
  #decided(id: string, source: Conflict['source']): void {
    this.#leave(id, source)
    this.#keep()
    this.#context.channel.tell({ type: 'decided', room: this.#host.name, id, source })
  }

  #leave(id: string, source: Conflict['source']): void {
    if (source === 'server') this.#dismissed.add(id)
    this.#remove(id)
  }

  #remove(id: string): void {
    this.#noticed.delete(id)
    if (this.#open.delete(id)) this.#changed()
  }

  #changed(): void {
    this.#list = [...this.#open.values()]
    this.#events.emit('change', this.#list)
  }
}

const idOf = ({ collection, recordId, field }: Overlap): string =>
  ['device', collection, recordId, field ?? ''].join('\0')

/** A record that was removed comes back as it was, or stays away. */
function restore(records: Y.Map<unknown>, recordId: string, value: unknown): void {
  if (value === undefined) return records.delete(recordId)
  const { id, ...fields } = value as Fields
  void id
  records.set(recordId, new Y.Map(Object.entries(fields)))
}
