// Owns what Yjs frames do not carry: change events with versions, messages, the inbox. A second
// socket, for JSON, while somebody listens; HTTP in its place while there is none.
import { delay } from './connection/backoff.js'
import type { Context } from './context.js'
import { Emitter, type Unsubscribe } from './emitter.js'
import { HttpError, requestJson, segment } from './http/request.js'
import type { ChangeEvent } from './http/types.js'

export interface ServerChanges {
  room: string
  epoch: string
  /** Where the room stands after these. */
  version: number
  events: ChangeEvent[]
  /** Events before these cannot be told any more; the document itself has everything. */
  missed?: string
}

/** A message of the server, by socket or by poll. */
export interface Delivery {
  event: string
  payload: unknown
  userId?: string
  clientId?: string
  room?: string
  topic?: string
  messageId?: string
  correlationId?: string
  timestamp: string | number
}

export interface FeedListener {
  changes?: (changes: ServerChanges) => void
  message?: (message: Delivery) => void
  /** Nothing is missed from here on; once. */
  following?: () => void
}

interface Followed {
  events: Emitter<{ changes: ServerChanges, message: Delivery, following: undefined }>
  listeners: number
  /** Kept when the subscription ends, so that the next one says what was missed. */
  position?: { epoch: string, version: number }
  /** With which token it was asked for. */
  token?: string
  /** Not followed, and not being asked for. */
  isOver: boolean
  /** How often it was not followed since it last was. */
  attempts: number
  timer?: ReturnType<typeof setTimeout>
}

type Reply = { type: string, room?: string } & Record<string, unknown>

const PING_MS = 20_000

export class Feed {
  /** Messages to this user, a topic or everybody, which can be polled, too. */
  readonly inbox = new Emitter<{ message: Delivery, opened: undefined }>()
  #context: Context
  #rooms = new Map<string, Followed>()
  #isInboxWanted = false
  #socket: WebSocket | undefined
  #isReady = false
  #attempts = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #ping: ReturnType<typeof setInterval> | undefined
  #polling: AbortController | undefined
  #unlisten: Unsubscribe

  constructor(context: Context) {
    this.#context = context
    this.#unlisten = context.wire.events.on('state', () => this.#sync())
  }

  follow(room: string, { changes, message, following }: FeedListener): Unsubscribe {
    const followed = this.#rooms.get(room) ??
      { events: new Emitter(), listeners: 0, isOver: false, attempts: 0 }
    this.#rooms.set(room, followed)
    followed.listeners++
    const unlisten = [
      ...(changes ? [followed.events.on('changes', changes)] : []),
      ...(message ? [followed.events.on('message', message)] : [])
    ]
    if (following) {
      // Told of once only, and at once where the position is known.
      const end = followed.events.on('following', () => {
        end()
        following()
      })
      unlisten.push(end)
      if (followed.position) queueMicrotask(() => followed.events.emit('following', undefined))
    }
    if (followed.listeners === 1 && this.#isReady) void this.#subscribe(room, followed)
    this.#sync()
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      for (const end of unlisten) end()
      if (--followed.listeners > 0) return
      this.#rooms.delete(room)
      clearTimeout(followed.timer)
      this.#say({ type: 'unsubscribe', room })
      this.#sync()
    }
  }

  /** The inbox is listened to. */
  open(): void {
    this.#isInboxWanted = true
    this.#sync()
  }

  stop(): void {
    this.#unlisten()
    this.#disconnect()
    this.#rooms.clear()
    this.#isInboxWanted = false
    this.#sync()
  }

  /** New words for who this is: what was refused is asked for with them. */
  renewed(token: string): void {
    if (!this.#isReady) return
    this.#say({ type: 'token', token })
    for (const [room, followed] of this.#rooms) {
      if (followed.isOver) void this.#subscribe(room, followed)
    }
  }

  get #isWanted(): boolean { return this.#rooms.size > 0 || this.#isInboxWanted }

  /** A socket where the room's own has one, a poll where that polls, and else nothing. */
  #sync(): void {
    const { phase } = this.#context.wire.state
    if (!this.#isWanted || phase !== 'connected') this.#disconnect()
    else if (!this.#socket && this.#timer === undefined) void this.#connect()
    const isPolling = this.#isWanted && (phase === 'polling' || phase === 'probing')
    if (!isPolling) this.#polling?.abort()
    else if (!this.#polling || this.#polling.signal.aborted) void this.#poll()
  }

  async #connect(): Promise<void> {
    const { WebSocket, socketBase, tokens } = this.#context
    const socket = new WebSocket(`${socketBase}/api/v1/ws`)
    this.#socket = socket
    const own = (act: (event: Event) => void) => (event: Event): void => {
      if (this.#socket === socket) act(event)
    }
    socket.addEventListener('open', own(() => {
      if (tokens.current) this.#say({ type: 'token', token: tokens.current })
      this.#ready()
    }))
    socket.addEventListener('message', own((event) => this.#heard((event as MessageEvent).data)))
    socket.addEventListener('close', own(() => this.#retry()))
    socket.addEventListener('error', () => {})
  }

  #ready(): void {
    this.#isReady = true
    for (const [room, followed] of this.#rooms) void this.#subscribe(room, followed)
    this.#ping = setInterval(() => this.#say({ type: 'ping' }), PING_MS)
    this.inbox.emit('opened', undefined)
  }

  #retry(): void {
    this.#disconnect()
    this.#attempts++
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#sync()
    }, delay(this.#attempts, Math.random()))
  }

  #disconnect(): void {
    const socket = this.#socket
    this.#socket = undefined
    this.#isReady = false
    clearInterval(this.#ping)
    clearTimeout(this.#timer)
    this.#timer = undefined
    for (const { timer } of this.#rooms.values()) clearTimeout(timer)
    socket?.close()
  }

  #say(message: Record<string, unknown>): void {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message))
  }

  /** From where the room stood when it was first followed, so that no document has to be sent. */
  async #subscribe(room: string, followed: Followed): Promise<void> {
    const socket = this.#socket
    const isCurrent = (): boolean =>
      this.#socket === socket && this.#rooms.get(room) === followed
    clearTimeout(followed.timer)
    followed.isOver = false
    followed.token = this.#context.tokens.current
    try {
      await this.#place(room, followed)
      if (isCurrent()) this.#say({ type: 'subscribe', room, since: followed.position })
    } catch (error) {
      if (!isCurrent()) return
      const code = error instanceof HttpError ? error.code : undefined
      this.#over(room, followed, code, retryAfterMsOf(error))
    }
  }

  /** A room is not followed any more, or not yet: again later, or with another token. */
  #over(room: string, followed: Followed, code: unknown, afterMs = 0): void {
    followed.isOver = true
    const isRefused = code === 'forbidden' || code === 'unauthenticated'
    if (isRefused && followed.token === this.#context.tokens.current) return
    const waitMs = Math.max(afterMs, delay(++followed.attempts, Math.random()))
    clearTimeout(followed.timer)
    followed.timer = setTimeout(() => void this.#subscribe(room, followed), waitMs)
  }

  /** Where a room is followed from: where it stands when it is first followed. */
  async #place(room: string, followed: Followed): Promise<{ epoch: string, version: number }> {
    if (!followed.position) {
      const { epoch, version } = await requestJson<{ epoch: string, version: number }>(
        this.#context.http, `/rooms/${segment(room)}`)
      followed.position ??= { epoch, version }
      followed.events.emit('following', undefined)
    }
    return followed.position
  }

  #heard(data: unknown): void {
    if (typeof data !== 'string') return
    const reply = JSON.parse(data) as Reply
    this.#attempts = 0
    const { room = '' } = reply
    const followed = this.#rooms.get(room)
    switch (reply.type) {
      case 'subscribed': return followed && this.#subscribed(followed, reply)
      case 'changes': return followed && this.#changed(followed, reply as unknown as ServerChanges)
      case 'message': return this.#message(reply as unknown as Delivery)
      case 'reset': return followed && this.#over(room, followed, reply.reason)
      case 'error': return followed && this.#over(room, followed, reply.code)
    }
  }

  #subscribed(followed: Followed, reply: Reply): void {
    const { epoch, version } = reply as unknown as ServerChanges
    const { room = '', recovery, reason } = reply
    const isGap = recovery === 'snapshot' && followed.position !== undefined
    clearTimeout(followed.timer)
    Object.assign(followed, { position: { epoch, version }, isOver: false, attempts: 0 })
    if (!isGap) return
    const missed = String(reason)
    followed.events.emit('changes', { room, epoch, version, events: [], missed })
  }

  #changed(followed: Followed, { room, epoch, version, events }: ServerChanges): void {
    followed.position = { epoch, version }
    if (events.length > 0) followed.events.emit('changes', { room, epoch, version, events })
  }

  #message(message: Delivery): void {
    if (message.messageId !== undefined) this.inbox.emit('message', message)
    else if (message.room) this.#rooms.get(message.room)?.events.emit('message', message)
  }

  async #poll(): Promise<void> {
    const polling = new AbortController()
    this.#polling = polling
    this.inbox.emit('opened', undefined)
    while (!polling.signal.aborted) {
      let waitMs = this.#context.pollMs
      for (const [room, followed] of this.#rooms) {
        try {
          await this.#pollRoom(room, followed, polling.signal)
        } catch (error) {
          // The room's own polls say whether the server can be reached.
          waitMs = Math.max(waitMs, retryAfterMsOf(error))
        }
        if (polling.signal.aborted) return
      }
      this.inbox.emit('opened', undefined)
      await pause(waitMs, polling.signal)
    }
  }

  async #pollRoom(room: string, followed: Followed, signal: AbortSignal): Promise<void> {
    const { epoch, version } = await this.#place(room, followed)
    const reply = await requestJson<ServerChanges & { recovery: string, reason?: string }>(
      this.#context.http, `/rooms/${segment(room)}/changes`,
      { query: { since: version, epoch }, signal }
    )
    if (signal.aborted) return
    if (reply.recovery === 'snapshot') this.#subscribed(followed, { ...reply, type: 'subscribed' })
    else this.#changed(followed, { ...reply, room })
  }
}

const retryAfterMsOf = (error: unknown): number =>
  error instanceof HttpError ? error.retryAfterMs ?? 0 : 0

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
  })
}

