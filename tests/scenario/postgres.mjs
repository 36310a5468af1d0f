// Shows that the database may go away in every way it has, and nothing acked is lost: rooms go on live, what cannot be
// kept is not acked, past the backlog edits are refused with a type, and when it is back all that waits is kept, once
// and in order.
import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { dice, SEED } from '../interop/lib/random.mjs'
import { onEachStore } from '../interop/lib/stage.mjs'
import { openStore } from '../interop/lib/store.mjs'
import { writer } from '../interop/lib/token.mjs'
import { poll, until } from '../interop/lib/wait.mjs'
import { Cluster } from './lib/cluster.mjs'
import { atWork, Crowd, editOf, post, sum } from './lib/crowd.mjs'
import { FAULTS, PostgresProxy } from './lib/proxy.mjs'
import { Writer } from './lib/writer.mjs'

const ROUNDS = Number(process.env.ROUNDTABLE_TEST_ROUNDS ?? 20)
const STOPS = Math.ceil(ROUNDS / 10)

/** A store may have given a call up after 5 seconds, and a room waits up to 5 before it tries again. */
const BACK = { withinMs: 120_000 }

onEachStore('a database that goes away', (check) => {
  let cluster
  before(async () => { cluster = await Cluster.open() })
  after(async () => { await cluster?.close() })

  /** A server on a database of this scenario's own cluster, by a way that may be bad. */
  async function stand (scene, options = {}) {
    const proxy = await PostgresProxy.open(cluster.port)
    const store = await openStore('postgres', { base: cluster.url })
    scene.later(async () => { proxy.close(); await store.drop() })
    const server = await scene.serve({ ...options, store: { ...store, url: proxy.through(store.url) } })
    return { proxy, server }
  }

  check(`KE9 stopped and started ${STOPS} times: live edits go on, acks wait, all that waits is kept`, async (scene) => {
    const { server } = await stand(scene)
    const crowd = await new Crowd(scene, 'stopped').open()
    for (let round = 1; round <= STOPS; round++) {
      const work = atWork([crowd], round)
      await crowd.acks(50)
      await cluster.stop()
      await poll('readiness to be red', async () => {
        const { status } = await server.request('GET', '/readyz')
        return { ok: status === 503, status }
      }, BACK)
      const before = crowd.fresh
      const [writer, witness] = [crowd.writers[0], crowd.clients[1]]
      const live = writer.write(`live-${round}`)
      await witness.until('an edit made meanwhile', () => witness.map.has(live))
      assert.equal(crowd.fresh, before, 'nothing is acked that the database does not have')
      assert.ok(!writer.acked.has(live))
      await cluster.start()
      await crowd.acks(20, BACK)
      await work.stop()
      await crowd.settle(BACK)
      assert.ok(writer.acked.has(live))
      await crowd.mustBeWhole(round)
      assert.deepEqual(crowd.clients.flatMap((client) => client.closes), [], 'no client noticed')
    }
    await server.stop()
    await server.check()
  }, { timeout: STOPS * 180_000 })

  check('KE12 a full backlog refuses edits with a type, and takes them again when the database is back', async (scene) => {
    const { server } = await stand(scene, { args: ['--max-backlog-bytes', '64KiB'] })
    const room = 'full'
    const clients = ['ada', 'bob'].map((name) => scene.client(room, { token: writer(name) }))
    await Promise.all(clients.map((client) => client.synced()))
    const [ada, bob] = clients.map((client, i) => new Writer(client, `w${i}`))
    await ada.settle()
    await cluster.stop()
    const kept = ada.write('before')
    await bob.client.until('the edit, live', () => bob.client.map.has(kept))
    // y-websocket comes back by itself after a 4503, and brings what was refused.
    for (let i = 0; !ada.client.closes.length; i++) {
      ada.client.map.set(`bulk-${i}`, 'x'.repeat(8_000))
      await until('the edit to be taken or refused', () => ada.client.closes.length > 0 || bob.client.map.has(`bulk-${i}`), {
        on: [[ada.client.provider, 'connection-close'], [bob.client.doc, 'update']]
      })
    }
    assert.equal(ada.client.closes[0].code, 4503)
    assert.equal(bob.client.closes.length, 0, 'who writes nothing is not sent away')
    const refused = await post(scene, room, editOf('posted', 16_000))
    assert.equal(refused.status, 503)
    assert.equal(refused.json.code, 'unavailable')
    assert.ok(await server.metric('roundtable_backlog_bytes') <= 2 * 65_536 + 16_384)
    await cluster.start()
    await ada.client.synced(BACK)
    await ada.settle(BACK)
    assert.ok(ada.acked.has(kept))
    await bob.client.until('all that was refused', () =>
      JSON.stringify(bob.client.map.toJSON()).length === JSON.stringify(ada.client.map.toJSON()).length)
    await server.kill()
    await server.check()
    await server.restart()
    const { json } = await scene.admin('GET', room, '/doc')
    for (const key of ada.acked) assert.ok(key in json.map, `${key} was acked`)
  })

  check('KE9 answers that take seconds delay acks and nothing else', async (scene) => {
    const { proxy, server } = await stand(scene)
    const crowd = await new Crowd(scene, 'slow').open()
    const [one, other] = crowd.clients
    // Less than the store's patience, then more: the call is given up, and tried again under its id.
    for (const delayMs of [1_500, 7_000]) {
      proxy.delayMs = delayMs
      const key = crowd.writers[0].write(`at-${delayMs}`)
      await other.until('the edit, live', () => other.map.has(key))
      assert.ok(!crowd.writers[0].acked.has(key), 'it is seen before it is acked')
      if (delayMs > 5_000) {
        await poll('a call to be given up', async () => {
          const failures = await server.metric('roundtable_store_failures_total')
          return { ok: failures > 0, failures }
        }, { everyMs: 250 })
        proxy.delayMs = 0
      }
      await until('its ack', () => crowd.writers[0].acked.has(key), { on: [[crowd.writers[0], 'change']], ...BACK })
    }
    assert.equal(one.closes.length, 0)
    await crowd.settle(BACK)
    await crowd.mustBeWhole(1)
    await server.stop()
    await server.check()
  })

  check(`ST5 KE9 ${ROUNDS} appends lost, unanswered, unclear or met with silence: each is made once`, async (scene) => {
    const { proxy, server } = await stand(scene)
    const random = dice(`${SEED} faults`)
    const crowds = await Promise.all(['cut-a', 'cut-b'].map((name) => new Crowd(scene, name).open()))
    const story = {}
    for (let round = 1; round <= ROUNDS; round++) {
      const work = atWork(crowds, round)
      // Silence takes as long as the store's patience: less often.
      const fault = round % 10 === 0 ? FAULTS.silence
        : random.pick([FAULTS.lost, FAULTS.unanswered, FAULTS.unanswered, FAULTS.unclear])
      await proxy.meet(fault, random.int(0, 30))
      // The server may also die while it does not know.
      const dies = random.chance(0.25)
      story[`${fault}${dies ? ' and kill -9' : ''}`] = (story[`${fault}${dies ? ' and kill -9' : ''}`] ?? 0) + 1
      if (dies) await server.kill()
      else await crowds[0].acks(10, BACK)
      await work.stop()
      if (dies) await server.restart()
      else await Promise.all(crowds.map((crowd) => crowd.settle(BACK)))
      for (const crowd of crowds) await crowd.mustBeWhole(round)
      if (dies) await server.check()
    }
    scene.t.diagnostic(`faults: ${JSON.stringify(story)}`)
    scene.figure('edits acked over all rounds', sum(crowds, (crowd) => crowd.acked.size), 'edits')
    await server.stop()
    await server.check()
  }, { timeout: ROUNDS * 60_000 })
}, { own: true, stores: ['postgres'] })
