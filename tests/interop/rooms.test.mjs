// Shows what a room's name may be, what deleting a room means, and that HTTP and sockets are the same room.
import assert from 'node:assert/strict'
import * as Y from 'yjs'
import { canonical } from './lib/canonical.mjs'
import { buffers, NOTHING, readBuffers, update } from './lib/frames.mjs'
import { converge, onEachStore } from './lib/stage.mjs'
import { admin, reader, writer } from './lib/token.mjs'
import { within } from './lib/wait.mjs'

const OCTETS = 'application/octet-stream'

onEachStore('rooms', (check) => {
  check('YW22 a room may have any depth of path, percent-encoding and Unicode in its name', async (scene) => {
    const names = [
      'project:42', 'a/b/c', 'Größe/日本/😀', 'with space', 'plus+and&and=', 'dots.and..more', '~tilde-_', "quote'd",
      'semi;colon,comma', 'at@sign!', 'star*', '(brackets)', 'x'.repeat(200)
    ]
    for (const name of names) {
      const room = `${scene.room('n')}/${name}`
      const plain = await scene.client(room).synced()
      const encoded = await scene.client(encodeURIComponent(room)).synced()
      plain.map.set('name', name)
      await encoded.until(`${name} under both spellings`, () => encoded.map.get('name') === name)
      const { status, json } = await scene.admin('GET', room, '/doc')
      assert.equal(status, 200)
      assert.deepEqual(json, { map: { name } })
      // The document shows an edit at once; the list shows what is kept.
      await scene.admin('GET', room, '/changes?since=0&wait=30')
      const list = await scene.server.request('GET', `/api/v1/rooms?prefix=${encodeURIComponent(room)}`, {
        token: admin()
      })
      assert.equal(list.json.rooms.length, 1, `one room named ${room}: ${JSON.stringify(list.json)}`)
    }
    for (const name of ['what?', 'hash#tag', '100%', 'a%2Fb', 'a%252Fb']) {
      const room = `${scene.room('e')}/${name}`
      const [a, b] = [scene.client(encodeURIComponent(room)), scene.client(encodeURIComponent(room))]
      await Promise.all([a.synced(), b.synced()])
      a.map.set('name', name)
      await converge([a, b], ({ map }) => map.name === name)
      const { json } = await scene.admin('GET', room, '/doc')
      assert.deepEqual(json, { map: { name } })
    }
    const py = await scene.pycrdt(`${scene.room('py')}/日本/x y`)
    await py.edit({ op: 'map.set', path: ['from'], value: 'py' })
  })

  check('YW23 rooms are apart: an edit of one is in no other', async (scene) => {
    const room = scene.room()
    const names = [room, `${room}/`, `${room}/a`, room.toUpperCase(), ` ${room}`]
    const clients = names.map((name) => scene.client(encodeURIComponent(name)))
    await Promise.all(clients.map((client) => client.synced()))
    clients.forEach((client, i) => client.map.set('only', i))
    for (const [i, name] of names.entries()) {
      const late = await scene.client(encodeURIComponent(name)).synced()
      await late.until('its own edit', () => late.map.get('only') === i)
    }
  })

  check('YW24 a deleted room closes its connections with 4404, and they stay away', async (scene) => {
    const room = scene.room()
    const [ada, bob] = [scene.client(room), scene.client(room, { token: reader('bob') })]
    await Promise.all([ada.synced(), bob.synced()])
    ada.map.set('gone', 'soon')
    await bob.until('the edit', () => bob.map.get('gone'))
    const { json: before } = await scene.admin('GET', room)
    const answer = await scene.admin('DELETE', room)
    assert.ok([200, 204].includes(answer.status), `DELETE: ${answer.status}`)
    for (const client of [ada, bob]) {
      assert.equal((await client.closed()).code, 4404)
      assert.equal(client.sockets.length, 1)
    }
    const { json: after } = await scene.admin('GET', room)
    assert.equal(after.version, 0)
    assert.notEqual(after.epoch, before.epoch)
    assert.deepEqual((await scene.admin('GET', room, '/doc')).json, {})
    const fresh = await scene.client(room).synced()
    assert.deepEqual(fresh.contents(), { map: {}, list: [], text: '', xml: '' })
    fresh.map.set('new', true)
    const late = await scene.client(room).synced()
    await late.shows({ map: { new: true }, list: [], text: '', xml: '' })
    await scene.server.check()
  })

  check('YW25 content of a deleted epoch is refused with 4409 and does not come back', async (scene) => {
    const room = scene.room()
    const ada = await scene.client(room).synced()
    const away = await scene.client(room).synced()
    ada.text.insert(0, 'old content')
    away.map.set('old', true)
    await converge([ada, away], ({ text, map }) => text && map.old)
    away.leave()
    away.map.set('offline', true)
    await scene.admin('DELETE', room)
    await ada.closed()

    const fresh = await scene.client(room).synced()
    fresh.map.set('new', 1)
    // Whoever brings old content: the one who was away, the one who was closed, and a request without a socket.
    away.join()
    assert.equal((await away.closed()).code, 4409)
    ada.join()
    await ada.until('the second close', () => ada.closes.some(({ code }) => code === 4409))
    const posted = await scene.server.room(room, '/sync', {
      method: 'POST', token: writer(), headers: { 'content-type': OCTETS },
      body: buffers(NOTHING, Y.encodeStateAsUpdate(away.doc))
    })
    assert.equal(posted.status, 409)
    assert.equal(posted.json.code, 'epoch_changed')
    await scene.mustBeHealthy(room)
    assert.equal(fresh.map.get('old'), undefined)
    assert.equal(fresh.text.toString(), '')
    assert.equal(fresh.sockets.length, 1, 'the new room went on')
    await scene.server.check()
  })

  check('YW25 the old epoch is still known after a restart', async (scene) => {
    const server = await scene.serve()
    const room = scene.room()
    const away = await scene.client(room).synced()
    away.text.insert(0, 'old')
    const witness = await scene.client(room).synced()
    await witness.until('the old text', () => witness.text.toString() === 'old')
    away.leave()
    await scene.admin('DELETE', room)
    await witness.closed()
    await server.stop()
    await server.restart()
    away.join()
    assert.equal((await away.closed()).code, 4409)
    await scene.mustBeHealthy(room)
  })

  check('YW26 sync over HTTP and sockets edit the same document', async (scene) => {
    const room = scene.room()
    const ada = await scene.client(room).synced()
    ada.map.set('ada', 1)
    const doc = new Y.Doc()
    doc.getMap('map').set('post', 2)
    const post = (vector, bytes, token = writer('poster')) => scene.server.room(room, '/sync', {
      method: 'POST', token, headers: { 'content-type': OCTETS }, body: buffers(vector, bytes)
    })
    const first = await post(Y.encodeStateVector(doc), Y.encodeStateAsUpdate(doc))
    assert.equal(first.status, 200)
    assert.match(first.type, /octet-stream/)
    const version = Number(first.headers.get('roundtable-version'))
    const epoch = first.headers.get('roundtable-epoch')
    await ada.until('what was posted', () => ada.map.get('post') === 2)
    await ada.until('to be kept', () => true)
    const [lacking, vector] = readBuffers(first.bytes)
    Y.applyUpdate(doc, lacking)
    assert.ok(Y.decodeStateVector(vector).get(doc.clientID) > 0, 'the reply says what the server has')
    const { json: about } = await scene.admin('GET', room)
    assert.equal(about.epoch, epoch)
    assert.ok(about.version >= version && version >= 1)
    ada.map.set('ada', 3)
    const witness = await scene.client(room).synced()
    await witness.until('3', () => witness.map.get('ada') === 3)
    const second = await post(Y.encodeStateVector(doc), [])
    Y.applyUpdate(doc, readBuffers(second.bytes)[0])
    assert.deepEqual(doc.getMap('map').toJSON(), { ada: 3, post: 2 })
    const read = await post(NOTHING, [], reader())
    assert.equal(read.status, 200, 'reading needs no more than a read grant')
    const bytes = await scene.admin('GET', room, '/doc', { headers: { accept: OCTETS } })
    const copy = new Y.Doc()
    Y.applyUpdate(copy, bytes.bytes)
    assert.deepEqual(copy.getMap('map').toJSON(), { ada: 3, post: 2 })
    assert.equal(bytes.headers.get('roundtable-epoch'), epoch)
  })

  check('YW27 sync over HTTP refuses an update with a gap and says where to start', async (scene) => {
    const room = scene.room()
    const doc = new Y.Doc()
    const sent = []
    doc.on('update', (bytes) => sent.push(bytes))
    doc.getMap('map').set('a', 1)
    doc.getMap('map').set('b', 2)
    const gap = await scene.server.room(room, '/sync', {
      method: 'POST', token: writer(), headers: { 'content-type': OCTETS }, body: buffers(NOTHING, sent[1])
    })
    assert.equal(gap.status, 422)
    const { json } = await scene.admin('GET', room)
    assert.equal(json.version, 0, 'nothing is stored')
  })

  check('YW28 changes are told to a waiting request when they are kept', async (scene) => {
    const room = scene.room()
    const ada = await scene.client(room, { token: writer('ada') }).synced()
    const { json: start } = await scene.admin('GET', room, '/changes')
    assert.equal(start.recovery, 'snapshot')
    assert.equal(start.reason, 'new')
    const waiting = scene.admin('GET', room, `/changes?since=${start.version}&wait=20`)
    const record = new Y.Map()
    record.set('title', 'a')
    ada.doc.getMap('records').set('r1', record)
    const { json: told } = await within('the waiting request to be answered', waiting)
    assert.equal(told.recovery, 'replay')
    assert.equal(told.version, start.version + 1)
    const [event] = told.events
    assert.equal(event.type, 'create')
    assert.equal(event.collection, 'records')
    assert.equal(event.recordId, 'r1')
    assert.equal(canonical(event.changes), canonical([{ field: 'title', newValue: 'a' }]))
    assert.equal(event.userId, 'ada')
    record.set('title', 'b')
    ada.doc.getMap('records').delete('r1')
    const witness = await scene.client(room).synced()
    await witness.until('an empty collection', () => witness.doc.getMap('records').size === 0)
    // One version or two, and the second may be kept later.
    const events = []
    for (let at = told.version; events.at(-1)?.type !== 'delete';) {
      const { json: page } = await scene.admin('GET', room, `/changes?since=${at}&epoch=${told.epoch}&wait=20`)
      assert.equal(page.recovery, 'replay')
      events.push(...page.events)
      at = page.version
    }
    assert.ok(['update', 'delete'].includes(events[0].type))
    const { json: ahead } = await scene.admin('GET', room, '/changes?since=1000000')
    assert.equal(ahead.recovery, 'snapshot')
    assert.equal(ahead.reason, 'ahead')
    const { json: other } = await scene.admin('GET', room, `/changes?since=1&epoch=${crypto.randomUUID()}`)
    assert.equal(other.recovery, 'snapshot')
    assert.equal(other.reason, 'epoch_changed')
  })

  check('YW29 pages of changes join without a gap', async (scene) => {
    const room = scene.room()
    const raw = await scene.raw(room)
    await raw.frame('SyncStep1', (f) => f.type === 0 && f.kind === 0)
    const doc = new Y.Doc()
    let acked = 0
    doc.on('update', (bytes) => raw.send(update(bytes)))
    for (let i = 0; i < 60; i++) {
      doc.getMap('map').set(`k${i}`, i)
      acked++
      await raw.frame(`ack ${i}`, () => raw.frames.filter((f) => f.type === 0 && f.kind === 2).length >= acked)
    }
    const { json: all } = await scene.admin('GET', room, '/changes?since=0')
    const paged = []
    let since = 0
    for (let pages = 0; pages < 100; pages++) {
      const { json } = await scene.admin('GET', room, `/changes?since=${since}&limit=7`)
      paged.push(...json.events)
      since = json.version
      if (!json.hasMore) break
    }
    assert.deepEqual(paged, all.events)
    const versions = [...new Set(all.events.map((event) => event.version))]
    assert.deepEqual(versions, Array.from({ length: versions.length }, (_, i) => i + 1))
    assert.equal(all.version, versions.length)
  })
})

