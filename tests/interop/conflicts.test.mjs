// The conflict log: what was written over, and how it ends.
import assert from 'node:assert/strict'
import { onEachStore } from './lib/stage.mjs'
import { admin, reader, writer } from './lib/token.mjs'

const json = { 'content-type': 'application/json' }

/** One user's way to a room's records and conflicts. */
function user (scene, room, token) {
  const ask = async (method, path, body) => {
    const sent = body && JSON.stringify(body)
    return scene.server.request(method, `/api/v1/${path}`, { token, headers: json, body: sent })
  }
  const at = `rooms/${encodeURIComponent(room)}`
  return {
    async push (...ops) {
      const all = ops.map((op, i) => ({ opId: `${room}-${++count}-${i}`, collection: 'tasks', recordId: 't1', ...op }))
      const answer = await ask('POST', `${at}/push`, { clientId: 'tab', ops: all })
      assert.equal(answer.status, 200, JSON.stringify(answer.json))
      return answer.json
    },
    record: (id = 't1') => ask('GET', `${at}/records/tasks/${id}`),
    conflicts: (query = '') => ask('GET', `conflicts?room=${encodeURIComponent(room)}${query}`),
    all: (query = '') => ask('GET', `conflicts${query}`),
    resolve: (id, body) => ask('POST', `conflicts/${id}/resolve`, body)
  }
}

let count = 0

/** Two users who wrote the same fields: eve wrote over bob. */
async function clashed (scene, { mine, theirs, unset } = {}) {
  const room = scene.room()
  const [bob, eve] = [user(scene, room, writer('bob')), user(scene, room, writer('eve'))]
  await bob.push({ type: 'create', fields: { title: 'old', size: 1 } })
  await bob.push({ type: 'update', fields: theirs ?? { title: 'bobs' } })
  const over = await eve.push({ type: 'update', fields: mine ?? { title: 'eves' }, unset, baseVersion: 1 })
  assert.equal(over.results[0].status, 'merged')
  const listed = await bob.conflicts()
  assert.equal(listed.status, 200)
  return { room, bob, eve, conflicts: listed.json.conflicts }
}

const titleOf = async (one) => (await one.record()).json.fields.title

onEachStore('conflicts', (check) => {
  check('CL1 a write over a concurrent change is listed, with both values and who wrote them', async (scene) => {
    const { room, conflicts } = await clashed(scene)
    const [{ id, timestamp, ...told }] = conflicts
    assert.deepEqual(told, {
      room,
      collection: 'tasks',
      recordId: 't1',
      field: 'title',
      mine: 'eves',
      theirs: 'bobs',
      version: 3,
      theirsVersion: 2,
      userId: 'eve',
      clientId: 'tab',
      theirsUserId: 'bob'
    })
    assert.equal(conflicts.length, 1)
    assert.match(id, /^[0-9a-f-]{36}$/)
    assert.ok(!Number.isNaN(Date.parse(timestamp)))
  })

  check('CL2 admins see every room, others have to name one that they may read', async (scene) => {
    const { room, conflicts } = await clashed(scene)
    const chief = user(scene, room, admin())
    const every = await chief.all('?limit=1000')
    assert.ok(every.json.conflicts.some(({ id }) => id === conflicts[0].id))
    assert.equal((await user(scene, room, reader()).conflicts()).status, 200)
    const stranger = user(scene, room, writer('joe', { rooms: { other: 'write' } }))
    for (const answer of [await stranger.conflicts(), await user(scene, room, writer()).all()]) {
      assert.equal(answer.status, 403)
      assert.equal(answer.json.code, 'forbidden')
    }
  })

  check('CL3 conflicts are listed in pages, ended or not', async (scene) => {
    const fields = (value) => Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((name) => [name, value]))
    const { bob, conflicts } = await clashed(scene, { theirs: fields(1), mine: fields(2) })
    assert.equal(conflicts.length, 5)
    const seen = []
    for (let cursor = ''; cursor !== undefined;) {
      const { json: page } = await bob.conflicts(`&limit=2${cursor && `&cursor=${cursor}`}`)
      assert.ok(page.conflicts.length <= 2)
      seen.push(...page.conflicts)
      cursor = page.cursor
    }
    assert.deepEqual(seen, conflicts)
    assert.equal((await bob.resolve(conflicts[1].id, { resolution: 'mine' })).status, 200)
    const ended = (await bob.conflicts('&resolved=true')).json.conflicts
    assert.deepEqual(ended.map(({ id }) => id), [conflicts[1].id])
    assert.equal((await bob.conflicts('&resolved=false')).json.conflicts.length, 4)
    for (const bad of ['&resolved=maybe', '&cursor=7', '&limit=x']) {
      assert.equal((await bob.conflicts(bad)).status, 400, bad)
    }
  })

  check('CL4 the chosen value is written as an update, and the conflict has ended', async (scene) => {
    for (const [resolution, value, title, version] of [
      ['mine', undefined, 'eves', 3], ['theirs', undefined, 'bobs', 4], ['merged', 'both', 'both', 4]
    ]) {
      const { bob, conflicts: [{ id }] } = await clashed(scene)
      const { status, json: told } = await bob.resolve(id, { resolution, value })
      assert.equal(status, 200, JSON.stringify(told))
      assert.equal(told.id, id)
      assert.equal(told.resolved.resolution, resolution)
      assert.equal(told.resolved.userId, 'bob')
      assert.equal(await titleOf(bob), title)
      assert.equal((await bob.record()).json.version, version)
      const [listed] = (await bob.conflicts()).json.conflicts
      assert.deepEqual(listed, told)
      const { room } = listed
      if (version === 3) continue
      const { json: { events } } = await scene.admin('GET', room, '/changes?since=3')
      assert.deepEqual(events.map(({ type, userId, changes }) => ({ type, userId, changes })), [
        { type: 'update', userId: 'bob', changes: [{ field: 'title', oldValue: 'eves', newValue: title }] }
      ])
    }
  })

  check('CL5 a conflict ends once, for who may write there, and in a way that there is', async (scene) => {
    const { room, bob, conflicts: [{ id }] } = await clashed(scene)
    for (const token of [reader(), writer('joe', { rooms: { other: 'write' } })]) {
      assert.equal((await user(scene, room, token).resolve(id, { resolution: 'mine' })).status, 403)
    }
    const deep = JSON.parse('['.repeat(100) + ']'.repeat(100))
    for (const body of [{}, { resolution: 'ours' }, { resolution: 'merged' }, { resolution: 'merged', value: deep }]) {
      assert.equal((await bob.resolve(id, body)).status, 400, JSON.stringify(body))
    }
    for (const unknown of ['7', '00000000-0000-7000-8000-000000000000']) {
      const { status, json: problem } = await bob.resolve(unknown, { resolution: 'mine' })
      assert.equal(status, 404)
      assert.equal(problem.code, 'not_found')
    }
    const tries = await Promise.all(['theirs', 'mine', 'theirs'].map((resolution) => bob.resolve(id, { resolution })))
    assert.deepEqual(tries.map(({ status }) => status).sort(), [200, 409, 409])
    const { status, json: problem } = await bob.resolve(id, { resolution: 'theirs' })
    assert.equal(status, 409)
    assert.equal(problem.code, 'conflict')
  })

  check('CL6 a side that is absent is the field removed; what was too long to keep is refused', async (scene) => {
    const gone = await clashed(scene, { mine: {}, unset: ['title'] })
    const [conflict] = gone.conflicts
    assert.ok(!('mine' in conflict))
    await gone.bob.push({ type: 'update', fields: { title: 'again' } })
    assert.equal((await gone.bob.resolve(conflict.id, { resolution: 'mine' })).status, 200)
    assert.equal(await titleOf(gone.bob), undefined)

    const long = await clashed(scene, { theirs: { title: 'x'.repeat(5000) }, mine: { title: 'y'.repeat(5000) } })
    const [{ id }] = long.conflicts
    const { status, json: problem } = await long.bob.resolve(id, { resolution: 'theirs' })
    assert.equal(status, 422)
    assert.equal(problem.code, 'unsupported')
    assert.equal((await long.bob.resolve(id, { resolution: 'mine' })).status, 200, 'it is what is there')
    assert.equal((await titleOf(long.bob))[0], 'y')
  })

  check('CL8 a record that was deleted over a change comes back with it; one deleted later does not', async (scene) => {
    const room = scene.room()
    const bob = user(scene, room, writer('bob'))
    await bob.push({ type: 'create', fields: { title: 'old' } })
    await bob.push({ type: 'update', fields: { title: 'bobs' } })
    await bob.push({ type: 'delete', baseVersion: 1 })
    const [{ id }] = (await bob.conflicts()).json.conflicts
    assert.equal((await bob.resolve(id, { resolution: 'theirs' })).status, 200)
    assert.equal(await titleOf(bob), 'bobs')

    const later = await clashed(scene)
    await later.bob.push({ type: 'delete' })
    const answer = await later.bob.resolve(later.conflicts[0].id, { resolution: 'theirs' })
    assert.equal(answer.status, 409, JSON.stringify(answer.json))
    assert.equal((await later.bob.record()).status, 404)
  })
})
