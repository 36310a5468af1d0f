// Owns HTTP in the socket's place for one room: an exchange every few seconds, and sooner when
// there is something to give.
import * as Y from 'yjs'
import {
  HttpError, requestJson, segment, request, type Requester, type RequestOptions
} from '../http/request.js'
import { exchange } from '../http/sync.js'
import { batches, merged, type Entry, type Outbox } from '../outbox.js'
import type { Peer, Presence } from '../presence.js'

export const POLL_MS = 5_000
/** An edit does not wait for the next turn, but for others of the same moment. */
const EDIT_MS = 500
/** The most that a server is believed about when to come back: the time of its budgets. */
const PACE_MS_MAX = 15 * 60_000
/** A presence that is not renewed lapses after this time. */
const PRESENCE_TTL_MS = 30_000

export interface PollerHost {
  readonly name: string
  readonly doc: Y.Doc
  readonly outbox: Outbox
  readonly presence: Presence
  readonly http: Requester
  receive(update: Uint8Array): void
  settled(ids: string[]): void
  failed(ids: string[], error: HttpError): void
  /** Whether the server could be reached. */
  answered(isAnswered: boolean): void
  changed(): void
}

export class Poller {
  #host: PollerHost
  #everyMs: number
  #timer: ReturnType<typeof setTimeout> | undefined
  #dueAt = Infinity
  /** The server does not want to be asked earlier. */
  #notBefore = 0
  #presenceDueAt = 0
  #isRunning = false
  #abort: AbortController | undefined
  /** What the server may have heard of this client, and when it said so, if it did. */
  #told: { state: string, at: number } | undefined
  #lastWord: Promise<unknown> = Promise.resolve()
  /** The server has what this client had when it last asked. */
  isSynced = false

  constructor(host: PollerHost, everyMs = POLL_MS) {
    this.#host = host
    this.#everyMs = everyMs
  }

  get isActive(): boolean { return this.#isRunning }

  start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    this.isSynced = false
    this.#told = undefined
    // As with a socket, what was refused is offered once more when a conversation begins.
    this.#host.outbox.retry()
    this.#schedule(0)
  }

  stop(): void {
    if (!this.#isRunning) return
    this.#isRunning = false
    clearTimeout(this.#timer)
    this.#dueAt = Infinity
    this.#abort?.abort()
    this.#abort = undefined
    this.#host.presence.polledLast()
    // By socket this client is somebody else: nobody should see it twice.
    if (this.#told) this.#leave().catch(() => {})
  }

  /** There is something to give. */
  nudge(): void {
    if (this.#isRunning && !this.#abort) this.#schedule(EDIT_MS)
  }

  #schedule(ms: number): void {
    const at = Math.max(Date.now() + ms, this.#notBefore)
    if (at >= this.#dueAt) return
    clearTimeout(this.#timer)
    this.#dueAt = at
    this.#timer = setTimeout(() => void this.#turn(), at - Date.now())
  }

  async #turn(): Promise<void> {
    this.#dueAt = Infinity
    this.#abort = new AbortController()
    const { signal } = this.#abort
    try {
      await this.#exchange(signal)
      if (Date.now() >= this.#presenceDueAt) await this.#sharePresence(signal)
      if (!signal.aborted) this.#host.answered(true)
    } catch (error) {
      if (error instanceof HttpError) this.#pace(error)
      if (!signal.aborted) this.#host.answered(error instanceof HttpError && error.status < 500)
    }
    // Who ends late has no say in what comes next.
    if (signal.aborted) return
    this.#abort = undefined
    const isWaiting = this.#host.outbox.waiting().length > 0
    this.#schedule(isWaiting ? Math.min(this.#everyMs, 1_000) : this.#everyMs)
  }

  /** Nobody who has much to give comes before the server said, or before the next turn. */
  #pace({ status, retryAfterMs = this.#everyMs }: HttpError): void {
    if (status !== 429 && status !== 503) return
    this.#notBefore = Date.now() + Math.min(retryAfterMs, PACE_MS_MAX)
  }

  async #exchange(signal: AbortSignal): Promise<void> {
    const groups = batches(this.#host.outbox.waiting())
    for (const [at, batch] of groups.entries()) {
      await this.#offer(batch, at === groups.length - 1, signal)
    }
    this.isSynced = true
    this.#host.changed()
  }

  async #offer(batch: Entry[], isLast: boolean, signal: AbortSignal): Promise<void> {
    const { outbox } = this.#host
    const ids = batch.map(({ id }) => id)
    outbox.sent(ids)
    try {
      await this.#give(merged(batch), isLast, signal)
      this.#host.settled(ids)
    } catch (error) {
      outbox.unsent(ids)
      const isRefusal = error instanceof HttpError && error.status >= 400 && error.status < 500
      if (isRefusal && error.status !== 429) this.#host.failed(ids, error)
      throw error
    } finally {
      this.#host.changed()
    }
  }

  async #give(update: Uint8Array, isLast: boolean, signal: AbortSignal): Promise<void> {
    const { doc, http, name, outbox } = this.#host
    const mine = Y.encodeStateVector(doc)
    let theirs: Uint8Array
    let isTaken = true
    try {
      const reply = await exchange(http, name, mine, update, signal)
      if (signal.aborted) throw signal.reason
      if (reply.update.length > 0) this.#host.receive(reply.update)
      theirs = reply.stateVector
    } catch (error) {
      const known = incompleteAt(error)
      if (!known) throw error
      theirs = known
      isTaken = false
    }
    // What waits comes by itself, and what it refused it is not asked to take with every turn.
    const { pending, failed } = outbox.summary()
    const isWhole = isLast && pending + failed === 0
    if (isTaken && !(isWhole && lacks(theirs, doc))) return
    // It has less than we know of: what others told us and it lost, or what an old outbox forgot.
    const rest = Y.encodeStateAsUpdate(doc, theirs)
    const reply = await exchange(http, name, Y.encodeStateVector(doc), rest, signal)
    if (signal.aborted) throw signal.reason
    if (reply.update.length > 0) this.#host.receive(reply.update)
  }

  async #sharePresence(signal: AbortSignal): Promise<void> {
    this.#presenceDueAt = Date.now() + this.#everyMs
    const { http, presence } = this.#host
    const { clientId, state } = presence.me
    const said = presence.isHere ? JSON.stringify(state) : ''
    const isDue = this.#told?.state !== said || Date.now() - this.#told.at > PRESENCE_TTL_MS / 2
    if (presence.isHere && isDue) {
      const told = this.#told = { state: said, at: 0 }
      await this.#say({ method: 'PUT', json: { clientId, state, ttlMs: PRESENCE_TTL_MS } })
      told.at = Date.now()
    } else if (!presence.isHere && this.#told) {
      await this.#leave()
    }
    if (!presence.isWatched) return
    const { users } = await requestJson<{ users: Peer[] }>(http, this.#presencePath, { signal })
    presence.setPolled(users.map(({ clientId, user, state: { user: _, ...state } }) =>
      ({ clientId, user, state })))
  }

  async #leave(): Promise<void> {
    this.#told = undefined
    await this.#say({ method: 'DELETE', query: { clientId: this.#host.presence.me.clientId } })
  }

  /** One word after the other, to its end: the last one said is the last one heard. */
  #say(word: RequestOptions): Promise<unknown> {
    const said = this.#lastWord.then(() => request(this.#host.http, this.#presencePath, word))
    this.#lastWord = said.catch(() => {})
    return said
  }

  get #presencePath(): string { return `/rooms/${segment(this.#host.name)}/presence` }
}

function incompleteAt(error: unknown): Uint8Array | undefined {
  if (!(error instanceof HttpError) || error.code !== 'incomplete') return undefined
  const { stateVector } = error.problem
  if (typeof stateVector !== 'string') return undefined
  return Uint8Array.from(atob(stateVector), (character) => character.charCodeAt(0))
}

/** Whether a state vector is behind the document. */
function lacks(stateVector: Uint8Array, doc: Y.Doc): boolean {
  const theirs = Y.decodeStateVector(stateVector)
  for (const [client, clock] of Y.decodeStateVector(Y.encodeStateVector(doc))) {
    if ((theirs.get(client) ?? 0) < clock) return true
  }
  return false
}
