// Shows what a table of records tells of what Yjs clients write.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import * as Y from 'yjs'
import { onEachStore } from './lib/stage.mjs'
import { writer } from './lib/token.mjs'

const record = (fields) => new Y.Map(Object.entries(fields))

onEachStore('records', (check) => {
  check('RC7 what no JSON client could name is in the document alone, and all other records go on', async (scene) => {
    const server = await scene.serve()
    const room = scene.room()
    const headers = { 'content-type': 'application/json' }
    const ask = (method, path, body) =>
      server.room(room, path, { method, token: writer(), headers, body: body && JSON.stringify(body) })
    const listed = async () => {
      const { status, json } = await ask('GET', '/records/tasks')
      assert.equal(status, 200, JSON.stringify(json))
      return Object.fromEntries(json.records.map((it) => [it.recordId, it.fields]))
    }
    // Bytes that cannot be compressed: there is no place for them in an index.
    const long = randomBytes(4_000).toString('base64')
    const longest = 'x'.repeat(255)
    const ada = await scene.client(room).synced()
    ada.doc.transact(() => {
      for (const id of ['a', longest, `${longest}x`, 'nul\0', long]) ada.doc.getMap('tasks').set(id, record({ n: 1 }))
      ada.doc.getMap(long).set('a', record({ n: 1 }))
    })
    const { json: { events } } = await ask('GET', '/changes?since=0&wait=30')
    assert.equal(events.length, 6)
    assert.deepEqual(await listed(), { a: { n: 1 }, [longest]: { n: 1 } })
    assert.equal((await ask('GET', '/records/tasks/a')).status, 200)
    assert.deepEqual((await ask('GET', '')).json.collections, { tasks: 5, [long]: 1 })
    // A field's name is part of a value, and may be as long.
    ada.doc.getMap('tasks').get('a').set(long, 2)
    await ask('GET', '/changes?since=1&wait=30')
    await server.kill()
    await server.restart()
    const { status, json } = await ask('POST', '/records/tasks', { recordId: 'b', fields: { n: 2 } })
    assert.equal(status, 201, JSON.stringify(json))
    assert.deepEqual(await listed(), { a: { n: 1, [long]: 2 }, [longest]: { n: 1 }, b: { n: 2 } })
    await server.check()
  })

  check('HT6 a write is done only if the record is at one of the tags that it names', async (scene) => {
    const room = scene.room()
    let n = 0
    const write = async (headers, method = 'PATCH') => {
      const body = method === 'DELETE' ? undefined : JSON.stringify({ fields: { n: ++n } })
      return (await scene.server.room(room, '/records/tasks/a', { method, token: writer(), headers, body })).status
    }
    assert.equal(await write({ 'if-match': '*' }, 'PUT'), 412)
    assert.equal(await write({ 'if-none-match': '*' }, 'PUT'), 201)
    assert.equal(await write({ 'if-none-match': '*' }, 'PUT'), 412)
    assert.equal(await write({ 'if-match': '"1"' }), 200)
    for (const stale of ['"1"', '"1", "3"', 'W/"2"', '2', '"x"', '', '"1", *']) {
      assert.equal(await write({ 'if-match': stale }), 412, stale)
    }
    assert.equal(await write({ 'if-match': '"1", "2"' }), 200)
    assert.equal(await write({ 'if-match': '"3","x"' }), 200)
    assert.equal(await write({ 'if-match': '*' }), 200)
    assert.equal(await write({ 'if-none-match': '"1"' }), 400)
    assert.equal(await write({ 'if-match': '"4", "5"' }, 'DELETE'), 204)
  })

  check('ST41 filters of one field have to be met, all of them', async (scene) => {
    const room = scene.room()
    const headers = { 'content-type': 'application/json' }
    for (const n of [2, 3]) {
      const body = JSON.stringify({ recordId: `r${n}`, fields: { n } })
      await scene.server.room(room, '/records/tasks', { method: 'POST', token: writer(), headers, body })
    }
    const found = async (query) => {
      const { json } = await scene.server.room(room, `/records/tasks?${query}`, { token: writer() })
      return json.records.map((it) => it.recordId)
    }
    assert.deepEqual(await found('filter[n]=2'), ['r2'])
    assert.deepEqual(await found('filter[n]=2&filter[n]=2.0'), ['r2'])
    assert.deepEqual(await found('filter[n]=2&filter[n]=3'), [])
    assert.deepEqual(await found('filter[n]=3&filter[n]=2'), [])
  })
})
