// Owns the client for servers and scripts: every method against the real server, and its types against what the
// server says of itself.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Server } from '../interop/lib/server.mjs'
import { openStore } from '../interop/lib/store.mjs'
import { admin, writer } from '../interop/lib/token.mjs'
import { poll } from '../interop/lib/wait.mjs'
import { importClient } from './lib/page.mjs'
import { typesNow, typesOf } from '../../clients/typescript/scripts/openapi.mjs'

let store, server, http, root, RoundtableHttp, HttpError, Y

before(async () => {
  ({ RoundtableHttp, HttpError, Y } = await importClient("export * from '@roundtable/client/http'; export * as Y from 'yjs'"))
  store = await openStore('sqlite')
  server = await Server.start({ store })
  http = new RoundtableHttp({ url: `${server.http}/`, token: writer('ada') })
  root = new RoundtableHttp({ url: server.http, token: () => Promise.resolve(admin()) })
})

after(async () => {
  await server.stop()
  await store.drop()
})

const fails = (status, code) => (error) => {
  assert.ok(error instanceof HttpError)
  assert.deepEqual([error.status, error.code], [status, code])
  return true
}

test('the types are what the server says of itself: else run `npm run openapi` in clients/typescript', async () => {
  const { json, status } = await server.request('GET', '/api/v1/openapi.json')
  assert.equal(status, 200)
  assert.equal(typesNow(), await typesOf(json))
})

test('records are made, read, changed under conditions, listed and removed', async () => {
  const tasks = http.room('http/1').records('tasks')
  const made = await tasks.create({ title: 'a', n: 1 })
  assert.deepEqual(made.fields, { title: 'a', n: 1 })
  await tasks.create({ title: 'b', n: 2 }, 'b')
  await assert.rejects(tasks.create({ title: 'b' }, 'b'), fails(409, 'conflict'))
  const changed = await tasks.update('b', { n: null }, { unset: ['title'], ifMatch: 2 })
  assert.deepEqual(changed.fields, { n: null })
  await assert.rejects(tasks.update('b', { n: 3 }, { ifMatch: 2 }), fails(412, 'precondition_failed'))
  await assert.rejects(tasks.update('b', { n: 3 }, { baseVersion: 2 }), fails(409, 'conflict'))
  assert.deepEqual((await tasks.replace('b', { x: true })).fields, { x: true })
  const all = []
  for await (const record of tasks.list({ limit: 1 })) all.push(record.recordId)
  assert.deepEqual(all.sort(), [made.recordId, 'b'].sort())
  assert.deepEqual((await tasks.page({ filter: { x: true } })).records.map(({ recordId }) => recordId), ['b'])
  await tasks.delete('b')
  await assert.rejects(tasks.get('b'), fails(404, 'not_found'))
})

test('a push is applied once, and a change is followed', async () => {
  const room = http.room('http/2')
  const ops = [{ opId: 'o1', type: 'create', collection: 'tasks', recordId: 't', fields: { n: 1 } }]
  assert.deepEqual((await room.push(ops)).results.map(({ status }) => status), ['applied'])
  assert.deepEqual((await room.push(ops)).results.map(({ status }) => status), ['duplicate'])
  const results = await http.push([
    { room: 'http/2', opId: 'o2', type: 'increment', collection: 'tasks', recordId: 't', fields: { n: 4 } },
    { room: 'http/3', opId: 'o3', type: 'update', collection: 'tasks', recordId: 'nobody', fields: { n: 4 } }
  ])
  assert.deepEqual(results.map(({ status, error }) => [status, error?.code]), [['applied', undefined], ['rejected', 'not_found']])
  const seen = []
  for await (const { events } of room.follow({ version: 0 }, { wait: 1 })) {
    seen.push(...events.map(({ version, type }) => `${version} ${type}`))
    if (seen.length === 2) break
  }
  assert.deepEqual(seen, ['1 create', '2 update'])
  assert.deepEqual(await room.doc(), { tasks: { t: { n: 5 } } })
  const doc = new Y.Doc()
  Y.applyUpdate(doc, await room.state())
  assert.deepEqual(doc.getMap('tasks').toJSON(), { t: { n: 5 } })
})

test('a document is exchanged without a socket', async () => {
  const room = http.room('http/4')
  const doc = new Y.Doc()
  doc.getText('notes').insert(0, 'hi')
  const given = await room.sync(Y.encodeStateVector(doc), Y.encodeStateAsUpdate(doc))
  assert.deepEqual([...Y.decodeStateVector(given.stateVector)], [[doc.clientID, 2]])
  assert.equal(given.version, 1)
  const taken = await room.sync(Y.encodeStateVector(new Y.Doc()))
  const copy = new Y.Doc()
  Y.applyUpdate(copy, taken.update)
  assert.equal(copy.getText('notes').toJSON(), 'hi')
})

test('presence, messages and the inbox', async () => {
  const room = http.room('http/5')
  await room.enter('tab', { viewId: 'x' })
  assert.deepEqual((await room.presence()).map(({ clientId, user }) => [clientId, user.id]), [['tab', 'ada']])
  await room.leave('tab')
  await poll('nobody to be there', async () => ({ ok: (await room.presence()).length === 0 }))
  await room.send('wave', { hand: 'left' })
  const { messageId } = await http.send({ user: 'ada' }, 'note', { x: 1 }, 'c1')
  const { messages } = await http.poll({ since: 0 })
  assert.deepEqual(messages.map(({ id, type, payload, correlationId }) => [id, type, payload, correlationId]),
    [[messageId, 'note', { x: 1 }, 'c1']])
  await assert.rejects(http.broadcast('news'), fails(403, 'forbidden'))
  await root.broadcast('news', 'hello')
})

test('conflicts are listed and decided', async () => {
  const tasks = http.room('http/6').records('tasks')
  const { version: baseVersion } = await tasks.create({ title: 'a' }, 't')
  await tasks.update('t', { title: 'b' })
  await tasks.update('t', { title: 'c' }, { baseVersion, onConflict: 'merge' })
  const open = []
  for await (const conflict of http.conflicts({ room: 'http/6', resolved: false })) open.push(conflict)
  assert.deepEqual(open.map(({ mine, theirs }) => [mine, theirs]), [['c', 'b']])
  const decided = await http.resolve(open[0].id, 'merged', 'b and c')
  assert.equal(decided.resolved.resolution, 'merged')
  assert.deepEqual((await tasks.get('t')).fields, { title: 'b and c' })
})

test('rooms are listed and deleted by admins, and by nobody else', async () => {
  const names = []
  for await (const { room } of root.rooms({ prefix: 'http/', limit: 2 })) names.push(room)
  assert.ok(names.includes('http/1') && names.includes('http/6'), `all pages: ${names}`)
  assert.equal((await http.room('http/1').info()).room, 'http/1')
  await assert.rejects(http.room('http/1').delete(), fails(403, 'forbidden'))
  await root.room('http/1').delete()
  assert.equal((await http.room('http/1').info()).version, 0)
  assert.equal(typeof (await http.stats()).connections, 'number')
  assert.equal(await http.isReady(), true)
})

test('a token that is not good is refused, one that is fetched is kept', async () => {
  const bad = new RoundtableHttp({ url: server.http, token: 'x' })
  await assert.rejects(bad.room('http/2').info(), fails(401, 'unauthenticated'))
  let asked = 0
  const token = () => { asked++; return writer('ada') }
  const fetched = new RoundtableHttp({ url: server.http, token })
  await Promise.all([fetched.stats(), fetched.stats()])
  await fetched.stats()
  assert.equal(asked, 1)
})
