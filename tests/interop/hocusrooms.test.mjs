// Shows what else lives in a room that Hocuspocus providers share: presence, messages, large documents, addresses of
// sessions, ends of documents, and what is said to who breaks the protocol.
import assert from 'node:assert/strict'
import * as Y from 'yjs'
import { awareness, step1, step2, NOTHING, update } from './lib/frames.mjs'
import { about, auth, stateless } from './lib/hocuspocus.mjs'
import { onEachStore } from './lib/stage.mjs'
import { reader, writer } from './lib/token.mjs'

const EMPTY = { map: {}, list: [], text: '', xml: '' }

/** States that claim to be a user, as one client sees them. */
const of = (client, user) => client.others().filter(([, state]) => state?.user?.id === user)

onEachStore('hocuspocus rooms', (check) => {
  check('HP4 Hocuspocus, y-websocket and JSON clients see who is here', async (scene) => {
    const room = scene.room()
    const h4 = scene.document(room, { token: writer('h4'), user: { name: 'x', id: 'forged' } })
    const h3 = scene.document(room, { token: writer('h3'), user: { name: 'x' }, line: 3 })
    const y = scene.client(room, { token: writer('y'), user: { name: 'y' } })
    const json = await scene.json({ token: writer('json') })
    await json.subscribe(room)
    await json.ask({ type: 'presence', room, state: { cursor: 1 } })
    const everyone = { h4, h3, y }
    for (const [mine, client] of Object.entries(everyone)) {
      const others = ['h4', 'h3', 'y', 'json'].filter((name) => name !== mine)
      await client.until(`${others}`, () => others.every((name) => of(client, name).length === 1))
    }
    h4.provider.setAwarenessField('cursor', { x: 7 })
    for (const client of [h3, y]) await client.until('the move', () => of(client, 'h4')[0]?.[1].cursor?.x === 7)
    await json.until('the move', () => json.of('presence', room).some((message) =>
      message.updated.some((it) => it.userId === 'h4' && it.state.cursor?.x === 7)))
    h4.destroy()
    for (const client of [h3, y]) await client.until('its leave', () => of(client, 'h4').length === 0)
    await json.until('its leave', () => json.of('presence', room).some((message) =>
      message.left.some((it) => it.user.id === 'h4')))
  })

  check('HP4 a client that is back is seen at once, and one that is lost lapses', async (scene) => {
    const room = scene.room()
    const proxy = await scene.proxy()
    const url = scene.server.hocuspocus.replace(scene.server.host, proxy.host)
    const socket = scene.hocuspocus({ url })
    const ada = await scene.document(room, { socket, user: { name: 'a' } }).synced()
    const bob = await scene.document(room, { token: writer('bob') }).synced()
    await bob.until('ada', () => of(bob, 'ada').length === 1)
    const gone = []
    bob.awareness.on('change', ({ removed }) => gone.push(...removed))
    proxy.cut()
    await ada.until('another socket', () => socket.sockets.length > 1 && ada.provider.synced)
    ada.provider.setAwarenessField('back', true)
    await bob.until('ada again', () => of(bob, 'ada')[0]?.[1].back === true)
    assert.deepEqual(gone, [], 'within its grace time it never left')
    socket.wire.shouldConnect = false
    socket.wire.configuration.delay = 1e6
    proxy.cut()
    await bob.until('its lapse', () => of(bob, 'ada').length === 0, { withinMs: 20_000 })
  })

  check('HP13 a stateless payload reaches everyone else, and messages reach providers', async (scene) => {
    const room = scene.room()
    const [a, b] = [await scene.document(room).synced(), await scene.document(room, { line: 3 }).synced()]
    const c = await scene.document(room, { sessionAwareness: true, token: reader() }).synced()
    const y = await scene.client(room).synced()
    const json = await scene.json({ token: writer('json') })
    await json.subscribe(room)
    a.provider.sendStateless('hello "you"')
    for (const document of [b, c]) await document.until('the payload', () => document.payloads.length === 1)
    assert.deepEqual([a.payloads, b.payloads, c.payloads], [[], ['hello "you"'], ['hello "you"']])
    const told = await json.told('the message', (message) => message.type === 'message')
    assert.deepEqual([told.event, told.payload, told.userId], ['stateless', 'hello "you"', 'ada'])

    await json.ask({ type: 'message', room, event: 'ring', payload: { loud: true } })
    const body = JSON.stringify({ event: 'stateless', payload: 'as it is' })
    const headers = { 'content-type': 'application/json' }
    await scene.server.room(room, '/messages', { method: 'POST', token: writer('http'), body, headers })
    for (const document of [a, b, c]) {
      await document.until('both', () => document.payloads.includes('as it is'))
      const ring = JSON.parse(document.payloads.at(-2))
      assert.deepEqual([ring.type, ring.room, ring.event, ring.payload, ring.userId], ['message', room, 'ring', { loud: true }, 'json'])
    }

    c.provider.sendStateless('from a reader')
    await c.until('a refusal', () => c.payloads.length === 4)
    assert.deepEqual(JSON.parse(c.payloads[3]).code, 'forbidden')
    a.provider.sendStateless('x'.repeat(70_000))
    await a.until('a refusal', () => a.payloads.length === 3)
    assert.deepEqual([JSON.parse(a.payloads[2]).type, JSON.parse(a.payloads[2]).code], ['error', 'too_large'])
    y.map.set('on', 1)
    await b.until('the edit', () => b.map.get('on') === 1)
    assert.equal(b.payloads.length, 3)
  })

  check('HP14 sessions of one document on one socket each have their own address', async (scene) => {
    const room = scene.room()
    const socket = scene.hocuspocus()
    const open = (options) => scene.document(room, { socket, ...options })
    const plain = open({ user: { name: 'p' } })
    const [one, two] = [open({ sessionAwareness: true }), open({ sessionAwareness: true, token: reader() })]
    await Promise.all([plain, one, two].map((it) => it.saved()))
    assert.match(one.address, new RegExp(`^${room}\0.+`))
    const edits = 100
    for (let n = 0; n < edits; n++) {
      plain.map.set(`p${n}`, n)
      one.map.set(`o${n}`, 'x'.repeat(n * 40))
    }
    for (const document of [plain, one, two]) {
      await document.until('all edits', () => document.map.size === 2 * edits)
      await document.shows(plain.contents())
    }
    await plain.saved()
    await one.saved()
    assert.deepEqual([two.scopes, one.scopes], [['readonly'], ['read-write']])
    await two.until('the others', () => of(two, 'ada').length === 2)
    assert.equal(one.count('close'), 0)
    one.destroy()
    plain.map.set('on', 1)
    await two.until('the edit', () => two.map.get('on') === 1)
    assert.equal(socket.sockets.length, 1)
  })

  check('HP15 a document is left alone, at once, and may be come back to', async (scene) => {
    const [left, kept] = [scene.room(), scene.room()]
    const socket = scene.hocuspocus()
    const a = await scene.document(left, { socket, user: { name: 'a' } }).synced()
    const still = await scene.document(kept, { socket }).synced()
    const bob = await scene.document(left, { token: writer('bob') }).synced()
    await bob.until('ada', () => of(bob, 'ada').length === 1)
    a.provider.detach()
    await bob.until('its leave', () => of(bob, 'ada').length === 0)
    await a.until('the goodbye', () => a.count('close') === 1)
    assert.deepEqual(socket.about(left).at(-1).text, 'provider_initiated')
    bob.map.set('missed', 1)
    a.map.set('alone', 1)
    await bob.saved()
    still.map.set('on', 1)
    await still.saved()
    assert.equal(a.map.get('missed'), undefined)
    a.provider.attach()
    await a.until('what was missed', () => a.map.get('missed') === 1)
    await bob.until('the edit', () => bob.map.get('alone') === 1)
    await a.saved()
    assert.equal(socket.sockets.length, 1)
  })

  check('HP16 a large first sync travels as several updates, and ends in a SyncStep2', async (scene) => {
    const room = scene.room()
    const doc = new Y.Doc()
    const records = doc.getMap('map')
    for (let part = 0; part < 40; part++) {
      doc.transact(() => {
        for (let i = 0; i < 100; i++) records.set(`r${part * 100 + i}`, `${part} `.repeat(250))
      })
    }
    const size = Y.encodeStateAsUpdate(doc).length
    assert.ok(size > 2_000_000, `${size}`)
    const source = await scene.document(room, { doc }).saved()
    for (const options of [{ line: 4 }, { line: 3 }, { sessionAwareness: true }]) {
      const late = scene.document(room, options)
      await late.synced({ withinMs: 60_000 })
      const steps = late.socket.about(late.address).filter((frame) => frame.kind === 'sync' && frame.step > 0)
      assert.ok(steps.length > 4, `${steps.length} frames`)
      assert.deepEqual(steps.map((frame) => frame.step), [...steps.slice(1).map(() => 2), 1])
      assert.ok(Math.max(...steps.map((frame) => frame.length)) < size / 3)
      await late.shows(source.contents())
      await late.saved()
    }
  })

  check('HP8 who edits before it has synced is told what is saved, once all of it is', async (scene) => {
    const room = scene.room()
    for (const line of [4, 3]) {
      const doc = new Y.Doc()
      for (let n = 0; n < 20; n++) doc.getText('text').insert(0, 'x')
      const ada = scene.document(room, { doc, line })
      // They rest on what the room does not have yet.
      ada.provider.on('open', () => doc.getText('text').insert(0, 'y'))
      ada.socket.wire.on('open', () => doc.getText('text').insert(1, 'z'))
      await ada.until('all to be sent', () => doc.getText('text').length >= 22)
      doc.getText('text').insert(2, 'more')
      await ada.saved()
      assert.equal(ada.provider.unsyncedChanges, 0)
      const { json } = await scene.admin('GET', room, '/doc')
      assert.ok(json.text.includes('yzmore') || json.text.includes('zymore'), json.text.slice(0, 40))
      doc.getText('text').insert(0, 'after')
      await ada.saved()
    }
  })

  check('HP7 every submission is answered once, and what is known already with 1', async (scene) => {
    const room = scene.room()
    const doc = new Y.Doc()
    const updates = []
    doc.on('update', (bytes) => updates.push(bytes))
    for (let n = 0; n < 3; n++) doc.getMap('map').set('n', n)
    const wire = await scene.wire()
    wire.send(auth(room, writer(), '4.8.0'))
    wire.send(about(room, step1(NOTHING)))
    await wire.frame('the question', (frame) => frame.step === 0 && frame.kind === 'sync')
    wire.send(about(room, step2(Uint8Array.of(0, 0))))
    for (const bytes of [...updates, updates[0], Y.encodeStateAsUpdate(doc)]) wire.send(about(room, update(bytes)))
    wire.send(about(room, step2(Y.encodeStateAsUpdate(doc))))
    const statuses = () => wire.frames.filter((frame) => frame.kind === 'status').map((frame) => frame.status)
    await wire.frame('the last answer', () => statuses().length >= 7)
    const rob = await scene.wire()
    rob.send(auth(room, reader()))
    rob.send(about(room, update(updates[0])))
    rob.send(about(room, step2(Y.encodeStateAsUpdate(doc))))
    doc.getMap('map').set('new', 1)
    rob.send(about(room, update(updates[3])))
    rob.send(about(room, step2(Y.encodeStateAsUpdate(doc))))
    const told = () => rob.frames.filter((frame) => frame.kind === 'status').map((frame) => frame.status)
    await rob.frame('the last answer', () => told().length >= 4)
    assert.deepEqual(told(), [1, 1, 0, 0])
    assert.deepEqual(statuses(), [1, 1, 1, 1, 1, 1, 1])
    const { json } = await scene.admin('GET', room, '/doc')
    assert.deepEqual(json, { map: { n: 2 } })
  })

  check('HP24 who asks again and again is answered each time, and nobody else waits', async (scene) => {
    const [room, other] = [scene.room(), scene.room()]
    const source = scene.document(room)
    source.map.set('large', 'x'.repeat(1 << 20))
    await source.saved()
    const wire = await scene.wire()
    for (const name of [room, other]) wire.send(auth(name, writer()))
    const times = 100
    for (let n = 0; n < times; n++) wire.send(about(room, step1(NOTHING)))
    wire.send(about(other, step1(NOTHING)))
    await wire.frame('the other', (frame) => frame.address === other && frame.step === 1)
    const steps = () => wire.frames.filter((frame) => frame.address === room && frame.kind === 'sync')
    await wire.frame('the last', () => steps().filter((frame) => frame.step === 1).length === times)
    assert.equal(steps().filter((frame) => frame.step === 0).length, times)
    await scene.mustBeHealthy(room)
  })

  check('HP18 what cannot be read ends its document, and nobody else is harmed', async (scene) => {
    const [room, other] = [scene.room(), scene.room()]
    const witness = await scene.document(room, { token: writer('bob') }).synced()
    const bad = [[], [0], [0, 9, 0], [0, 0, 5, 0], [0, 2, 3, 1, 1, 7], [1, 1, 0xFF], [2, 1, 0], [4, 0, 0, 1, 0], [6, 1, 97], [8, 1]]
    const wire = await scene.wire()
    wire.send(auth(other, writer()))
    for (const body of bad) {
      const before = wire.frames.length
      wire.send(auth(room, writer()))
      wire.send(about(room, body))
      const isEnd = (frame) => frame.kind === 'close' && wire.frames.indexOf(frame) >= before
      assert.match((await wire.frame(`the end after ${body}`, isEnd)).text, /^malformed: /)
    }
    wire.send(about(room, awareness([[1, 1, 'x'.repeat(70_000)]])))
    await wire.frame('the end', (frame) => frame.text === 'too_large')
    // What a later protocol may have is passed over, and so is a pong; a ping is answered.
    for (const bytes of [about(other, [77, 1]), [10], [9]]) wire.send(Uint8Array.from(bytes))
    await wire.frame('the pong', (frame) => frame.kind === 'pong')
    wire.send(about(other, step1(NOTHING)))
    await wire.frame('the other document', (frame) => frame.address === other && frame.step === 1)
    assert.equal(wire.closed, null)
    for (const bytes of [[], [9, 97], [2, 0xFF, 0xFF, 7], [0xFE, 7, ...Array(1_022).fill(97)]]) {
      const worse = await scene.wire()
      worse.send(Uint8Array.from(bytes))
      assert.equal((await worse.ended()).code, 4400)
    }
    const text = await scene.wire()
    text.send('text')
    assert.equal((await text.ended()).code, 4400)
    witness.map.set('on', 1)
    await witness.saved()
    await scene.mustBeHealthy(room)
  })

  check('HP18 what is too large is told to the provider, and its socket and other documents go on', async (scene) => {
    const [room, other] = [scene.room(), scene.room()]
    for (const line of [4, 3]) {
      const socket = scene.hocuspocus({ line })
      const still = await scene.document(other, { socket }).synced()
      const ada = await scene.document(room, { socket }).synced()
      const witness = await scene.document(room, { token: writer('bob') }).synced()
      ada.map.set('huge', 'x'.repeat(17 << 20))
      await ada.until('the end', () => ada.closes.length > 0)
      assert.deepEqual(ada.closes[0], { code: 1000, reason: 'too_large' })
      assert.ok(ada.provider.hasUnsyncedChanges)
      still.map.set('on', line)
      await still.saved()
      witness.map.set('on', line)
      await witness.saved()
      assert.deepEqual([socket.sockets.length, socket.closes], [1, []])
      assert.equal(witness.map.has('huge'), false)
    }
  })

  check('HP19 a deleted room ends its document alone, and its content does not come back', async (scene) => {
    const [room, other] = [scene.room(), scene.room()]
    const socket = scene.hocuspocus()
    const [ada, still] = [scene.document(room, { socket }), scene.document(other, { socket })]
    ada.map.set('old', 1)
    await Promise.all([ada.saved(), still.saved()])
    await scene.admin('DELETE', room)
    await ada.until('the end', () => ada.closes.length === 1)
    assert.deepEqual(ada.closes[0], { code: 1000, reason: 'room_deleted' })
    ada.map.set('older', 2)
    ada.provider.detach()
    ada.provider.attach()
    await ada.until('the refusal', () => ada.closes.some(({ reason }) => reason === 'epoch_changed'))
    const fresh = await scene.document(room, { token: writer('bob') }).synced()
    await fresh.shows(EMPTY)
    still.map.set('on', 1)
    await still.saved()
    assert.equal(socket.sockets.length, 1)
  })

  check('HP22 a socket has so many documents and no more', async (scene) => {
    const wire = await scene.wire()
    const token = writer()
    const names = Array.from({ length: 257 }, (_, i) => `${scene.room()}-${i}`)
    for (const name of names) wire.send(auth(name, token))
    await wire.frame('the refusal', (frame) => frame.kind === 'auth' && frame.step === 1)
    const refused = wire.frames.filter((frame) => frame.step === 1)
    assert.deepEqual(refused.map((frame) => frame.address), [names[256]])
    assert.match(refused[0].text, /^too_many_requests: /)
    await wire.frame('the others', () => wire.frames.filter((frame) => frame.step === 2).length === 256)
    wire.send(about(names[0], [7]))
    wire.send(auth(names[256], token))
    await wire.frame('a place', (frame) => frame.step === 2 && frame.address === names[256])
    const flood = await scene.wire()
    flood.send(auth(names[0], token))
    await flood.frame('a place', (frame) => frame.step === 2)
    for (let n = 0; n < 4_100; n++) flood.send(stateless(names[0], 'x'))
    assert.equal((await flood.ended()).code, 4529)
  })
})

onEachStore('hocuspocus drains', (check) => {
  check('HP20 a drain closes the socket with 4503 when all is kept, and providers come back', async (scene) => {
    const server = await scene.serve()
    for (const line of [4, 3]) {
      const socket = scene.hocuspocus({ line })
      const rooms = [scene.room(), scene.room(), scene.room()]
      const documents = rooms.map((room) => scene.document(room, { socket }))
      await Promise.all(documents.map((document) => document.synced()))
      documents.forEach((document, i) => document.map.set('before', i))
      assert.deepEqual(await server.stop(), { code: 0, signal: null })
      await documents[0].until('its close', () => socket.closes.length > 0)
      assert.equal(socket.closes[0].code, 4503)
      assert.match(socket.closes[0].reason, /^unavailable; retry after \d+ ms$/)
      documents.forEach((document, i) => document.map.set('meanwhile', i))
      await server.restart()
      for (const [i, document] of documents.entries()) {
        await document.saved()
        const { json } = await scene.admin('GET', rooms[i], '/doc')
        assert.deepEqual(json, { map: { before: i, meanwhile: i } })
      }
    }
  })
}, { own: true })
