// Shows that clients who come, edit and leave for as long as one likes leave nothing behind: memory and descriptors of
// the server stay flat, and all who are there hold the same document.
//
// ROUNDTABLE_TEST_CHURN says how many for how long: 200x12s, or 1000x600s. The time is spent in four generations: the same
// load, each time in other rooms. What a room caches grows up to its limits while people write, and goes with the room;
// what is left of one generation in the next is a leak.
import assert from 'node:assert/strict'
import { Client } from '../interop/lib/client.mjs'
import { dice, SEED } from '../interop/lib/random.mjs'
import { onEachStore } from '../interop/lib/stage.mjs'
import { writer } from '../interop/lib/token.mjs'
import { pass, poll } from '../interop/lib/wait.mjs'
import { mustBeEqual } from './lib/crowd.mjs'

const [CLIENTS, SECONDS] = (process.env.ROUNDTABLE_TEST_CHURN ?? '200x12s').match(/^(\d+)x(\d+)s$/).slice(1).map(Number)
const GENERATIONS = 4
const PER_ROOM = 20
const ROOMS = Math.ceil(CLIENTS / PER_ROOM)

/** A step every so often: somebody goes and somebody comes, and some edit. */
const STEP_MS = 50
const EDITS_PER_STEP = 4

/** Of those who go, how many just break off. */
const BROKEN = 0.5

/** So many fields are written again and again: what grows is not what people see. */
const FIELDS = 200

/** Users, whose tokens the clients have. */
const USERS = 500

/** The last generation may need so much more than the second: an allocator is not exact. */
const MEMORY_FACTOR_MAX = 1.15
const MEMORY_BYTES_MORE = 12 << 20

/** A store opens a few connections more when it has more to do; kept-alive requests of this test are a few, too. */
const DESCRIPTORS_MORE = 40

onEachStore('churn', (check) => {
  check(`${CLIENTS} clients with churn for ${SECONDS} s: flat memory, flat descriptors, one document`, async (scene) => {
    const server = await scene.serve({ args: ['--idle-seconds', '1'] })
    const atRest = server.descriptors()
    const town = new Town(scene)
    scene.later(() => town.leave())
    const peaks = []
    for (let generation = 1; generation <= GENERATIONS; generation++) {
      await town.settle(generation)
      peaks.push(await town.live(SECONDS / GENERATIONS))
      await town.mustAgree()
      town.leave()
      await poll('everybody to be gone, and the rooms with them', async () => {
        const count = (name) => server.metric(`roundtable_${name}`)
        const [sessions, rooms] = await Promise.all(['sessions', 'rooms'].map(count))
        return { ok: sessions === 0 && rooms === 0, sessions, rooms }
      }, { withinMs: 60_000 })
      peaks.at(-1).left = { bytes: server.residentBytes(), descriptors: server.descriptors() }
    }
    report(scene, town, peaks)
    mustBeFlat(peaks, atRest)
    await server.stop()
    await server.check()
  }, { timeout: SECONDS * 1_500 + 300_000 })
}, { own: true })

/** All who are there, each in a place of a room. */
class Town {
  constructor (scene) {
    this.scene = scene
    this.random = dice(`${SEED} churn`)
    this.places = []
    this.arrivals = 0
    this.edits = 0
  }

  /** Everybody comes, into rooms that nobody was in before. */
  async settle (generation) {
    this.places = Array.from({ length: CLIENTS }, (_, i) => ({ room: `churn-${generation}-${i % ROOMS}`, client: null }))
    for (let at = 0; at < CLIENTS; at += 50) {
      await Promise.all(this.places.slice(at, at + 50).map((place) => this.#arrive(place).synced({ withinMs: 120_000 })))
    }
  }

  #arrive (place) {
    // One in five shows a cursor; all of them would have peers renew each other's for nothing.
    const user = this.arrivals % 5 === 0 ? { name: `c${this.arrivals}` } : null
    const token = writer(`c${this.arrivals++ % USERS}`)
    // Not one of the scene's own clients, which are held until the end.
    place.client = new Client({ base: this.scene.server.ws, room: place.room, token, user })
    return place.client
  }

  #depart ({ client }) {
    if (this.random.chance(BROKEN)) client.provider.ws?.terminate()
    client.destroy()
  }

  /** Some time of coming, editing and leaving; returns what the server needed at most. */
  async live (seconds) {
    const { server } = this.scene
    const peak = { bytes: 0, descriptors: 0 }
    const end = performance.now() + seconds * 1_000
    for (let step = 0; performance.now() < end; step++) {
      for (let i = 0; i < EDITS_PER_STEP; i++) {
        const text = `${step} ${'x'.repeat(this.random.int(0, 80))}`
        this.random.pick(this.places).client.map.set(`field-${this.random.int(1, FIELDS)}`, text)
        this.edits++
      }
      const place = this.random.pick(this.places)
      this.#depart(place)
      this.#arrive(place)
      if (step % 10 === 0) {
        peak.bytes = Math.max(peak.bytes, server.residentBytes())
        peak.descriptors = Math.max(peak.descriptors, server.descriptors())
      }
      await pass(STEP_MS)
    }
    return peak
  }

  async mustAgree () {
    await Promise.all(this.places.map(({ client }) => client.synced({ withinMs: 120_000 })))
    for (const room of new Set(this.places.map((place) => place.room))) {
      const clients = this.places.filter((place) => place.room === room).map(({ client }) => client)
      await mustBeEqual(this.scene, room, clients)
    }
  }

  leave () {
    for (const { client } of this.places) client?.destroy()
    this.places = []
  }
}

const mib = (list) => `${list.map((bytes) => (bytes / (1 << 20)).toFixed(1)).join(', ')} MiB`

function report (scene, town, peaks) {
  const of = (read) => peaks.map(read)
  scene.t.diagnostic(`${scene.kind}, by generation: memory at most ${mib(of((p) => p.bytes))}, when all had left ` +
    `${mib(of((p) => p.left.bytes))}; descriptors at most ${of((p) => p.descriptors)}, left ${of((p) => p.left.descriptors)}`)
  scene.figure('who came', town.arrivals, `clients, ${town.edits} edits`)
}

function mustBeFlat (peaks, atRest) {
  const bound = (bytes) => bytes * MEMORY_FACTOR_MAX + MEMORY_BYTES_MORE
  const [, second, , last] = peaks
  assert.ok(last.bytes <= bound(second.bytes), `memory grew: ${mib(peaks.map(({ bytes }) => bytes))}`)
  assert.ok(last.left.bytes <= bound(second.left.bytes), `memory is left: ${mib(peaks.map(({ left }) => left.bytes))}`)
  for (const { descriptors, left } of peaks) {
    assert.ok(descriptors <= CLIENTS + atRest + DESCRIPTORS_MORE, `${descriptors} descriptors`)
    assert.ok(left.descriptors <= atRest + DESCRIPTORS_MORE, `${left.descriptors} descriptors are left of ${atRest}`)
  }
}
