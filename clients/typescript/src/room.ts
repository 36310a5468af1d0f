// Owns a room as the application sees it: a live document that is there without a network.
import * as Y from 'yjs'
import { Conflicts, type Conflict } from './conflicts/conflicts.js'
import type { Context } from './context.js'
import { Emitter, type Unsubscribe } from './emitter.js'
import { Engine, FROM_STORAGE, isOwn } from './engine.js'
import type { Feed, FeedListener, ServerChanges } from './feed.js'
import { Messages, type RoomMessage } from './messages.js'
import { Mirror, type RecordChange } from './mirror.js'
import type { Failure, Pending } from './outbox.js'
import type { Presence } from './presence.js'
import { Records } from './records.js'
import { replay, type LogPosition } from './replay.js'
import { statusOf, type Status } from './status.js'
import type { Fields } from './values.js'

export interface RoomEvents {
  status: Status
  /** Changes that wait to be confirmed. */
  pending: Pending
  /** Records, of whomever, as they change on this device: one per transaction. */
  change: RecordChange[]
  /** The connection was lost; editing goes on. */
  lost: undefined
  restored: undefined
  /** The server refused changes, or the room; or (`storage`) the device keeps nothing. */
  failed: Failure
  /** Somebody changed what this device was changing. */
  conflict: Conflict
  /** What the server logged, with versions; while somebody listens, a second connection is open. */
  changes: ServerChanges
  message: RoomMessage
}

export class Room {
  readonly name: string
  readonly doc: Y.Doc
  readonly presence: Presence
  readonly messages: Messages
  readonly conflicts: Conflicts
  /** What is on the device has been read. Edits made before are not lost. */
  readonly ready: Promise<void>
  #context: Context
  #engine: Engine
  #mirror: Mirror
  #feed: Feed
  #events = new Emitter<RoomEvents>()
  #records = new Map<string, Records>()
  #status: Status = 'connecting'
  #pending: Pending
  #unlisten: Set<Unsubscribe>
  #closed: (room: Room) => void
  #isClosed = false

  /** @internal Made by `Roundtable.room`. */
  constructor(name: string, context: Context, feed: Feed, closed: (room: Room) => void) {
    this.name = name
    this.doc = new Y.Doc()
    this.#context = context
    this.#feed = feed
    this.#closed = closed
    this.#mirror = new Mirror(this.doc, isOwn, (origin) => origin === FROM_STORAGE)
    this.#engine = new Engine(name, this.doc, context)
    this.presence = this.#engine.presence
    this.ready = this.#engine.ready
    this.#pending = this.#engine.outbox.summary()
    this.messages = new Messages(name, context, (listener) => this.#follow(listener))
    this.conflicts = new Conflicts(this, this.#engine.outbox, this.#mirror, context)
    this.#unlisten = new Set(this.#listen())
  }

  /** A collection of records: the same object for the same name. */
  records<T extends object = Fields>(name: string): Records<T> {
    let records = this.#records.get(name)
    if (!records) {
      records = new Records(name, this.doc, this.#mirror, this.#engine.outbox)
      this.#records.set(name, records)
    }
    return records as unknown as Records<T>
  }

  /** A text that several people write at the same time. */
  text(name: string): Y.Text {
    return this.doc.getText(name)
  }

  get status(): Status { return this.#status }
  /** Why the status is `error`. */
  get error(): Failure | undefined { return this.#engine.error }
  get pending(): Pending { return this.#engine.outbox.summary() }
  /** Whether this device and the server have what the other had when they last met. */
  get isSynced(): boolean { return this.#engine.isSynced }
  get isReadOnly(): boolean { return this.#engine.session.isReadOnly }

  on<Name extends keyof RoomEvents>(
    name: Name, listener: (event: RoomEvents[Name]) => void
  ): Unsubscribe {
    if (name === 'changes') return this.#follow({ changes: listener as never })
    if (name === 'message') return this.messages.subscribe(listener as never)
    if (name === 'conflict') return this.conflicts.on(listener as never)
    return this.#events.on(name, listener)
  }

  /**
   * Told what the server logged after a position: `{ version: 0 }` for all of it. Each version
   * once, in order, or `missed` with the reason why some cannot be told any more.
   */
  follow(since: LogPosition, listener: (changes: ServerChanges) => void): Unsubscribe {
    return this.#untilClosed(replay(this.#context.http, this.name, since, listener,
      (events) => this.#feed.follow(this.name, events)))
  }

  /**
   * Resolves when this device and the server have met, and everything is durable there. Rejects when
   * the room is closed before.
   */
  saved(): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.#isClosed) reject(new Error('the room was closed'))
        else if (this.isSynced && this.pending.total === 0) resolve()
        else return
        unlisten()
      }
      const unlisten = this.#engine.events.on('change', () => look())
      queueMicrotask(look)
    })
  }

  /** Tries again what the server refused. */
  retry(): void {
    this.#engine.retry()
  }

  /** Leaves. What was not confirmed stays on the device and goes out when the room is next open. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const unlisten of this.#unlisten) unlisten()
    this.#engine.stop()
    this.#mirror.stop()
    this.conflicts.stop()
    this.#closed(this)
    this.doc.destroy()
  }

  /** Closes, and removes everything of the room from this device, confirmed or not. */
  async forget(): Promise<void> {
    this.close()
    await Promise.all([this.#context.storage.forget(this.name), this.conflicts.forget()])
  }

  /** @internal */
  get engine(): Engine { return this.#engine }

  /** @internal What the connection has to say about itself. */
  tell(name: 'lost' | 'restored'): void {
    this.#events.emit(name, undefined)
  }

  /** @internal The connection is in another state. */
  refresh(): void {
    const status = statusOf({
      connection: this.#context.wire.state,
      isSynced: this.isSynced,
      unsaved: this.pending.total,
      hasFailed: this.error !== undefined || this.pending.failed > 0
    })
    const isOther = status !== this.#status
    this.#status = status
    if (this.pending !== this.#pending) {
      this.#pending = this.pending
      this.#events.emit('pending', this.#pending)
    }
    if (isOther) this.#events.emit('status', status)
  }

  #follow(listener: FeedListener): Unsubscribe {
    return this.#untilClosed(this.#feed.follow(this.name, listener))
  }

  /** What ends with the room, if not before. */
  #untilClosed(unlisten: Unsubscribe): Unsubscribe {
    const end = (): void => {
      this.#unlisten.delete(end)
      unlisten()
    }
    if (this.#isClosed) unlisten()
    else this.#unlisten.add(end)
    return end
  }

  #listen(): Unsubscribe[] {
    const { events, outbox } = this.#engine
    this.refresh()
    return [
      events.on('change', () => this.refresh()),
      events.on('error', (failure) => this.#events.emit('failed', failure)),
      outbox.events.on('failed', ({ failure }) => this.#events.emit('failed', failure)),
      this.#mirror.events.on('changes', (changes) => {
        if (changes.length > 0) this.#events.emit('change', changes)
      })
    ]
  }
}
