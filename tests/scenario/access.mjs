// Shows that access ends when a token does, in the middle of whatever goes on: what was acked before is there, nothing
// after it is applied, and a new token goes on where the old one ended.
import assert from 'node:assert/strict'
import { update } from '../interop/lib/frames.mjs'
import { dice, SEED } from '../interop/lib/random.mjs'
import { onEachStore } from '../interop/lib/stage.mjs'
import { sign, writer } from '../interop/lib/token.mjs'
import * as Y from '../interop/lib/yjs.mjs'
import { editOf, mustBeEqual, post } from './lib/crowd.mjs'
import { Writer } from './lib/writer.mjs'

const ROUNDS = Math.ceil(Number(process.env.ROUNDTABLE_TEST_ROUNDS ?? 20) / 10)
const USERS = 5

onEachStore('a token that ends', (check) => {
  check(`YW15 SE2 ${ROUNDS} times ${USERS} tokens expire under their edits: acked is kept, later is not applied`, async (scene) => {
    const room = scene.room('expiry')
    const random = dice(`${SEED} expiry`)
    const witness = await scene.client(room, { token: writer('witness') }).synced()
    const lasting = new Writer(await scene.client(room, { token: writer('lasting') }).synced(), 'lasting')
    const hurry = new AbortController()
    scene.later(() => hurry.abort())
    const others = lasting.work('other', hurry.signal)
    const users = Array.from({ length: USERS }, (_, i) => ({ name: `u${i}`, doc: new Y.Doc() }))
    for (let round = 1; round <= ROUNDS; round++) {
      await Promise.all(users.map((user) => expire(scene, { room, user, round, witness, lasting }, random.int(200, 2_500))))
    }
    hurry.abort()
    await others
    await lasting.settle()
    assert.equal(lasting.client.closes.length, 0, 'whose token is good stays')
    // With new tokens all of them are back, with what they wrote in between.
    const back = await Promise.all(users.map(({ name, doc }) =>
      scene.client(room, { doc, token: writer(name) }).synced()))
    await mustBeEqual(scene, room, [witness, lasting.client, ...back])
    await scene.server.check()
  }, { timeout: ROUNDS * 60_000 })

  check('AC5 SE2 a request that began in time and is read too late changes nothing', async (scene) => {
    const room = scene.room('late')
    const exp = Date.now() / 1000 + 1.5
    const token = sign({ sub: 'brief', exp, name: 'brief', rooms: { '*': 'write' } })
    assert.equal((await post(scene, room, editOf('in time', 10), { token })).status, 200)
    const raw = await scene.raw(room, { token })
    await raw.ended()
    assert.equal(raw.closed.code, 4401)
    assert.ok(Date.now() / 1000 >= exp, 'not before its time')
    assert.equal((await post(scene, room, editOf('too late', 10), { token })).status, 401)
    // What is said into the closing connection is not heard.
    if (raw.socket.readyState === 1) raw.send(update(editOf('even later', 10)))
    const { json } = await scene.admin('GET', room, '/doc')
    assert.deepEqual(Object.keys(json.map), ['in time'])
  })

  check('SE2 a request that waits for changes is answered with 401 when its token ends', async (scene) => {
    const room = scene.room('poll')
    const ada = new Writer(await scene.client(room).synced(), 'ada')
    await ada.settle()
    const { json: start } = await scene.admin('GET', room, '/changes')
    const token = writer('brief', { seconds: 2 })
    const answer = await scene.server.room(room, `/changes?since=${start.version}&wait=20`, { token })
    assert.equal(answer.status, 401, JSON.stringify(answer.json))
  })
})

/** One user with a token that ends soon, who does not stop writing when it does. */
async function expire (scene, { room, user, round, witness, lasting }, ms) {
  const exp = (Date.now() + 1_000 + ms) / 1000
  const token = sign({ sub: user.name, exp, name: user.name, rooms: { '*': 'write' } })
  const client = scene.client(room, { doc: user.doc, token })
  // Under load a whole token may pass before the first sync: then there is nothing that it could do.
  await client.until('to be synced, or closed', () => client.provider.synced || client.permanent)
  const one = new Writer(client, `${user.name}-${round}`)
  const work = new AbortController()
  scene.later(() => work.abort())
  const working = one.work('in-time', work.signal)
  assert.equal((await client.closed()).code, 4401)
  assert.ok(Date.now() / 1000 >= exp, 'not before its time')
  work.abort()
  await working
  const late = Array.from({ length: 3 }, () => one.write('late'))
  await lasting.settle()
  const { json } = await scene.admin('GET', room, '/doc')
  for (const key of one.acked) assert.ok(key in json.map, `${key} was acked`)
  for (const key of late) assert.ok(!(key in json.map), `${key} came after the token had expired`)
  await witness.until('what is there', () => [...one.acked].every((key) => witness.map.has(key)))
  client.destroy()
}
