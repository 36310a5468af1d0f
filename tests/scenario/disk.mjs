// Shows that a full disk loses nothing that was acked: edits go on live, nothing is acked that is not kept, past the
// backlog they are refused with a type, and when there is room everything that waits is kept.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { onEachStore } from '../interop/lib/stage.mjs'
import { openStore } from '../interop/lib/store.mjs'
import { writer } from '../interop/lib/token.mjs'
import { poll, until } from '../interop/lib/wait.mjs'
import { Cluster } from './lib/cluster.mjs'
import { atWork, Crowd, editOf, mustBeEqual, post } from './lib/crowd.mjs'
import { openDisk, THROUGH } from './lib/disk.mjs'

const ROUNDS = Math.ceil(Number(process.env.ROUNDTABLE_TEST_ROUNDS ?? 20) / 10)
const BACK = { withinMs: 120_000 }

/** A new cluster has 40 MB of its own, and its journal takes 16 MB at a time. */
const DISK_BYTES = { sqlite: 32 << 20, postgres: 256 << 20 }

onEachStore('a full disk', (check) => {
  check(`KE9 KE12 full and emptied ${ROUNDS} times: nothing acked is lost, what waited is kept`, async (scene) => {
    const disk = openDisk(DISK_BYTES[scene.kind])
    scene.later(() => disk.close())
    scene.t.diagnostic(`the disk is ${disk.how}`)
    const { store, cluster, pid } = await stand(scene, disk)
    const server = await scene.serve({ store, through: THROUGH, args: ['--max-backlog-bytes', '64KiB'] })
    const crowd = await new Crowd(scene, 'full').open()
    const flood = await scene.client('full', { token: writer('flood') }).synced()
    for (let round = 1; round <= ROUNDS; round++) {
      const work = atWork([crowd], round)
      await crowd.acks(50)
      disk.fill(pid() ?? server.pid)
      await overflow(flood, crowd.clients[0], round)
      const { status, json } = await post(scene, 'full', editOf('posted', 16_000))
      assert.equal(status, 503, 'a request is told, too')
      assert.equal(json.code, 'unavailable')
      const told = crowd.head()
      const live = await scene.client('full', { token: writer('late') }).synced()
      assert.ok(live.map.size > 0, 'who comes is served from memory')
      live.destroy()
      disk.makeRoom(pid() ?? server.pid)
      await revive(server, cluster)
      await flood.synced(BACK)
      await crowd.acks(20, BACK)
      await work.stop()
      await crowd.settle(BACK)
      await mustBeEqual(scene, 'full', [...crowd.clients, flood])
      assert.ok(crowd.head() >= told)
      await crowd.mustBeWhole(round)
      await server.kill()
      await server.check()
      await server.restart()
      await crowd.mustBeWhole(round)
    }
    scene.figure('edits acked over all rounds', crowd.acked.size, 'edits')
    await server.stop()
    await server.check()
  }, { timeout: ROUNDS * 240_000 })
}, { own: true })

/** The store on that disk: SQLite's file, or a Postgres server with all that it has. */
async function stand (scene, disk) {
  if (scene.kind === 'sqlite') return { store: await openStore('sqlite', { under: disk.folder }), pid: () => null }
  const cluster = await Cluster.open({ folder: disk.folder })
  scene.later(() => cluster.close())
  const pidFile = join(dirname(cluster.control), 'data', 'postmaster.pid')
  // When Postgres has ended there is nobody to be limited.
  const pid = () => existsSync(pidFile) ? readFileSync(pidFile, 'utf8').split('\n')[0] : null
  return { store: await openStore('postgres', { base: cluster.url }), cluster, pid }
}

/** Postgres ends by itself when its journal finds no room. */
async function revive (server, cluster) {
  await poll('readiness', async () => {
    if (cluster && !await cluster.isRunning()) await cluster.start().catch(() => {})
    const { status } = await server.request('GET', '/readyz')
    return { ok: status === 200, status }
  }, BACK)
}

/** Edits until the server says that it takes no more; every edit before that is seen by the others. */
async function overflow (client, witness, round) {
  const closes = client.closes.length
  const refused = () => client.closes.length > closes
  for (let i = 0; !refused(); i++) {
    const key = `flood-${round}-${i}`
    client.map.set(key, 'x'.repeat(8_000))
    await until('the edit to be taken or refused', () => refused() || witness.map.has(key), {
      on: [[client.provider, 'connection-close'], [witness.doc, 'update']],
      seen: () => ({ closes: client.closes, i }), ...BACK
    })
  }
  assert.equal(client.closes.at(-1).code, 4503)
}
