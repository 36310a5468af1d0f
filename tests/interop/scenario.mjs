// Shows that a crash at any moment loses nothing that was acked, and that a drain loses nothing at all.
//
// An edit is acked to a socket when its own update came back, to a request when it was answered, and a version when
// `changes` told it. Every edit sets a key of its own, so that an acked one can be looked for by name.
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { Agent, request } from 'node:http'
import * as Y from 'yjs'
import { canonical } from './lib/canonical.mjs'
import { buffers, NOTHING } from './lib/frames.mjs'
import { dice, SEED } from './lib/random.mjs'
import { onEachStore } from './lib/stage.mjs'
import { writer } from './lib/token.mjs'
import { breathe, until } from './lib/wait.mjs'

const ROUNDS = Number(process.env.ROUNDTABLE_TEST_ROUNDS ?? 20)
const ROOMS = ['kill-a', 'kill-b']
const WRITERS_PER_ROOM = 3

onEachStore('a crash', (check) => {
  check(`RE10 kill -9 under load, ${ROUNDS} times: dense versions, nothing acked is lost, equal documents`, async (scene) => {
    const server = await scene.serve()
    const random = dice(`${SEED} kill ${scene.kind}`)
    const rooms = ROOMS.map((name) => new Crowd(scene, name))
    for (const room of rooms) await room.open()
    for (let round = 1; round <= ROUNDS; round++) {
      const hurry = new AbortController()
      const work = rooms.flatMap((room) => room.work(round, hurry.signal))
      const goal = random.int(20, 250)
      await until(`${goal} acks in round ${round}`, () => sum(rooms, (room) => room.fresh) >= goal, {
        on: rooms.map((room) => [room, 'ack']), seen: () => rooms.map((room) => room.about())
      })
      await server.kill()
      hurry.abort()
      await Promise.all(work)
      for (const room of rooms) room.fresh = 0
      await server.check()
      await server.restart()
      for (const room of rooms) await room.mustBeWhole(round)
    }
    scene.figure('edits acked over all rounds', sum(rooms, (room) => room.acked.size), 'edits')
    scene.figure('versions', sum(rooms, (room) => room.history.length), 'versions')
    for (const room of rooms) room.close()
    await server.stop()
    await server.check()
  }, { timeout: 900_000 })
}, { own: true })

onEachStore('a drain', (check) => {
  check('SH1 SH2 SH3 a drain under load: not ready first, 4503 to all, everything acked is there, exit 0', async (scene) => {
    const server = await scene.serve()
    const room = 'drain'
    const clients = Array.from({ length: 20 }, (_, i) =>
      scene.client(room, { token: writer(`w${i}`), record: false }))
    await Promise.all(clients.map((client) => client.synced()))
    const writers = clients.map((client, i) => new Writer(client, `w${i}`))
    const story = []
    for (const client of clients) {
      client.provider.on('connection-close', (event) => {
        if (event) story.push({ what: 'closed', code: event.code, at: story.length })
      })
    }
    const hurry = new AbortController()
    const work = writers.map((one) => one.work(1, hurry.signal))
    await until('200 acks', () => sum(writers, (one) => one.acked.size) >= 200, {
      on: writers.map((one) => [one.client.heard, 'update'])
    })
    const watching = watchReadiness(server, story)
    await until('readiness to be watched', () => story.some((s) => s.status === 200), { on: [[watching.events, 'answer']] })
    const ended = await server.stop()
    hurry.abort()
    await Promise.all(work)
    await watching.stop()
    assert.deepEqual(ended, { code: 0, signal: null }, 'SH3: the process ends by itself with 0')

    const red = story.findIndex((s) => s.status === 503)
    const told = story.findIndex((s) => s.what === 'closed')
    assert.ok(red >= 0, `SH1: readiness answered 503; seen: ${JSON.stringify(story.slice(-40))}`)
    const green = story.findIndex((s, at) => at > told && told >= 0 && s.status === 200 && s.askedAt > told)
    assert.equal(green, -1, 'SH1: whoever asks after a client was sent away is not told 200')
    const codes = clients.map((client) => client.closes[0]?.code)
    assert.deepEqual([...new Set(codes)], [4503], `SH2: every client is told when to come back: ${codes.join(' ')}`)

    await server.check()
    await server.restart()
    await Promise.all(clients.map((client) => client.synced()))
    await equal(scene, room, clients)
    const { json } = await scene.admin('GET', room, '/doc')
    for (const one of writers) {
      for (const key of one.acked) assert.ok(key in json.map, `SH3: the acked edit ${key} is lost`)
    }
  })

  check('SH4 SIGINT drains as SIGTERM does, and an idle server ends at once', async (scene) => {
    const server = await scene.serve()
    const client = await scene.client('sigint').synced()
    client.map.set('a', 1)
    const witness = await scene.client('sigint').synced()
    await witness.until('the edit', () => witness.map.get('a') === 1)
    assert.deepEqual(await server.stop({ signal: 'SIGINT' }), { code: 0, signal: null })
    await client.until('its close', () => client.closes.length > 0)
    assert.equal(client.closes[0].code, 4503)
    await server.restart()
    await client.synced()
    const { json } = await scene.admin('GET', 'sigint', '/doc')
    assert.deepEqual(json, { map: { a: 1 } })
  })
}, { own: true })

/** Edits keys of its own as fast as they are acked, a few at a time. */
class Writer {
  constructor (client, name) {
    this.client = client
    this.name = name
    this.n = 0
    this.written = 0
    this.clocks = []
    this.acked = new Set()
    // What the server alone told: the client's own document does not say what came back.
    client.heard ??= new Y.Doc()
    listen(client)
    client.heard.on('update', () => this.#take())
  }

  #take () {
    const clock = Y.getState(this.client.heard.store, this.client.id)
    while (this.clocks.length && this.clocks[0].clock <= clock) {
      this.acked.add(this.clocks.shift().key)
      this.onAck?.()
    }
  }

  async work (round, signal) {
    while (!signal.aborted) {
      if (this.client.provider.synced && this.clocks.length < 8) {
        const key = `${this.name}-${round}-${++this.n}`
        this.client.map.set(key, this.n)
        this.clocks.push({ key, clock: Y.getState(this.client.doc.store, this.client.id) })
      }
      await breathe()
    }
  }
}

/** Feeds what comes over every socket of a client into its `heard` document. */
function listen (client) {
  const attach = () => {
    const { ws } = client.provider
    if (!ws || ws.isHeard) return
    ws.isHeard = true
    ws.on('message', (data) => {
      const bytes = new Uint8Array(data)
      if (bytes[0] !== 0 || bytes[1] === 0) return
      let [at, length, shift] = [2, 0, 0]
      for (;; at++) {
        length += (bytes[at] & 127) * 2 ** shift
        shift += 7
        if (bytes[at] < 128) break
      }
      Y.applyUpdate(client.heard, bytes.subarray(at + 1, at + 1 + length))
    })
  }
  attach()
  client.provider.on('status', attach)
}

/** One room under load: sockets, a poster without a socket, and somebody who follows `changes`. */
class Crowd extends EventEmitter {
  constructor (scene, name) {
    super()
    this.scene = scene
    this.name = name
    this.acked = new Set()
    this.history = []
    this.fresh = 0
  }

  async open () {
    this.clients = Array.from({ length: WRITERS_PER_ROOM }, (_, i) =>
      this.scene.client(this.name, { token: writer(`${this.name}-${i}`) }))
    await Promise.all(this.clients.map((client) => client.synced()))
    this.writers = this.clients.map((client, i) => new Writer(client, `${this.name}-${i}`))
    for (const one of this.writers) one.onAck = () => this.#ack()
  }

  #ack () {
    this.fresh++
    this.emit('ack')
  }

  about () { return { room: this.name, fresh: this.fresh, open: this.clients.map((c) => c.provider.synced) } }

  work (round, signal) {
    return [
      ...this.writers.map((one) => one.work(round, signal)),
      this.#post(round, signal),
      this.#follow(round, signal)
    ]
  }

  async #post (round, signal) {
    const doc = new Y.Doc()
    for (let n = 1; !signal.aborted && n <= 400; n++) {
      const key = `${this.name}-post-${round}-${n}`
      const before = Y.encodeStateVector(doc)
      doc.getMap('map').set(key, n)
      const answer = await this.scene.server.room(this.name, '/sync', {
        method: 'POST', token: writer(`poster-${this.name}-${round}`),
        headers: { 'content-type': 'application/octet-stream' },
        body: buffers(NOTHING, Y.encodeStateAsUpdate(doc, before))
      }).catch(() => null)
      if (answer === null) return
      assert.equal(answer.status, 200, `POST sync: ${answer.status} ${Buffer.from(answer.bytes).toString()}`)
      this.acked.add(key)
      this.#ack()
    }
  }

  async #follow (round, signal) {
    while (!signal.aborted) {
      const answer = await this.scene.server.room(this.name, `/changes?since=${this.head()}&wait=1`, {
        token: writer(`follower-${this.name}-${round}`)
      }).catch(() => null)
      if (answer === null) return
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

  async mustBeWhole (round) {
    for (const one of this.writers) for (const key of one.acked) this.acked.add(key)
    const { json } = await this.scene.admin('GET', this.name, '/doc')
    const lost = [...this.acked].filter((key) => !(key in json.map))
    assert.deepEqual(lost, [], `round ${round}: acked and lost in ${this.name}`)
    await this.#mustBeDense(round)
    await Promise.all(this.clients.map((client) => client.synced()))
    await equal(this.scene, this.name, this.clients)
  }

  async #mustBeDense (round) {
    const told = this.history.length
    const events = []
    for (let since = 0; ;) {
      const { json } = await this.scene.admin('GET', this.name, `/changes?since=${since}`)
      events.push(...json.events)
      since = json.version
      if (!json.hasMore) break
    }
    const versions = [...new Set(events.map((event) => event.version))]
    const { json: about } = await this.scene.admin('GET', this.name)
    assert.deepEqual(versions.slice(0, 3), [1, 2, 3].slice(0, versions.length))
    versions.forEach((version, i) => assert.equal(version, i + 1, `round ${round}: versions have a gap`))
    assert.ok(versions.length >= told, `round ${round}: told ${told} versions, now there are ${versions.length}`)
    assert.ok(about.version >= versions.length)
    const now = []
    for (const event of events) (now[event.version - 1] ??= []).push(event)
    for (let i = 0; i < told; i++) {
      assert.equal(canonical(now[i]), canonical(this.history[i]), `round ${round}: version ${i + 1} is another one now`)
    }
    this.history = now
  }

  close () { for (const client of this.clients) client.destroy() }
}

/** Waits until all clients and the server hold the same document. */
async function equal (scene, room, clients) {
  const signals = clients.map((client) => [client.doc, 'update'])
  const same = () => clients.every((client) => canonical(client.contents()) === canonical(clients[0].contents()))
  await until('all clients to hold the same', same, {
    on: signals, seen: () => clients.map((client) => client.map.size), withinMs: 60_000
  })
  const fresh = await scene.client(room, { token: writer('fresh') }).synced()
  await until('a fresh client to hold it too', () =>
    same() && canonical(fresh.contents()) === canonical(clients[0].contents()), {
    on: [...signals, [fresh.doc, 'update']], seen: () => [fresh, ...clients].map((client) => client.map.size)
  })
  fresh.destroy()
  const { json } = await scene.admin('GET', room, '/doc')
  assert.equal(canonical(json.map), canonical(clients[0].map.toJSON()), 'the server holds it too')
}

/** Asks for readiness without a pause, over one connection, and writes the answers into the story. */
function watchReadiness (server, story) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const events = new EventEmitter()
  let on = true
  const loop = (async () => {
    while (on) {
      const askedAt = story.length
      const status = await ask(server, agent)
      story.push({ what: 'ready', status, askedAt })
      events.emit('answer')
      if (status === 0 && server.exit) return
      await breathe()
    }
  })()
  return { events, stop: () => { on = false; return loop.finally(() => agent.destroy()) } }
}

function ask (server, agent) {
  return new Promise((resolve) => {
    const asked = request(`${server.http}/readyz`, { agent }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode))
      response.on('error', () => resolve(0))
    })
    asked.on('error', () => resolve(0))
    asked.end()
  })
}

const sum = (list, of) => list.reduce((total, item) => total + of(item), 0)
