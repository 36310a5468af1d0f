// Shows who is here to JSON and Yjs clients alike, and that messages reach everyone in a room.
import assert from 'node:assert/strict'
import { onEachStore } from './lib/stage.mjs'
import { reader, writer } from './lib/token.mjs'
import { poll } from './lib/wait.mjs'

const json = (body) => ({ body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })

const named = (people) => people.map((person) => `${person.userId}/${person.clientId}`).sort()

/** All that was told of one list of presence. */
const told = (client, list) => client.of('presence').flatMap((message) => message[list])

onEachStore('json presence', (check) => {
  check('PR24 JSON clients see who joins, moves and leaves, under the name of the token', async (scene) => {
    const room = scene.room()
    const ada = await scene.json()
    await ada.subscribe(room, { clientId: 'desk' })
    assert.equal((await ada.ask({ type: 'presence', room, state: { cursor: { x: 1 }, user: { id: 'eve' } } })).type, 'ok')
    await ada.until('herself', () => told(ada, 'joined').length === 1)
    const bob = await scene.json({ token: writer('bob') })
    const { users } = await bob.subscribe(room, { clientId: 'phone' })
    assert.deepEqual(named(users), ['ada/desk'])
    assert.deepEqual([users[0].user.id, users[0].user.name, users[0].state.cursor], ['ada', 'ada', { x: 1 }])
    assert.match(users[0].since, /^\d{4}-.*Z$/)
    bob.send({ type: 'presence', room, state: { typing: true } })
    await ada.until('bob to join', () => named(told(ada, 'joined')).includes('bob/phone'))
    bob.send({ type: 'presence', room, state: { typing: false } })
    await ada.until('bob to move', () => told(ada, 'updated').some((it) => it.state.typing === false))
    bob.socket.close()
    await ada.until('bob to leave', () => told(ada, 'left').length === 1)
    assert.deepEqual(told(ada, 'left'), [{ clientId: 'phone', user: { id: 'bob' } }])
    assert.deepEqual(named(told(ada, 'joined')), ['ada/desk', 'bob/phone'])
  })

  check('PR25 JSON and Yjs clients see each other', async (scene) => {
    const room = scene.room()
    const ada = await scene.json()
    await ada.subscribe(room, { clientId: 'desk' })
    ada.send({ type: 'presence', room, state: { cursor: { x: 1 } } })
    const yjs = await scene.client(room, { token: writer('yuri'), user: { name: 'yuri' } }).synced()
    await ada.until('yuri', () => told(ada, 'joined').some((it) => it.userId === 'yuri'))
    const yuri = told(ada, 'joined').find((it) => it.userId === 'yuri')
    assert.equal(yuri.clientId, String(yjs.doc.clientID))
    const seen = () => yjs.others().find(([, state]) => state.user?.id === 'ada')?.[1]
    await yjs.until('ada', () => seen()?.cursor?.x === 1)
    ada.send({ type: 'presence', room, state: { cursor: { x: 2 } } })
    await yjs.until('her move', () => seen()?.cursor?.x === 2)
    ada.send({ type: 'presence', room, state: null })
    await yjs.until('her end', () => !seen())
    yjs.leave()
    await ada.until('his end', () => told(ada, 'left').some((it) => it.user.id === 'yuri'))
  })

  check('PR26 a connection that was lost and is back in time was never away, and lapses if it is not', async (scene) => {
    const room = scene.room()
    const [ada, bob] = [await scene.json(), await scene.json({ token: writer('bob') })]
    await ada.subscribe(room)
    await bob.subscribe(room, { clientId: 'phone' })
    const state = { typing: true }
    await bob.ask({ type: 'presence', room, state })
    await ada.until('bob', () => told(ada, 'joined').length === 1)
    bob.socket.terminate()
    const back = await scene.json({ token: writer('bob') })
    await back.subscribe(room, { clientId: 'phone' })
    await back.ask({ type: 'presence', room, state })
    const eve = await scene.json({ token: writer('eve') })
    await eve.subscribe(room, { clientId: 'tab' })
    await eve.ask({ type: 'presence', room, state })
    await ada.until('eve', () => told(ada, 'joined').length === 2)
    back.socket.terminate()
    await ada.until('the lapse', () => told(ada, 'left').length > 0)
    assert.deepEqual(told(ada, 'left'), [{ clientId: 'phone', user: { id: 'bob' } }])
    assert.deepEqual(named(told(ada, 'joined')), ['bob/phone', 'eve/tab'])
    assert.deepEqual(told(ada, 'updated'), [])
  })

  check('PR27 a burst of 2,000 moves passes, travels together, and ends in the last', async (scene) => {
    const room = scene.room()
    const [ada, bob] = [await scene.json(), await scene.json({ token: writer('bob') })]
    await ada.subscribe(room)
    await bob.subscribe(room)
    for (let x = 1; x <= 2_000; x++) bob.send({ type: 'presence', room, state: { x } })
    const last = () => [...told(ada, 'joined'), ...told(ada, 'updated')].at(-1)?.state.x
    await ada.until('the last move', () => last() === 2_000)
    assert.ok(ada.of('presence').length < 500, `${ada.of('presence').length} messages`)
  })

  check('PR28 presence over HTTP lapses unless it is renewed, and ends when it is deleted', async (scene) => {
    const room = scene.room()
    const token = reader('rob')
    const ask = (method, options = {}) => scene.server.room(room, '/presence', { method, token, ...options })
    const ada = await scene.json()
    await ada.subscribe(room)
    const put = await ask('PUT', json({ clientId: 'poll', state: { viewId: 'v' } }))
    assert.deepEqual([put.status, put.json], [200, { clientId: 'poll', ttlMs: 30_000 }])
    await ada.until('rob', () => told(ada, 'joined').length === 1)
    const { json: { users } } = await ask('GET')
    assert.deepEqual([named(users), users[0].state.viewId, users[0].user.id], [['rob/poll'], 'v', 'rob'])
    assert.equal((await ask('DELETE', json({ clientId: 'poll' }))).status, 204)
    await ada.until('his end', () => told(ada, 'left').length === 1)
    const brief = await ask('PUT', json({ clientId: 'brief', state: {}, ttlMs: 1 }))
    assert.equal(brief.json.ttlMs, 1_000)
    await ada.until('the lapse', () => told(ada, 'left').length === 2)
    await poll('nobody to be here', async () => {
      const { json: { users } } = await ask('GET')
      return { ok: users.length === 0, users }
    })
    for (const body of [{}, { clientId: 'a' }, { clientId: '', state: {} }, { clientId: 'a', state: [] }]) {
      assert.equal((await ask('PUT', json(body))).status, 400, JSON.stringify(body))
    }
    const large = { clientId: 'a', state: { text: 'x'.repeat(20_000) } }
    assert.equal((await ask('PUT', json(large))).status, 413)
    assert.equal((await ask('DELETE')).status, 400)
  })

  check('PR28 who asks is told what was just said, also before it is told to others', async (scene) => {
    const room = scene.room()
    const ask = (method, options = {}) => scene.server.room(room, '/presence', { method, token: writer(), ...options })
    const here = async () => (await ask('GET')).json.users.map(({ clientId, state }) => [clientId, state.n])
    for (let n = 0; n < 10; n++) {
      await ask('PUT', json({ clientId: 'desk', state: { n } }))
      assert.deepEqual(await here(), [['desk', n]])
      await ask('PUT', json({ clientId: 'desk', state: { n: n + 10 } }))
      assert.deepEqual(await here(), [['desk', n + 10]])
      await ask('DELETE', json({ clientId: 'desk' }))
      assert.deepEqual(await here(), [])
    }
  })

  check('PR29 presence that is too large, or of a room that is not followed, is refused, and the socket stays', async (scene) => {
    const room = scene.room()
    const ada = await scene.json()
    const code = async (state) => (await ada.ask({ type: 'presence', room, state })).code
    assert.equal(await code({}), 'not_found')
    await ada.subscribe(room)
    assert.equal(await code({ text: 'x'.repeat(20_000) }), 'too_large')
    assert.equal(await code([]), 'malformed')
    assert.equal(await code({}), undefined)
  })

  check('MS1 a message reaches everyone in the room but its sender', async (scene) => {
    const room = scene.room()
    const [ada, bob] = [await scene.json(), await scene.json({ token: writer('bob') })]
    await ada.subscribe(room, { clientId: 'desk' })
    await bob.subscribe(room)
    const stream = await scene.events(room)
    await stream.told('the beginning', () => true)
    const sent = await ada.ask({ type: 'message', room, event: 'wave', payload: { to: ['all', null, 1.5] } })
    assert.equal(sent.type, 'ok')
    for (const listener of [bob, stream]) {
      const message = await listener.told('the wave', (it) => it.type === 'message')
      assert.deepEqual(
        [message.room, message.event, message.payload, message.userId, message.clientId],
        [room, 'wave', { to: ['all', null, 1.5] }, 'ada', 'desk']
      )
      assert.match(message.timestamp, /Z$/)
    }
    const posted = await scene.server.room(room, '/messages', {
      method: 'POST', token: writer('eve'), ...json({ event: 'poke', clientId: 'curl' })
    })
    assert.equal(posted.status, 202)
    const poke = await ada.told('the poke', (it) => it.type === 'message')
    assert.deepEqual([poke.event, poke.payload, poke.userId, poke.clientId], ['poke', null, 'eve', 'curl'])
    assert.deepEqual((await scene.admin('GET', room)).json.version, 0, 'nobody keeps it')
  })

  check('MS2 who may not write may not send, and what is too large or no message is refused', async (scene) => {
    const room = scene.room()
    const rob = await scene.json({ token: reader() })
    await rob.subscribe(room)
    assert.equal((await rob.ask({ type: 'message', room, event: 'wave' })).code, 'forbidden')
    const post = async (token, body) =>
      (await scene.server.room(room, '/messages', { method: 'POST', token, ...json(body) })).status
    assert.equal(await post(reader(), { event: 'wave' }), 403)
    assert.equal(await post(writer(), {}), 400)
    assert.equal(await post(writer(), { event: 'wave', payload: 'x'.repeat(70_000) }), 413)
    const ada = await scene.json()
    await ada.subscribe(room)
    const code = async (message) => (await ada.ask({ type: 'message', ...message })).code
    assert.equal(await code({ room, event: 'wave', payload: 'x'.repeat(70_000) }), 'too_large')
    assert.equal(await code({ room, event: '' }), 'malformed')
    assert.equal(await code({ event: 'wave' }), 'malformed')
    assert.deepEqual(rob.of('message'), [])
  })
})
