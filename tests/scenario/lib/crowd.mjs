// Owns a room under load, and what must hold for it whatever happened: nothing acked is lost or told twice, versions are
// dense and never another's, and all who are there hold the same document.
//
// A socket's edit is acked when its own update came back, a request's when it was answered, a version when `changes`
// told it.
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { canonical } from '../../interop/lib/canonical.mjs'
import { buffers, NOTHING } from '../../interop/lib/frames.mjs'
import { writer } from '../../interop/lib/token.mjs'
import { pass, until } from '../../interop/lib/wait.mjs'
import * as Y from '../../interop/lib/yjs.mjs'
import { record, Writer } from './writer.mjs'

/** Requests of one poster in one round, at most: each has the round trip of a commit. */
const POSTS_MAX = 400

/** Between two tries of a request that the server refused for now. */
const RETRY_MS = 50

/** One room under load: sockets, a poster without a socket, and somebody who follows `changes`. Emits `ack`. */
export class Crowd extends EventEmitter {
  constructor (scene, name, { writers = 3, client = {} } = {}) {
    super()
    this.setMaxListeners(0)
    this.scene = scene
    this.name = name
    this.count = writers
    this.options = client
    this.acked = new Set()
    this.history = []
    this.fresh = 0
    this.refused = 0
  }

  async open () {
    this.clients = Array.from({ length: this.count }, (_, i) =>
      this.scene.client(this.name, { token: writer(`${this.name}-${i}`), ...this.options }))
    await Promise.all(this.clients.map((client) => client.synced()))
    this.writers = this.clients.map((client, i) => new Writer(client, `${this.name}-${i}`))
    for (const one of this.writers) {
      let known = 0
      one.on('change', () => {
        if (one.acked.size > known) this.#ack(one.acked.size - known)
        known = one.acked.size
      })
    }
    return this
  }

  #ack (count) {
    this.fresh += count
    this.emit('ack')
  }

  about () { return { room: this.name, fresh: this.fresh, writers: this.writers.map((one) => one.about()) } }

  /** Everybody works until told to stop: promises that end then. */
  work (round, signal) {
    return [
      ...this.writers.map((one) => one.work(round, signal)),
      this.#post(round, signal),
      this.#follow(round, signal)
    ]
  }

  /** Waits for so many acks more than there are. */
  async acks (count, options = {}) {
    const goal = this.fresh + count
    await until(`${count} acks in ${this.name}`, () => this.fresh >= goal, {
      on: [[this, 'ack']], seen: () => this.about(), ...options
    })
  }

  async #post (round, signal) {
    const doc = new Y.Doc()
    let kept = Y.encodeStateVector(doc)
    for (let n = 1; !signal.aborted && n <= POSTS_MAX; n++) {
      const key = `${this.name}-post-${round}-${n}`
      doc.getMap('map').set(key, record(n))
      for (;;) {
        const answer = await post(this.scene, this.name, Y.encodeStateAsUpdate(doc, kept), {
          token: writer(`poster-${this.name}-${round}`)
        }).catch(() => null)
        if (answer?.status === 200) break
        if (answer !== null) assert.equal(answer.status, 503, `POST sync: ${Buffer.from(answer.bytes)}`)
        if (signal.aborted || answer === null) return
        this.refused++
        await pass(RETRY_MS)
      }
      kept = Y.encodeStateVector(doc)
      this.acked.add(key)
      this.#ack(1)
    }
  }

  async #follow (round, signal) {
    while (!signal.aborted) {
      const answer = await this.scene.server.room(this.name, `/changes?since=${this.head()}&wait=1`, {
        token: writer(`follower-${this.name}-${round}`)
      }).catch(() => null)
      if (answer === null) return
      if (answer.status === 503) {
        await pass(RETRY_MS)
        continue
      }
      assert.equal(answer.status, 200, `GET changes: ${answer.status}`)
      this.#learn(answer.json)
    }
  }

  head () { return this.history.length }

  /** Takes what `changes` told, which is never taken back. */
  #learn ({ events, recovery }) {
    assert.notEqual(recovery, 'snapshot', 'the follower never loses its place')
    for (const event of events) {
      assert.ok(event.version === this.head() || event.version === this.head() + 1,
        `version ${event.version} after ${this.head()}`)
      if (event.version > this.head()) this.history.push([])
      this.history[event.version - 1].push(event)
    }
  }

  /** Everything that was written is kept, after a fault that the server lived through. */
  async settle (options) {
    await Promise.all(this.clients.map((client) => client.synced(options)))
    await Promise.all(this.writers.map((one) => one.settle(options)))
  }

  /** All that must hold when nobody works. */
  async mustBeWhole (round) {
    for (const one of this.writers) for (const key of one.acked) this.acked.add(key)
    const { json } = await this.scene.admin('GET', this.name, '/doc')
    const lost = [...this.acked].filter((key) => !(key in (json.map ?? {})))
    assert.deepEqual(lost, [], `round ${round}: acked and lost in ${this.name}`)
    await this.#mustBeDense(round)
    await Promise.all(this.clients.map((client) => client.synced({ withinMs: 60_000 })))
    await mustBeEqual(this.scene, this.name, this.clients)
  }

  async #mustBeDense (round) {
    const told = this.history.length
    const events = []
    for (let since = 0; ;) {
      const { status, json } = await this.scene.admin('GET', this.name, `/changes?since=${since}`)
      assert.equal(status, 200, `GET changes: ${JSON.stringify(json)}`)
      events.push(...json.events)
      since = json.version
      if (!json.hasMore) break
    }
    const versions = [...new Set(events.map((event) => event.version))]
    const { json: about } = await this.scene.admin('GET', this.name)
    versions.forEach((version, i) => assert.equal(version, i + 1, `round ${round}: versions have a gap`))
    assert.ok(versions.length >= told, `round ${round}: told ${told} versions, now there are ${versions.length}`)
    assert.ok(about.version >= versions.length)
    const now = []
    for (const event of events) (now[event.version - 1] ??= []).push(event)
    this.#mustTellOnce(events, round)
    for (let i = 0; i < told; i++) {
      assert.equal(canonical(now[i]), canonical(this.history[i]), `round ${round}: version ${i + 1} is another one now`)
    }
    this.history = now
  }

  /** Whatever was acked is told as made, in one version and once. */
  #mustTellOnce (events, round) {
    const made = events.filter(({ type }) => type === 'create').map(({ recordId }) => recordId)
    const told = new Set(made)
    const twice = made.length - told.size
    assert.equal(twice, 0, `round ${round}: told twice in ${this.name}`)
    const untold = [...this.acked].filter((key) => !told.has(key))
    assert.deepEqual(untold, [], `round ${round}: acked and not told in ${this.name}`)
  }

  close () { for (const client of this.clients) client.destroy() }
}

/** Waits until all clients and the server hold the same document. */
export async function mustBeEqual (scene, room, clients) {
  const signals = clients.map((client) => [client.doc, 'update'])
  const same = () => clients.every((client) => canonical(client.contents()) === canonical(clients[0].contents()))
  await until('all clients to hold the same', same, {
    on: signals, seen: () => clients.map((client) => client.map.size), withinMs: 60_000
  })
  const fresh = await scene.client(room, { token: writer('fresh') }).synced({ withinMs: 60_000 })
  await until('a fresh client to hold it too', () =>
    same() && canonical(fresh.contents()) === canonical(clients[0].contents()), {
    on: [...signals, [fresh.doc, 'update']], seen: () => [fresh, ...clients].map((client) => client.map.size)
  })
  fresh.destroy()
  const { json } = await scene.admin('GET', room, '/doc')
  // Compared as a whole, shown by what differs: a document may have megabytes.
  const [here, there] = [clients[0].map.toJSON(), json.map ?? {}]
  const differ = Object.keys({ ...here, ...there }).filter((key) => canonical(here[key]) !== canonical(there[key]))
  assert.deepEqual(differ, [], 'the server holds it too')
}

/** An edit of about so many bytes, made without a socket. */
export function editOf (key, bytes) {
  const doc = new Y.Doc()
  doc.getMap('map').set(key, 'x'.repeat(bytes))
  return Y.encodeStateAsUpdate(doc)
}

/** Posts an update to a room, and waits for the answer. */
export function post (scene, room, update, { token = writer('poster') } = {}) {
  return scene.server.room(room, '/sync', {
    method: 'POST', token, headers: { 'content-type': 'application/octet-stream' }, body: buffers(NOTHING, update)
  })
}

/** Starts crowds to work; `stop()` ends it and waits until everybody has stopped. */
export function atWork (crowds, round) {
  const hurry = new AbortController()
  // A test that fails in between does not wait for them either.
  crowds[0].scene.later(() => hurry.abort())
  const work = crowds.flatMap((crowd) => crowd.work(round, hurry.signal))
  return { stop: () => { hurry.abort(); return Promise.all(work) } }
}

export const sum = (list, of) => list.reduce((total, item) => total + of(item), 0)
