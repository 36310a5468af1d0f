// Shows that Hocuspocus providers, unmodified and of both lines in use, share rooms with each other and with everybody
// else, and know what is saved.
import assert from 'node:assert/strict'
import { converge } from './lib/client.mjs'
import { onEachStore } from './lib/stage.mjs'
import { writer } from './lib/token.mjs'

onEachStore('hocuspocus', (check) => {
  for (const line of [4, 3]) {
    check(`HP1 two providers of ${line}.x converge on all types, also after they were away`, async (scene) => {
      const room = scene.room()
      const [a, b] = [scene.document(room, { line }), scene.document(room, { line, token: writer('bob') })]
      await Promise.all([a.synced(), b.synced()])
      a.map.set('from', 'a')
      b.list.push([1, { two: [3] }])
      a.text.insert(0, 'hello')
      await converge([a, b], ({ map, list, text }) => map.from === 'a' && list.length === 2 && text === 'hello')
      await Promise.all([a.saved(), b.saved()])
      assert.deepEqual(a.scopes, ['read-write'])
      b.socket.wire.disconnect()
      await b.until('the end of the socket', () => b.socket.closes.length > 0)
      b.map.set('offline', true)
      a.map.set('meanwhile', true)
      assert.ok(b.provider.hasUnsyncedChanges)
      b.socket.wire.connect()
      await converge([a, b], ({ map }) => map.offline && map.meanwhile)
      await b.saved()
      const late = scene.document(room, { line })
      await late.shows(a.contents())
    })
  }

  check('HP2 many documents share a socket, each under its own name', async (scene) => {
    const socket = scene.hocuspocus()
    const rooms = Array.from({ length: 20 }, () => scene.room())
    const documents = rooms.map((room) => scene.document(room, { socket }))
    const others = rooms.map((room) => scene.document(room))
    await Promise.all([...documents, ...others].map((it) => it.synced()))
    documents.forEach((document, i) => document.map.set('mine', i))
    others.forEach((document, i) => document.map.set('theirs', i))
    for (const [i, document] of documents.entries()) {
      await document.shows({ map: { mine: i, theirs: i }, list: [], text: '', xml: '' })
      await document.saved()
    }
    assert.equal(socket.sockets.length, 1)
  })

  check('HP3 Hocuspocus, y-websocket, JSON and HTTP clients edit one room', async (scene) => {
    const room = scene.room()
    const [h, y] = [await scene.document(room).synced(), await scene.client(room).synced()]
    const json = await scene.json()
    await json.subscribe(room)
    h.map.set('h', 1)
    await y.until('the edit of the provider', () => y.map.get('h') === 1)
    y.map.set('y', 2)
    await h.until('the edit of y-websocket', () => h.map.get('y') === 2)
    const op = { opId: 'o1', type: 'create', collection: 'tasks', recordId: 't1', fields: { title: 'Milk' } }
    await json.push(room, [op])
    await h.until('the record', () => h.doc.getMap('tasks').get('t1')?.get('title') === 'Milk')
    h.doc.getMap('tasks').get('t1').set('title', 'Oat milk')
    await json.until('the change', () => json.events(room).some((event) =>
      event.recordId === 't1' && event.changes[0].newValue === 'Oat milk' && event.userId === 'ada'))
    const path = '/records/tasks/t1'
    const body = JSON.stringify({ fields: { done: true } })
    const headers = { 'content-type': 'application/json' }
    await scene.server.room(room, path, { method: 'PATCH', token: writer(), body, headers })
    await h.until('the patch', () => h.doc.getMap('tasks').get('t1').get('done') === true)
    await h.saved()
    const { json: doc } = await scene.admin('GET', room, '/doc')
    assert.deepEqual(doc, { map: { h: 1, y: 2 }, tasks: { t1: { done: true, title: 'Oat milk' } } })
  })
})
