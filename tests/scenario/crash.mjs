// Shows that a crash at any moment loses nothing that was acked, and that a drain loses nothing at all.
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { Agent, request } from 'node:http'
import { dice, SEED } from '../interop/lib/random.mjs'
import { onEachStore } from '../interop/lib/stage.mjs'
import { writer } from '../interop/lib/token.mjs'
import { breathe, until } from '../interop/lib/wait.mjs'
import { atWork, Crowd, mustBeEqual, sum } from './lib/crowd.mjs'
import { Writer } from './lib/writer.mjs'

const ROUNDS = Number(process.env.ROUNDTABLE_TEST_ROUNDS ?? 20)
const ROOMS = ['kill-a', 'kill-b']

onEachStore('a crash', (check) => {
  check(`RE10 kill -9 under load, ${ROUNDS} times: dense versions, nothing acked is lost, equal documents`, async (scene) => {
    const server = await scene.serve()
    const random = dice(`${SEED} kill ${scene.kind}`)
    const rooms = ROOMS.map((name) => new Crowd(scene, name))
    for (const room of rooms) await room.open()
    for (let round = 1; round <= ROUNDS; round++) {
      const work = atWork(rooms, round)
      const goal = random.int(20, 250)
      await until(`${goal} acks in round ${round}`, () => sum(rooms, (room) => room.fresh) >= goal, {
        on: rooms.map((room) => [room, 'ack']), seen: () => rooms.map((room) => room.about())
      })
      await server.kill()
      await work.stop()
      for (const room of rooms) room.fresh = 0
      await server.check()
      await server.restart()
      for (const room of rooms) await room.mustBeWhole(round)
    }
    scene.figure('edits acked over all rounds', sum(rooms, (room) => room.acked.size), 'edits')
    scene.figure('versions', sum(rooms, (room) => room.history.length), 'versions')
    for (const room of rooms) room.close()
    await server.stop()
    await server.check()
  }, { timeout: ROUNDS * 45_000 })
}, { own: true })

onEachStore('a drain', (check) => {
  check('SH1 SH2 SH3 a drain under load: not ready first, 4503 to all, everything acked is there, exit 0', async (scene) => {
    const server = await scene.serve()
    const room = 'drain'
    const clients = Array.from({ length: 20 }, (_, i) =>
      scene.client(room, { token: writer(`w${i}`), record: false }))
    await Promise.all(clients.map((client) => client.synced()))
    const writers = clients.map((client, i) => new Writer(client, `w${i}`))
    const story = []
    for (const client of clients) {
      client.provider.on('connection-close', (event) => {
        if (event) story.push({ what: 'closed', code: event.code, at: story.length })
      })
    }
    const hurry = new AbortController()
    const work = writers.map((one) => one.work(1, hurry.signal))
    await until('200 acks', () => sum(writers, (one) => one.acked.size) >= 200, {
      on: writers.map((one) => [one, 'change'])
    })
    const watching = watchReadiness(server, story)
    await until('readiness to be watched', () => story.some((s) => s.status === 200), { on: [[watching.events, 'answer']] })
    const ended = await server.stop()
    hurry.abort()
    await Promise.all(work)
    await watching.stop()
    assert.deepEqual(ended, { code: 0, signal: null }, 'SH3: the process ends by itself with 0')

    const red = story.findIndex((s) => s.status === 503)
    const told = story.findIndex((s) => s.what === 'closed')
    assert.ok(red >= 0, `SH1: readiness answered 503; seen: ${JSON.stringify(story.slice(-40))}`)
    const green = story.findIndex((s, at) => at > told && told >= 0 && s.status === 200 && s.askedAt > told)
    assert.equal(green, -1, 'SH1: whoever asks after a client was sent away is not told 200')
    const codes = clients.map((client) => client.closes[0]?.code)
    assert.deepEqual([...new Set(codes)], [4503], `SH2: every client is told when to come back: ${codes.join(' ')}`)

    await server.check()
    await server.restart()
    await Promise.all(clients.map((client) => client.synced()))
    await mustBeEqual(scene, room, clients)
    const { json } = await scene.admin('GET', room, '/doc')
    for (const one of writers) {
      for (const key of one.acked) assert.ok(key in json.map, `SH3: the acked edit ${key} is lost`)
    }
  })

  check('SH4 SIGINT drains as SIGTERM does, and an idle server ends at once', async (scene) => {
    const server = await scene.serve()
    const client = await scene.client('sigint').synced()
    client.map.set('a', 1)
    const witness = await scene.client('sigint').synced()
    await witness.until('the edit', () => witness.map.get('a') === 1)
    assert.deepEqual(await server.stop({ signal: 'SIGINT' }), { code: 0, signal: null })
    await client.until('its close', () => client.closes.length > 0)
    assert.equal(client.closes[0].code, 4503)
    await server.restart()
    await client.synced()
    const { json } = await scene.admin('GET', 'sigint', '/doc')
    assert.deepEqual(json, { map: { a: 1 } })
  })
}, { own: true })

/** Asks for readiness without a pause, over one connection, and writes the answers into the story. */
function watchReadiness (server, story) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const events = new EventEmitter()
  let on = true
  const loop = (async () => {
    while (on) {
      const askedAt = story.length
      const status = await ask(server, agent)
      story.push({ what: 'ready', status, askedAt })
      events.emit('answer')
      if (status === 0 && server.exit) return
      await breathe()
    }
  })()
  return { events, stop: () => { on = false; return loop.finally(() => agent.destroy()) } }
}

function ask (server, agent) {
  return new Promise((resolve) => {
    const asked = request(`${server.http}/readyz`, { agent }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode))
      response.on('error', () => resolve(0))
    })
    asked.on('error', () => resolve(0))
    asked.end()
  })
}
