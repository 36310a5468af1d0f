// Owns passing words in a room: heard by who is here now, kept by nobody.
import type { Context } from './context.js'
import type { Unsubscribe } from './emitter.js'
import type { Delivery, FeedListener } from './feed.js'
import { request, segment } from './http/request.js'

export interface RoomMessage {
  event: string
  payload: unknown
  userId: string
  /** The tab or device that sent it. */
  clientId?: string
  timestamp: string
}

export class Messages {
  #room: string
  #context: Context
  #follow: (listener: FeedListener) => Unsubscribe

  constructor(
    room: string, context: Context, follow: (listener: FeedListener) => Unsubscribe
  ) {
    this.#room = room
    this.#context = context
    this.#follow = follow
  }

  /** Resolves when the server has it. Who comes later is not told. */
  async send(event: string, payload?: unknown): Promise<void> {
    const json = { event, payload, clientId: this.#context.tab }
    const path = `/rooms/${segment(this.#room)}/messages`
    await request(this.#context.http, path, { method: 'POST', json })
  }

  /** Told of messages of one event, from everybody but this tab. */
  on(event: string, listener: (message: RoomMessage) => void): Unsubscribe {
    return this.subscribe((message) => { if (message.event === event) listener(message) })
  }

  subscribe(listener: (message: RoomMessage) => void): Unsubscribe {
    return this.#follow({
      message: (message) => {
        if (message.clientId !== this.#context.tab) listener(messageOf(message))
      }
    })
  }
}

function messageOf({ event, payload, userId = '', clientId, timestamp }: Delivery): RoomMessage {
  return {
    event, payload, userId, ...(clientId ? { clientId } : {}), timestamp: String(timestamp)
  }
}
