// Owns the socket and its timers: performs what `machine.ts` commands and tells it what happened.
import { Emitter } from '../emitter.js'
import { PONG } from '../wire/hocuspocus.js'
import { delay, type Backoff } from './backoff.js'
import { ABNORMAL, closingOf, IDLE } from './closing.js'
import { INITIAL, step, type Command, type Event, type State } from './machine.js'
import { QualityMeter, type Quality } from './quality.js'
import type { Wire, WireEvents } from './wire.js'

/** Nothing was heard for so long: ask. */
const QUIET_MS = 15_000
/** Asked, and nothing was heard for so long: the connection is dead. */
const ANSWER_MS = 10_000
/** A socket that has not been heard so long after it was asked for is none. */
const OPEN_MS = 15_000
const CHECK_MS = 2_500

export interface ConnectionOptions {
  url: string
  WebSocket: typeof WebSocket
  backoff: Backoff
  /** Whether an expired token is a reason to come back with a new one. */
  isRenewable: () => boolean
}

export class Connection implements Wire {
  readonly events = new Emitter<WireEvents>()
  #options: ConnectionOptions
  #state: State = INITIAL
  #socket: WebSocket | undefined
  #meter = new QualityMeter()
  #isOpen = false
  #wait: ReturnType<typeof setTimeout> | undefined
  #check: ReturnType<typeof setInterval> | undefined
  #askedAt: number | undefined
  #queue: Event[] = []
  #isStepping = false
  #unlisten: (() => void) | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  get state(): State { return this.#state }
  get isOpen(): boolean { return this.#isOpen }
  get quality(): Quality { return this.#meter.read(this.#state.phase === 'connected') }

  start(): void {
    this.#unlisten ??= listenToNetwork((type) => this.#network(type))
    this.#tell({ type: 'start', online: isOnline() })
  }

  stop(): void {
    this.#unlisten?.()
    this.#unlisten = undefined
    this.#tell({ type: 'stop' })
  }

  wake(): void {
    this.#tell({ type: 'wake' })
  }

  renewed(): void {
    this.#tell({ type: 'renewed' })
  }

  polled(answered: boolean): void {
    if (this.#state.reachable !== answered) this.#tell({ type: 'polled', answered })
  }

  roundTrip(ms: number): void {
    this.#meter.roundTrip(ms)
  }

  send(frame: Uint8Array): void {
    // A socket takes no view of memory that may be shared; ours never is.
    if (this.#isOpen) this.#socket?.send(frame as Uint8Array<ArrayBuffer>)
  }

  #network(type: 'online' | 'offline' | 'wake'): void {
    // After a sleep the socket may be dead without having been told.
    if (type === 'wake' && this.#isOpen) this.#ask()
    this.#tell({ type })
  }

  /** One event after the other: what a command brings about waits until the step is done. */
  #tell(event: Event): void {
    this.#queue.push(event)
    if (this.#isStepping) return
    this.#isStepping = true
    try {
      for (let next = this.#queue.shift(); next; next = this.#queue.shift()) this.#take(next)
    } finally {
      this.#isStepping = false
    }
  }

  #take(event: Event): void {
    const before = this.#state
    const { state, commands } = step(before, event)
    this.#state = state
    for (const command of commands) this.#perform(command)
    if (state !== before) this.events.emit('state', state)
  }

  #perform(command: Command): void {
    switch (command.do) {
      case 'open': return this.#open()
      case 'close': return this.#drop()
      case 'wait': return this.#pause(command)
      case 'unwait': return clearTimeout(this.#wait)
      // Who polls hears of it by the state.
      case 'poll':
      case 'unpoll': return
      case 'tell': return this.#announce(command.what)
    }
  }

  #pause({ attempt, afterMs }: Extract<Command, { do: 'wait' }>): void {
    const ms = afterMs ?? delay(attempt, Math.random(), this.#options.backoff)
    clearTimeout(this.#wait)
    this.#wait = setTimeout(() => this.#tell({ type: 'due' }), ms)
  }

  #announce(what: 'lost' | 'restored' | 'failed'): void {
    if (what === 'restored') return this.events.emit('restored', undefined)
    if (what === 'lost') return this.events.emit('lost', this.#state.closing)
    if (this.#state.closing) this.events.emit('failed', this.#state.closing)
  }

  #open(): void {
    let socket: WebSocket
    try {
      socket = new this.#options.WebSocket(this.#options.url)
    } catch (error) {
      return this.#closed(ABNORMAL, String(error))
    }
    socket.binaryType = 'arraybuffer'
    this.#socket = socket
    this.#askedAt = Date.now()
    this.#check = setInterval(() => this.#look(), CHECK_MS)
    const own = (act: () => void) => () => { if (this.#socket === socket) act() }
    socket.addEventListener('open', own(() => this.#opened()))
    socket.addEventListener('message', (event: MessageEvent) => {
      if (this.#socket === socket) this.#heard(event.data)
    })
    socket.addEventListener('close', (event: CloseEvent) => {
      if (this.#socket === socket) this.#closed(event.code, event.reason)
    })
    // A close follows; browsers say no more than that anyway.
    socket.addEventListener('error', () => {})
  }

  #opened(): void {
    this.#isOpen = true
    this.events.emit('opened', undefined)
  }

  #heard(data: unknown): void {
    if (!(data instanceof ArrayBuffer)) return
    this.#meter.seen(Date.now())
    this.#askedAt = undefined
    // A proxy that lets sockets in and says nothing is no connection: the first frame is.
    if (this.#state.phase !== 'connected') this.#tell({ type: 'opened' })
    const frame = new Uint8Array(data)
    if (frame.length === 1 && frame[0] === 9) return this.send(PONG)
    this.events.emit('frame', frame)
  }

  #look(): void {
    const now = Date.now()
    const bound = this.#state.phase === 'connected' ? ANSWER_MS : OPEN_MS
    if (this.#askedAt !== undefined) {
      if (now - this.#askedAt > bound) this.#closed(IDLE, 'idle')
    } else if (now - (this.#meter.read(true).lastSeenAt ?? now) > QUIET_MS) {
      this.#ask()
    }
  }

  #ask(): void {
    this.#askedAt ??= Date.now()
    this.events.emit('heartbeat', undefined)
  }

  #closed(code: number, reason: string): void {
    const wasOpen = this.#release()
    this.#tell({ type: 'closed', closing: closingOf(code, reason, this.#options.isRenewable()) })
    // After the state, so that nobody takes the end of a conversation for that of a room's.
    if (wasOpen) this.events.emit('closed', undefined)
  }

  #drop(): void {
    if (this.#release()) this.events.emit('closed', undefined)
  }

  /** Lets go of the socket; says whether it was open. */
  #release(): boolean {
    const socket = this.#socket
    const wasOpen = this.#isOpen
    this.#socket = undefined
    this.#isOpen = false
    this.#askedAt = undefined
    clearInterval(this.#check)
    socket?.close()
    return wasOpen
  }
}

/** What the browser says; where nobody says anything there is a network. */
function isOnline(): boolean {
  return globalThis.navigator?.onLine !== false
}

function listenToNetwork(tell: (type: 'online' | 'offline' | 'wake') => void): () => void {
  if (typeof globalThis.addEventListener !== 'function') return () => {}
  const online = (): void => tell('online')
  const offline = (): void => tell('offline')
  const looked = (): void => {
    if (globalThis.document?.visibilityState === 'visible') tell('wake')
  }
  globalThis.addEventListener('online', online)
  globalThis.addEventListener('offline', offline)
  globalThis.document?.addEventListener('visibilitychange', looked)
  return () => {
    globalThis.removeEventListener('online', online)
    globalThis.removeEventListener('offline', offline)
    globalThis.document?.removeEventListener('visibilitychange', looked)
  }
}
