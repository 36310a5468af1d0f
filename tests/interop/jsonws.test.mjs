// Shows that JSON clients follow rooms exactly, over WebSocket and as Server-Sent Events, whatever happens meanwhile.
import assert from 'node:assert/strict'
import { onEachStore } from './lib/stage.mjs'
import { reader, sign, epochSeconds, writer } from './lib/token.mjs'
import { poll } from './lib/wait.mjs'

const set = (recordId, fields, more = {}) =>
  ({ opId: `${recordId}-${JSON.stringify(fields)}`, type: 'upsert', collection: 'tasks', recordId, fields, ...more })

/** So many versions in a room, pushed in batches. */
async function write (client, room, count, { from = 0, size = 500 } = {}) {
  let reply
  for (let at = from; at < from + count; at += size) {
    const ops = Array.from({ length: Math.min(size, from + count - at) }, (_, i) => set(`r${at + i}`, { n: at + i }))
    reply = await client.push(room, ops)
    assert.ok(reply.results.every((result) => result.status === 'applied'), JSON.stringify(reply.results[0]))
  }
  return reply
}

/** Every version from `from` to `to` was told once and in order. */
function mustBeExact (client, room, from, to) {
  const versions = client.events(room).map((event) => event.version)
  assert.deepEqual(versions, Array.from({ length: to - from + 1 }, (_, i) => from + i))
  const messages = client.of('changes', room).map((message) => message.version)
  assert.deepEqual(messages, [...messages].sort((a, b) => a - b))
}

onEachStore('json', (check) => {
  check('JW1 a subscription begins with a snapshot, and then every change comes once and in order', async (scene) => {
    const room = scene.room()
    const [ada, bob] = [await scene.json(), await scene.json({ token: writer('bob') })]
    const begun = await ada.subscribe(room)
    assert.deepEqual(
      [begun.type, begun.version, begun.head, begun.recovery, begun.reason, begun.users, begun.document],
      ['subscribed', 0, 0, 'snapshot', 'new', [], {}]
    )
    const pushed = await bob.push(room, [set('r1', { a: 1 }), set('r2', { a: 2 })], { clientId: 'tab' })
    assert.deepEqual([pushed.type, pushed.room, pushed.epoch, pushed.version], ['pushed', room, begun.epoch, 2])
    assert.deepEqual(pushed.results.map((it) => [it.status, it.version]), [['applied', 1], ['applied', 2]])
    await ada.reaches(2)
    mustBeExact(ada, room, 1, 2)
    const [event] = ada.events(room)
    assert.deepEqual([event.userId, event.clientId, event.opId], ['bob', 'tab', 'r1-{"a":1}'])
    assert.deepEqual(bob.of('changes'), [], 'who only pushes is told of nothing')
    const late = await scene.json()
    const state = await late.subscribe(room)
    assert.deepEqual([state.version, state.document], [2, { tasks: { r1: { a: 1 }, r2: { a: 2 } } }])
  })

  check('JW2 messages that come in one go are answered one after the other, each', async (scene) => {
    const [room, other] = [scene.room(), scene.room()]
    const ada = await scene.json()
    await write(ada, room, 3, { size: 1 })
    ada.socket._socket.cork()
    const asked = [
      ada.subscribe(room, { since: { version: 1 } }), ada.subscribe(other), ada.subscribe(room),
      ada.push(other, [set('r', { a: 1 })]), ada.subscribe(other)
    ]
    ada.socket._socket.uncork()
    const told = await Promise.all(asked)
    assert.deepEqual(told.map((it) => it.type), ['subscribed', 'subscribed', 'subscribed', 'pushed', 'subscribed'])
    assert.deepEqual(ada.events(room).map((it) => it.version).slice(0, 2), [2, 3])
    assert.equal(told[2].version, 3)
  })

  check('JW9 more answers than a peer takes at a time all come', async (scene) => {
    const room = scene.room()
    const ada = await scene.json()
    await ada.push(room, [set('r', { big: 'x'.repeat(200_000) }, { opId: 'big' })])
    const again = (i) => ({ opId: `again-${i}`, type: 'create', collection: 'tasks', recordId: 'r', fields: { a: i } })
    const told = await Promise.all(Array.from({ length: 100 }, (_, i) => ada.push(room, [again(i)])))
    const sizes = new Set(told.map(({ results: [it] }) => `${it.status} ${it.record?.fields.big.length}`))
    assert.deepEqual([...sizes], ['rejected 200000'])
  })

  check('KE22 a room keeps at most so many versions; who comes from before them gets the state, `pruned`', async (scene) => {
    await scene.serve({ args: ['--max-log-versions', '8', '--snapshot-every', '4'] })
    const room = scene.room()
    const [ada, bob] = [await scene.json(), await scene.json({ token: writer('bob') })]
    const { epoch } = await bob.subscribe(room)
    await write(ada, room, 40, { size: 1 })
    // Pruning follows the snapshots, behind the edits.
    const oldest = await poll('old versions to go', async () => {
      const { json } = await scene.admin('GET', room)
      return { ok: json.oldestVersion > 28, value: json.oldestVersion, about: json }
    })
    assert.ok(oldest <= 33, `${oldest} to 40 is less than 8 versions`)
    await bob.reaches(40)
    mustBeExact(bob, room, 1, 40)
    const since = { epoch, version: 2 }
    const state = await (await scene.json()).subscribe(room, { since })
    assert.deepEqual([state.recovery, state.reason, state.version], ['snapshot', 'pruned', 40])
    assert.equal(Object.keys(state.document.tasks).length, 40)
    const stream = await scene.events(room, { lastId: `${epoch}:2` })
    const begun = await stream.told('subscribed', (message) => message.type === 'subscribed')
    assert.deepEqual([begun.recovery, begun.reason, begun.version], ['snapshot', 'pruned', 40])
    const { json } = await scene.admin('GET', room, `/changes?since=2&epoch=${epoch}`)
    assert.deepEqual([json.recovery, json.reason, json.version], ['snapshot', 'pruned', 40])
    const rest = await scene.admin('GET', room, `/changes?since=${oldest - 1}&epoch=${epoch}`)
    assert.equal(rest.json.recovery, 'replay')
    assert.deepEqual(rest.json.events.map((event) => event.version)[0], oldest)
  })

  check('JW6 a position is caught up with, replayed from, or answered with the state and the reason', async (scene) => {
    const room = scene.room()
    const ada = await scene.json()
    await write(ada, room, 5)
    const { json: { epoch } } = await scene.admin('GET', room)
    const at = async (since) => {
      const client = await scene.json()
      const { recovery, reason, version, head, document } = await client.subscribe(room, { since })
      return [recovery, reason, version, head, document && Object.keys(document.tasks).length, client]
    }
    assert.deepEqual((await at({ epoch, version: 5 })).slice(0, 5), ['caught_up', undefined, 5, 5, undefined])
    assert.deepEqual((await at({ epoch, version: 6 })).slice(0, 5), ['snapshot', 'ahead', 5, 5, 5])
    const other = '00000000-0000-4000-8000-000000000000'
    assert.deepEqual((await at({ epoch: other, version: 5 })).slice(0, 5), ['snapshot', 'epoch_changed', 5, 5, 5])
    for (const since of [{ epoch, version: 2 }, { version: 2 }]) {
      const [recovery, reason, version, head, document, client] = await at(since)
      assert.deepEqual([recovery, reason, version, head, document], ['replay', undefined, 2, 5, undefined])
      await client.reaches(5)
      mustBeExact(client, room, 3, 5)
    }
  })

  check('JW30 who is back while its old connection still looks alive gets what it missed, and is here once', async (scene) => {
    const room = scene.room()
    const proxy = await scene.proxy()
    const [bob, old] = [await scene.json({ token: writer('bob') }), await scene.json({ via: proxy })]
    const { epoch } = await bob.subscribe(room)
    await old.subscribe(room, { clientId: 'tab' })
    await old.ask({ type: 'presence', room, clientId: 'tab', state: { at: 1 } })
    await write(bob, room, 3)
    await old.reaches(3)
    proxy.freeze()
    await write(bob, room, 4, { from: 3 })
    const back = await scene.json()
    const begun = await back.subscribe(room, { clientId: 'tab', since: { epoch, version: 3 } })
    assert.deepEqual([begun.recovery, begun.version, begun.head], ['replay', 3, 7])
    await back.reaches(7)
    mustBeExact(back, room, 4, 7)
    await back.ask({ type: 'presence', room, clientId: 'tab', state: { at: 2 } })
    const told = (look) => bob.until('presence', () => bob.of('presence', room).some(look))
    await told((it) => it.updated.some((person) => person.state.at === 2))
    // The late end of the first connection is not the end of the second one's presence.
    for (const { server } of proxy.pairs) if (server.isPaused()) server.resetAndDestroy()
    const cleo = await scene.json({ token: writer('cleo') })
    await cleo.subscribe(room)
    await cleo.ask({ type: 'presence', room, clientId: 'c', state: {} })
    await told((it) => it.joined.some((person) => person.clientId === 'c'))
    await cleo.ask({ type: 'presence', room, clientId: 'c', state: null })
    await told((it) => it.left.some((person) => person.clientId === 'c'))
    assert.ok(!bob.of('presence', room).some((it) => it.left.some((person) => person.clientId === 'tab')))
    const { json } = await scene.admin('GET', room, '/presence')
    assert.deepEqual(json.users.map((person) => [person.clientId, person.state.at]), [['tab', 2]])
    await write(bob, room, 1, { from: 7 })
    await back.reaches(8)
    mustBeExact(back, room, 4, 8)
  })

  check('JW7 many rooms share a socket, and each is told of by its name', async (scene) => {
    const [one, two] = [scene.room(), scene.room()]
    const ada = await scene.json()
    await ada.subscribe(one)
    await ada.subscribe(two)
    await ada.push(one, [set('r1', { a: 1 })])
    await ada.push(two, [set('r1', { a: 1 }), set('r2', { a: 2 })])
    await ada.reaches(1, one)
    await ada.reaches(2, two)
    mustBeExact(ada, one, 1, 1)
    mustBeExact(ada, two, 1, 2)
    assert.equal((await ada.ask({ type: 'unsubscribe', room: one })).type, 'ok')
    await ada.push(one, [set('r2', { a: 2 })])
    await ada.push(two, [set('r3', { a: 3 })])
    await ada.reaches(3, two)
    mustBeExact(ada, one, 1, 1)
    const again = await ada.subscribe(one, { since: { version: 1 } })
    assert.equal(again.recovery, 'replay')
    await ada.reaches(2, one)
    mustBeExact(ada, one, 1, 2)
  })

  check('JW8 a message that cannot be read is closed with 4400, one that cannot be done is answered', async (scene) => {
    for (const garbage of ['x', '[]', '{}', '{"type":"ping","id":[]}', new Uint8Array([1, 2])]) {
      const client = await scene.json()
      client.send(garbage)
      assert.equal((await client.closed()).code, 4400, String(garbage))
    }
    const client = await scene.json({ token: reader() })
    const code = async (message) => (await client.ask(message)).code
    assert.equal(await code({ type: 'dance', id: 'a' }), 'unsupported')
    assert.equal(await code({ type: 'subscribe', room: '' }), 'malformed')
    assert.equal(await code({ type: 'push', room: scene.room(), ops: [set('r1', {})] }), 'forbidden')
    const pong = await client.ask({ type: 'ping', id: 'my "own"' })
    assert.deepEqual(pong, { type: 'pong', id: 'my "own"' })
  })

  check('JW9 a push is judged operation by operation, and what is wrong is rejected alone', async (scene) => {
    const room = scene.room()
    const ada = await scene.json()
    const ops = [set('r1', { a: 1 }), { opId: 'bad' }, set('r2', { a: 2 })]
    const { results } = await ada.push(room, ops)
    assert.deepEqual(results.map((it) => it.status), ['applied', 'rejected', 'applied'])
    assert.equal(results[1].error.code, 'malformed')
    const again = await ada.push(room, ops)
    assert.deepEqual(again.results.map((it) => it.status), ['duplicate', 'rejected', 'duplicate'])
    assert.equal((await ada.push(room, ops, { id: 'x' })).id, 'x')
  })

  check('JW10 a token comes with the upgrade or as a first message, and a bad one lets nobody in', async (scene) => {
    const room = scene.room()
    const token = writer('ada')
    const ways = [
      { token: null, headers: { authorization: `Bearer ${token}` } },
      { token: null, protocols: ['roundtable.v1', `bearer.${token}`] }
    ]
    for (const way of ways) assert.equal((await (await scene.json(way)).subscribe(room)).type, 'subscribed')
    await assert.rejects(scene.json({ token: 'garbage' }), { status: 401 })
    const late = await scene.json({ token: null })
    assert.equal((await late.subscribe(room)).code, 'unauthenticated')
    assert.equal((await late.ask({ type: 'token', token })).type, 'ok')
    assert.equal((await late.subscribe(room)).type, 'subscribed')
    const bad = await scene.json({ token: null })
    bad.send({ type: 'token', token: 'garbage' })
    assert.equal((await bad.closed()).code, 4401)
    const silent = await scene.json({ token: null })
    assert.equal((await silent.closed()).code, 4401)
  })

  check('JW11 a socket ends with its token unless it is renewed by the same user', async (scene) => {
    const [kept, lost] = [scene.room(), scene.room()]
    const short = () => sign({ sub: 'ada', exp: epochSeconds(3), rooms: { '*': 'write' } })
    const [ada, eve] = [await scene.json({ token: short() }), await scene.json({ token: short() })]
    for (const room of [kept, lost]) await ada.subscribe(room)
    assert.equal((await ada.ask({ type: 'token', token: writer('bob') })).code, 'forbidden')
    assert.equal((await ada.ask({ type: 'token', token: 'garbage' })).code, 'unauthenticated')
    assert.equal((await ada.ask({ type: 'token', token: writer('ada', { rooms: { [kept]: 'write' } }) })).type, 'ok')
    assert.deepEqual(ada.of('reset'), [{ type: 'reset', room: lost, reason: 'forbidden' }])
    assert.equal((await eve.closed()).code, 4401)
    await ada.push(kept, [set('r1', { a: 1 })])
    await ada.reaches(1, kept)
    assert.equal((await ada.push(lost, [set('r1', { a: 1 })])).code, 'forbidden')
    // A fresh token may allow less than the one before.
    assert.equal((await ada.ask({ type: 'token', token: writer('ada', { rooms: { [kept]: 'read' } }) })).type, 'ok')
    assert.equal((await ada.push(kept, [set('r2', { a: 1 })])).code, 'forbidden')
  })

  check('JW12 who follows a room that is deleted is told so, and the other rooms go on', async (scene) => {
    const [gone, other] = [scene.room(), scene.room()]
    const ada = await scene.json()
    const { epoch } = await ada.subscribe(gone)
    await ada.subscribe(other)
    await ada.push(gone, [set('r1', { a: 1 })])
    assert.equal((await scene.admin('DELETE', gone)).status, 204)
    const reset = await ada.told('a reset', (it) => it.type === 'reset')
    assert.deepEqual(reset, { type: 'reset', room: gone, reason: 'room_deleted' })
    await ada.push(other, [set('r1', { a: 1 })])
    await ada.reaches(1, other)
    const again = await ada.subscribe(gone, { since: { epoch, version: 1 } })
    assert.deepEqual([again.recovery, again.reason, again.version], ['snapshot', 'epoch_changed', 0])
  })

  check('JW13 what Yjs clients do is told in JSON, and the other way round', async (scene) => {
    const room = scene.room()
    const ada = await scene.json()
    await ada.subscribe(room)
    const yjs = await scene.client(room, { token: writer('yuri') }).synced()
    yjs.map.set('a', 1)
    const { events } = await ada.told('the edit', (it) => it.type === 'changes')
    assert.deepEqual(events.map((it) => [it.type, it.collection, it.userId]), [['document', 'map', 'yuri']])
    await ada.push(room, [{ ...set('r1', { a: 1 }), collection: 'map' }])
    await yjs.until('the record', () => yjs.map.get('r1')?.get('a') === 1)
  })

  check('JW14 a reader that does not read costs bounded memory, and is given the state anew', async (scene) => {
    const room = scene.room()
    const [slow, ada] = [await scene.json(), await scene.json()]
    const { epoch } = await slow.subscribe(room)
    await write(ada, room, 100)
    await slow.reaches(100)
    const others = await Promise.all(Array.from({ length: 9 }, () => scene.json()))
    for (const other of others) await other.subscribe(room)
    for (const reader of [slow, ...others]) reader.socket.pause()
    const text = 'x'.repeat(3_000)
    let before
    for (let round = 0; round < 24; round++) {
      // What every server takes for so much work it has taken by then, and the socket's buffers are full.
      if (round === 12) before = scene.server.residentBytes()
      const ops = Array.from({ length: 500 }, (_, i) => set(`r${i}`, { round, text: text + round }, { opId: `${round}-${i}` }))
      const { results } = await ada.push(room, ops)
      assert.ok(results.every((result) => result.status === 'applied'), JSON.stringify(results[0]))
    }
    const grown = scene.server.residentBytes() - before
    scene.figure('memory grown while ten readers did not read 40 MB each', grown / 2 ** 20, 'MiB')
    assert.ok(grown < 100 * 2 ** 20, `grown by ${grown} bytes`)
    const bob = await scene.json({ token: writer('bob') })
    await bob.subscribe(room, { clientId: 'phone' })
    await bob.ask({ type: 'presence', room, state: {} })
    await bob.told('himself', (it) => it.type === 'presence')
    slow.socket.resume()
    const anew = await slow.told('the state', (it) => it.type === 'subscribed' && it.recovery === 'snapshot' && it.version > 0)
    assert.deepEqual([anew.reason, anew.epoch, anew.id], ['too_far_behind', epoch, undefined])
    assert.deepEqual(anew.users.map((it) => it.userId), ['bob'], 'who joined meanwhile')
    await ada.push(room, [set('last', { a: 1 })])
    await slow.reaches(12_101)
    const after = slow.events().filter((event) => event.version > anew.version).map((event) => event.version)
    assert.deepEqual(after, Array.from({ length: 12_101 - anew.version }, (_, i) => anew.version + 1 + i))
    const told = slow.events().filter((event) => event.version <= anew.version).map((event) => event.version)
    assert.deepEqual(told, told.map((_, i) => i + 1), 'before that, a whole stretch from the first')
  })

  check('JW15 a gap of 3,000 changes is replayed', async (scene) => {
    const room = scene.room()
    const ada = await scene.json()
    await write(ada, room, 3_050)
    const late = await scene.json()
    const begun = await late.subscribe(room, { since: { version: 50 } })
    assert.equal(begun.recovery, 'replay')
    await late.reaches(3_050)
    mustBeExact(late, room, 51, 3_050)
  })

  check('JW16 bursts of 300 pushes and 2,000 messages pass, a flood is closed with 4529', async (scene) => {
    const room = scene.room()
    const ada = await scene.json()
    await ada.subscribe(room)
    for (let i = 0; i < 300; i++) ada.send({ type: 'push', room, ops: [set(`r${i}`, { i })], id: `p${i}` })
    for (let i = 0; i < 2_000; i++) ada.send({ type: 'ping', id: `q${i}` })
    await ada.until('2,000 pongs', () => ada.of('pong').length === 2_000)
    await ada.until('300 answers', () => ada.of('pushed').length === 300)
    await ada.reaches(300)
    mustBeExact(ada, room, 1, 300)
    assert.deepEqual(ada.of('pushed').map((it) => it.id), Array.from({ length: 300 }, (_, i) => `p${i}`))
    const flood = await scene.json()
    for (let i = 0; i < 20_000; i++) flood.send({ type: 'ping' })
    assert.equal((await flood.closed()).code, 4529)
  })

  check('JW17 a socket has so many rooms and no more', async (scene) => {
    const ada = await scene.json()
    const room = scene.room()
    for (let i = 0; i < 256; i++) ada.send({ type: 'subscribe', room: `${room}-${i}` })
    await ada.until('256 rooms', () => ada.of('subscribed').length === 256)
    assert.equal((await ada.subscribe(`${room}-more`)).code, 'too_many_requests')
    assert.equal((await ada.push(`${room}-7`, [set('r1', { a: 1 })])).type, 'pushed')
  })

  check('SS1 a stream begins with subscribed, and its events are the messages with their positions', async (scene) => {
    const room = scene.room()
    const ada = await scene.json()
    const stream = await scene.events(room)
    assert.match(stream.response.headers.get('content-type'), /^text\/event-stream/)
    assert.equal(stream.response.headers.get('cache-control'), 'no-store')
    const begun = await stream.told('the beginning', () => true)
    assert.deepEqual([begun.type, begun.sse, begun.reason, begun.document], ['subscribed', 'subscribed', 'new', {}])
    await ada.push(room, [set('r1', { a: 1 }), set('r2', { a: 2 })])
    await stream.reaches(2)
    mustBeExact(stream, room, 1, 2)
    for (const message of stream.of('changes')) {
      assert.deepEqual([message.sse, message.lastId], ['changes', `${begun.epoch}:${message.version}`])
    }
    assert.ok(stream.other.some((fields) => fields.retry), 'it says when to come back')
  })

  check('SS2 Last-Event-ID and since resume a stream', async (scene) => {
    const room = scene.room()
    const ada = await scene.json()
    await write(ada, room, 4)
    const { json: { epoch } } = await scene.admin('GET', room)
    for (const way of [{ lastId: `${epoch}:1` }, { query: '?since=1' }, { query: `?since=1&epoch=${epoch}` }]) {
      const stream = await scene.events(room, way)
      const begun = await stream.told('the beginning', () => true)
      assert.deepEqual([begun.recovery, begun.version, begun.lastId], ['replay', 1, `${epoch}:1`])
      await stream.reaches(4)
      mustBeExact(stream, room, 2, 4)
    }
    const ahead = await scene.events(room, { lastId: `${epoch}:9` })
    assert.equal((await ahead.told('the beginning', () => true)).reason, 'ahead')
    for (const way of [{ lastId: 'x' }, { query: '?since=x' }]) {
      assert.equal((await scene.events(room, way)).status, 400)
    }
    assert.equal((await scene.events(room, { token: 'x' })).status, 401)
    assert.equal((await scene.events(room, { token: writer('eve', { rooms: {} }) })).status, 403)
  })

  check('SS3 a stream ends with its token, and with its room', async (scene) => {
    const room = scene.room()
    const ada = await scene.json()
    await write(ada, room, 1)
    const short = await scene.events(room, { token: writer('bob', { seconds: 2 }) })
    await short.until('its end', () => short.close)
    assert.deepEqual(short.messages.map((it) => it.type), ['subscribed'])
    const long = await scene.events(room)
    await long.told('the beginning', () => true)
    await scene.admin('DELETE', room)
    await long.until('its end', () => long.close)
    assert.deepEqual(long.messages.at(-1).reason, 'room_deleted')
  })
})

onEachStore('json letters', (check) => {
  const granted = (sub, topics) => sign({ sub, exp: epochSeconds(600), rooms: { '*': 'write' }, topics })

  check('JW28 what is said to a user reaches all sockets of that user, and nobody else', async (scene) => {
    const [ada, one, two, eve] = await Promise.all(['ada', 'bob', 'bob', 'eve'].map((user) => scene.json({ token: writer(user) })))
    assert.equal((await ada.ask({ type: 'message', user: 'bob', event: 'hi', payload: { n: 1 } })).type, 'ok')
    for (const socket of [one, two]) {
      const { user, event, payload, userId } = await socket.told('the message', (it) => it.type === 'message')
      assert.deepEqual({ user, event, payload, userId }, { user: 'bob', event: 'hi', payload: { n: 1 }, userId: 'ada' })
    }
    assert.equal((await eve.ask({ type: 'ping' })).type, 'pong')
    assert.equal(eve.of('message').length, 0)
    const both = await ada.ask({ type: 'message', user: 'bob', room: 'r', event: 'hi' })
    assert.deepEqual([both.type, both.code], ['error', 'malformed'])
  })

  check('JW28 a socket hears what is said to its user from the moment that it is open', async (scene) => {
    const ada = await scene.json({ token: writer('ada') })
    for (let n = 0; n < 50; n++) {
      const bobs = await Promise.all(Array.from({ length: 4 }, () => scene.json({ token: writer('bob') })))
      ada.send({ type: 'message', user: 'bob', event: 'hi', payload: { n } })
      for (const bob of bobs) assert.equal((await bob.told('the message', (it) => it.type === 'message')).payload.n, n)
      for (const bob of bobs) bob.socket.terminate()
    }
  })

  check('JW28 a topic is heard by who subscribed, and both need a grant', async (scene) => {
    const [ada, bob, eve] = await Promise.all([
      scene.json({ token: granted('ada', { 'news:*': 'write' }) }),
      scene.json({ token: granted('bob', { 'news:*': 'read' }) }),
      scene.json({ token: writer('eve') }),
    ])
    assert.equal((await bob.ask({ type: 'subscribe', topic: 'news:1' })).type, 'ok')
    assert.equal((await eve.ask({ type: 'subscribe', topic: 'news:1' })).code, 'forbidden')
    assert.equal((await bob.ask({ type: 'message', topic: 'news:1', event: 'no' })).code, 'forbidden')
    assert.equal((await ada.ask({ type: 'message', topic: 'news:2', event: 'other' })).type, 'ok')
    assert.equal((await ada.ask({ type: 'message', topic: 'news:1', event: 'first' })).type, 'ok')
    const heard = await bob.told('the message', (it) => it.type === 'message')
    assert.deepEqual([heard.topic, heard.event, heard.userId], ['news:1', 'first', 'ada'])
    assert.equal((await bob.ask({ type: 'unsubscribe', topic: 'news:1' })).type, 'ok')
    assert.equal((await ada.ask({ type: 'message', topic: 'news:1', event: 'second' })).type, 'ok')
    assert.equal((await bob.ask({ type: 'ping' })).type, 'pong')
    assert.deepEqual(bob.of('message').map((it) => it.event), ['first'])
  })
})

onEachStore('json restarts', (check) => {
  check('JW18 a position holds over kill -9: what was acked is replayed, once', async (scene) => {
    const server = await scene.serve()
    const room = scene.room()
    const ada = await scene.json()
    const { epoch } = await ada.subscribe(room)
    await write(ada, room, 3)
    await ada.reaches(2)
    await server.kill()
    await server.restart()
    const back = await scene.json()
    const begun = await back.subscribe(room, { since: { epoch, version: 2 } })
    assert.deepEqual([begun.recovery, begun.epoch, begun.head], ['replay', epoch, 3])
    await back.reaches(3)
    mustBeExact(back, room, 3, 3)
    await write(back, room, 1, { from: 3 })
    await back.reaches(4)
    mustBeExact(back, room, 3, 4)
  })

  check('JW19 SS4 a drain tells everyone when to come back, after what is acked', async (scene) => {
    const server = await scene.serve()
    const room = scene.room()
    const [ada, idle] = [await scene.json(), await scene.json()]
    await ada.subscribe(room)
    const stream = await scene.events(room)
    await stream.told('the beginning', () => true)
    await ada.push(room, [set('r1', { a: 1 })])
    const ended = server.stop()
    for (const client of [ada, idle]) {
      assert.equal((await client.closed()).code, 4503)
      assert.ok(client.of('drain')[0].retryAfterMs >= 0)
    }
    await stream.until('its end', () => stream.close)
    assert.equal(stream.messages.at(-1).type, 'drain')
    assert.equal((await ended).code, 0)
  })
}, { own: true })

