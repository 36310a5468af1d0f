// Messages to users over HTTP: for clients that poll.
import assert from 'node:assert/strict'
import { onEachStore } from './lib/stage.mjs'
import { admin, epochSeconds, sign } from './lib/token.mjs'
import { poll as until } from './lib/wait.mjs'

/** One user's way to `sync/*`; nobody else in any test has that name. */
function user (scene, { rooms, topics, token } = {}) {
  const name = scene.room('user')
  token ??= sign({ sub: name, exp: epochSeconds(3600), rooms, topics })
  const ask = (method, path, body) => scene.server.request(method, `/api/v1/sync/${path}`, {
    token, headers: { 'content-type': 'application/json' }, body: body && JSON.stringify(body)
  })
  return {
    name,
    token,
    get: (path) => ask('GET', path),
    post: (path, body) => ask('POST', path, body),
    /** The messages after a timestamp, and where to go on from. */
    async poll (query = 'since=0') {
      const { status, json } = await ask('GET', `poll?${query}`)
      assert.equal(status, 200, JSON.stringify(json))
      assert.equal(json.count, json.messages.length)
      return json
    },
    async send (body) {
      const { status, json } = await ask('POST', 'send', body)
      assert.equal(status, 200, JSON.stringify(json))
      return json
    }
  }
}

const root = (scene) => user(scene, { token: admin() })
const types = ({ messages }) => messages.map(({ type }) => type)

onEachStore('inbox', (check) => {
  check('IN12 what is sent to a user is polled by that user alone, with who sent it', async (scene) => {
    const [ada, bob, eve] = [user(scene), user(scene), user(scene)]
    const begin = await bob.poll()
    const to = { user: bob.name }
    const first = await ada.send({ type: 'user.action', payload: { a: [1, null] }, to, correlationId: 'c1' })
    const second = await ada.send({ type: 'note', to })
    assert.ok(begin.timestamp < first.timestamp && first.timestamp < second.timestamp)
    const { messages, timestamp } = await bob.poll(`since=${begin.timestamp}`)
    assert.deepEqual(messages, [
      {
        id: first.messageId,
        type: 'user.action',
        payload: { a: [1, null] },
        timestamp: first.timestamp,
        userId: ada.name,
        correlationId: 'c1'
      },
      { id: second.messageId, type: 'note', payload: null, timestamp: second.timestamp, userId: ada.name }
    ])
    assert.deepEqual((await bob.poll(`since=${first.timestamp}`)).messages, [messages[1]])
    assert.deepEqual((await bob.poll(`since=${timestamp}`)).messages, [])
    assert.deepEqual((await eve.poll(`since=${begin.timestamp}`)).messages, [])
  })

  check('IN13 a poll that waits is answered by a message', async (scene) => {
    const [ada, bob] = [user(scene), user(scene)]
    const { timestamp } = await bob.poll()
    const waiting = bob.poll(`since=${timestamp}&wait=50`)
    await ada.send({ type: 'ring', to: { user: bob.name } })
    assert.deepEqual(types(await waiting), ['ring'])
    const brief = await bob.poll(`since=${Date.now() + 3_600_000}&wait=1`)
    assert.deepEqual(brief.messages, [])
  })

  check('IN14 what is sent to a room reaches those who are in it, and needs the right to write', async (scene) => {
    const room = scene.room()
    const [ada, bob] = [user(scene, { rooms: { [room]: 'write' } }), user(scene, { rooms: { [room]: 'read' } })]
    const away = user(scene, { rooms: { [room]: 'write' } })
    await Promise.all([ada, bob].map(({ token }) => scene.client(room, { token }).synced()))
    const to = { room }
    await ada.send({ type: 'hello', to })
    assert.deepEqual(types(await bob.poll()), ['hello'])
    assert.deepEqual(types(await ada.poll()), [], 'the sender knows')
    assert.deepEqual(types(await away.poll()), [])
    for (const one of [bob, user(scene)]) {
      const refused = await one.post('send', { type: 'hello', to })
      assert.equal(refused.status, 403)
      assert.equal(refused.json.code, 'forbidden')
    }
  })

  check('IN15 a broadcast reaches everyone, or who hears its topics, and is for admins', async (scene) => {
    const [news, sport] = [scene.room('news'), scene.room('sport')]
    const [ada, bob] = [user(scene, { topics: { [news]: 'read', [sport]: 'write' } }), user(scene)]
    const { timestamp } = await ada.poll()
    const chief = root(scene)
    for (const topics of [undefined, [news], [sport], ['other']]) {
      const told = await chief.post('broadcast', { type: topics?.[0] ?? 'all', payload: 1, topics })
      assert.equal(told.status, 200)
      assert.ok(told.json.messageId && told.json.timestamp)
    }
    const since = `since=${timestamp}`
    assert.deepEqual(types(await ada.poll(since)), ['all', news, sport])
    assert.deepEqual(types(await ada.poll(`${since}&topics=${sport}`)), ['all', sport])
    assert.deepEqual(types(await bob.poll(since)), ['all'])
    assert.equal((await bob.get(`poll?topics=${news}`)).status, 403)
    assert.equal((await ada.post('broadcast', { type: 'all' })).status, 403)
    // Whoever may write a topic sends there.
    assert.equal((await ada.post('send', { type: 'x', to: { topic: news } })).status, 403)
    await ada.send({ type: 'goal', to: { topic: sport } })
    assert.deepEqual(types(await ada.poll(since)), ['all', news, sport, 'goal'])
  })

  check('IN16 cleanup is for admins; what is too large or malformed is refused', async (scene) => {
    const [ada, chief] = [user(scene), root(scene)]
    assert.equal((await ada.post('cleanup')).status, 403)
    const cleaned = await chief.post('cleanup')
    assert.equal(cleaned.status, 200)
    assert.equal(cleaned.json.expired, 0, 'nothing is five minutes old')
    const to = { user: ada.name }
    const large = await ada.post('send', { type: 'x', payload: 'x'.repeat(65 * 1024), to })
    assert.equal(large.status, 413)
    assert.equal(large.json.code, 'too_large')
    for (const body of [{}, { type: 'x' }, { to }, { type: 'x', to: 'bob' }, { type: 'x', to: {} }]) {
      const { status, json } = await ada.post('send', body)
      assert.equal(status, 400, JSON.stringify(body))
      assert.equal(json.code, 'malformed')
    }
    assert.equal((await ada.get('poll?since=yesterday')).status, 400)
  })

  check('IN17 status and stats count what is here, for any token', async (scene) => {
    await scene.serve()
    const [ada, bob] = [user(scene), user(scene)]
    const quiet = { connections: 0, users: 0, rooms: 0, subscriptions: 0, queues: 0 }
    assert.deepEqual((await ada.get('status')).json, quiet)
    const rooms = [scene.room(), scene.room()]
    const clients = [rooms[0], rooms[0], rooms[1]].map((room) => scene.client(room))
    await Promise.all(clients.map((client) => client.synced()))
    await bob.send({ type: 'x', to: { user: ada.name } })
    const busy = { connections: 3, users: 1, rooms: 2, subscriptions: 3, queues: 1 }
    for (const path of ['status', 'stats']) assert.deepEqual((await ada.get(path)).json, busy)
    clients[0].destroy()
    await until('two connections', async () => {
      const { json } = await ada.get('status')
      return { ok: json.connections === 2 && json.subscriptions === 2, json }
    })
  })
})
