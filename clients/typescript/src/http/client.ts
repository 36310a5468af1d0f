// Owns the HTTP interface for servers and scripts: no socket, no document, one method per request.
import type { Address } from '../inbox.js'
import { claimsOf, type TokenOption } from '../token.js'
import type { Fields } from '../values.js'
import { request, requestJson, segment, type Fetch, type Requester } from './request.js'
import { HttpRoom } from './room.js'
import type {
  Counts, InboxMessage, LoggedConflict, Operation, RoomResult, RoomRow, Sent
} from './types.js'

export interface RoundtableHttpOptions {
  /** Where the server is: `https://rooms.example`. */
  url: string
  token?: TokenOption
  fetch?: Fetch
}

export class RoundtableHttp {
  #to: Requester

  constructor({ url, token, fetch }: RoundtableHttpOptions) {
    this.#to = {
      base: url.replace(/\/+$/, ''),
      fetch: fetch ?? ((input, init) => globalThis.fetch(input, init)),
      token: tokens(token)
    }
  }

  room(name: string): HttpRoom {
    return new HttpRoom(name, this.#to)
  }

  /** All rooms, by name; for admins. */
  async * rooms(query: { prefix?: string, limit?: number } = {}): AsyncGenerator<RoomRow> {
    for (let cursor: string | undefined, isFirst = true; isFirst || cursor; isFirst = false) {
      const page: { rooms: RoomRow[], cursor?: string } =
        await requestJson(this.#to, '/rooms', { query: { ...query, cursor } })
      yield * page.rooms
      cursor = page.cursor
    }
  }

  /** Operations of several rooms at once; each is for itself. */
  async push(
    changes: (Operation & { room: string })[], clientId?: string
  ): Promise<RoomResult[]> {
    const json = { changes, ...(clientId ? { clientId } : {}) }
    const reply: { results: RoomResult[] } =
      await requestJson(this.#to, '/sync/batch-changes', { method: 'POST', json })
    return reply.results
  }

  send(
    to: Address, type: string, payload?: unknown, correlationId?: string
  ): Promise<Sent> {
    const json = { to, type, payload, correlationId }
    return requestJson(this.#to, '/sync/send', { method: 'POST', json })
  }

  /** To everybody, or to all who hear certain topics; for admins. */
  broadcast(
    type: string, payload?: unknown, topics?: string[]
  ): Promise<Sent> {
    return requestJson(this.#to, '/sync/broadcast', {
      method: 'POST', json: { type, payload, topics }
    })
  }

  /** Messages to this user after `since`, which is the `timestamp` of the last answer. */
  poll(
    query: { since?: number, wait?: number, topics?: string } = {}
  ): Promise<{ messages: InboxMessage[], timestamp: number, count: number }> {
    return requestJson(this.#to, '/sync/poll', { query })
  }

  async * conflicts(
    query: { room?: string, resolved?: boolean, limit?: number } = {}
  ): AsyncGenerator<LoggedConflict> {
    for (let cursor: string | undefined, isFirst = true; isFirst || cursor; isFirst = false) {
      const page: { conflicts: LoggedConflict[], cursor?: string } =
        await requestJson(this.#to, '/conflicts', { query: { ...query, cursor } })
      yield * page.conflicts
      cursor = page.cursor
    }
  }

  resolve(
    id: string, resolution: 'mine' | 'theirs' | 'merged', value?: unknown
  ): Promise<LoggedConflict> {
    const json = { resolution, ...(resolution === 'merged' ? { value } : {}) }
    return requestJson(this.#to, `/conflicts/${segment(id)}/resolve`, { method: 'POST', json })
  }

  stats(): Promise<Counts> {
    return requestJson(this.#to, '/sync/stats')
  }

  /** Whether the server can serve. */
  async isReady(): Promise<boolean> {
    const { base, fetch } = this.#to
    return (await fetch(`${base}/readyz`)).ok
  }

  /** A request that has no method here. */
  request(method: string, path: string, json?: Fields): Promise<Response> {
    return request(this.#to, path, { method, ...(json ? { json } : {}) })
  }
}

/** A function's token is kept until it has expired. */
function tokens(option: TokenOption): () => Promise<string> | string {
  if (typeof option !== 'function') return () => option ?? ''
  let last: Promise<string> | undefined
  let until = 0
  return () => {
    if (last && Date.now() < until) return last
    until = Infinity
    last = Promise.resolve().then(option).then((token) => {
      const { exp } = claimsOf(token)
      until = exp === undefined ? Infinity : exp * 1000 - 5_000
      return token
    })
    last.catch(() => { until = 0 })
    return last
  }
}
