// Shows what takes time: a quiet client stays, an endless handshake and a silent connection do not. Both stores are
// tried at once, and all tests of this file side by side.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Scene } from './lib/stage.mjs'
import { Server } from './lib/server.mjs'
import { openStore, STORES } from './lib/store.mjs'
import { writer } from './lib/token.mjs'
import { Tcp } from './lib/raw.mjs'
import { pass, poll, until } from './lib/wait.mjs'

/** y-websocket closes a connection that brought no data for 30 seconds, looking every three. */
const QUIET_MS = 36_000

/** Everything that has to end here ends by itself well before this. */
const PATIENCE = { withinMs: 150_000 }

for (const kind of STORES) {
  describe(`patience (${kind})`, { concurrency: true }, () => {
    const stage = { kind, args: [], env: {} }
    before(async () => {
      stage.store = await openStore(kind)
      stage.server = await Server.start({ store: stage.store })
    })
    after(async () => {
      await stage.server?.stop()
      await stage.store?.drop()
    })
    const check = (name, body) => test(name, { timeout: 200_000 }, async (t) => {
      const scene = new Scene(t, stage)
      try {
        await body(scene)
        scene.mustBeAlive()
      } catch (error) {
        throw scene.explain(error)
      } finally {
        await scene.clear()
      }
    })

    check('YW30 a quiet client stays connected: some data comes before it loses patience', async (scene) => {
      const room = scene.room('quiet')
      // Without a state of its own there is not even its own renewed awareness to hear.
      const silent = scene.client(room, { user: null, record: true })
      const usual = scene.client(room, { user: { name: 'usual' } })
      const alone = scene.client(scene.room('alone'), { user: null })
      await Promise.all([silent, usual, alone].map((client) => client.synced()))
      const py = await scene.pycrdt(room)
      await pass(QUIET_MS)
      for (const client of [silent, usual, alone]) {
        assert.equal(client.sockets.length, 1, `reconnected after ${JSON.stringify(client.closes)}`)
        assert.equal(client.provider.wsconnected, true)
      }
      silent.map.set('still', 'here')
      await usual.until('the edit', () => usual.map.get('still') === 'here')
      await py.until('the edit', () => py.contents().map.still === 'here')
    })

    check('HP21 a quiet provider stays connected, and a socket without anybody let in is closed', async (scene) => {
      const stranger = await scene.wire()
      const quiet = [4, 3].map((line) => scene.document(scene.room('quiet'), { line, awareness: null }))
      const denied = scene.document(scene.room('denied'), { socket: quiet[0].socket, token: 'none', awareness: null })
      await Promise.all(quiet.map((document) => document.synced()))
      await denied.until('its refusal', () => denied.denials.length === 1)
      await pass(QUIET_MS)
      for (const document of quiet) {
        assert.deepEqual([document.socket.sockets.length, document.socket.closes], [1, []])
        document.map.set('still', 'here')
        await document.saved()
      }
      const closed = await until('the close', () => stranger.closed, { on: [[stranger, 'closed']], ...PATIENCE })
      assert.deepEqual(closed, { code: 4508, reason: 'idle' })
    })

    check('LI20 a request that never ends is cut', async (scene) => {
      const began = performance.now()
      const head = 'GET /healthz HTTP/1.1\r\nHost: x\r\n'
      const beginnings = {
        'nothing at all': '', 'half a line': 'GET /ws/room HT', 'a head without an end': head,
        'a head that drips': head
      }
      const open = []
      for (const [what, bytes] of Object.entries(beginnings)) {
        const tcp = await Tcp.open(scene.server.port)
        scene.later(() => tcp.destroy())
        tcp.write(bytes)
        if (what === 'a head that drips') {
          const drip = setInterval(() => tcp.write('X-Drip: 1\r\n'), 500)
          scene.later(() => clearInterval(drip))
        }
        open.push(tcp.until(`the connection with ${what} to be cut`, () => tcp.isEnded, PATIENCE).then(() =>
          scene.figure(`${what}: cut after`, (performance.now() - began) / 1000, 's')))
      }
      await Promise.all(open)
      await scene.mustBeHealthy(scene.room('after'))
    })

    check('LI21 a connection that went silent is let go', async (scene) => {
      const room = scene.room('half-open')
      const proxy = await scene.proxy()
      const lost = await scene.client(room, { via: proxy, token: writer('lost'), user: { name: 'lost' } }).synced()
      const witness = await scene.client(room, { token: writer('witness'), user: { name: 'w' } }).synced()
      await witness.until('the other', () => witness.others().length === 1)
      const began = performance.now()
      // The client tries again by itself, and does not get through either.
      proxy.refuse()
      proxy.freeze()
      await poll('one connection in the room', async () => {
        const { json } = await scene.admin('GET', room)
        return { ok: json.connections === 1, connections: json.connections }
      }, { everyMs: 500, ...PATIENCE })
      scene.figure('half-open connection let go after', (performance.now() - began) / 1000, 's')
      await witness.until('the other to be gone', () => witness.others().length === 0, PATIENCE)
    })
  })
}
