// Shows that rooms come and go without a trace: eviction races with loading, deletion with edits and with who joins,
// and nothing acked is lost, nothing deleted comes back.
import assert from 'node:assert/strict'
import { canonical } from '../interop/lib/canonical.mjs'
import { dice, SEED } from '../interop/lib/random.mjs'
import { onEachStore } from '../interop/lib/stage.mjs'
import { writer } from '../interop/lib/token.mjs'
import { poll, until } from '../interop/lib/wait.mjs'
import { editOf, post, sum } from './lib/crowd.mjs'
import { Writer } from './lib/writer.mjs'

const ROUNDS = Number(process.env.ROUNDTABLE_TEST_ROUNDS ?? 20)
const VISITS = ROUNDS * 10
const DELETIONS = Math.ceil(ROUNDS / 4)
const VISITORS = 6
const ROOMS = ['inn-a', 'inn-b', 'inn-c']
const TYPISTS = 5

onEachStore('rooms that come and go', (check) => {
  check(`HU1 HU3 HU13 ${VISITS} visits to rooms that rest at once: nothing acked is lost`, async (scene) => {
    const server = await scene.serve({ args: ['--idle-seconds', '0'] })
    const random = dice(`${SEED} visits`)
    const acked = new Map(ROOMS.map((room) => [room, new Set()]))
    let left = VISITS
    const visitor = async () => {
      while (left-- > 0) await visit(scene, { room: random.pick(ROOMS), number: left, random, acked })
    }
    await Promise.all(Array.from({ length: VISITORS }, visitor))
    await poll('all rooms to rest', async () => {
      const rooms = await server.metric('roundtable_rooms')
      return { ok: rooms === 0, rooms }
    })
    const snapshots = await server.metric('roundtable_snapshots_total')
    scene.figure('snapshots of rooms that rested', snapshots, 'snapshots')
    scene.figure('edits acked', sum([...acked.values()], (keys) => keys.size), 'edits')
    assert.ok(snapshots > ROOMS.length, 'rooms were evicted between visits, not only at the end')
    for (const room of ROOMS) {
      const { json } = await scene.admin('GET', room, '/doc')
      const lost = [...acked.get(room)].filter((key) => !(key in (json.map ?? {})))
      assert.deepEqual(lost, [], `acked and lost in ${room}`)
      await mustBeDense(scene, room)
    }
    await server.stop()
    await server.check()
  }, { timeout: VISITS * 2_000 + 120_000 })

  check(`YW24 YW25 HU8 ${DELETIONS} deletions under ${TYPISTS} typing clients: 4404, then 4409, nothing comes back`, async (scene) => {
    const server = await scene.serve()
    const random = dice(`${SEED} deletions`)
    const room = 'doomed'
    const epochs = new Set()
    let old = []
    for (let round = 1; round <= DELETIONS; round++) {
      const clients = Array.from({ length: TYPISTS }, (_, i) => scene.client(room, { token: writer(`r${round}-${i}`) }))
      await Promise.all(clients.map((client) => client.synced()))
      // Those of the round before bring what was deleted, while the others type.
      for (const client of old) client.join()
      const writers = clients.map((client, i) => new Writer(client, `r${round}-${i}`))
      const hurry = new AbortController()
      scene.later(() => hurry.abort())
      const work = writers.map((one) => one.work('edit', hurry.signal))
      const goal = random.int(10, 120)
      await until(`${goal} acks`, () => sum(writers, (one) => one.acked.size) >= goal, {
        on: writers.map((one) => [one, 'change'])
      })
      for (const client of old) {
        await client.until('its second close', () => client.closes.length === 2)
        assert.deepEqual(client.closes.map(({ code }) => code), [4404, 4409])
        client.destroy()
      }
      await mustBeOf(scene, room, `r${round}-`)
      const { json: before } = await scene.admin('GET', room)
      epochs.add(before.epoch)
      assert.equal((await scene.admin('DELETE', room)).status, 204)
      for (const client of clients) {
        assert.equal((await client.closed()).code, 4404)
        assert.equal(client.sockets.length, 1)
      }
      hurry.abort()
      await Promise.all(work)
      const { json: after } = await scene.admin('GET', room)
      assert.equal(after.version, 0)
      const { json: changes } = await scene.admin('GET', room, `/changes?since=1&epoch=${before.epoch}`)
      assert.equal(changes.recovery, 'snapshot')
      assert.equal(changes.reason, 'epoch_changed')
      old = clients
      await server.check()
      if (random.chance(0.3)) {
        await server.kill()
        await server.restart()
      }
    }
    assert.equal(epochs.size, DELETIONS, 'every time another history')
    await server.stop()
    await server.check()
  }, { timeout: DELETIONS * 60_000 })

  check(`SE13 HU13 ${DELETIONS} deletions while people come, write and leave: the room is one thing for all`, async (scene) => {
    const server = await scene.serve({ args: ['--idle-seconds', '0'] })
    const random = dice(`${SEED} door`)
    const room = 'door'
    const seen = {}
    for (let round = 1; round <= DELETIONS; round++) {
      assert.equal((await post(scene, room, editOf(`before-${round}`, 10))).status, 200)
      const tasks = [
        ...Array.from({ length: 6 }, (_, i) => join(scene, room, `r${round}-${i}`)),
        ...Array.from({ length: 6 }, (_, i) => post(scene, room, editOf(`post-${round}-${i}`, 10))
          .then(({ status }) => `POST ${status}`)),
        ...Array.from({ length: 2 }, () => scene.admin('DELETE', room).then(({ status }) => `DELETE ${status}`))
      ]
      for (const told of await Promise.all(shuffled(tasks, random))) seen[told] = (seen[told] ?? 0) + 1
      const fresh = await scene.client(room, { token: writer('fresh') }).synced()
      const { json } = await scene.admin('GET', room, '/doc')
      assert.ok(!(`before-${round}` in (json.map ?? {})), 'what was there before the deletion is gone')
      await fresh.until('what the server has', () => canonical(fresh.map.toJSON()) === canonical(json.map ?? {}))
      fresh.destroy()
      await mustBeDense(scene, room)
    }
    scene.t.diagnostic(`answers at the door: ${JSON.stringify(seen)}`)
    const fine = /^(joined|closed 4404|POST (200|409|410|503)|DELETE (204|404|409|410|503))$/
    for (const told of Object.keys(seen)) assert.match(told, fine)
    await scene.mustBeHealthy(room)
    await server.stop()
    await server.check()
  }, { timeout: DELETIONS * 60_000 })
}, { own: true })

/** Comes, writes some, waits until it is acked, and leaves in one way or another. */
async function visit (scene, { room, number, random, acked }) {
  const client = await scene.client(room, { token: writer(`v${number}`), user: null }).synced()
  const one = new Writer(client, `v${number}`)
  for (let i = random.int(0, 4); i > 0; i--) one.write('edit')
  await one.settle()
  for (const key of one.acked) acked.get(room).add(key)
  for (const key of acked.get(room)) {
    // It was synced after they were acked, or hears of them now.
    if (!client.map.has(key)) await client.until(`the edit ${key} of somebody else`, () => client.map.has(key))
  }
  if (random.chance(0.5)) client.leave()
  else client.provider.ws?.terminate()
  client.destroy()
}

/** Somebody who comes just when the room may end. */
async function join (scene, room, name) {
  const client = scene.client(room, { token: writer(name) })
  await client.until('to be in, or sent away', () => client.provider.synced || client.permanent)
  const told = client.permanent ? `closed ${client.permanent.code}` : 'joined'
  client.destroy()
  return told
}

function shuffled (list, random) {
  return list.map((item) => [random.next(), item]).sort(([a], [b]) => a - b).map(([, item]) => item)
}

/** All keys of the document were written in this epoch. */
async function mustBeOf (scene, room, prefix) {
  const { json } = await scene.admin('GET', room, '/doc')
  assert.deepEqual(Object.keys(json.map).filter((key) => !key.startsWith(prefix)), [], 'content of a deleted epoch')
  const fresh = await scene.client(room, { token: writer('fresh') }).synced()
  assert.deepEqual([...fresh.map.keys()].filter((key) => !key.startsWith(prefix)), [])
  fresh.destroy()
}

async function mustBeDense (scene, room) {
  const versions = new Set()
  for (let since = 0; ;) {
    const { json } = await scene.admin('GET', room, `/changes?since=${since}`)
    for (const { version } of json.events ?? []) versions.add(version)
    since = json.version
    if (!json.hasMore) break
  }
  assert.deepEqual([...versions], Array.from({ length: versions.size }, (_, i) => i + 1))
}
