// Owns messages to this user, to a topic or to everybody: kept by the server for five minutes, told
// here once.
import type { Context } from './context.js'
import { Emitter, type Unsubscribe } from './emitter.js'
import type { Delivery, Feed } from './feed.js'
import { requestJson } from './http/request.js'

export interface InboxMessage {
  id: string
  type: string
  payload: unknown
  /** Who sent it. */
  userId?: string
  correlationId?: string
  /** Milliseconds since 1970. */
  timestamp: number
}

export type Address = { user: string } | { room: string } | { topic: string }

interface Polled {
  messages: InboxMessage[]
  timestamp: number
}

/** Where the last poll of any tab stood, among the small values of this device. */
const SINCE = 'inbox:since'
/** As many names of messages are remembered, to tell none twice. */
const SEEN_MAX = 1_000

export class Inbox {
  #context: Context
  #feed: Feed
  #events = new Emitter<{ message: InboxMessage }>()
  #seen = new Set<string>()
  /** Where this tab's last poll stood, or before the first one any tab's when this one began. */
  #since: Promise<number> | undefined
  #polling: Promise<void> | undefined

  constructor(context: Context, feed: Feed) {
    this.#context = context
    this.#feed = feed
    feed.inbox.on('message', (message) => this.#take(fromSocket(message)))
    // What came while nobody listened is asked for whenever a connection begins.
    feed.inbox.on('opened', () => void this.poll().catch(() => {}))
  }

  /** Resolves when the server has it; it keeps it for five minutes. */
  send(
    to: Address, type: string, payload?: unknown, correlationId?: string
  ): Promise<{ messageId: string, timestamp: number }> {
    const json = { to, type, payload, ...(correlationId ? { correlationId } : {}) }
    return requestJson(this.#context.http, '/sync/send', { method: 'POST', json })
  }

  /** Told of messages of one type. */
  on(type: string, listener: (message: InboxMessage) => void): Unsubscribe {
    return this.subscribe((message) => { if (message.type === type) listener(message) })
  }

  subscribe(listener: (message: InboxMessage) => void): Unsubscribe {
    const unlisten = this.#events.on('message', listener)
    // A device that keeps nothing says so elsewhere.
    this.#since ??= this.#context.storage.read(SINCE).then((since) => Number(since ?? 0), () => 0)
    this.#feed.open()
    return unlisten
  }

  /** Asks for what came since the last time. */
  poll(): Promise<void> {
    this.#polling ??= this.#poll().finally(() => { this.#polling = undefined })
    return this.#polling
  }

  async #poll(): Promise<void> {
    if (this.#events.count('message') === 0) return
    const since = await this.#since
    const { messages, timestamp } =
      await requestJson<Polled>(this.#context.http, '/sync/poll', { query: { since } })
    for (const message of messages) this.#take(message)
    this.#since = Promise.resolve(timestamp)
    await this.#context.storage.write(SINCE, timestamp).catch(() => {})
  }

  #take(message: InboxMessage): void {
    if (this.#seen.has(message.id)) return
    this.#seen.add(message.id)
    if (this.#seen.size > SEEN_MAX) {
      const [oldest] = this.#seen
      if (oldest !== undefined) this.#seen.delete(oldest)
    }
    this.#events.emit('message', message)
  }
}

function fromSocket(message: Delivery): InboxMessage {
  const { messageId = '', event, payload, userId, correlationId, timestamp } = message
  return {
    id: messageId, type: event, payload,
    ...(userId ? { userId } : {}), ...(correlationId ? { correlationId } : {}),
    timestamp: typeof timestamp === 'number' ? timestamp : Date.parse(timestamp)
  }
}
