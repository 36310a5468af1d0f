// Owns a server over HTTP for tests, without a network: one room, `POST sync` and presence as the
// real one answers them, and a client that can have no WebSocket.
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'
import type { Fetch } from '../src/http/request.js'
import { Roundtable, type RoundtableOptions } from '../src/index.js'

type Answer = Response | undefined

export class HttpServer {
  readonly doc = new Y.Doc()
  /** What is known of who is here, by client. */
  readonly present = new Map<string, unknown>()
  /** Every request: `POST sync`, `GET presence`. */
  readonly asked: string[] = []
  /** Tokens that write nothing. */
  readonly readers = new Set<string>()
  /** What comes before an answer, or in its place. */
  before: (asked: string) => Answer | Promise<Answer> = () => undefined

  readonly fetch: Fetch = (input, init = {}) => {
    const url = new URL(input)
    const asked = `${init.method ?? 'GET'} ${url.pathname.split('/').at(-1)}`
    const { signal } = init
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error)
      // Who does not wait for an answer has asked all the same.
      signal?.addEventListener('abort', () => reject(signal.reason as Error))
      this.asked.push(asked)
      this.#answer(asked, url, init).then(resolve, reject)
    })
  }

  /** A client that finds no WebSocket. */
  client(options: Partial<RoundtableOptions> = {}): Roundtable {
    return new Roundtable({
      url: 'http://test.invalid', token: 'ada', persist: false, shareConnection: false,
      WebSocket: NoSocket as unknown as typeof WebSocket, fetch: this.fetch, ...options
    })
  }

  async #answer(asked: string, url: URL, init: RequestInit): Promise<Response> {
    const instead = await this.before(asked)
    if (instead) return instead
    switch (asked) {
      case 'POST sync': return this.#sync(init)
      case 'GET presence': return Response.json({
        users: [...this.present].map(([clientId, state]) =>
          ({ clientId, state, user: { id: clientId, color: '' } }))
      })
      case 'PUT presence': {
        const { clientId, state } = JSON.parse(String(init.body)) as Record<string, string>
        this.present.set(clientId!, state)
        return new Response(null, { status: 204 })
      }
      case 'DELETE presence':
        this.present.delete(url.searchParams.get('clientId')!)
        return new Response(null, { status: 204 })
      default: return problem(404, 'not_found')
    }
  }

  #sync({ body, headers }: RequestInit): Response {
    const from = decoding.createDecoder(body as Uint8Array)
    const stateVector = decoding.readVarUint8Array(from)
    const update = decoding.readVarUint8Array(from)
    const token = new Headers(headers).get('authorization')?.replace('Bearer ', '')
    const before = Y.encodeStateAsUpdate(this.doc)
    const isReader = this.readers.has(token ?? '')
    if (update.length > 0 && isReader && isNews(before, update)) return problem(403, 'forbidden')
    if (update.length > 0) Y.applyUpdate(this.doc, update)
    const to = encoding.createEncoder()
    encoding.writeVarUint8Array(to, Y.encodeStateAsUpdate(this.doc, stateVector))
    encoding.writeVarUint8Array(to, Y.encodeStateVector(this.doc))
    return new Response(encoding.toUint8Array(to).slice())
  }
}

export function problem(
  status: number, code: string, headers: Record<string, string> = {}
): Response {
  return Response.json({ status, code, detail: code }, { status, headers })
}

function isNews(before: Uint8Array, update: Uint8Array): boolean {
  const after = new Y.Doc()
  Y.applyUpdate(after, before)
  let isChanged = false
  after.on('update', () => { isChanged = true })
  Y.applyUpdate(after, update)
  return isChanged
}

class NoSocket extends EventTarget {
  constructor() {
    super()
    const closed = Object.assign(new Event('close'), { code: 1006, reason: '' })
    queueMicrotask(() => this.dispatchEvent(closed))
  }

  close(): void {}
}
