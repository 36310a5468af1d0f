// Owns what every test stands on: a server per store, fresh room names, clients that are gone after the test, and a
// failure that shows the server's log.
import { after, before, describe, test } from 'node:test'
import { Client, converge } from './client.mjs'
import { HocuspocusSocket } from './hocuspocus.mjs'
import { EventStream, JsonClient } from './json.mjs'
import { Proxy } from './proxy.mjs'
import { PyClient } from './pycrdt.mjs'
import { dice, SEED } from './random.mjs'
import { Raw } from './raw.mjs'
import { Server } from './server.mjs'
import { SocketClient } from './socketio.mjs'
import { openStore, STORES } from './store.mjs'
import { admin, writer } from './token.mjs'
import { show } from './wait.mjs'
import { Wire } from './wire.mjs'

/** How long one test may take before it is called hung. */
const TEST_MS = 180_000

/**
 * Runs a group of tests on each store, with one server per store. `define` gets `check(name, body)`, which declares
 * one test; `body` gets a `Scene`. With `own: true` the tests start their servers themselves, and `stores` are those
 * that the group is about.
 */
export function onEachStore (group, define, {
  args = [], env = {}, own = false, concurrency = false, stores = STORES
} = {}) {
  for (const kind of stores.filter((kind) => STORES.includes(kind))) {
    describe(`${group} (${kind})`, { concurrency }, () => {
      const stage = { kind, args, env }
      before(async () => {
        stage.store = await openStore(kind)
        if (!own) stage.server = await Server.start({ store: stage.store, args, env })
      })
      after(async () => {
        await stage.server?.stop().catch(() => stage.server.kill())
        await stage.store?.drop()
      })
      define((name, body, options = {}) => test(name, { timeout: TEST_MS, ...options }, async (t) => {
        // A server that an earlier test brought down is that test's failure, not this one's.
        if (stage.server?.exit) await stage.server.restart()
        const scene = new Scene(t, stage)
        try {
          await body(scene)
          scene.mustBeAlive()
        } catch (error) {
          throw scene.explain(error)
        } finally {
          await scene.clear()
        }
      }))
    })
  }
}

/** One test's world. */
export class Scene {
  constructor (t, stage) {
    this.t = t
    this.stage = stage
    this.server = stage.server
    this.logFrom = stage.server?.lines.length
    this.left = []
    this.dice = dice(`${SEED} ${t.name}`)
  }

  get kind () { return this.stage.kind }

  /** A room that no other test uses. */
  room (prefix = 'room') { return `${prefix}-${this.stage.kind}-${(++rooms).toString(36)}-${process.pid}` }

  /** Something to be ended when the test ends. */
  later (end) { this.left.push(end) }

  /** A server of this test's own. */
  async serve (options = {}) {
    const store = options.store ?? await openStore(this.kind)
    if (!options.store) this.later(() => store.drop())
    this.server = await Server.start({ args: this.stage.args, env: this.stage.env, ...options, store })
    const { server } = this
    this.logFrom = 0
    this.later(() => server.kill())
    return server
  }

  /** A y-websocket client that may write, unless told otherwise. */
  client (room, options = {}) {
    const { via, token = writer(), ...others } = options
    const base = this.base(via)
    const client = new Client({ base, room, token, ...others })
    this.later(() => client.destroy())
    return client
  }

  /** A Hocuspocus connection without documents. */
  hocuspocus (options = {}) {
    const socket = new HocuspocusSocket({ url: this.server.hocuspocus, ...options })
    this.later(() => socket.destroy())
    return socket
  }

  /** A Hocuspocus document that may be written, on a connection of its own unless it is given one. */
  document (room, { token = writer(), socket, line, ...options } = {}) {
    const document = (socket ?? this.hocuspocus({ line })).open(room, { token, ...options })
    this.later(() => document.destroy())
    return document
  }

  /** A Hocuspocus socket without a provider. */
  async wire (options) {
    const wire = await Wire.open(this.server.hocuspocus, options)
    this.later(() => wire.destroy())
    return wire
  }

  /** A pycrdt client, connected and synced. */
  async pycrdt (room, { token = writer('py'), ...options } = {}) {
    const client = new PyClient({ base: this.server.ws, room, token, ...options })
    this.later(() => client.destroy())
    return client.connect()
  }

  /** A bare WebSocket. */
  async raw (room, { token = writer(), ...options } = {}) {
    const raw = await Raw.open({ base: this.server.ws, room, token, ...options })
    this.later(() => raw.destroy())
    return raw
  }

  /** Where sockets are opened, through a proxy if one is given. */
  base (via) {
    return via ? this.server.ws.replace(this.server.host, via.host) : this.server.ws
  }

  /** A client of JSON messages that may write, unless told otherwise. */
  async json ({ token = writer(), via, ...options } = {}) {
    const client = await JsonClient.open({ base: this.base(via), token, ...options })
    this.later(() => client.destroy())
    return client
  }

  /** A Socket.IO client that may write, unless told otherwise. */
  async socket ({ token = writer(), ...options } = {}) {
    const client = await SocketClient.open({ http: this.server.http, token, ...options })
    this.later(() => client.destroy())
    return client
  }

  /** A stream of events. */
  async events (room, { token = writer(), ...options } = {}) {
    const stream = await EventStream.open({ http: this.server.http, room, token, ...options })
    this.later(() => stream.destroy())
    return stream
  }

  async proxy () {
    const proxy = await Proxy.open(this.server.port)
    this.later(() => proxy.close())
    return proxy
  }

  /** Writes the figure of a measurement down; figures are read, never asserted. */
  figure (what, value, unit = 'ms') {
    this.t.diagnostic(`figure: ${what}: ${Math.round(value * 10) / 10} ${unit} (${this.kind})`)
  }

  /** Two fresh clients can still co-edit the room, and one that comes later sees the same. */
  async mustBeHealthy (room, { token = writer() } = {}) {
    const [a, b] = [this.client(room, { token }), this.client(room, { token })]
    await Promise.all([a.synced(), b.synced()])
    const mark = `mark-${Math.floor(this.dice.next() * 1e9)}`
    a.map.set(`${mark}-a`, 1)
    b.map.set(`${mark}-b`, 2)
    await converge([a, b], ({ map }) => map[`${mark}-a`] === 1 && map[`${mark}-b`] === 2)
    a.destroy()
    b.destroy()
  }

  /** No task of the server may have panicked, and the process must still be there. */
  mustBeAlive () {
    if (!this.server) return
    if (this.server.exit && !this.server.isStopped) {
      throw new Error(`expected: a living server\nseen: ${show(this.server.exit)}`)
    }
    const from = this.logFrom ?? 0
    const panic = this.server.lines.findIndex((line, at) => at >= from && /panicked at/.test(line))
    if (panic >= 0) {
      throw new Error(`expected: no panic\nseen: ${this.server.lines.slice(panic, panic + 6).join('\n')}`)
    }
  }

  explain (error) {
    const seeded = error instanceof Error ? error : new Error(String(error))
    const again = `\nagain with: ROUNDTABLE_TEST_SEED=${SEED}`
    seeded.message += again
    seeded.stack += again
    return this.server && !seeded.stack.includes('--- server (') ? this.server.explain(seeded) : seeded
  }

  async clear () {
    for (const end of this.left.reverse()) await end()
  }

  admin (method, room, rest = '', options = {}) {
    return this.server.room(room, rest, { method, token: admin(), ...options })
  }
}

let rooms = 0
export { converge }
