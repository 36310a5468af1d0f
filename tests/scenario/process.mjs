// Shows that a process that was stopped for a while, or whose wall clock was set, goes on where it was: nothing acked is
// lost, versions go on, presence lapses, and tokens are judged by the clock that there is.
import assert from 'node:assert/strict'
import { Raw } from '../interop/lib/raw.mjs'
import { onEachStore } from '../interop/lib/stage.mjs'
import { epochSeconds, sign, writer } from '../interop/lib/token.mjs'
import { breathe, pass, poll, until } from '../interop/lib/wait.mjs'
import { WallClock } from './lib/clock.mjs'
import { atWork, Crowd } from './lib/crowd.mjs'
import { Writer } from './lib/writer.mjs'

const ROUNDS = Math.ceil(Number(process.env.ROUNDTABLE_TEST_ROUNDS ?? 20) / 10)
const HOUR_S = 3_600

/** Longer than the patience of a store: its calls are given up when the process goes on. */
const STOPPED_MS = 6_000

const BACK = { withinMs: 120_000 }

onEachStore('a stopped process', (check) => {
  check(`HU4 KE9 SIGSTOP and SIGCONT under load, ${ROUNDS} times: nothing acked is lost, nobody is cut`, async (scene) => {
    const server = await scene.serve()
    const crowd = await new Crowd(scene, 'stopped').open()
    for (let round = 1; round <= ROUNDS; round++) {
      const work = atWork([crowd], round)
      await crowd.acks(50)
      await server.freeze()
      await pass(STOPPED_MS)
      server.thaw()
      await crowd.acks(50, BACK)
      await work.stop()
      await crowd.settle(BACK)
      await crowd.mustBeWhole(round)
    }
    assert.deepEqual(crowd.clients.flatMap((client) => client.closes), [])
    await server.stop()
    await server.check()
  }, { timeout: ROUNDS * 180_000 })

  check('SE2 a token that expired while the process was stopped grants nothing that came meanwhile', async (scene) => {
    const server = await scene.serve()
    const room = 'expired'
    const until5s = epochSeconds(5)
    const ada = await scene.client(room, { token: writer('ada', { seconds: 5 }) }).synced()
    const bob = await scene.client(room, { token: writer('bob') }).synced()
    const [brief, lasting] = [new Writer(ada, 'ada'), new Writer(bob, 'bob')]
    await brief.settle()
    await lasting.settle()
    await server.freeze()
    const late = brief.write('late')
    const good = lasting.write('good')
    await poll('the token to expire', () => ({ ok: Date.now() / 1000 > until5s + 1 }), { everyMs: 200 })
    server.thaw()
    assert.equal((await ada.closed()).code, 4401)
    await until('the ack of the other', () => lasting.acked.has(good), { on: [[lasting, 'change']] })
    const { json } = await scene.admin('GET', room, '/doc')
    assert.ok(good in json.map)
    assert.ok(!(late in json.map), 'it came in time and was read too late')
    ada.provider.params = { token: writer('ada') }
    ada.join()
    await bob.until('the late edit, by a new token', () => bob.map.has(late))
  })
}, { own: true })

onEachStore('a clock that is set', (check) => {
  check('the clock an hour back: versions go on, presence lapses, tokens are judged by it', async (scene) => {
    const { clock, server } = await stand(scene)
    const crowd = await new Crowd(scene, 'back').open()
    await under(crowd, 'before')
    const before = await times(scene)
    const old = writer('brief', { seconds: 30 - HOUR_S })
    assert.equal((await Raw.upgrade({ base: server.ws, room: 'brief', token: old })).status, 401)

    clock.set(-HOUR_S)
    await under(crowd, 'after')
    const after = await times(scene)
    assert.ok(Math.max(...after.slice(before.length)) < Math.min(...before), 'the clock was back')
    await lapse(scene)
    // What expired by the old clock is good again, and ends by the new one; what is not yet valid, is not.
    assert.equal((await Raw.upgrade({ base: server.ws, room: 'brief', token: old })).status, 101)
    const until3s = scene.client('brief', { token: writer('brief', { seconds: 3 - HOUR_S }) })
    await until3s.synced()
    assert.equal((await until3s.closed()).code, 4401)
    const early = sign({ sub: 'early', exp: epochSeconds(60), nbf: epochSeconds(-60), rooms: { '*': 'write' } })
    assert.equal((await server.room('back', '', { token: early })).status, 401)

    clock.set(0)
    assert.equal((await server.room('back', '', { token: early })).status, 200)
    await under(crowd, 'again')
    assert.deepEqual(crowd.clients.flatMap((client) => client.closes), [])
    await server.stop()
    await server.check()
  })

  check('SE2 the clock an hour ahead: a token that has expired by it ends its connection', async (scene) => {
    const { clock, server } = await stand(scene)
    const room = 'ahead'
    const ada = await scene.client(room, { token: writer('ada', { seconds: 600 }) }).synced()
    const bob = await scene.client(room, { token: writer('bob', { seconds: 3 * HOUR_S }) }).synced()
    const [brief, lasting] = [new Writer(ada, 'ada'), new Writer(bob, 'bob')]
    await brief.settle()
    clock.set(HOUR_S)
    const late = brief.write('late')
    assert.equal((await ada.closed()).code, 4401)
    await lasting.settle()
    assert.ok(!bob.map.has(late))
    // The room leaves memory in its time, and comes back.
    bob.leave()
    await poll('the room to rest', async () => {
      const rooms = await server.metric('roundtable_rooms')
      return { ok: rooms === 0, rooms }
    })
    bob.join()
    await bob.synced()
    await lasting.settle()
    await server.stop()
    await server.check()
  })
}, { own: true })

/** A server that lives by a clock of ours. */
async function stand (scene) {
  const clock = new WallClock()
  scene.later(() => clock.close())
  const server = await scene.serve({ env: clock.env, args: ['--idle-seconds', '1'] })
  return { clock, server }
}

/** A stretch of work, after which all must be whole. */
async function under (crowd, round) {
  const work = atWork([crowd], round)
  await crowd.acks(100)
  await work.stop()
  await crowd.settle()
  await crowd.mustBeWhole(round)
}

/** When each version was made, as the room tells it. */
async function times (scene) {
  const { json } = await scene.admin('GET', 'back', '/changes?since=0&limit=10000')
  return json.events.map((event) => Date.parse(event.timestamp))
}

/** The presence of a connection that was lost lapses after its grace. */
async function lapse (scene) {
  const proxy = await scene.proxy()
  const lost = await scene.client('back', { via: proxy, token: writer('lost'), user: { name: 'lost' } }).synced()
  const witness = await scene.client('back', { token: writer('witness'), user: { name: 'w' } }).synced()
  const isSeen = () => witness.others().some(([, state]) => state.user?.id === 'lost')
  await witness.until('the other', isSeen)
  proxy.refuse()
  proxy.cut()
  await breathe()
  await witness.until('the other to be gone', () => !isSeen())
  lost.destroy()
  witness.destroy()
}
