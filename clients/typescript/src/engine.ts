// Owns how one room's document gets to the device, to other tabs and to the server, and back. It
// decides nothing about presentation; `room.ts` is what applications see.
import * as Y from 'yjs'
import { delay } from './connection/backoff.js'
import { Poller } from './connection/poller.js'
import type { Context } from './context.js'
import { Emitter } from './emitter.js'
import { orderedId } from './ids.js'
import { Outbox, type Entry, type Failure } from './outbox.js'
import { Presence } from './presence.js'
import { Session } from './session.js'
import type { TabMessage } from './tabs/channel.js'
import { touchedBy } from './touched.js'
import { addressOf, awareness, type Message } from './wire/hocuspocus.js'

/** Origins of transactions that are nobody's edit here. */
export const FROM_SERVER = Symbol('the server')
export const FROM_STORAGE = Symbol('this device')
export const FROM_TABS = Symbol('another tab')

const OTHERS: ReadonlySet<unknown> = new Set([FROM_SERVER, FROM_STORAGE, FROM_TABS])

/** Whether a transaction with this origin is an edit of this tab. */
export const isOwn = (origin: unknown): boolean => !OTHERS.has(origin)

/** What is left over goes out again so often. */
const SWEEP_MS = 30_000
/** A room is folded into one update when it is loaded from more than so many. */
const UPDATES_MAX = 100

/** Reasons for which coming back as one is would not help. */
const PERMANENT = new Set([
  'room_deleted', 'epoch_changed', 'forbidden', 'unauthenticated', 'malformed', 'too_large'
])

export interface EngineEvents {
  /** Something that a status is made of. */
  change: undefined
  error: Failure
}

export class Engine {
  readonly events = new Emitter<EngineEvents>()
  readonly outbox = new Outbox()
  readonly session: Session
  readonly presence: Presence
  readonly ready: Promise<void>
  error: Failure | undefined
  readonly #poller: Poller
  readonly #context: Context
  readonly #name: string
  readonly #doc: Y.Doc
  #isLoaded = false
  #isStopped = false
  #unkept: { updates: Uint8Array[], entries: Entry[] } | undefined
  #comeback: ReturnType<typeof setTimeout> | undefined
  #comebacks = 0
  #hasRenewed = false
  #isUnkeepable = false
  #sweeping: ReturnType<typeof setInterval>
  #unlisten: (() => void)[] = []

  constructor(name: string, doc: Y.Doc, context: Context) {
    this.#name = name
    this.#doc = doc
    this.#context = context
    this.presence = new Presence(doc, () => context.tokens.claims, () => this.#announce())
    this.session = new Session(
      addressOf(name, context.isShared ? context.tab : undefined), this.#sessionHost()
    )
    this.#poller = new Poller(this.#pollerHost(), context.pollMs)
    this.#sweeping = setInterval(() => this.sweep(), SWEEP_MS)
    doc.on('update', this.#edited)
    this.#unlisten.push(
      context.channel.events.on('message', (message) => this.#hear(message)),
      this.outbox.events.on('change', () => this.events.emit('change', undefined))
    )
    this.ready = this.#load()
  }

  /** Whether both sides have what the other had, by socket or by HTTP. */
  get isSynced(): boolean {
    return this.session.isSynced || (this.#poller.isActive && this.#poller.isSynced)
  }

  /** A conversation may begin. */
  open(): void {
    if (!this.#isLoaded || this.#isStopped || this.error) return
    clearTimeout(this.#comeback)
    this.#hasRenewed = false
    this.presence.connected()
    this.session.open()
  }

  /** The conversation is over. */
  close(): void {
    if (!this.session.isOpen) return
    this.session.close()
    this.presence.disconnected()
    this.events.emit('change', undefined)
  }

  take(message: Message): void {
    this.session.take(message)
  }

  /** HTTP stands in for the socket, or does not any more. */
  poll(isWanted: boolean): void {
    if (isWanted && this.#isLoaded && !this.error && !this.#isStopped) {
      if (!this.#poller.isActive) this.#hasRenewed = false
      this.#poller.start()
    } else if (!isWanted) {
      this.#poller.stop()
    }
  }

  /** Sends what is not under way from here, also what other tabs made. */
  sweep(): void {
    this.session.submit(this.outbox.waiting())
  }

  /** Tries again what was refused. */
  retry(): void {
    this.error = undefined
    this.outbox.retry()
    const { wire } = this.#context
    wire.renewed()
    if (wire.isOpen) this.open()
    this.#syncPolling()
    this.#poller.nudge()
    this.events.emit('change', undefined)
  }

  /** Leaves the room; what was not confirmed stays on the device. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    if (this.session.isOpen) {
      this.presence.leave()
      this.#announce()
    }
    this.session.leave()
    this.#poller.stop()
    this.presence.stop()
    clearInterval(this.#sweeping)
    clearTimeout(this.#comeback)
    this.#doc.off('update', this.#edited)
    for (const unlisten of this.#unlisten) unlisten()
    this.#keep()
    // Whoever waits for something hears that it does not come.
    this.events.emit('change', undefined)
  }

  #syncPolling(): void {
    const { phase } = this.#context.wire.state
    this.poll(phase === 'polling' || phase === 'probing')
  }

  async #load(): Promise<void> {
    try {
      const { updates, entries } = await this.#context.storage.load(this.#name)
      this.outbox.add(entries)
      this.#doc.transact(() => {
        for (const update of updates) Y.applyUpdate(this.#doc, update, FROM_STORAGE)
      }, FROM_STORAGE)
      if (updates.length > UPDATES_MAX) this.#write(this.#context.storage.compact(this.#name))
    } catch (error) {
      if (!this.#isStopped) this.#unkeepable(error)
    }
    this.#isLoaded = true
    this.events.emit('change', undefined)
    if (this.#context.wire.isOpen) this.open()
    this.#syncPolling()
  }

  #edited = (
    update: Uint8Array, origin: unknown, _doc: Y.Doc, transaction: Y.Transaction
  ): void => {
    // What came from storage is there, and what came from another tab it has put there.
    if (origin === FROM_STORAGE || origin === FROM_TABS) return
    if (!isOwn(origin)) return this.#note(update)
    const entry: Entry = {
      id: orderedId(), room: this.#name, at: Date.now(), update, touched: touchedBy(transaction)
    }
    this.#note(update, entry)
    this.outbox.add([entry])
    this.#context.channel.tell({ type: 'edited', room: this.#name, entries: [entry] })
    this.session.submit([entry])
    this.#poller.nudge()
  }

  /** Keeps what one turn of the event loop brought in one transaction. */
  #note(update: Uint8Array, entry?: Entry): void {
    if (!this.#unkept) {
      this.#unkept = { updates: [], entries: [] }
      queueMicrotask(() => this.#keep())
    }
    this.#unkept.updates.push(update)
    if (entry) this.#unkept.entries.push(entry)
  }

  #keep(): void {
    const unkept = this.#unkept
    this.#unkept = undefined
    if (!unkept) return
    this.#write(this.#context.storage.add(this.#name, unkept.updates, unkept.entries))
  }

  #write(written: Promise<void>): void {
    written.then(() => { this.#isUnkeepable = false }, (error: unknown) => this.#unkeepable(error))
  }

  /** The device does not keep what is edited, and editing goes on: said once, until it does again. */
  #unkeepable(error: unknown): void {
    if (this.#isUnkeepable) return
    this.#isUnkeepable = true
    this.events.emit('error', { code: 'storage', message: String(error) })
  }

  #hear(message: TabMessage): void {
    if (!('room' in message) || message.room !== this.#name) return
    switch (message.type) {
      case 'edited':
        this.outbox.add(message.entries)
        for (const { update } of message.entries) Y.applyUpdate(this.#doc, update, FROM_TABS)
        return
      case 'settled': return void this.outbox.settle(message.ids)
      case 'refused': return this.outbox.fail(message.ids, message.failure)
    }
  }

  #settled(ids: string[]): void {
    const known = this.outbox.settle(ids)
    if (known.length === 0) return
    this.#keep()
    this.#write(this.#context.storage.settle(known))
    this.#context.channel.tell({ type: 'settled', room: this.#name, ids: known })
  }

  #refused(ids: string[], failure: Failure): void {
    this.outbox.fail(ids, failure)
    if (ids.length === 0) return
    this.#keep()
    this.#write(this.#context.storage.fail(ids, failure))
    this.#context.channel.tell({ type: 'refused', room: this.#name, ids, failure })
  }

  #announce(): void {
    if (this.presence.isHere) this.session.announce()
    else if (this.session.isOpen) {
      this.#context.wire.send(awareness(this.session.address, this.presence.encodeGoodbye()))
    }
  }

  #fail(failure: Failure): void {
    this.error = failure
    this.#poller.stop()
    this.session.close()
    this.events.emit('error', failure)
    this.events.emit('change', undefined)
  }

  /** The server did not let us in, or not any more. Another token may help, once. */
  #denied(reason: string): void {
    const code = codeOf(reason)
    if (!PERMANENT.has(code)) {
      this.session.close()
      return this.#closed(reason)
    }
    const { tokens } = this.#context
    if (tokens.isRenewable && !this.#hasRenewed) {
      this.#hasRenewed = true
      tokens.renew().then(() => {
        if (this.#context.wire.isOpen && !this.#isStopped) this.session.open()
      }, (error: unknown) => {
        this.#fail({ code: 'unauthenticated', message: String(error) })
        // Who makes tokens may be away, as a network may.
        this.#later(() => this.retry())
      })
      return
    }
    this.#fail({ code, message: reason })
  }

  /** The server ended the conversation about this room, not the connection. */
  #closed(reason: string): void {
    this.presence.disconnected()
    const code = codeOf(reason)
    if (code === 'unauthenticated') return this.#denied(reason)
    if (PERMANENT.has(code)) return this.#fail({ code, message: reason })
    this.#later(() => { if (this.#context.wire.isOpen) this.open() })
    this.events.emit('change', undefined)
  }

  #later(act: () => void): void {
    this.#comebacks = Math.min(this.#comebacks + 1, 5)
    clearTimeout(this.#comeback)
    this.#comeback = setTimeout(() => {
      if (!this.#isStopped) act()
    }, delay(this.#comebacks, Math.random()))
  }

  #receive(update: Uint8Array): void {
    Y.applyUpdate(this.#doc, update, FROM_SERVER)
  }

  #sessionHost(): ConstructorParameters<typeof Session>[1] {
    const context = this.#context
    return {
      doc: this.#doc,
      outbox: this.outbox,
      send: (frame) => context.wire.send(frame),
      receive: (update) => this.#receive(update),
      receiveAwareness: (update) => this.presence.receive(update),
      awareness: () => this.presence.encode(),
      token: () => context.tokens.current,
      settled: (ids) => {
        this.#comebacks = 0
        this.#settled(ids)
      },
      refused: (ids) => this.#refused(ids, REFUSED),
      denied: (reason) => this.#denied(reason),
      closed: (reason) => this.#closed(reason),
      roundTrip: (ms) => context.wire.roundTrip(ms),
      changed: () => this.events.emit('change', undefined)
    }
  }

  #pollerHost(): ConstructorParameters<typeof Poller>[0] {
    const context = this.#context
    return {
      name: this.#name,
      doc: this.#doc,
      outbox: this.outbox,
      presence: this.presence,
      http: context.http,
      receive: (update) => this.#receive(update),
      settled: (ids) => this.#settled(ids),
      failed: (ids, { code, message }) => {
        if (code === 'unauthenticated') return this.#denied(`${code}: ${message}`)
        this.#refused(ids, { code, message })
        if (PERMANENT.has(code) && ids.length === 0) this.#fail({ code, message })
      },
      answered: (isAnswered) => context.wire.polled(isAnswered),
      changed: () => this.events.emit('change', undefined)
    }
  }
}

/** A status says no more than no. */
const REFUSED: Failure = { code: 'forbidden', message: 'the server did not take the change' }

/** What the server says begins with a code: `unauthenticated: the token has expired`. */
const codeOf = (reason: string): string => reason.split(/[:;\s]/)[0] ?? ''
