// The audit log: who was let in or refused, and what admins did.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as Y from 'yjs'
import { Raw } from './lib/raw.mjs'
import { run } from './lib/server.mjs'
import { onEachStore } from './lib/stage.mjs'
import { admin, reader, sign, writer } from './lib/token.mjs'
import { poll } from './lib/wait.mjs'

/** The lines of a question, once there are so many: they are written behind. */
async function lines (scene, query, count) {
  let told
  await poll(`${count} lines of ${query}`, async () => {
    const { status, json } = await scene.server.request('GET', `/api/v1/audit?${query}`, { token: admin() })
    told = json.audit
    return { ok: status === 200 && told.length >= count, status, told }
  })
  return told
}

const ofRoom = (room) => `room=${encodeURIComponent(room)}`

onEachStore('audit', (check) => {
  check('AU4 joins, refusals and what admins do are noted, and no token is', async (scene) => {
    const room = scene.room('r/')
    const token = writer('ada')
    const forged = sign({ sub: 'eve', admin: true }, { secret: 'another secret of more than thirty-two bytes' })
    await scene.client(room, { token }).synced()
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ fields: { title: 'x' } })
    assert.equal((await scene.admin('POST', room, '/records/tasks', { headers, body })).status, 201)
    await Raw.upgrade({ base: scene.server.ws, room, token: forged })
    await scene.server.room(room, `/doc?token=${forged}`)
    const stranger = writer('joe', { rooms: { other: 'write' } })
    await scene.server.room(room, '', { token: stranger })
    const post = (path, body) => scene.server.request('POST', `/api/v1/${path}`, {
      token: admin('chief'), headers, body: JSON.stringify(body)
    })
    assert.equal((await post('sync/broadcast', { type: 'x' })).status, 200)
    assert.equal((await post('sync/cleanup', {})).status, 200)
    assert.equal((await scene.admin('DELETE', room)).status, 204)
    const told = await lines(scene, ofRoom(room), 5)
    const brief = told.map(({ action, allowed, userId }) => ({ action, allowed, userId }))
    assert.deepEqual(brief, [
      { action: 'delete', allowed: true, userId: 'root' },
      { action: 'access', allowed: false, userId: 'joe' },
      { action: 'token', allowed: false, userId: undefined },
      { action: 'token', allowed: false, userId: undefined },
      { action: 'join', allowed: true, userId: 'ada' }
    ])
    assert.ok(told.every(({ address, timestamp }) => address === '127.0.0.1' && !Number.isNaN(Date.parse(timestamp))))
    assert.deepEqual(told[1].detail, { method: 'GET', path: `/api/v1/rooms/${encodeURIComponent(room)}` })
    const [cleanup, broadcast] = await lines(scene, 'user=chief', 2)
    assert.deepEqual([cleanup.action, broadcast.action], ['cleanup', 'broadcast'])
    const all = JSON.stringify(await lines(scene, 'limit=1000', 7))
    for (const one of [token, forged, stranger]) {
      for (const part of one.split('.').slice(1)) assert.ok(!all.includes(part), 'a token is in the log')
    }
  })

  check('AU5 admins read it, newest first and in pages, by room and by user', async (scene) => {
    const room = scene.room()
    for (let i = 0; i < 5; i++) await scene.server.room(room, '', { token: writer(`u${i}`, { rooms: {} }) })
    const all = await lines(scene, ofRoom(room), 5)
    assert.deepEqual(all.map(({ userId }) => userId), ['u4', 'u3', 'u2', 'u1', 'u0'])
    const seen = []
    for (let cursor = ''; cursor !== undefined;) {
      const query = `${ofRoom(room)}&limit=2${cursor && `&cursor=${cursor}`}`
      const { json } = await scene.server.request('GET', `/api/v1/audit?${query}`, { token: admin() })
      assert.ok(json.audit.length <= 2)
      seen.push(...json.audit)
      cursor = json.cursor
    }
    assert.deepEqual(seen, all)
    const [line] = await lines(scene, `${ofRoom(room)}&user=u2`, 1)
    assert.deepEqual(line, all[2])
    for (const [token, status] of [[writer(), 403], [reader(), 403], [undefined, 401]]) {
      assert.equal((await scene.server.request('GET', '/api/v1/audit', { token })).status, status)
    }
    const bad = await scene.server.request('GET', '/api/v1/audit?cursor=x', { token: admin() })
    assert.equal(bad.status, 400)
  })

  check('AU7 commands that change rooms are noted, and what was noted outlives a drain', async (scene) => {
    await scene.serve()
    const room = scene.room()
    const folder = mkdtempSync(join(tmpdir(), 'roundtable-audit-'))
    scene.later(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'state')
    const doc = new Y.Doc()
    doc.getMap('map').set('a', 1)
    writeFileSync(file, Y.encodeStateAsUpdate(doc))
    const { store } = scene.server.options
    const imported = await run(['import', room, file, '--database-url', store.url])
    assert.equal(imported.code, 0, imported.stderr)
    await scene.server.room(room, '', { token: writer('late', { rooms: {} }) })
    const { code } = await scene.server.stop()
    assert.equal(code, 0)
    await scene.server.restart()
    const told = await lines(scene, ofRoom(room), 2)
    assert.deepEqual(told.map(({ action, userId }) => [action, userId]), [['access', 'late'], ['import', 'operator']])
  })
})
