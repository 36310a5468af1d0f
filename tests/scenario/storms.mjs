// Shows that a storm costs what its sender pays: a join storm one encoding, a large first sync no one's patience, readers
// that never read a bounded number of bytes, and cursors one message per tick and peer.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { AWARENESS, awareness, NOTHING, step1, STEP2, SYNC, UPDATE } from '../interop/lib/frames.mjs'
import { onEachStore } from '../interop/lib/stage.mjs'
import { writer } from '../interop/lib/token.mjs'
import { breathe, until } from '../interop/lib/wait.mjs'
import * as Y from '../interop/lib/yjs.mjs'
import { post } from './lib/crowd.mjs'
import { Narrow } from './lib/narrow.mjs'
import { Writer } from './lib/writer.mjs'

const ROUNDS = Number(process.env.ROUNDTABLE_TEST_ROUNDS ?? 20)
const JOINERS = ROUNDS * 10

/** A slow line: as short as it is seen to work, or longer than any timeout of the server. */
const LINE_BYTES_PER_SECOND = ROUNDS > 20 ? 256 << 10 : 4 << 20

/** A message may be a chunk and its header, and one value more. */
const FRAME_BYTES_MAX = 300 << 10

const SLEEPERS = 50
const ROUSING_BYTES = 24 << 20

/** One presence message per tick, and 50 ms make a tick. */
const TICK_MS = 50
const CURSORS = 50

onEachStore('storms', (check) => {
  check(`TE8 ${JOINERS} clients join a document of 1 MB at once, cold and warm: one encoding`, async (scene) => {
    const server = await scene.serve()
    const room = 'join-storm'
    const doc = await fill(scene, room, 1_000)
    await server.stop()
    await server.restart()
    const first = await joinAll(scene, room, JOINERS)
    assert.equal(await server.metric('roundtable_encodings_total'), 1, 'one encoding serves them all')
    assert.equal(first.size, 1, 'they all got the same bytes')
    const [bytes] = first.values()
    const copy = new Y.Doc()
    for (const update of bytes) Y.applyUpdate(copy, update)
    assert.deepEqual(clocks(copy), clocks(doc))
    // While somebody types, joiners get the same encoding and what was typed since.
    const typist = new Writer(await scene.client(room, { token: writer('typist') }).synced(), 'typist')
    const hurry = new AbortController()
    scene.later(() => hurry.abort())
    const work = typist.work('storm', hurry.signal)
    const before = await server.metric('roundtable_encodings_total')
    await joinAll(scene, room, JOINERS)
    hurry.abort()
    await work
    const typed = Y.encodeStateAsUpdate(typist.client.doc, Y.encodeStateVector(doc)).length
    const encoded = await server.metric('roundtable_encodings_total') - before
    scene.figure('encodings while somebody typed', encoded, `encodings (${typed} bytes typed, ${typist.acked.size} acked)`)
    // Each stretch of 64 KiB of updates begins with an encoding; a frame has about 60 bytes more than what it adds.
    assert.ok(encoded <= 1 + Math.ceil((typed + 100 * typist.n) / (64 << 10)), `${encoded} encodings`)
    await typist.settle()
    await server.check()
  })

  check('YW4 a first sync of 20 MB travels in chunks, and everybody stays alive meanwhile', async (scene) => {
    const server = await scene.serve()
    const room = 'large'
    const doc = await fill(scene, room, 20_000)
    const pair = ['ada', 'bob'].map((name) => scene.client(room, { token: writer(name), doc: copyOf(doc) }))
    await Promise.all(pair.map((client) => client.synced({ withinMs: 60_000 })))
    const ada = new Writer(pair[0], 'ada')
    const line = await Narrow.open(server.port, LINE_BYTES_PER_SECOND)
    scene.later(() => line.close())
    const joiner = scene.client(room, { via: line, token: writer('joiner'), record: true })
    const hurry = new AbortController()
    scene.later(() => hurry.abort())
    const work = paced(ada, hurry.signal)
    await joiner.until('the first chunk', () => joiner.frames.some((frame) => frame.type === SYNC && frame.length > 100_000))
    const ackedBefore = ada.acked.size
    await until('acks while the state travels', () => ada.acked.size > ackedBefore + 3, { on: [[ada, 'change']] })
    assert.ok(!joiner.provider.synced, 'it was still on its way')
    await joiner.synced({ withinMs: 300_000 })
    hurry.abort()
    await work
    // Not by size, which a Y.Map counts anew each time.
    const last = await ada.settle()
    await joiner.until('the last edit', () => joiner.map.has(last), {
      seen: () => [joiner.map.size, ada.client.map.size], withinMs: 120_000
    })
    assert.deepEqual(clocks(joiner.doc), clocks(ada.client.doc))
    const sizes = joiner.frames.filter((frame) => frame.type === SYNC).map((frame) => frame.length)
    const chunks = sizes.filter((size) => size > 100_000)
    scene.figure('largest of the frames', Math.max(...sizes) / 1024, `KiB (${chunks.length} large ones)`)
    assert.ok(Math.max(...sizes) <= FRAME_BYTES_MAX)
    assert.ok(chunks.length >= 60)
    for (const client of [joiner, ...pair]) assert.equal(client.sockets.length, 1, 'nobody was cut')
    await server.check()
  }, { timeout: 400_000 })

  check(`LI15 HU7 TE4 ${SLEEPERS} readers that do not read cost a bounded amount, and get one diff when they wake`, async (scene) => {
    const server = await scene.serve()
    const room = 'sleepers'
    const editor = await scene.client(room, { token: writer('editor') }).synced()
    const witness = await scene.client(room, { token: writer('witness') }).synced()
    const sleepers = await Promise.all(Array.from({ length: SLEEPERS }, (_, i) =>
      scene.raw(room, { token: writer(`sleeper-${i}`) })))
    await Promise.all(sleepers.map((raw) => raw.handled()))
    for (const raw of sleepers) raw.socket.pause()
    const before = server.residentBytes()
    // One value again and again: much to be told, little to be caught up with.
    const piece = 'x'.repeat(60_000)
    const pieces = Math.ceil(ROUSING_BYTES / piece.length)
    for (let i = 1; i <= pieces; i++) {
      editor.map.set('bulk', `${i} ${piece}`)
      if (i % 20 === 0) await witness.until(`piece ${i}`, () => witness.map.get('bulk')?.startsWith(`${i} `))
    }
    editor.map.set('last', pieces)
    await witness.until('the last edit', () => witness.map.get('last') === pieces)
    const grown = server.residentBytes() - before
    scene.figure(`memory for ${SLEEPERS} readers that do not read ${ROUSING_BYTES >> 20} MB`, grown / (1 << 20), 'MiB')
    assert.ok(grown < 150 << 20, `grown by ${grown >> 20} MiB: one copy for each would be ${(SLEEPERS * ROUSING_BYTES) >> 20}`)
    const encodings = await server.metric('roundtable_encodings_total')
    await Promise.all(sleepers.map((raw) => wake(raw, pieces)))
    const diffs = await server.metric('roundtable_encodings_total') - encodings
    scene.figure('diffs when they woke', diffs, 'diffs')
    assert.ok(diffs > 0 && diffs <= SLEEPERS, `${diffs} diffs for ${SLEEPERS}`)
    assert.equal(witness.sockets.length, 1)
    await server.check()
  })

  check(`PR13 ${CURSORS} cursors that move without a pause: one message per tick and peer`, async (scene) => {
    const server = await scene.serve()
    const room = 'cursors'
    const peers = await Promise.all(Array.from({ length: CURSORS }, (_, i) =>
      scene.raw(room, { token: writer(`cursor-${i}`) })))
    const told = peers.map(() => 0)
    const clocks = peers.map(() => 0)
    const shown = new Map()
    peers.forEach((raw, i) => raw.on('frame', (frame) => {
      if (frame.type !== AWARENESS) return
      told[i]++
      for (const { clientId, clock, state } of frame.states) {
        // As y-protocols does: what is told of one's own id sets the clock.
        if (clientId === i + 1) clocks[i] = Math.max(clocks[i], clock)
        else if (i === 0) shown.set(clientId, state)
      }
      raw.frames.length = 0
    }))
    const move = (i, x) => peers[i].send(awareness([[i + 1, ++clocks[i], { x }]]))
    // The first state of an id may be told back under another clock; from then on the clocks agree.
    peers.forEach((_, i) => move(i, 0))
    await Promise.all(peers.map((raw) => raw.handled()))
    told.fill(0)
    const began = performance.now()
    let moves = 0
    for (let x = 1; performance.now() - began < 3_000; x++) {
      for (const [i, raw] of peers.entries()) {
        if (raw.socket.bufferedAmount > 0) continue
        move(i, x)
        moves++
      }
      await breathe()
    }
    const last = 1e9
    peers.forEach((_, i) => move(i, last))
    await until('the last place of all others', () => {
      return peers.every((_, i) => i === 0 || shown.get(i + 1)?.x === last)
    }, { on: [[peers[0], 'frame']], seen: () => [...shown].filter(([, state]) => state?.x !== last).length })
    // What is counted was sent between these two moments, so the bound is one of time as well.
    const ticks = (performance.now() - began) / TICK_MS
    scene.figure('moves', moves, `moves, ${Math.max(...told)} messages to a peer in ${Math.round(ticks)} ticks`)
    assert.ok(moves > 20 * ticks, 'they moved faster than anybody is told')
    for (const count of told) assert.ok(count <= ticks + 2, `${count} messages in ${ticks} ticks`)
    for (const raw of peers) assert.equal(raw.closed, null)
    await server.check()
  })
}, { own: true })

/** A document of so many values of 1 KB, in a room. */
async function fill (scene, room, values) {
  const doc = new Y.Doc()
  for (let at = 0; at < values; at += 5_000) {
    const before = Y.encodeStateVector(doc)
    doc.transact(() => {
      for (let i = at; i < Math.min(values, at + 5_000); i++) doc.getMap('map').set(`value-${i}`, 'v'.repeat(1_000))
    })
    assert.equal((await post(scene, room, Y.encodeStateAsUpdate(doc, before))).status, 200)
  }
  return doc
}

/** What a document has, by client. */
const clocks = (doc) => Y.decodeStateVector(Y.encodeStateVector(doc))

function copyOf (doc) {
  const copy = new Y.Doc()
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc))
  return copy
}

/** So many join with nothing at once. Returns what they were sent up to the answer, each different one once. */
async function joinAll (scene, room, count) {
  const seen = new Map()
  const raws = await Promise.all(Array.from({ length: count }, (_, i) => scene.raw(room, { token: writer(`j${i}`) })))
  for (const raw of raws) raw.send(step1(NOTHING))
  for (const raw of raws) {
    const answer = await raw.frame('the answer', (frame) => frame.type === SYNC && frame.kind === STEP2)
    const sent = raw.frames.slice(0, raw.frames.indexOf(answer) + 1)
      .filter((frame) => frame.type === SYNC && [UPDATE, STEP2].includes(frame.kind)).map((frame) => frame.payload)
    const hash = createHash('sha256')
    for (const payload of sent) hash.update(payload)
    seen.set(hash.digest('hex'), sent)
    raw.destroy()
  }
  return seen
}

/** Edits one after the other, each when the one before is acked. */
async function paced (one, signal) {
  while (!signal.aborted) {
    const key = one.write('paced')
    await until(`the ack of ${key}`, () => signal.aborted || one.acked.has(key), { on: [[one, 'change']] })
  }
}

/** Reads again: what the network still held, then what it lacks, and with it everything. */
async function wake (raw, last) {
  const doc = new Y.Doc()
  raw.on('frame', (frame) => {
    if (frame.type === SYNC && [UPDATE, STEP2].includes(frame.kind)) Y.applyUpdate(doc, frame.payload)
  })
  raw.socket.resume()
  await until('everything', () => doc.getMap('map').get('last') === last, { on: [[raw, 'frame'], [raw, 'closed']] })
  assert.equal(raw.closed, null)
}
