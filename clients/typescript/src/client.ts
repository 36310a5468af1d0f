// Owns the client: its options, its one connection, its rooms.
import { Bus, type BusEvent } from './bus.js'
import { BACKOFF, type Backoff } from './connection/backoff.js'
import { Connection } from './connection/connection.js'
import { POLL_MS } from './connection/poller.js'
import type { Quality } from './connection/quality.js'
import type { Wire } from './connection/wire.js'
import type { Context } from './context.js'
import { Emitter, report, type Unsubscribe } from './emitter.js'
import { Feed } from './feed.js'
import type { Fetch } from './http/request.js'
import { uuid } from './ids.js'
import { Inbox } from './inbox.js'
import type { Failure } from './outbox.js'
import type { Engine } from './engine.js'
import type { Presence, PresenceState } from './presence.js'
import { Room } from './room.js'
import { worstOf, statusOf, type Status } from './status.js'
import { IndexedDbStorage } from './storage/indexeddb.js'
import { NoStorage } from './storage/storage.js'
import { TabChannel } from './tabs/channel.js'
import { SharedConnection } from './tabs/shared.js'
import { claimsOf, TokenSource, type TokenOption } from './token.js'
import { read } from './wire/hocuspocus.js'

export interface RoundtableOptions {
  /** Where the server is: `https://rooms.example`. */
  url: string
  /** A token, or a function that fetches one; not needed where the server lets anybody in. */
  token?: TokenOption
  /**
   * Who uses this device, so that two users of one browser do not find each other's rooms. Without
   * it the token's `sub`, if `token` is a string; a function's token may not be there in time.
   */
  user?: string
  /** Rooms are kept on the device unless this is `false`. */
  persist?: boolean
  /** One tab holds the connection for all, where the browser can say which: so unless `false`. */
  shareConnection?: boolean
  pollMs?: number
  backoff?: Backoff
  /** For where there is none, or another is to be used. */
  WebSocket?: typeof WebSocket
  fetch?: Fetch
}

export interface ClientEvents {
  status: Status
  lost: undefined
  restored: undefined
  /** The server said not to come back like this. */
  failed: Failure
}

const OWN_EVENTS: ReadonlySet<string> = new Set(['status', 'lost', 'restored', 'failed'])

export class Roundtable {
  readonly inbox: Inbox
  #context: Context
  #feed: Feed
  #bus = new Bus()
  #events = new Emitter<ClientEvents>()
  #rooms = new Map<string, Room>()
  #engines = new Map<string, Engine>()
  #status: Status = 'connecting'
  #unlisten: Unsubscribe
  #isClosed = false

  constructor(options: RoundtableOptions) {
    this.#context = contextOf(options, (token) => this.#renewed(token))
    this.#feed = new Feed(this.#context)
    this.inbox = new Inbox(this.#context, this.#feed)
    this.#listen()
    this.#unlisten = this.#followPage()
  }

  /** Opens a room, or gives back the one that is open. */
  room(name: string): Room {
    if (this.#isClosed) throw new Error('the client is closed')
    const open = this.#rooms.get(name)
    if (open) return open
    const room = new Room(name, this.#context, this.#feed, (closed) => this.#left(closed))
    this.#rooms.set(name, room)
    this.#engines.set(room.engine.session.address, room.engine)
    room.on('change', (changes) => this.#bus.tell(name, changes))
    room.on('status', () => this.#refresh())
    this.#context.wire.start()
    this.#refresh()
    return room
  }

  /** The rooms that are open. */
  get rooms(): readonly Room[] { return [...this.#rooms.values()] }

  /** The status that needs most attention, over all rooms. */
  get status(): Status { return this.#status }

  get quality(): Quality { return this.#context.wire.quality }

  /** The client's own events, or those of records in all rooms: `tasks:updated`, `tasks:*`, `*`. */
  on<Name extends keyof ClientEvents>(
    name: Name, listener: (event: ClientEvents[Name]) => void
  ): Unsubscribe
  on(name: `${string}:${string}` | '*', listener: (event: BusEvent) => void): Unsubscribe
  on(name: string, listener: (event: never) => void): Unsubscribe {
    return OWN_EVENTS.has(name)
      ? this.#events.on(name as keyof ClientEvents, listener as () => void)
      : this.#bus.on(name, listener as (event: BusEvent) => void)
  }

  /**
   * Tries to connect now, without waiting for the time, and also when the server said not to come
   * back. Where the browser says that there is no network, it waits for one all the same.
   */
  connect(): void {
    this.#context.wire.wake()
    this.#context.wire.renewed()
  }

  /** Another token from here on, on open connections, too. */
  setToken(token: TokenOption): void {
    this.#context.tokens.set(token)
  }

  /** Leaves all rooms. What was not confirmed stays on the device. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const room of this.#rooms.values()) room.close()
    this.#unlisten()
    this.#feed.stop()
    this.#context.wire.stop()
    this.#context.tokens.stop()
    this.#context.channel.close()
    this.#context.storage.close()
    this.#events.clear()
  }

  /** Who leaves the page says so, and a page that the browser kept comes back as it was. */
  #followPage(): Unsubscribe {
    if (typeof globalThis.addEventListener !== 'function') return () => {}
    const states = new Map<Presence, PresenceState>()
    const left = (): void => {
      for (const { presence } of this.#engines.values()) {
        if (presence.isHere) states.set(presence, presence.me.state)
        presence.leave()
      }
    }
    const shown = (): void => {
      for (const [presence, state] of states) presence.update(state)
      states.clear()
    }
    globalThis.addEventListener('pagehide', left)
    globalThis.addEventListener('pageshow', shown)
    return () => {
      globalThis.removeEventListener('pagehide', left)
      globalThis.removeEventListener('pageshow', shown)
    }
  }

  #listen(): void {
    const { wire } = this.#context
    const engines = this.#engines
    wire.events.on('opened', () => this.#opened())
    wire.events.on('closed', () => { for (const engine of engines.values()) engine.close() })
    wire.events.on('frame', (frame) => this.#take(frame))
    wire.events.on('left', () => { for (const engine of engines.values()) engine.sweep() })
    wire.events.on('heartbeat', () => {
      const [open] = [...engines.values()].filter((engine) => engine.session.isOpen)
      open?.session.greet()
    })
    wire.events.on('state', ({ phase }) => {
      const isPolling = phase === 'polling' || phase === 'probing'
      for (const engine of engines.values()) engine.poll(isPolling)
      for (const room of this.#rooms.values()) room.refresh()
      this.#refresh()
    })
    for (const name of ['lost', 'restored'] as const) {
      wire.events.on(name, () => {
        this.#events.emit(name, undefined)
        for (const room of this.#rooms.values()) room.tell(name)
      })
    }
    wire.events.on('failed', ({ code, reason }) => {
      this.#events.emit('failed', { code: reason || String(code), message: `closed with ${code}` })
    })
  }

  /** Conversations begin, with a token that is good now. */
  #opened(): void {
    const { tokens, wire } = this.#context
    const open = (): void => {
      if (wire.isOpen) for (const engine of this.#engines.values()) engine.open()
    }
    const { exp } = tokens.claims
    const isGood = tokens.current !== '' && (exp === undefined || exp * 1000 > Date.now())
    if (isGood || !tokens.isRenewable) open()
    else tokens.renew().then(open, open)
  }

  #take(frame: Uint8Array): void {
    try {
      const incoming = read(frame)
      if (incoming.type === 'message') {
        this.#engines.get(incoming.address)?.take(incoming.message)
      }
    } catch (error) {
      report(error)
    }
  }

  #renewed(token: string): void {
    for (const engine of this.#engines.values()) {
      engine.session.authenticate()
      const isRefused = engine.error?.code === 'unauthenticated' ||
        engine.error?.code === 'forbidden' || engine.outbox.summary().failed > 0
      if (isRefused) engine.retry()
    }
    this.#feed.renewed(token)
    if (this.#context.wire.state.phase === 'failed') this.#context.wire.renewed()
  }

  #left(room: Room): void {
    this.#rooms.delete(room.name)
    this.#engines.delete(room.engine.session.address)
    if (this.#rooms.size === 0) this.#context.wire.stop()
    this.#refresh()
  }

  #refresh(): void {
    const { state } = this.#context.wire
    const idle = statusOf({ connection: state, isSynced: true, unsaved: 0, hasFailed: false })
    const status = worstOf([...this.#rooms.values()].map((room) => room.status), idle)
    if (status === this.#status) return
    this.#status = status
    this.#events.emit('status', status)
  }
}

function contextOf(options: RoundtableOptions, renewed: (token: string) => void): Context {
  const base = options.url.replace(/\/+$/, '').replace(/^ws/, 'http')
  const socketBase = base.replace(/^http/, 'ws')
  const tokens = new TokenSource(options.token, renewed)
  const user = options.user ??
    (typeof options.token === 'string' ? claimsOf(options.token).sub : undefined)
  const scope = `roundtable:${base}${user === undefined ? '' : `:${user}`}`
  const Socket = options.WebSocket ?? globalThis.WebSocket
  const call = options.fetch ?? ((input, init) => globalThis.fetch(input, init))
  const channel = new TabChannel(scope)
  const tab = uuid()
  const connection = {
    url: `${socketBase}/hocuspocus`, WebSocket: Socket, backoff: options.backoff ?? BACKOFF,
    isRenewable: () => tokens.isRenewable
  }
  const locks = globalThis.navigator?.locks
  const isShared = options.shareConnection !== false && locks !== undefined &&
    typeof BroadcastChannel !== 'undefined'
  const wire: Wire = isShared
    ? new SharedConnection({ ...connection, scope, tab, channel, locks })
    : new Connection(connection)
  const isKept = options.persist !== false && typeof indexedDB !== 'undefined'
  return {
    wire, tokens, channel, tab, isShared, socketBase, WebSocket: Socket,
    http: { base, fetch: call, token: () => tokens.get() },
    storage: isKept ? new IndexedDbStorage(scope) : new NoStorage(),
    pollMs: options.pollMs ?? POLL_MS
  }
}
