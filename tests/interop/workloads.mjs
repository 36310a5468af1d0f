// Shows that whole editing histories survive the way through sockets, a restart and compaction, on both stores: they
// end in the recorded hash, for a client that joins and for HTTP.
import assert from 'node:assert/strict'
import * as Y from 'yjs'
import { canonical, sha256 } from './lib/canonical.mjs'
import { concurrentTable, concurrentText, sequentialText } from './lib/generate.mjs'
import { play } from './lib/play.mjs'
import { SEED } from './lib/random.mjs'
import { Server } from './lib/server.mjs'
import { onEachStore } from './lib/stage.mjs'
import { writer } from './lib/token.mjs'
import { dataFolder, recorded } from './lib/vectors.mjs'
import { poll } from './lib/wait.mjs'

/** A server that snapshots often and keeps no log that a snapshot covers. */
const COMPACTING = (process.env.ROUNDTABLE_TEST_COMPACTING ?? '--snapshot-every 10 --log-retention 0s').split(' ')

const NAMES = ['automerge-paper', 'json-crdt-patch', 'friendsforever', 'table-small', 'table-large']
const MADE = [
  ['made sequential text', () => sequentialText(SEED, 6000)],
  ['made text of 2 agents', () => concurrentText(SEED, 2, 3000)],
  ['made table of 4 agents', () => concurrentTable(SEED, 4, 2000)],
  ['made table of 16 agents', () => concurrentTable(SEED, 16, 3000)]
]

const folder = dataFolder()
const WORKLOADS = [...MADE, ...(folder ? NAMES.map((name) => [name, () => recorded(name)]) : [])]
if (!folder) console.log('the data set is not here (ROUNDTABLE_DATA): the workloads are made from a seed alone')

const AMPLE = { timeout: 900_000 }

onEachStore('workloads', (check) => {
  const rooms = new Map()
  let server
  const roomOf = (scene, name) => {
    if (!rooms.has(name)) rooms.set(name, `${name.replaceAll(' ', '-')}-${scene.kind}`)
    return rooms.get(name)
  }

  check('RE1 the server starts on an empty store', async (scene) => {
    server = await Server.start({ store: scene.stage.store })
    scene.stage.server = server
  })

  for (const [name, load] of WORKLOADS) {
    check(`RE1 ${name}: through sockets it ends in its hash`, async (scene) => {
      const workload = load()
      const room = roomOf(scene, name)
      const { updates, ms, resyncs } = await play(workload, {
        base: server.ws, room, token: (agent) => writer(`agent-${agent}`), seed: SEED
      })
      scene.figure(`${name}: ${updates} updates through ${workload.agents.length} sockets`, updates / (ms / 1000), 'per s')
      if (resyncs) scene.t.diagnostic(`${name}: asked ${resyncs} times for what was merged on its way`)
      await mustEndWell(scene, workload, room)
    }, AMPLE)
  }

  check('RE2 after a restart every workload ends in its hash', async (scene) => {
    const ended = await server.stop()
    assert.deepEqual(ended, { code: 0, signal: null })
    await server.check()
    await server.restart()
    for (const [name, load] of WORKLOADS) await mustEndWell(scene, load(), roomOf(scene, name))
  }, AMPLE)

  check('RE3 after compaction every workload ends in its hash', async (scene) => {
    await server.stop()
    await server.restart({ args: COMPACTING })
    for (const [name, load] of WORKLOADS) {
      const workload = load()
      const room = roomOf(scene, name)
      await editForNothing(scene, workload, room)
      const oldest = await poll(`the log of ${room} to be pruned`, async () => {
        const { json } = await scene.admin('GET', room)
        return { ok: json.oldestVersion > 1, value: json.oldestVersion, about: json }
      }, { everyMs: 250, withinMs: 90_000 })
      scene.t.diagnostic(`${name}: oldest version kept: ${oldest}`)
      await mustEndWell(scene, workload, room)
    }
    await server.stop()
    await server.check()
    await server.restart()
    for (const [name, load] of WORKLOADS) await mustEndWell(scene, load(), roomOf(scene, name))
  }, AMPLE)
}, { own: true })

/** The document as a fresh client and as HTTP see it has the recorded hash. */
async function mustEndWell (scene, workload, room) {
  const client = await scene.client(room, { token: writer('fresh') }).synced({ withinMs: 120_000 })
  const root = workload.isText ? client.doc.getText(workload.root) : client.doc.getMap(workload.root)
  const shown = workload.isText ? root.toString() : { [workload.root]: root.toJSON() }
  assert.equal(hashOf(workload, shown), expected(workload), `${workload.name} for a fresh client`)
  client.destroy()
  const { status, json } = await scene.admin('GET', room, '/doc')
  assert.equal(status, 200)
  const read = workload.isText ? json[workload.root] : { [workload.root]: json[workload.root] }
  assert.equal(hashOf(workload, read), expected(workload), `${workload.name} over HTTP`)
}

const hashOf = (workload, value) => sha256(workload.isText ? value : canonical(value))
const expected = ({ final }) => final.text_sha256 ?? final.json_sha256

/** Enough entries to make the room compact, which leave its JSON as it was. */
async function editForNothing (scene, workload, room) {
  const client = await scene.client(room, { token: writer('nobody') }).synced({ withinMs: 120_000 })
  const witness = await scene.client(room, { token: writer('witness') }).synced({ withinMs: 120_000 })
  const [mine, its] = [client, witness].map(({ doc }) =>
    workload.isText ? doc.getText(workload.root) : doc.getMap(workload.root))
  for (let i = 0; i < 40; i++) {
    if (workload.isText) mine.insert(0, '~')
    else mine.set('zz-for-nothing', new Y.Map())
    // Each edit is waited for, so that they are entries of their own.
    const there = () => workload.isText ? its.toString().startsWith('~') : its.has('zz-for-nothing')
    await witness.until(`edit ${i}`, there)
    if (workload.isText) mine.delete(0, 1)
    else mine.delete('zz-for-nothing')
    await witness.until(`the end of edit ${i}`, () => !there())
  }
  client.destroy()
  witness.destroy()
}
