// Shows that what a Hocuspocus provider counts as saved is there after kill -9, whoever comes then.
import assert from 'node:assert/strict'
import { dice, SEED } from '../interop/lib/random.mjs'
import { onEachStore } from '../interop/lib/stage.mjs'

const ROUNDS = Number(process.env.ROUNDTABLE_TEST_ROUNDS ?? 5)

onEachStore('saved', (check) => {
  check(`HP23 a change, no unsynced changes, kill -9, restart, a fresh client sees it, ${ROUNDS} times`, async (scene) => {
    const server = await scene.serve()
    const random = dice(`${SEED} saved ${scene.kind}`)
    const [room, other] = [scene.room(), scene.room()]
    const lines = [4, 3].map((line) => {
      const socket = scene.hocuspocus({ line, delay: 100 })
      return [room, other].map((name) => scene.document(name, { socket }))
    })
    const documents = lines.flat()
    await Promise.all(documents.map((document) => document.synced()))
    let edits = 0
    for (let round = 1; round <= ROUNDS; round++) {
      // Some of it while the connection is not there yet again, some of it in bursts.
      const saved = documents.map(async (document, i) => {
        for (let n = random.int(1, 20); n > 0; n--, edits++) document.map.set(`${round}-${i}-${n}`, n)
        document.map.delete(`${round - 1}-${i}-1`)
        document.text.insert(random.int(0, document.text.length), `${round}`)
        if (random.int(0, 3) > 0) await document.synced()
        document.map.set(`round-${i}`, round)
        await document.saved()
      })
      await Promise.all(saved)
      await server.kill()
      const seen = documents.map((document) => [document.doc.getMap('map').toJSON(), `${document.text}`.length])
      await server.restart()
      for (const [at, name] of [room, other].entries()) {
        const fresh = await scene.document(name, { line: round % 2 ? 4 : 3 }).synced()
        for (const [i, [map, length]] of seen.entries()) {
          if (i % 2 !== at) continue
          const own = (keys) => [...keys].filter((key) => key.split('-')[1] === `${i}`)
          assert.deepEqual(own(Object.keys(map)).filter((key) => !fresh.map.has(key)), [], `lost in round ${round}`)
          assert.deepEqual(own(fresh.map.keys()).filter((key) => !(key in map)), [], `back in round ${round}`)
          assert.equal(fresh.map.get(`round-${i}`), round)
          assert.ok(fresh.text.length >= length, `text of round ${round}: ${fresh.text.length} of ${length}`)
        }
        fresh.destroy()
        fresh.socket.destroy()
      }
    }
    scene.figure('edits saved over all rounds', edits, 'edits')
    await server.stop()
    await server.check()
  }, { timeout: ROUNDS * 60_000 })
}, { own: true })
