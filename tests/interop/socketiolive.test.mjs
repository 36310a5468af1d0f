// Shows that nothing is lost to a Socket.IO client: bursts, slow readers, broken connections, restarts; and what it is
// told where it may not, or cannot, go on.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import WebSocket from 'ws'
import { onEachStore } from './lib/stage.mjs'
import { admin, epochSeconds, reader, sign, writer } from './lib/token.mjs'
import { poll } from './lib/wait.mjs'

const FRAME_BYTES = 256 * 1024

const versions = (events) => events.map((it) => it.version)
const upTo = (last, first = 1) => Array.from({ length: last - first + 1 }, (_, at) => at + first)

onEachStore('socket.io, all of it', (check) => {
  for (const transports of [['websocket'], ['polling']]) {
    check(`SI7 a burst of 2,000 changes arrives complete and in order over ${transports}`, async (scene) => {
      const table = scene.room('t')
      const [ada, bob] = [await scene.socket({ transports }), await scene.socket({ token: writer('bob') })]
      await ada.subscribe(table)
      const begin = performance.now()
      const answers = await Promise.all(upTo(2_000).map((n) => bob.change(table, `r${n % 10}`, 'n', n)))
      scene.figure(`2,000 changes answered, heard over ${transports}`, performance.now() - begin)
      assert.deepEqual(versions(answers), upTo(2_000))
      assert.ok(answers.every((it) => it.ok))
      await ada.until('the last change', () => ada.events().length >= 2_000)
      assert.deepEqual(versions(ada.events()), upTo(2_000))
      assert.deepEqual(ada.events().map((it) => it.changes[0].newValue), upTo(2_000))
      assert.deepEqual([ada.connects, bob.connects, ada.of('error'), bob.of('error')], [1, 1, [], []])
    })
  }

  check('SI8 a client that does not read falls behind, costs little, and is given all that it missed', async (scene) => {
    const table = scene.room('t')
    const [ada, bob] = [await scene.socket(), await scene.socket({ token: writer('bob') })]
    await ada.subscribe(table)
    await bob.change(table, 'r', 'n', 'first')
    await ada.hears('record_change')
    ada.pause()
    const text = 'x'.repeat(3_000)
    for (let n = 2; n <= 2_001; n += 100) {
      await Promise.all(upTo(n + 99, n).map((it) => bob.change(table, 'r', 'n', `${it}${text}`)))
    }
    ada.resume()
    await ada.until('the last change', () => ada.events().length >= 2_001)
    assert.deepEqual(versions(ada.events()), upTo(2_001))
    assert.equal(ada.connects, 1)
    assert.deepEqual(ada.of('error'), [])
  })

  check('SI9 who breaks off and recovers in time never left: others hear that it is back', async (scene) => {
    const table = scene.room('t')
    const [ada, bob] = [await scene.socket(), await scene.socket({ token: writer('bob') })]
    await ada.subscribe(table)
    await bob.subscribe(table)
    await bob.change(table, 'r', 'n', 1)
    await ada.hears('user_joined')
    bob.drop()
    await bob.connected(2)
    await ada.change(table, 'r', 'n', 2)
    bob.told.length = 0
    const answer = await bob.ask('recover_connection', { tableId: table, viewId: 'grid', lastVersion: 1 })
    assert.deepEqual(answer, { ok: true, version: 2, missedEventsCount: 1 })
    assert.deepEqual(bob.of('missed_events').map(versions), [[2]])
    const { timestamp, missedEventsCount } = await bob.hears('connection_recovered')
    assert.ok(Date.parse(timestamp) > 0)
    assert.equal(missedEventsCount, 1)
    assert.equal((await ada.hears('user_reconnected')).userId, 'bob')
    // Who asks for two things at once has both.
    bob.told.length = 0
    const both = await Promise.all([
      bob.ask('recover_connection', { tableId: table, viewId: 'grid', lastVersion: 0 }), bob.subscribe(table)
    ])
    assert.deepEqual(both, [{ ok: true, version: 2, missedEventsCount: 2 }, { ok: true, version: 2 }])
    assert.deepEqual(bob.of('missed_events').map(versions), [[1, 2]])
    await ada.change(table, 'r', 'n', 3)
    await bob.hears('record_change', (it) => it.version === 3)
    // The lost connection lapses meanwhile; bob does not.
    await poll('the lost connection to lapse', async () => {
      const { json } = await scene.server.room(`table:${table}`, '/presence', { token: writer() })
      return { ok: json.users.filter((it) => it.userId === 'bob').length === 1, users: json.users }
    })
    bob.send('cursor_position', { tableId: table, cursor: { recordId: 'r' } })
    await ada.hears('cursor_position', (it) => it.userId === 'bob')
    assert.deepEqual(ada.of('user_left'), [])
    assert.equal(ada.of('user_joined').length, 1)
    const [other] = await ada.ask('recover_connection', { tableId: table, lastVersion: 3 }).then((it) => [it])
    assert.deepEqual(other, { ok: true, version: 3, missedEventsCount: 0 })
  })

  check('SI10 a bad token is a connect_error that says why, whatever the transport', async (scene) => {
    const refused = async (auth, more = {}) => {
      const client = await scene.socket({ token: null, auth, wait: false, reconnection: false, ...more })
      const { detail } = await client.state('connect_error')
      client.destroy()
      return detail
    }
    const expired = sign({ sub: 'ada', exp: epochSeconds(-60), rooms: { '*': 'write' } })
    for (const transports of [['websocket'], ['polling']]) {
      assert.match(await refused({}, { transports }), /^unauthenticated: a token is required/)
      assert.match(await refused({ token: 'x.y.z' }, { transports }), /^unauthenticated: the token is refused/)
      assert.match(await refused({ token: expired }, { transports }), /^unauthenticated: the token has expired/)
    }
    const byQuery = await scene.socket({ token: null, query: { token: writer('bob') } })
    const byHeader = await scene.socket({ token: null, extraHeaders: { authorization: `Bearer ${writer('eve')}` } })
    for (const client of [byQuery, byHeader]) assert.equal((await client.subscribe(scene.room('t'))).ok, true)
    await poll('both to be noted', async () => {
      const { json: { audit } } = await scene.server.request('GET', '/api/v1/audit?limit=100', { token: admin() })
      const seen = audit.filter((it) => it.detail.path === '/socket.io/').map((it) => `${it.action} ${it.allowed}`)
      return { ok: seen.includes('join true') && seen.includes('token false'), audit }
    })
  })

  check('SI11 a connection ends with its token, unless a fresh one of the same user came', async (scene) => {
    const table = scene.room('t')
    const token = writer('ada', { seconds: 3 })
    const [stays, goes] = [await scene.socket({ token }), await scene.socket({ token, reconnection: false })]
    await stays.subscribe(table)
    await goes.subscribe(table)
    const other = await stays.ask('authenticate', { token: writer('bob') })
    assert.deepEqual([other.ok, other.code], [false, 'forbidden'])
    assert.deepEqual(await stays.ask('authenticate', { token: writer('ada') }), { ok: true })
    const { detail } = await goes.state('disconnect')
    assert.equal(detail, 'io server disconnect')
    assert.equal((await goes.hears('error')).code, 'unauthenticated')
    assert.equal((await stays.change(table, 'r', 'n', 1)).ok, true)
    assert.equal(stays.connects, 1)
  })

  check('SI12 who may only read hears and is seen, and changes nothing', async (scene) => {
    const table = scene.room('t')
    const [ada, rob] = [await scene.socket(), await scene.socket({ token: reader('rob') })]
    await ada.subscribe(table)
    assert.equal((await rob.subscribe(table)).ok, true)
    await ada.hears('user_joined')
    await ada.change(table, 'r', 'n', 1)
    for (const client of [ada, rob]) await client.hears('record_change')
    const refused = await rob.change(table, 'r', 'n', 2)
    assert.deepEqual([refused.ok, refused.code], [false, 'forbidden'])
    assert.equal((await rob.hears('error')).tableId, table)
    rob.send('sync_offline_changes', [{ id: 'o', type: 'update', entityId: 'r', tableId: table, version: 1, changes: [] }])
    await rob.hears('offline_sync_complete')
    assert.equal(rob.of('error').length, 2)
    const none = await scene.socket({ token: writer('nob', { rooms: { other: 'write' } }) })
    const nothing = await none.subscribe(table)
    assert.deepEqual([nothing.ok, nothing.code], [false, 'forbidden'])
    assert.deepEqual(none.of('error').map((it) => it.code), ['forbidden'])
    assert.deepEqual(versions(ada.events()), [1])
  })

  check('SI13 what a room cannot replay is its state, and why', async (scene) => {
    const table = scene.room('t')
    const room = `table:${table}`
    const [ada, bob] = [await scene.socket(), await scene.socket({ token: writer('bob') })]
    await ada.subscribe(table)
    for (const n of [1, 2, 3]) await bob.change(table, `r${n}`, 'n', n)
    await ada.until('three changes', () => ada.events().length === 3)
    const { metadata: { epoch }, id } = ada.events().at(-1)
    const ahead = await bob.ask('recover_connection', { tableId: table, lastVersion: 99 })
    assert.deepEqual(ahead, { ok: true, version: 3, code: 'ahead' })
    assert.equal(bob.of('error').at(-1).code, 'ahead')
    const records = [1, 2, 3].map((n) => ({ recordId: `r${n}`, fields: { n } }))
    assert.deepEqual(bob.of('table_state').at(-1), { tableId: table, epoch, version: 3, reason: 'ahead', records })
    assert.equal((await scene.admin('DELETE', room)).status, 204)
    assert.equal((await ada.hears('error')).code, 'room_deleted')
    await bob.change(table, 'new', 'n', 1)
    const answer = await ada.ask('recover_connection', { tableId: table, lastEventId: id })
    assert.deepEqual([answer.code, answer.version], ['epoch_changed', 1])
    assert.deepEqual(ada.of('table_state').at(-1).records, [{ recordId: 'new', fields: { n: 1 } }])
    await bob.change(table, 'new', 'n', 2)
    await ada.hears('record_change', (it) => it.version === 2 && it.metadata.epoch !== epoch)
    assert.deepEqual([ada.of('missed_events'), ada.of('connection_recovered')], [[], []])
  })

  for (const isProbed of [false, true]) {
    const when = isProbed ? 'after' : 'before'
    check(`SI41 a WebSocket that is cut ${when} it is tried ends the polling before it, and the client is back`, async (scene) => {
      const table = scene.room('t')
      const ada = await scene.socket({ transports: ['polling'] })
      await ada.subscribe(table)
      const address = `${scene.server.http.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`
      const socket = new WebSocket(`${address}&sid=${ada.engine.id}`)
      await once(socket, 'open')
      if (isProbed) {
        socket.send('2probe')
        await once(socket, 'message')
      }
      socket.terminate()
      await ada.connected(2)
      assert.equal((await ada.subscribe(table)).ok, true)
      assert.deepEqual(await ada.change(table, 'r1', 'f', 'x', { type: 'create' }), { ok: true, version: 1 })
    })
  }

  check('PR30 a guest who has no name that can be read hides nobody', async (scene) => {
    const server = await scene.serve({ auth: ['--dev'] })
    const table = scene.room('t')
    const yjs = await scene.client(`table:${table}`, { token: null, user: { name: 5, avatar: {} } }).synced()
    const ada = await scene.socket({ token: null })
    const bob = await scene.client(`table:${table}`, { token: null }).synced()
    await bob.until('the guest', () => bob.others().length === 1)
    assert.deepEqual(await ada.subscribe(table), { ok: true, version: 0 })
    const { userName } = (await ada.hears('table_users')).find((it) => it.userName.startsWith('guest-'))
    yjs.awareness.setLocalState({ user: { name: 'Eve' }, cursor: { x: 1 } })
    await ada.hears('cursor_position', (it) => it.userId === userName)
    assert.deepEqual(ada.of('error'), [])
    await server.stop()
  })

  check('SI14 what says nothing that can be done is an error, and the connection stays', async (scene) => {
    const table = scene.room('t')
    const [ada, bob] = [await scene.socket(), await scene.socket({ token: writer('bob') })]
    await ada.subscribe(table)
    const events = [['fly', {}], ['subscribe_to_table'], ['record_change', 7], ['record_change', { tableId: table }],
      ['cursor_position', { tableId: 'elsewhere', cursor: {} }], ['sync_offline_changes', {}],
      ['record_change', { type: 'update', tableId: table, recordId: 'r', picture: Buffer.from('x') }],
      ['recover_connection', { tableId: '' }], ['subscribe:project', null]]
    for (const [event, ...bodies] of events) {
      const before = bob.of('error').length
      const answer = await bob.ask(event, ...bodies)
      assert.equal(answer.ok, false, event)
      assert.equal(bob.of('error').length, before + 1, event)
      assert.equal(bob.of('error').at(-1).code, answer.code, event)
      assert.match(bob.of('error').at(-1).message, /./)
    }
    assert.equal((await bob.change(table, 'r', 'n', 1)).ok, true)
    await ada.hears('record_change')
    assert.deepEqual([bob.connects, ada.of('error')], [1, []])
  })

  check('SI15 packets that cannot be read end their own connection', async (scene) => {
    const table = scene.room('t')
    const ada = await scene.socket()
    await ada.subscribe(table)
    for (const packet of ['4', '49', '42', '42{', '4299999999999999999999["a"]', '451-["a",{"_placeholder":true,"num":0}]', '4\u0000', '9', '43["a"]']) {
      const bob = await scene.socket({ token: writer('bob'), reconnection: false })
      bob.engine.transport.ws.send(packet)
      bob.engine.transport.ws.send(packet)
      bob.engine.transport.ws.send(Buffer.from([1, 2, 3]))
      bob.destroy()
    }
    const raw = await fetch(`${scene.server.http}/socket.io/?EIO=4&transport=polling&sid=nobody`, { method: 'POST', body: '40' })
    assert.equal(raw.status, 400)
    assert.equal((await fetch(`${scene.server.http}/socket.io/?EIO=3&transport=polling`)).status, 400)
    assert.equal((await fetch(`${scene.server.http}/socket.io/?EIO=4&transport=smoke`)).status, 400)
    const pages = { headers: { origin: 'https://elsewhere.example' } }
    assert.equal((await fetch(`${scene.server.http}/socket.io/?EIO=4&transport=polling`, pages)).status, 403)
    assert.equal((await ada.change(table, 'r', 'n', 1)).ok, true)
    await ada.hears('record_change')
    assert.equal(ada.connects, 1)
  })

  check('SI16 a flood ends its own connection with an error', async (scene) => {
    const table = scene.room('t')
    const [ada, bob] = [await scene.socket(), await scene.socket({ token: writer('bob'), reconnection: false })]
    await ada.subscribe(table)
    for (let n = 0; n < 12_000; n++) bob.send('heartbeat', { tableId: table })
    await bob.state('disconnect')
    assert.equal(bob.of('error').at(-1).code, 'too_many_requests')
    assert.equal((await ada.change(table, 'r', 'n', 1)).ok, true)
    assert.equal(ada.connects, 1)
  })
})

onEachStore('socket.io, large messages', (check) => {
  for (const transports of [['websocket'], ['polling']]) {
    check(`SI17 a message over the limit is refused with an error over ${transports}, and one below it passes`, async (scene) => {
      const table = scene.room('t')
      const [ada, bob] = [await scene.socket(), await scene.socket({ transports, token: writer('bob'), reconnection: false })]
      await ada.subscribe(table)
      const fits = await bob.change(table, 'r', 'n', 'x'.repeat(FRAME_BYTES - 2_000))
      assert.deepEqual(fits, { ok: true, version: 1 })
      assert.equal((await ada.hears('record_change')).changes[0].truncated, true)
      bob.send('record_change', { type: 'update', recordId: 'r', tableId: table, changes: [{ fieldId: 'n', newValue: 'x'.repeat(FRAME_BYTES) }] })
      const { detail } = await bob.state('disconnect')
      assert.equal(detail, 'io server disconnect')
      assert.equal(bob.of('error').at(-1).code, 'too_large')
      assert.equal((await ada.change(table, 'r', 'm', 1)).ok, true)
      assert.equal(ada.connects, 1)
    })
  }
}, { args: ['--max-frame-bytes', String(FRAME_BYTES)] })

onEachStore('socket.io, restarts', (check) => {
  for (const how of ['stop', 'kill']) {
    check(`SI18 who comes back after a restart (${how}) is told exactly what it missed`, async (scene) => {
      const server = await scene.serve()
      const table = scene.room('t')
      const ada = await scene.socket({ reconnection: false })
      const bob = await scene.socket({ token: writer('bob'), reconnection: false })
      await ada.subscribe(table)
      for (const n of upTo(20)) await bob.change(table, 'r', 'n', n)
      await ada.until('20 changes', () => ada.events().length === 20)
      const last = ada.events().at(-1)
      await server[how]()
      await ada.state('disconnect')
      if (how === 'stop') assert.ok(ada.of('drain')[0].retryAfterMs >= 0)
      await server.restart()
      const eve = await scene.socket({ token: writer('eve') })
      for (const n of upTo(120, 21)) await eve.change(table, 'r', 'n', n)
      ada.told.length = 0
      ada.socket.connect()
      await ada.connected(2)
      const answer = await ada.ask('recover_connection', { tableId: table, viewId: 'grid', lastEventId: last.id, lastVersion: last.version })
      assert.deepEqual(answer, { ok: true, version: 120, missedEventsCount: 100 })
      assert.deepEqual(ada.of('missed_events').map(versions), [upTo(120, 21)])
      assert.equal(ada.of('connection_recovered')[0].missedEventsCount, 100)
      await eve.change(table, 'r', 'n', 121)
      await ada.hears('record_change', (it) => it.version === 121)
    })
  }

  check('SI19 what was answered is there after kill -9, and versions go on without a gap', async (scene) => {
    const server = await scene.serve()
    const table = scene.room('t')
    const [ada, bob] = [await scene.socket(), await scene.socket({ token: writer('bob') })]
    await ada.subscribe(table)
    const acked = []
    const sent = upTo(1_000).map((n) => bob.socket.timeout(60_000).emitWithAck('record_change', {
      type: 'update', recordId: `r${n}`, tableId: table, baseId: 'b', opId: `o${n}`, changes: [{ fieldId: 'n', newValue: n }]
    }).then((answer) => acked.push([answer.version, `o${n}`]), () => {}))
    await ada.until('some changes', () => ada.events().length > 100)
    await server.kill()
    const heard = versions(ada.events())
    assert.deepEqual(heard, upTo(heard.length))
    bob.destroy()
    await server.restart()
    await ada.connected(2)
    ada.told.length = 0
    await ada.ask('recover_connection', { tableId: table, lastVersion: heard.length })
    const missed = ada.events()
    assert.deepEqual(versions(missed), upTo(heard.length + missed.length, heard.length + 1))
    const late = await scene.socket({ token: writer('eve') })
    await late.ask('recover_connection', { tableId: table, lastVersion: 0 })
    const all = new Map(late.events().map((it) => [it.version, it.metadata.opId]))
    for (const [version, op] of acked) assert.equal(all.get(version), op)
    await Promise.allSettled(sent)
  })
}, { own: true })
