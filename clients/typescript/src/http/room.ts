// Owns the requests about one room.
import { exchange, type Exchange } from './sync.js'
import { request, requestJson, segment, type Requester } from './request.js'
import type {
  Changes, ChangesQuery, ListQuery, Operation, PresentPeer, Pushed, RoomInfo, StoredRecord,
  WriteOptions
} from './types.js'
import type { Fields } from '../values.js'

export class HttpRoom {
  readonly name: string
  #to: Requester
  #path: string

  constructor(name: string, to: Requester) {
    this.name = name
    this.#to = to
    this.#path = `/rooms/${segment(name)}`
  }

  info(): Promise<RoomInfo> {
    return requestJson(this.#to, this.#path)
  }

  /** The document as JSON: an object of its roots. */
  doc<T = Fields>(): Promise<T> {
    return requestJson(this.#to, `${this.#path}/doc`)
  }

  /** The document as one Yjs update. */
  async state(): Promise<Uint8Array> {
    const headers = { accept: 'application/octet-stream' }
    const reply = await request(this.#to, `${this.#path}/doc`, { headers })
    return new Uint8Array(await reply.arrayBuffer())
  }

  /** A Yjs exchange: gives an update, takes what is lacking. */
  sync(stateVector: Uint8Array, update = new Uint8Array()): Promise<Exchange> {
    return exchange(this.#to, this.name, stateVector, update)
  }

  records<T extends object = Fields>(collection: string): HttpRecords<T> {
    return new HttpRecords<T>(`${this.#path}/records/${segment(collection)}`, this.#to)
  }

  /** Operations in order, each for itself; a repeated `opId` is applied once. */
  push(ops: Operation[], clientId?: string): Promise<Pushed> {
    const json = { ops, ...(clientId ? { clientId } : {}) }
    return requestJson(this.#to, `${this.#path}/push`, { method: 'POST', json })
  }

  changes(query: ChangesQuery = {}, signal?: AbortSignal): Promise<Changes> {
    return requestJson(this.#to, `${this.#path}/changes`, { query: { ...query }, signal })
  }

  /**
   * Follows the log from a position on, page after page, until the signal says so. A page whose
   * `recovery` is `snapshot` has the document instead of events that cannot be told any more.
   */
  async * follow(
    from: { version: number, epoch?: string }, { signal, wait = 30 }: {
      signal?: AbortSignal, wait?: number
    } = {}
  ): AsyncGenerator<Changes> {
    let { version: since, epoch } = from
    while (!signal?.aborted) {
      const page = await this.changes({ since, wait, ...(epoch ? { epoch } : {}) }, signal)
      since = page.version
      epoch = page.epoch
      if (page.events.length > 0 || page.recovery === 'snapshot') yield page
    }
  }

  async presence(): Promise<PresentPeer[]> {
    const reply: { users: PresentPeer[] } = await requestJson(this.#to, `${this.#path}/presence`)
    return reply.users
  }

  /** Is here, for so long. */
  async enter(clientId: string, state: Fields, ttlMs?: number): Promise<void> {
    const json = { clientId, state, ...(ttlMs ? { ttlMs } : {}) }
    await request(this.#to, `${this.#path}/presence`, { method: 'PUT', json })
  }

  async leave(clientId: string): Promise<void> {
    await request(this.#to, `${this.#path}/presence`, { method: 'DELETE', query: { clientId } })
  }

  /** To everybody who is in the room now. */
  async send(event: string, payload?: unknown, clientId?: string): Promise<void> {
    const json = { event, payload, clientId }
    await request(this.#to, `${this.#path}/messages`, { method: 'POST', json })
  }

  /** Deletes the room; for admins. */
  async delete(): Promise<void> {
    await request(this.#to, this.#path, { method: 'DELETE' })
  }
}

export class HttpRecords<T extends object = Fields> {
  #path: string
  #to: Requester

  constructor(path: string, to: Requester) {
    this.#path = path
    this.#to = to
  }

  /** One page. */
  page(query: ListQuery = {}): Promise<{ records: StoredRecord<T>[], cursor?: string }> {
    const { filter = {}, ...rest } = query
    const filters = Object.fromEntries(
      Object.entries(filter).map(([field, value]) => [`filter[${field}]`, value]))
    return requestJson(this.#to, this.#path, { query: { ...rest, ...filters } })
  }

  /** All, page after page. */
  async * list(query: ListQuery = {}): AsyncGenerator<StoredRecord<T>> {
    for (let cursor: string | undefined, isFirst = true; isFirst || cursor; isFirst = false) {
      const page: { records: StoredRecord<T>[], cursor?: string } =
        await this.page({ ...query, ...(cursor ? { cursor } : {}) })
      yield * page.records
      cursor = page.cursor
    }
  }

  get(id: string): Promise<StoredRecord<T>> {
    return requestJson(this.#to, this.#of(id))
  }

  create(fields: T, recordId?: string, options: WriteOptions = {}): Promise<StoredRecord<T>> {
    const json = { ...options, fields, ...(recordId ? { recordId } : {}) }
    return requestJson(this.#to, this.#path, { method: 'POST', json })
  }

  /** Has these fields and no others from here on. */
  replace(id: string, fields: T, options: WriteOptions = {}): Promise<StoredRecord<T>> {
    return this.#write('PUT', id, fields, options)
  }

  /** Sets the named fields, and removes those in `unset`. */
  update(id: string, fields: Partial<T>, options: WriteOptions = {}): Promise<StoredRecord<T>> {
    return this.#write('PATCH', id, fields, options)
  }

  async delete(id: string, { ifMatch }: Pick<WriteOptions, 'ifMatch'> = {}): Promise<void> {
    await request(this.#to, this.#of(id), { method: 'DELETE', headers: tag(ifMatch) })
  }

  #of(id: string): string {
    return `${this.#path}/${segment(id)}`
  }

  #write(
    method: string, id: string, fields: object, { ifMatch, ...options }: WriteOptions
  ): Promise<StoredRecord<T>> {
    const json = { ...options, fields }
    return requestJson(this.#to, this.#of(id), { method, json, headers: tag(ifMatch) })
  }
}

function tag(version: number | undefined): Record<string, string> {
  return version === undefined ? {} : { 'if-match': `"${version}"` }
}
