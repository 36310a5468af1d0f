// Shows that nobody gets in without a token that grants it, by every way a token can come.
import assert from 'node:assert/strict'
import * as Y from 'yjs'
import { buffers, NOTHING, step2, update } from './lib/frames.mjs'
import { Raw } from './lib/raw.mjs'
import { run } from './lib/server.mjs'
import { converge, onEachStore } from './lib/stage.mjs'
import { admin, epochSeconds, reader, SECRET, sign, writer } from './lib/token.mjs'

const edit = (key = 'edit') => {
  const doc = new Y.Doc()
  doc.getMap('map').set(key, true)
  return Y.encodeStateAsUpdate(doc)
}

/** For a server that is expected to refuse to start. */
const BRIEF = { withinMs: 20_000 }

/** Tokens that open nothing, and why. */
const bad = () => ({
  garbage: 'garbage',
  empty: 'a..b',
  'two parts': writer().split('.').slice(0, 2).join('.'),
  'wrong key': sign({ sub: 'ada', exp: epochSeconds(60), rooms: { '*': 'write' } }, { secret: 'x'.repeat(40) }),
  expired: writer('ada', { seconds: -120 }),
  'not yet valid': sign({ sub: 'ada', exp: epochSeconds(900), nbf: epochSeconds(600), rooms: { '*': 'write' } }),
  'without exp': sign({ sub: 'ada', rooms: { '*': 'write' } }),
  'without sub': sign({ exp: epochSeconds(60), rooms: { '*': 'write' } }),
  'empty sub': sign({ sub: '', exp: epochSeconds(60), rooms: { '*': 'write' } }),
  'algorithm none': sign(
    { sub: 'ada', exp: epochSeconds(60), rooms: { '*': 'write' } }, { header: { alg: 'none', typ: 'JWT' } }
  ),
  'another algorithm': sign(
    { sub: 'ada', exp: epochSeconds(60), rooms: { '*': 'write' } }, { header: { alg: 'HS512', typ: 'JWT' } }
  ),
  'tampered claims': writer().replace(/\.[^.]+\./, `.${Buffer.from(JSON.stringify({
    sub: 'root', exp: epochSeconds(60), admin: true
  })).toString('base64url')}.`)
})

onEachStore('access', (check) => {
  check('YW10 a token is taken from the query, the header or the subprotocol', async (scene) => {
    const room = scene.room()
    const token = writer('ada')
    const clients = [
      scene.client(room, { token }),
      scene.client(room, { token: null, headers: { authorization: `Bearer ${token}` } }),
      scene.client(room, { token: null, protocols: [`bearer.${token}`] }),
      scene.client(room, { token: null, protocols: ['roundtable.v1', `bearer.${token}`] })
    ]
    await Promise.all(clients.map((client) => client.synced()))
    clients.forEach((client, i) => client.map.set(`way${i}`, true))
    await converge(clients, ({ map }) => Object.keys(map).length === 4)
    assert.equal(clients[2].sockets[0].protocol, `bearer.${token}`, 'browsers insist on the echo')
    assert.equal(clients[3].sockets[0].protocol, 'roundtable.v1')
    const py = await scene.pycrdt(room, { token: null, headers: { authorization: `Bearer ${token}` } })
    await py.until('the four keys', () => Object.keys(py.contents().map).length === 4)
  })

  check('YW11 a missing or bad token is answered with 401 at the upgrade', async (scene) => {
    const base = scene.server.ws
    const room = scene.room()
    const ways = (token) => [
      { base, room, token: encodeURIComponent(token) },
      { base, room, headers: { authorization: `Bearer ${token}` } }
    ]
    const missing = await Raw.upgrade({ base, room })
    assert.equal(missing.status, 401)
    mustBeProblem(missing, 'unauthenticated')
    for (const [why, token] of Object.entries(bad())) {
      for (const way of ways(token)) {
        const answer = await Raw.upgrade(way)
        assert.equal(answer.status, 401, `${why}: ${JSON.stringify(answer)}`)
        mustBeProblem(answer, 'unauthenticated')
      }
    }
    await scene.mustBeHealthy(room)
  })

  check('YW12 a token without a grant for the room is answered with 403, whether or not there is one', async (scene) => {
    const base = scene.server.ws
    const room = scene.room('project:42/')
    await scene.mustBeHealthy(room)
    for (const rooms of [undefined, {}, { other: 'write' }, { 'project:4': 'write' }, { 'project:43*': 'write' }]) {
      const token = sign({ sub: 'eve', exp: epochSeconds(60), rooms })
      for (const name of [room, scene.room('project:42/never')]) {
        const answer = await Raw.upgrade({ base, room: name, token })
        assert.equal(answer.status, 403, `${JSON.stringify(rooms)}: ${JSON.stringify(answer)}`)
        mustBeProblem(answer, 'forbidden')
      }
    }
  })

  check('YW13 the longest pattern that fits a room decides', async (scene) => {
    const name = scene.room('table:1-')
    const token = sign({
      sub: 'ada', exp: epochSeconds(60), rooms: { '*': 'read', 'table:*': 'write', [name]: 'read' }
    })
    const other = scene.room('table:2-')
    const [a, b] = [scene.client(name, { token }), scene.client(other, { token })]
    await Promise.all([a.synced(), b.synced()])
    a.map.set('a', 1)
    await a.until('a refusal', () => a.refusals.length > 0)
    b.map.set('b', 1)
    const witness = await scene.client(other).synced()
    await witness.until('b', () => witness.map.get('b') === 1)
    assert.deepEqual(b.refusals, [])
  })

  check('YW14 a reader changes nothing, is told so, and receives what others write', async (scene) => {
    const room = scene.room()
    const ada = await scene.client(room, { token: writer('ada') }).synced()
    ada.map.set('first', 1)
    const rob = await scene.client(room, { token: reader('rob'), user: { name: 'rob' } }).synced()
    await rob.until('the first edit', () => rob.map.get('first') === 1)
    assert.deepEqual(rob.refusals, [], 'nothing was refused yet')
    rob.map.set('forbidden', true)
    await rob.until('a refusal in an auth message', () => rob.refusals.length > 0)
    assert.ok(rob.refusals[0].length > 0, 'with a reason')
    ada.map.set('second', 2)
    await rob.until('the second edit', () => rob.map.get('second') === 2)
    assert.equal(ada.map.get('forbidden'), undefined)
    const late = await scene.client(room).synced()
    assert.deepEqual(late.map.toJSON(), { first: 1, second: 2 })
    const { json } = await scene.admin('GET', room, '/doc')
    assert.deepEqual(json, { map: { first: 1, second: 2 } })
    await ada.until('the reader to be present', () => ada.others().some(([, s]) => s.user?.id === 'rob'))
    assert.equal(rob.provider.wsconnected, true, 'and is not closed for it')
    // What it wrote offline does not slip in with a SyncStep2 either.
    rob.leave()
    rob.map.set('offline', true)
    const told = rob.refusals.length
    rob.join()
    await rob.synced()
    await rob.until('a refusal of the offline edit', () => rob.refusals.length > told)
    ada.map.set('third', 3)
    await rob.until('the third edit', () => rob.map.get('third') === 3)
    const { json: after } = await scene.admin('GET', room, '/doc')
    assert.deepEqual(after, { map: { first: 1, second: 2, third: 3 } })
  })

  check('YW15 a connection ends with 4401 when its token expires, and stays away', async (scene) => {
    const room = scene.room()
    const ada = scene.client(room, { token: writer('ada', { seconds: 3 }), user: { name: 'ada' } })
    const bob = scene.client(room, { token: writer('bob'), user: { name: 'bob' } })
    await Promise.all([ada.synced(), bob.synced()])
    ada.map.set('in time', true)
    await bob.until('the edit', () => bob.map.get('in time'))
    const { code } = await ada.closed()
    assert.equal(code, 4401)
    assert.equal(ada.sockets.length, 1, 'y-websocket takes it as final')
    ada.map.set('too late', true)
    await bob.until('ada to be gone', () => !bob.others().some(([, s]) => s.user?.id === 'ada'))
    bob.map.set('still', 'here')
    const late = await scene.client(room).synced()
    await late.until('the later edit', () => late.map.get('still') === 'here')
    assert.equal(late.map.get('too late'), undefined)
    // With a fresh token the same client is back, and brings what it has.
    ada.provider.params = { token: writer('ada') }
    ada.join()
    await late.until('what was written in between', () => late.map.get('too late'))
  })

  check('YW16 tokens are in no log, at any level', async (scene) => {
    await scene.serve({ env: { RUST_LOG: 'trace' } })
    const room = scene.room()
    const token = writer('secretive')
    const refused = bad()['wrong key']
    const ways = [
      { token }, { token: null, headers: { authorization: `Bearer ${token}` } },
      { token: null, protocols: [`bearer.${token}`] }
    ]
    for (const way of ways) await scene.client(room, way).synced()
    await Raw.upgrade({ base: scene.server.ws, room, token: refused })
    await Raw.upgrade({ base: scene.server.ws, room, protocols: [`bearer.${refused}`] })
    await scene.server.room(room, '', { token })
    await scene.server.request('GET', `/api/v1/rooms/${room}?token=${token}`)
    await scene.server.request('GET', `/api/v1/rooms/${room}?token=${refused}`)
    await scene.server.stop()
    const log = scene.server.log()
    for (const one of [token, refused]) {
      const [, claims, signature] = one.split('.')
      for (const part of [claims, signature]) assert.ok(!log.includes(part), 'a token is in the log')
    }
  })

  check('YW17 `roundtable token` mints what the server takes', async (scene) => {
    const room = scene.room('p')
    const minted = await run([
      'token', '--sub', 'u1', '--name', 'Ada', '--room', 'p*=write', '--expires', '15m', '--jwt-secret', SECRET
    ])
    assert.equal(minted.code, 0, minted.stderr)
    const token = minted.stdout.trim().split(/\s+/).pop()
    const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString())
    assert.equal(claims.sub, 'u1')
    assert.equal(claims.name, 'Ada')
    assert.deepEqual(claims.rooms, { 'p*': 'write' })
    const inFifteenMinutes = epochSeconds(900)
    assert.ok(Math.abs(claims.exp - inFifteenMinutes) <= 60, `exp ${claims.exp}, expected ${inFifteenMinutes}`)
    await scene.mustBeHealthy(room, { token })
  })

  check('LI1 every HTTP route answers 401 without a good token and 403 without a grant', async (scene) => {
    const room = scene.room()
    await scene.mustBeHealthy(room)
    const path = `/api/v1/rooms/${encodeURIComponent(room)}`
    const body = buffers(NOTHING, edit())
    const routes = [
      ['GET', '/api/v1/rooms'], ['GET', path], ['DELETE', path], ['GET', `${path}/doc`],
      ['POST', `${path}/sync`, body], ['GET', `${path}/changes?since=0`], ['GET', '/api/v1/conflicts'],
      ['GET', '/api/v1/audit'], ['POST', '/api/v1/sync/broadcast', body], ['POST', '/api/v1/sync/cleanup', body]
    ]
    const forAnyToken = [
      ['GET', '/api/v1/sync/poll'], ['POST', '/api/v1/sync/send', body], ['GET', '/api/v1/sync/status'],
      ['GET', '/api/v1/sync/stats'], ['POST', '/api/v1/sync/batch-changes', body],
      ['POST', '/api/v1/conflicts/00000000-0000-7000-8000-000000000000/resolve', body]
    ]
    const headers = { 'content-type': 'application/octet-stream' }
    const tokens = { missing: undefined, ...bad() }
    for (const [method, route, sent] of [...routes, ...forAnyToken]) {
      for (const [why, token] of Object.entries(tokens)) {
        const answer = await scene.server.request(method, route, { token, body: sent, headers: sent && headers })
        assert.equal(answer.status, 401, `${method} ${route}, token ${why}: ${answer.status}`)
        mustBeProblem(answer, 'unauthenticated')
        assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer/i)
      }
    }
    for (const [method, route, sent] of routes) {
      const stranger = sign({ sub: 'eve', exp: epochSeconds(60), rooms: { other: 'write' } })
      const answer = await scene.server.request(method, route, { token: stranger, body: sent, headers: sent && headers })
      assert.equal(answer.status, 403, `${method} ${route}, another room's token: ${answer.status}`)
      mustBeProblem(answer, 'forbidden')
    }
    for (const [method, route, sent, token] of [
      ['GET', '/api/v1/rooms', undefined, writer()], ['DELETE', path, undefined, writer()],
      ['POST', `${path}/sync`, body, reader()]
    ]) {
      const answer = await scene.server.request(method, route, { token, body: sent, headers: sent && headers })
      assert.equal(answer.status, 403, `${method} ${route} with too small a grant: ${answer.status}`)
      mustBeProblem(answer, 'forbidden')
    }
    const { json } = await scene.server.request('GET', `/api/v1/rooms?prefix=${encodeURIComponent(room)}`, {
      token: admin()
    })
    assert.equal(json.rooms.length, 1, 'the room is still there')
    assert.equal((await scene.server.request('GET', '/healthz')).status, 200, 'open without a token')
    assert.equal((await scene.server.request('GET', '/readyz')).status, 200, 'open without a token')
  })

  check('YW18 an upgrade from a foreign origin is refused', async (scene) => {
    const base = scene.server.ws
    const room = scene.room()
    const token = writer()
    const foreign = await Raw.upgrade({ base, room, token, headers: { origin: 'https://evil.example' } })
    assert.equal(foreign.status, 403, JSON.stringify(foreign))
    const own = await Raw.upgrade({ base, room, token, headers: { origin: scene.server.http } })
    assert.equal(own.status, 101)
    await scene.serve({ args: ['--allowed-origins', 'https://app.example,https://b.example'] })
    for (const [origin, status] of [
      ['https://app.example', 101], ['https://b.example', 101], [scene.server.http, 101],
      ['https://app.example.evil.example', 403], ['null', 403]
    ]) {
      const answer = await Raw.upgrade({ base: scene.server.ws, room, token, headers: { origin } })
      assert.equal(answer.status, status, `origin ${origin}: ${JSON.stringify(answer)}`)
    }
  })

  check('YW19 a token sent as an update is not let in twice: grants are per connection', async (scene) => {
    const room = scene.room()
    const rob = await scene.raw(room, { token: reader('rob') })
    for (const frame of [update(edit('a')), step2(edit('b'))]) {
      const before = rob.frames.filter((f) => f.type === 2).length
      rob.send(frame)
      await rob.frame('a refusal', () => rob.frames.filter((f) => f.type === 2).length > before)
    }
    const { json } = await scene.admin('GET', room)
    assert.equal(json.version, 0, 'nothing was kept')
  })
})

onEachStore('--dev', (check) => {
  check('YW20 with --dev anybody gets in, and on a public address it does not start', async (scene) => {
    await scene.serve({ auth: ['--dev'] })
    const room = scene.room()
    const clients = [scene.client(room, { token: null }), scene.client(room, { token: null })]
    await Promise.all(clients.map((client) => client.synced()))
    clients[0].map.set('a', 1)
    await converge(clients, ({ map }) => map.a === 1)
    const { url } = scene.server.options.store
    const open = await run(['serve', '--dev', '--listen', '0.0.0.0:0', '--database-url', url], BRIEF)
    assert.notEqual(open.code, 0)
    assert.match(open.stderr + open.stdout, /--dev|loopback/)
  })

  check('YW21 with neither a key nor --dev it does not start, and says what to set', async (scene) => {
    const { url } = scene.stage.store
    const none = await run(['serve', '--listen', '127.0.0.1:0', '--database-url', url], BRIEF)
    assert.notEqual(none.code, 0)
    assert.match(none.stderr + none.stdout, /--jwt-secret/)
    assert.match(none.stderr + none.stdout, /--dev/)
    const short = await run(
      ['serve', '--listen', '127.0.0.1:0', '--database-url', url, '--jwt-secret', 'short'], BRIEF
    )
    assert.notEqual(short.code, 0)
    assert.match(short.stderr + short.stdout, /32/)
    assert.ok(!(short.stderr + short.stdout).includes("'short'"), 'a secret is not repeated')
  })
}, { own: true })

function mustBeProblem (answer, code) {
  const type = answer.type ?? answer.headers['content-type']
  assert.match(type, /^application\/problem\+json/)
  const json = answer.json ?? JSON.parse(answer.body)
  assert.equal(json.code, code)
  assert.equal(json.status, answer.status)
}
