// Shows that clients who come, edit and leave for as long as one likes leave nothing behind: memory and descriptors of
// the server stay flat, and all who are there hold the same document.
//
// ROUNDTABLE_TEST_CHURN says how many for how long: 200x20s, or 1000x600s.
import assert from 'node:assert/strict'
import { Client } from '../interop/lib/client.mjs'
import { dice, SEED } from '../interop/lib/random.mjs'
import { onEachStore } from '../interop/lib/stage.mjs'
import { writer } from '../interop/lib/token.mjs'
import { pass, poll } from '../interop/lib/wait.mjs'
import { mustBeEqual } from './lib/crowd.mjs'

const [CLIENTS, SECONDS] = (process.env.ROUNDTABLE_TEST_CHURN ?? '200x20s').match(/^(\d+)x(\d+)s$/).slice(1).map(Number)
const PER_ROOM = 20
const ROOMS = Math.ceil(CLIENTS / PER_ROOM)

/** A step every so often: somebody goes and somebody comes, and some edit. */
const STEP_MS = 50
const EDITS_PER_STEP = 4

/** Of those who go, how many just break off. */
const BROKEN = 0.5

/** So many fields are written again and again: what grows is not what people see. */
const FIELDS = 200

/** Samples are compared in quarters of the time: the first fills caches and pools, the others must not differ. */
const MEMORY_FACTOR_MAX = 1.15
const MEMORY_BYTES_MORE = 12 << 20

onEachStore('churn', (check) => {
  check(`${CLIENTS} clients with churn for ${SECONDS} s: flat memory, flat descriptors, one document`, async (scene) => {
    const server = await scene.serve({ args: ['--idle-seconds', '1'] })
    const random = dice(`${SEED} churn`)
    const atRest = server.descriptors()
    const places = Array.from({ length: CLIENTS }, (_, i) => ({ room: `churn-${i % ROOMS}`, client: null }))
    let arrivals = 0
    const arrive = (place) => {
      // One in five shows a cursor; all of them would have peers renew each other's for nothing.
      const user = arrivals % 5 === 0 ? { name: `c${arrivals}` } : null
      // Not one of the scene's own, which are held until the end.
      place.client = new Client({ base: server.ws, room: place.room, token: writer(`c${arrivals++ % 500}`), user })
      return place.client
    }
    scene.later(() => { for (const { client } of places) client?.destroy() })
    for (let at = 0; at < places.length; at += 50) {
      await Promise.all(places.slice(at, at + 50).map((place) => arrive(place).synced({ withinMs: 120_000 })))
    }
    const samples = []
    const began = performance.now()
    const elapsed = () => (performance.now() - began) / 1_000
    let edits = 0
    for (let step = 0; elapsed() < SECONDS; step++) {
      for (let i = 0; i < EDITS_PER_STEP; i++) {
        const { client } = random.pick(places)
        client.map.set(`field-${random.int(1, FIELDS)}`, `${step} ${'x'.repeat(random.int(0, 80))}`)
        edits++
      }
      const place = random.pick(places)
      depart(place.client, random)
      arrive(place)
      if (step % 10 === 0) {
        samples.push({ at: elapsed(), bytes: server.residentBytes(), descriptors: server.descriptors() })
      }
      await pass(STEP_MS)
    }
    await Promise.all(places.map(({ client }) => client.synced({ withinMs: 120_000 })))
    for (let n = 0; n < ROOMS; n++) {
      const clients = places.filter(({ room }) => room === `churn-${n}`).map(({ client }) => client)
      await mustBeEqual(scene, `churn-${n}`, clients)
    }
    report(scene, samples, { edits, arrivals })
    for (const { client } of places) client.destroy()
    await poll('everybody to be gone, and the rooms with them', async () => {
      const [sessions, rooms] = await Promise.all(['sessions', 'rooms'].map((name) => server.metric(`roundtable_${name}`)))
      return { ok: sessions === 0 && rooms === 0, sessions, rooms }
    }, { withinMs: 60_000 })
    const left = server.descriptors()
    scene.figure('memory at the end, with nobody there', server.residentBytes() / (1 << 20), 'MiB')
    scene.figure('descriptors at the end', left, `descriptors, ${atRest} at the start`)
    // A store opens a few more connections when it has more to do, and keep-alive connections of this test stay.
    assert.ok(left <= atRest + 40, `${left} descriptors are left of ${atRest}`)
    await server.stop()
    await server.check()
  }, { timeout: SECONDS * 1_500 + 300_000 })
}, { own: true })

/** Somebody leaves, in one way or another. */
function depart (client, random) {
  if (random.chance(BROKEN)) client.provider.ws?.terminate()
  client.destroy()
}

function report (scene, samples, { edits, arrivals }) {
  const quarters = [0, 1, 2, 3].map((q) => samples.filter(({ at }) => Math.floor(at * 4 / SECONDS) === q))
  const high = (list, of) => Math.max(...list.map(of))
  const memory = quarters.map((list) => high(list, ({ bytes }) => bytes))
  const descriptors = quarters.map((list) => high(list, ({ descriptors }) => descriptors))
  const mib = memory.map((bytes) => (bytes / (1 << 20)).toFixed(1)).join(', ')
  scene.t.diagnostic(`memory by quarter: ${mib} MiB; descriptors: ${descriptors.join(', ')} (${scene.kind})`)
  scene.figure('who came and went', arrivals - CLIENTS, `clients, ${edits} edits`)
  assert.ok(memory[3] <= memory[1] * MEMORY_FACTOR_MAX + MEMORY_BYTES_MORE, `memory grew: ${mib} MiB`)
  assert.ok(descriptors[3] <= descriptors[1] + 20, `descriptors grew: ${descriptors}`)
}
