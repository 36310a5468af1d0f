// Shows that what took the process down does not do so again: the program with faults that updates may carry, a
// supervisor that starts it anew, and clients that come back and send again what they have.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as Y from 'yjs'
import { buffers, NOTHING } from './lib/frames.mjs'
import { Raw } from './lib/raw.mjs'
import { BIN, FAULTS_BIN, run } from './lib/server.mjs'
import { converge, onEachStore } from './lib/stage.mjs'
import { writer } from './lib/token.mjs'
import { breathe, poll, until } from './lib/wait.mjs'

const KILLS = Number(process.env.ROUNDTABLE_TEST_KILLS ?? 5)

onEachStore('containment', (check) => {
  check('CO9 an update that kills the process kills it once: it is held, its sender refused, all others go on', async (scene) => {
    const server = await scene.serve({ bin: FAULTS_BIN })
    const deaths = supervise(server)
    const room = scene.room('poisoned')
    const [bob, eve] = [scene.client(room, { token: writer('bob') }), scene.client(scene.room('other'))]
    await Promise.all([bob.synced(), eve.synced()])
    let held = 0
    for (const [way, sign] of [['abort', /SIGABRT/], ['overflow', /SIGABRT|SIGSEGV/]]) {
      const ada = await scene.client(room, { token: writer(`ada-${way}`) }).synced()
      ada.map.set(`harmless-${way}`, 1)
      await converge([ada, bob], ({ map }) => map[`harmless-${way}`] === 1)
      ada.map.set('poison', `roundtable fault: apply ${way}`)
      // She comes back by herself, sends what the server lacks, in another encoding, and is told not to come back.
      const closed = await ada.closed({ withinMs: 60_000 })
      assert.equal(closed.code, 4400, JSON.stringify(closed))
      assert.match(closed.reason, /quarantine/)
      assert.equal(deaths.length, ++held, 'it died once of this update')
      assert.match(deaths.at(-1).signal, sign)
      await bob.synced()
      await eve.synced()
      bob.map.set(`after-${way}`, 1)
      eve.map.set(`after-${way}`, 1)
      const [fresh, other] = await Promise.all([scene.client(room).synced(), scene.client(eve.provider.roomname).synced()])
      await converge([fresh, bob], ({ map }) => map[`after-${way}`] === 1 && !('poison' in map))
      await converge([other, eve], ({ map }) => map[`after-${way}`] === 1)
      const cases = await list(server)
      assert.equal(cases.length, held)
      const { kind, room: of, reason, releasedAt } = cases.at(-1)
      assert.deepEqual({ kind, of, releasedAt }, { kind: 'update', of: room, releasedAt: null })
      assert.match(reason, sign)
    }
    await server.check()
  }, { timeout: 300_000 })

  check('CO10 an operator lists, shows, drops and releases an update by command while the server runs', async (scene) => {
    const server = await scene.serve({ bin: FAULTS_BIN })
    const deaths = supervise(server)
    const room = scene.room('poisoned')
    const update = poison('apply abort')
    assert.equal((await post(server, room, update)).status, 0, 'nobody answers')
    await until('it to be up again', () => deaths.isUp && deaths.length === 1, { on: [[server, 'up']] })
    const refused = await post(server, room, update)
    assert.deepEqual([refused.status, refused.json.code], [400, 'malformed'])
    assert.match(refused.json.detail, /quarantine/)

    const [{ id, bytes, sha256 }] = await list(server)
    assert.equal(bytes, update.length)
    const out = join(server.options.store.folder, 'case.bin')
    const shown = await command(server, 'show', id, '--out', out)
    assert.equal(JSON.parse(shown).sha256, sha256)
    assert.deepEqual(new Uint8Array(readFileSync(out)), update)
    assert.match(await command(server, 'drop', id), /refused on/)
    assert.equal((await list(server))[0].bytes, null)
    await server.stop()
    await server.restart()
    assert.equal((await post(server, room, update)).status, 400, 'it is refused on')

    assert.match(await command(server, 'release', id), /released/)
    await server.stop()
    await server.restart()
    assert.equal((await post(server, room, update)).status, 0, 'it is let in, and kills again')
    await until('it to be up again', () => deaths.isUp && deaths.length === 2, { on: [[server, 'up']] })
    assert.equal((await post(server, room, update)).status, 400)
    const cases = await list(server)
    assert.deepEqual(cases.map(({ releasedAt }) => releasedAt === null), [false, true])
    assert.match(await command(server, 'drop', id), /off the list/)
    assert.deepEqual((await list(server)).map((it) => it.id), [cases[1].id])
    const unknown = await run(['quarantine', 'show', '999', '--database-url', server.options.store.url])
    assert.equal(unknown.code, 3, unknown.stderr)
    assert.equal(deaths.length, 2)
  })

  check('CO11 a room that kills the process when it is opened is closed to all and told, until it is released or dropped', async (scene) => {
    // The ordinary program takes the text for a text.
    const server = await scene.serve({ bin: BIN })
    const [heavy, light] = [scene.room('heavy'), scene.room('light')]
    const weight = poison('load abort')
    for (const room of [heavy, light]) {
      const update = room === heavy ? weight : poison('none')
      assert.equal((await post(server, room, update)).status, 200)
    }
    await server.stop()
    await server.restart({ bin: FAULTS_BIN })
    const deaths = supervise(server)
    await scene.admin('GET', heavy, '/doc').catch(() => {})
    await until('it to be up again', () => deaths.isUp && deaths.length === 1, { on: [[server, 'up']] })
    const mustBeClosed = async () => {
      for (const rest of ['', '/doc', '/changes?since=0']) {
        const { status, json } = await scene.admin('GET', heavy, rest)
        assert.deepEqual([status, json.code, json.reason], [503, 'unavailable', 'quarantined'], rest)
      }
      const upgrade = await Raw.upgrade({ base: server.ws, room: heavy, token: writer() })
      assert.equal(upgrade.status, 503)
    }
    await mustBeClosed()
    await scene.mustBeHealthy(light)
    assert.equal((await server.request('GET', '/readyz')).status, 200)
    await poll('the meter to say so', async () => {
      const page = Buffer.from((await server.request('GET', '/metrics')).bytes).toString()
      return { ok: /^roundtable_quarantined_rooms 1$/m.test(page), page: page.slice(0, 2000) }
    })
    const [{ id, kind }] = await list(server)
    assert.equal(kind, 'room')
    assert.match((await run(['check', '--database-url', server.options.store.url])).stdout, /in quarantine, not checked/)

    // A release is noticed by who asks next; this program still dies of it, and holds it anew.
    await command(server, 'release', id)
    await scene.admin('GET', heavy, '/doc').catch(() => {})
    await until('it to be up again', () => deaths.isUp && deaths.length === 2, { on: [[server, 'up']] })
    await mustBeClosed()
    const again = (await list(server)).at(-1).id
    assert.notEqual(again, id)
    await command(server, 'release', again)
    await server.stop()
    await server.restart({ bin: BIN })
    const before = await scene.admin('GET', heavy, '')
    assert.equal(before.json.version, 1, 'a program that does not die of it opens it')

    await server.stop()
    await server.restart({ bin: FAULTS_BIN })
    await scene.admin('GET', heavy, '/doc').catch(() => {})
    await until('it to be up again', () => deaths.isUp && deaths.length === 3, { on: [[server, 'up']] })
    await mustBeClosed()
    assert.match(await command(server, 'drop', (await list(server)).at(-1).id), /is deleted/)
    const after = await scene.admin('GET', heavy, '')
    assert.deepEqual([after.status, after.json.version], [200, 0])
    assert.notEqual(after.json.epoch, before.json.epoch)
    const late = await post(server, heavy, weight)
    assert.deepEqual([late.status, late.json.code], [409, 'epoch_changed'], 'what it held does not come back')
    assert.equal(deaths.length, 3)
  }, { timeout: 300_000 })

  check(`CO12 kill -9 under load, ${KILLS} times, holds nobody, and a clean end leaves nothing to be judged`, async (scene) => {
    const server = await scene.serve()
    const rooms = [scene.room('load'), scene.room('load')]
    const clients = rooms.flatMap((room) => [scene.client(room), scene.client(room)])
    for (let round = 1; round <= KILLS; round++) {
      await Promise.all(clients.map((client) => client.synced()))
      const hurry = new AbortController()
      const work = clients.map(async (client, at) => {
        for (let n = 0; !hurry.signal.aborted; n++) {
          client.map.set(`${at}-${n % 50}`, n)
          await breathe()
        }
      })
      const watcher = clients[0]
      const goal = `${round}-seen`
      clients[1].map.set(goal, 1)
      await watcher.until('the load to arrive', () => watcher.map.get(goal) === 1)
      await server.kill()
      hurry.abort()
      await Promise.all(work)
      const from = server.lines.length
      await server.restart()
      await until('the dead process to be judged', () => server.lines.slice(from).some((line) =>
        /nothing that rooms were doing when the process ended does it again/.test(line)), { on: [[server, 'line']] })
    }
    await Promise.all(clients.map((client) => client.synced()))
    assert.deepEqual(await list(server), [])
    await server.stop()
    const from = server.lines.length
    await server.restart()
    await scene.mustBeHealthy(rooms[0])
    assert.ok(!server.lines.slice(from).some((line) => /did not end by itself/.test(line)))
    await server.check()
  }, { timeout: 300_000 })

  check('CO13 a panic closes its sender with 4400 and its room with 4500, and the process lives', async (scene) => {
    const server = await scene.serve({ bin: FAULTS_BIN })
    const room = scene.room('poisoned')
    const [ada, bob, eve] = [scene.client(room), scene.client(room), scene.client(scene.room('other'))]
    await Promise.all([ada, bob, eve].map((client) => client.synced()))
    ada.map.set('poison', 'roundtable fault: apply panic')
    assert.equal((await ada.closed()).code, 4400)
    await bob.until('its close', () => bob.closes.length > 0)
    assert.equal(bob.closes[0].code, 4500)
    await bob.synced()
    assert.deepEqual(eve.closes, [])
    await scene.mustBeHealthy(room)
    const [{ kind, reason }] = await list(server)
    assert.equal(kind, 'update')
    assert.match(reason, /as the update says/)
    assert.equal(server.exit, null)
    // The panic is what was asked for.
    scene.logFrom = server.lines.length
  })
}, { own: true })

/** Starts the server whenever it dies of a signal, as systemd does. */
function supervise (server) {
  const deaths = Object.assign([], { isUp: true })
  server.on('exit', (exit) => {
    if (server.isStopped || !exit.signal) return
    deaths.push(exit)
    deaths.isUp = false
    // Whoever asks meanwhile sees a server that is being started, not one that ended.
    server.restart().then(() => {
      deaths.isUp = true
      server.emit('up')
    }, (error) => server.emit('up', error))
  })
  return deaths
}

/** An update that does something to the program with faults. */
function poison (what) {
  const doc = new Y.Doc()
  doc.getMap('map').set('poison', `roundtable fault: ${what}`)
  return Y.encodeStateAsUpdate(doc)
}

async function post (server, room, update) {
  const answer = await server.room(room, '/sync', {
    method: 'POST', token: writer(), headers: { 'content-type': 'application/octet-stream' }, body: buffers(NOTHING, update)
  }).catch(() => ({ status: 0 }))
  return answer
}

async function command (server, ...words) {
  const { code, stdout, stderr } = await run(['quarantine', ...words.map(String), '--database-url', server.options.store.url])
  assert.equal(code, 0, stderr)
  return stdout
}

async function list (server) {
  const lines = (await command(server, 'list', '--json')).split('\n').filter(Boolean)
  return lines.map((line) => JSON.parse(line))
}
