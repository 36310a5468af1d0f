// Shows who is let in to documents on a Hocuspocus socket: tokens per document, read-only scopes, refreshes and ends.
import assert from 'node:assert/strict'
import * as Y from 'yjs'
import { step1, NOTHING, update } from './lib/frames.mjs'
import { about, auth } from './lib/hocuspocus.mjs'
import { onEachStore } from './lib/stage.mjs'
import { admin, reader, writer } from './lib/token.mjs'
import { poll } from './lib/wait.mjs'
import { Wire } from './lib/wire.mjs'

const EMPTY = { map: {}, list: [], text: '', xml: '' }
const only = (room, access = 'write') => ({ rooms: { [room]: access } })

onEachStore('hocuspocus access', (check) => {
  check('HP5 a document without a good token is refused alone, and let in once it has one', async (scene) => {
    for (const line of [4, 3]) {
      const [mine, other] = [scene.room(), scene.room()]
      const socket = scene.hocuspocus({ line })
      const token = writer('ada', only(mine))
      const good = await scene.document(mine, { socket, token }).synced()
      const bad = scene.document(other, { socket, token })
      const broken = scene.document(scene.room(), { socket, token: 'no token' })
      const none = scene.document(scene.room(), { socket, token: '' })
      const expired = scene.document(scene.room(), { socket, token: writer('ada', { seconds: -1 }) })
      const refused = [[bad, 'forbidden'], [broken, 'unauthenticated'], [none, 'unauthenticated'], [expired, 'unauthenticated']]
      for (const [document, code] of refused) {
        await document.until('the refusal', () => document.denials.length > 0)
        assert.match(document.denials[0], new RegExp(`^${code}: `))
      }
      bad.map.set('early', true)
      bad.provider.configuration.token = writer('ada', only(other))
      await bad.provider.sendToken()
      await bad.saved()
      assert.deepEqual(bad.scopes, ['read-write'])
      const witness = await scene.document(other).synced()
      await witness.shows({ ...EMPTY, map: { early: true } })
      good.map.set('on', line)
      await good.saved()
      assert.equal(socket.sockets.length, 1, 'the socket stayed')
      assert.equal(broken.provider.synced, false)
      const noted = async (room) => {
        const { json } = await scene.server.request('GET', `/api/v1/audit?room=${room}`, { token: admin() })
        const seen = json.audit.map((it) => `${it.action} ${it.allowed} ${it.userId} ${it.detail.path}`)
        const wanted = ['access false undefined /hocuspocus', 'join true ada /hocuspocus']
        return { ok: wanted.every((line) => seen.includes(line)), seen }
      }
      await poll('the join and the refusal to be noted', () => noted(other))
      witness.map.delete('early')
      await witness.saved()
      await bad.shows(EMPTY)
    }
  })

  check('HP6 a reader hears all, changes nothing, and is told so', async (scene) => {
    const room = scene.room()
    const ada = await scene.document(room).synced()
    ada.map.set('a', 1)
    await ada.saved()
    for (const line of [4, 3]) {
      const rob = await scene.document(room, { token: reader(), line }).saved()
      assert.deepEqual(rob.scopes, ['readonly'])
      await rob.shows(ada.contents())
      ada.map.set('a', line)
      await rob.until('the edit', () => rob.map.get('a') === line)
      rob.map.set('mine', true)
      await rob.until('its refusal', () => rob.count('status', (frame) => frame.status === 0) === 1)
      assert.equal(rob.provider.hasUnsyncedChanges, true)
      assert.deepEqual(rob.closes, [])
      // What it has beyond the room is refused at a new sync, too, and what the room has is not.
      rob.socket.wire.disconnect()
      await rob.until('the end of the socket', () => rob.socket.closes.length > 0)
      rob.socket.wire.connect()
      await rob.until('its refusal', () => rob.count('status', (frame) => frame.status === 0) === 2)
      assert.equal(rob.provider.synced, true, 'it has what the room has')
    }
    await ada.shows({ ...EMPTY, map: { a: 3 } })
  })

  check('HP10 a token is asked for before it ends, and a fresh one is taken', async (scene) => {
    const [room, other] = [scene.room(), scene.room()]
    for (const line of [4, 3]) {
      const socket = scene.hocuspocus({ line })
      let asked = 0
      const token = () => writer('ada', { seconds: asked++ ? 600 : 4 })
      const ada = await scene.document(room, { socket, token }).synced()
      const still = await scene.document(other, { socket }).synced()
      await ada.until('the second scope', () => ada.scopes.length === 2)
      assert.equal(ada.count('auth', (frame) => frame.step === 0), 1, 'asked once')
      assert.equal(asked, 2)
      assert.deepEqual(ada.denials, [])
      ada.map.set('on', line)
      await ada.saved()
      assert.deepEqual([still.scopes.length, socket.sockets.length], [1, 1])
    }
  })

  check('HP10 a fresh token may grant less or more, and only to the same user', async (scene) => {
    const room = scene.room()
    let token = writer('ada')
    const ada = await scene.document(room, { token: () => token }).synced()
    const send = async (fresh, scopes) => {
      token = fresh
      await ada.provider.sendToken()
      await ada.until(`scope ${scopes}`, () => ada.scopes.length === scopes)
    }
    await send(reader('ada'), 2)
    ada.map.set('refused', true)
    await ada.until('a refusal', () => ada.count('status', (frame) => frame.status === 0) === 1)
    await send(writer('ada'), 3)
    assert.deepEqual(ada.scopes, ['read-write', 'readonly', 'read-write'])
    // The refused edit is still the client's: with the next sync it comes.
    ada.provider.forceSync()
    await ada.saved()
    token = writer('mallory')
    await ada.provider.sendToken()
    await ada.until('the refusal', () => ada.denials.length === 1)
    assert.match(ada.denials[0], /^forbidden: /)
    ada.map.set('more', 1)
    await ada.saved()
    const bob = await scene.document(room, { token: writer('bob') }).synced()
    await bob.shows({ ...EMPTY, map: { refused: true, more: 1 } })
    token = writer('ada', only('another'))
    await ada.provider.sendToken()
    await ada.until('the refusal', () => ada.denials.length === 2)
    bob.map.set('secret', 1)
    await bob.saved()
    await ada.provider.configuration.websocketProvider.connect()
    assert.equal(ada.map.get('secret'), undefined, 'who has no grant any more hears nothing')
  })

  check('HP11 a token that ends is told, and a later one goes on with what was missed', async (scene) => {
    const room = scene.room()
    for (const line of [4, 3]) {
      let token = writer('ada', { seconds: 3 })
      const ada = await scene.document(room, { token: () => token, line }).synced()
      const bob = await scene.document(room, { token: writer('bob') }).synced()
      await ada.until('the end', () => ada.denials.length > 0)
      assert.match(ada.denials.at(-1), /^unauthenticated: /)
      bob.map.set('missed', line)
      ada.map.set('mine', line)
      await bob.saved()
      assert.notEqual(ada.map.get('missed'), line)
      assert.ok(ada.provider.hasUnsyncedChanges)
      token = writer('ada')
      await ada.provider.sendToken()
      await ada.until('what was missed', () => ada.map.get('missed') === line)
      await bob.until('the edit', () => bob.map.get('mine') === line)
      await ada.saved()
      assert.equal(ada.socket.sockets.length, 1)
      bob.destroy()
    }
  })

  check('HP12 an upgrade may bring the token, and a bad one is refused there', async (scene) => {
    const room = scene.room()
    const url = (token) => `${scene.server.hocuspocus}?token=${token}`
    const socket = scene.hocuspocus({ url: url(writer()) })
    const ada = await scene.document(room, { socket, token: null }).synced()
    ada.map.set('a', 1)
    await ada.saved()
    const bob = await scene.document(room, { socket, token: null, sessionAwareness: true }).synced()
    await bob.shows(ada.contents())
    assert.equal((await Wire.upgrade(url('bad'))).status, 401)
    const header = scene.hocuspocus({ headers: { authorization: `Bearer ${reader()}` } })
    const rob = await scene.document(room, { socket: header, token: '' }).synced()
    assert.deepEqual(rob.scopes, ['readonly'])
  })

  check('HP17 what comes before a token waits, up to a limit', async (scene) => {
    const room = scene.room()
    const wire = await scene.wire()
    const doc = new Y.Doc()
    const updates = []
    doc.on('update', (bytes) => updates.push(bytes))
    for (let n = 0; n < 50; n++) doc.getMap('map').set('n', n)
    for (const bytes of updates) wire.send(about(room, update(bytes)))
    wire.send(about(room, step1(NOTHING)))
    wire.send(auth(room, writer()))
    await wire.frame('the sync', (frame) => frame.step === 1)
    const ada = await scene.document(room).synced()
    await ada.shows({ ...EMPTY, map: { n: 49 } })

    for (const flood of [
      (address) => Array.from({ length: 1_001 }, () => about(address, step1(NOTHING))),
      (address) => Array.from({ length: 6 }, () => about(address, update(new Uint8Array(1 << 20))))
    ]) {
      const bad = await scene.wire()
      for (const bytes of flood(scene.room())) bad.send(bytes)
      assert.equal((await bad.ended()).code, 4205)
    }
    ada.map.set('on', 1)
    await ada.saved()
  })
})

onEachStore('hocuspocus and strangers', (check) => {
  check('HP12 with --dev a socket without a token is one guest', async (scene) => {
    await scene.serve({ auth: ['--dev'] })
    const [one, two] = [scene.room(), scene.room()]
    const socket = scene.hocuspocus()
    const a = await scene.document(one, { socket, token: null, user: { name: 'me' } }).synced()
    const b = await scene.document(two, { socket, token: null, user: { name: 'me' } }).synced()
    a.map.set('a', 1)
    await a.saved()
    const id = (document) => document.awareness.getLocalState().user.id
    await a.until('an id', () => id(a))
    await b.until('an id', () => id(b))
    assert.match(id(a), /^guest-/)
    assert.equal(id(a), id(b))
  })
}, { own: true })
