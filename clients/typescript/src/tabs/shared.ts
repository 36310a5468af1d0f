// Owns one connection for all tabs: a tab that is elected by a lock holds the socket and passes
// frames on, unread. Every tab keeps its own conversations, under its own addresses.
import { Connection, type ConnectionOptions } from '../connection/connection.js'
import { INITIAL, type State } from '../connection/machine.js'
import type { Quality } from '../connection/quality.js'
import type { Wire, WireEvents } from '../connection/wire.js'
import { Emitter } from '../emitter.js'
import { addressIn, goodbye } from '../wire/hocuspocus.js'
import type { TabChannel, TabMessage } from './channel.js'

export interface SharedOptions extends ConnectionOptions {
  scope: string
  /** This tab, in its addresses. */
  tab: string
  channel: TabChannel
  locks: LockManager
}

export class SharedConnection implements Wire {
  readonly events = new Emitter<WireEvents>()
  #options: SharedOptions
  #own: Connection | undefined
  #opened = 0
  /** What the leader last said, while that is another tab. */
  #heard: Extract<TabMessage, { type: 'leader' }> | undefined
  #isOpen = false
  #addresses = new Map<string, Set<string>>()
  #started: AbortController | undefined
  #quality: ReturnType<typeof setInterval> | undefined

  constructor(options: SharedOptions) {
    this.#options = options
    options.channel.events.on('message', (message) => this.#take(message))
  }

  get isLeader(): boolean { return this.#own !== undefined }
  get state(): State { return this.#own?.state ?? this.#heard?.state ?? INITIAL }
  get isOpen(): boolean { return this.#own ? this.#own.isOpen : this.#isOpen }

  get quality(): Quality {
    return this.#own?.quality ?? this.#heard?.quality ?? { level: 'none' }
  }

  start(): void {
    if (this.#started) return this.#own?.start()
    this.#started = new AbortController()
    const { scope, tab } = this.#options
    const { signal } = this.#started
    // Held as long as this tab lives and wants the connection: how the leader hears of its end.
    const hello = (): void => this.#options.channel.tell({ type: 'hello', tab })
    this.#hold(`${scope}:tab:${tab}`, signal, hello)
    this.#hold(scope, signal, () => this.#lead(), () => this.#abdicate())
  }

  stop(): void {
    this.#started?.abort()
    this.#started = undefined
    this.#abdicate()
    this.#heard = undefined
    this.#setOpen(false)
  }

  wake(): void {
    if (this.#own) this.#own.wake()
    else this.#options.channel.tell({ type: 'ask', what: 'wake' })
  }

  renewed(): void {
    if (this.#own) this.#own.renewed()
    else this.#options.channel.tell({ type: 'ask', what: 'renewed' })
  }

  send(frame: Uint8Array): void {
    if (this.#own) return this.#own.send(frame)
    if (!this.#isOpen || !this.#heard) return
    const { leader, opened } = this.#heard
    this.#options.channel.tell({ type: 'send', tab: this.#options.tab, leader, opened, frame })
  }

  polled(answered: boolean): void {
    this.#own?.polled(answered)
  }

  roundTrip(ms: number): void {
    this.#own?.roundTrip(ms)
  }

  /** Asks for a lock, and lets go of it when the connection is not wanted any more. */
  #hold(name: string, signal: AbortSignal, gained: () => void, lost?: () => void): void {
    const { locks } = this.#options
    locks.request(name, { signal }, () => new Promise<void>((resolve) => {
      if (signal.aborted) return resolve()
      signal.addEventListener('abort', () => resolve(), { once: true })
      gained()
    })).then(lost, (error: unknown) => {
      if (!signal.aborted) throw error
    })
  }

  #lead(): void {
    const own = new Connection(this.#options)
    this.#setOpen(false)
    this.#own = own
    this.#heard = undefined
    own.events.on('opened', () => {
      this.#opened++
      this.#publish()
      this.events.emit('opened', undefined)
    })
    own.events.on('closed', () => {
      this.#publish()
      this.events.emit('closed', undefined)
    })
    own.events.on('state', (state) => {
      this.#publish()
      this.events.emit('state', state)
    })
    own.events.on('frame', (frame) => this.#deliver(frame))
    own.events.on('heartbeat', () => this.events.emit('heartbeat', undefined))
    own.events.on('lost', (closing) => this.events.emit('lost', closing))
    own.events.on('restored', () => this.events.emit('restored', undefined))
    own.events.on('failed', (closing) => this.events.emit('failed', closing))
    this.#quality = setInterval(() => this.#publish(), 10_000)
    own.start()
    this.#publish()
  }

  #abdicate(): void {
    clearInterval(this.#quality)
    this.#own?.stop()
    this.#own = undefined
    this.#addresses.clear()
  }

  #publish(): void {
    const own = this.#own
    if (!own) return
    const { tab, channel } = this.#options
    const { state, quality, isOpen } = own
    channel.tell({ type: 'leader', leader: tab, opened: this.#opened, isOpen, state, quality })
  }

  /** A frame is for this tab or for another; who knows its address takes it. */
  #deliver(frame: Uint8Array): void {
    const session = addressIn(frame)?.split('\0')[1]
    if (session === this.#options.tab || session === undefined) this.events.emit('frame', frame)
    if (session === this.#options.tab) return
    this.#options.channel.tell({ type: 'frame', leader: this.#options.tab, frame })
  }

  #take(message: TabMessage): void {
    if (!this.#started) return
    switch (message.type) {
      case 'hello': return this.#greet(message.tab)
      case 'send': return this.#relay(message)
      case 'ask': return message.what === 'wake' ? this.#own?.wake() : this.#own?.renewed()
      case 'leader': return this.#follow(message)
      case 'frame':
        if (message.leader === this.#heard?.leader && this.#isOpen) {
          this.events.emit('frame', message.frame)
        }
        return
      case 'edited':
      case 'settled':
      case 'refused':
      case 'decided': return
    }
  }

  #greet(tab: string): void {
    if (!this.#own || tab === this.#options.tab) return
    this.#publish()
    this.#watch(tab)
  }

  #relay({ tab, leader, opened, frame }: Extract<TabMessage, { type: 'send' }>): void {
    if (!this.#own || leader !== this.#options.tab || opened !== this.#opened) return
    const address = addressIn(frame)
    if (address !== undefined) {
      this.#watch(tab)
      this.#addresses.get(tab)?.add(address)
    }
    this.#own.send(frame)
  }

  /** Waits for a tab's end, to say goodbye in its place. */
  #watch(tab: string): void {
    if (this.#addresses.has(tab)) return
    const addresses = new Set<string>()
    this.#addresses.set(tab, addresses)
    const { locks, scope } = this.#options
    void locks.request(`${scope}:tab:${tab}`, { mode: 'shared' }, () => {
      for (const address of addresses) this.#own?.send(goodbye(address))
      this.#addresses.delete(tab)
      if (this.#own) this.events.emit('left', undefined)
    })
  }

  #follow(message: Extract<TabMessage, { type: 'leader' }>): void {
    if (this.#own) return
    const before = this.#heard
    this.#heard = message
    const isNew = before?.leader !== message.leader || before.opened !== message.opened
    if (isNew || !message.isOpen) this.#setOpen(false)
    if (message.isOpen) this.#setOpen(true)
    if (before?.state.phase === 'connected' && message.state.phase !== 'connected') {
      this.events.emit('lost', message.state.closing)
    }
    if (before?.state.lost && message.state.phase === 'connected') {
      this.events.emit('restored', undefined)
    }
    if (message.state.phase === 'failed' && before?.state.phase !== 'failed' &&
      message.state.closing) {
      this.events.emit('failed', message.state.closing)
    }
    this.events.emit('state', message.state)
  }

  #setOpen(isOpen: boolean): void {
    if (this.#isOpen === isOpen) return
    this.#isOpen = isOpen
    this.events.emit(isOpen ? 'opened' : 'closed', undefined)
  }
}
