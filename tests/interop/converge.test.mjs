// Shows that unmodified y-websocket and pycrdt clients co-edit a room.
import assert from 'node:assert/strict'
import * as Y from 'yjs'
import { NOTHING, step1, update } from './lib/frames.mjs'
import { converge, onEachStore } from './lib/stage.mjs'
import { writer } from './lib/token.mjs'

const nested = (entries) => {
  const map = new Y.Map()
  for (const [key, value] of Object.entries(entries)) {
    map.set(key, value && typeof value === 'object' && !Array.isArray(value) ? nested(value) : value)
  }
  return map
}

const element = (tag, attributes, text) => {
  const node = new Y.XmlElement(tag)
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
  node.insert(0, [new Y.XmlText(text)])
  return node
}

onEachStore('clients converge', (check) => {
  check('YW1 y-websocket and pycrdt clients converge on maps, arrays, text and XML', async (scene) => {
    const room = scene.room()
    const js = await scene.client(room).synced()
    const py = await scene.pycrdt(room)

    js.map.set('number', 1.5)
    js.map.set('null', null)
    js.map.set('plain', { a: [1, 'two', false] })
    js.list.insert(0, ['one', 2, { three: 3 }])
    js.text.insert(0, 'Größe 😀 日本')
    js.xml.insert(0, [element('p', { class: 'lead' }, 'from js')])
    await py.until('what js wrote', () => py.contents().xml !== '' && py.contents().list.length === 3)
    await py.edit(
      { op: 'map.set', path: ['from'], value: 'py' },
      { op: 'map.delete', path: ['null'] },
      { op: 'list.insert', at: 1, value: 'py' },
      { op: 'list.delete', at: 0 },
      { op: 'text.insert', at: 0, value: 'py: ' },
      { op: 'xml.append', tag: 'h1', attributes: { id: 'x' }, text: 'from py' }
    )
    const expected = {
      map: { number: 1.5, plain: { a: [1, 'two', false] }, from: 'py' },
      list: ['py', 2, { three: 3 }],
      text: 'py: Größe 😀 日本',
      xml: '<p class="lead">from js</p><h1 id="x">from py</h1>'
    }
    await js.shows(expected)
    await py.shows(expected)
    const late = await scene.client(room).synced()
    assert.deepEqual(late.contents(), expected)
  })

  check('YW1 nested maps made on both sides converge', async (scene) => {
    const room = scene.room()
    const js = await scene.client(room).synced()
    const py = await scene.pycrdt(room)
    js.map.set('js', nested({ deep: { deeper: { leaf: 1 } } }))
    await py.edit({ op: 'map.set', path: ['py', 'deep', 'leaf'], value: 2 })
    await converge([js, py], ({ map }) => map.js && map.py)
    await py.edit({ op: 'map.set', path: ['js', 'deep', 'deeper', 'leaf'], value: 3 })
    js.map.get('py').get('deep').set('leaf', 4)
    const expected = {
      map: { js: { deep: { deeper: { leaf: 3 } } }, py: { deep: { leaf: 4 } } }, list: [], text: '', xml: ''
    }
    await js.shows(expected)
    await py.shows(expected)
  })

  check('YW1 formatted text and embeds arrive with their attributes', async (scene) => {
    const room = scene.room()
    const [a, b] = await Promise.all([scene.client(room).synced(), scene.client(room).synced()])
    a.text.insert(0, 'plain bold')
    a.text.format(6, 4, { bold: true })
    a.text.insertEmbed(10, { image: 'x.png' })
    a.text.insert(0, 'start ', { italic: true })
    a.text.delete(6, 6)
    const expected = [
      { insert: 'start ', attributes: { italic: true } },
      { insert: 'bold', attributes: { bold: true } },
      { insert: { image: 'x.png' } }
    ]
    assert.deepEqual(a.text.toDelta(), expected)
    await b.until('the same formatted text', () => JSON.stringify(b.text.toDelta()) === JSON.stringify(expected))
    const late = await scene.client(room).synced()
    assert.deepEqual(late.text.toDelta(), expected)
  })

  check('YW2 edits made offline on both sides merge when the clients are back', async (scene) => {
    const room = scene.room()
    const js = await scene.client(room).synced()
    const py = await scene.pycrdt(room)
    const witness = await scene.client(room).synced()
    js.text.insert(0, 'base')
    await converge([js, py, witness], ({ text }) => text === 'base')

    js.leave()
    await py.disconnect()
    js.text.insert(0, 'js-')
    js.map.set('js', 'offline')
    await py.edit(
      { op: 'text.insert', at: 4, value: '-py' },
      { op: 'map.set', path: ['py'], value: 'offline' },
      { op: 'list.insert', at: 0, value: 'py' }
    )
    witness.text.insert(2, '|')
    js.join()
    await js.synced()
    await py.connect()
    const expected = {
      map: { js: 'offline', py: 'offline' }, list: ['py'], text: 'js-ba|se-py', xml: ''
    }
    for (const client of [js, py, witness]) await client.shows(expected)
  })

  check('YW2 offline edits of one client reach the other, whoever comes back first', async (scene) => {
    const room = scene.room()
    const [a, b] = await Promise.all([scene.client(room).synced(), scene.client(room).synced()])
    a.list.push(['seen'])
    await converge([a, b], ({ list }) => list.length === 1)
    a.leave()
    b.leave()
    a.list.push(['a'])
    b.list.delete(0)
    b.map.set('b', true)
    b.join()
    await b.synced()
    a.join()
    await a.synced()
    await converge([a, b], ({ list, map }) => list.length === 1 && list[0] === 'a' && map.b)
  })

  check('YW3 a client that joins late gets everything, after all others left too', async (scene) => {
    const room = scene.room()
    const first = await scene.client(room).synced()
    const expected = { map: {}, list: [], text: '', xml: '' }
    for (let i = 0; i < 200; i++) {
      first.map.set(`key${i % 20}`, i)
      first.text.insert(first.text.length, `${i} `)
      if (i % 3 === 0) first.text.delete(0, 2)
      expected.map[`key${i % 20}`] = i
    }
    expected.text = first.text.toString()
    const late = await scene.client(room).synced()
    await late.shows(expected)
    const [one, two] = [first, late]
    one.destroy()
    two.destroy()
    const later = await scene.client(room).synced()
    await later.shows(expected)
    const py = await scene.pycrdt(room)
    await py.shows(expected)
  })

  check('YW4 a large first sync travels as several frames and ends in a SyncStep2', async (scene) => {
    const room = scene.room()
    const source = await scene.client(room).synced()
    const records = source.doc.getMap('records')
    const filler = 'x'.repeat(480)
    for (let part = 0; part < 50; part++) {
      source.doc.transact(() => {
        for (let i = 0; i < 100; i++) {
          records.set(`r${part * 100 + i}`, nested({ name: `${filler}${i}`, note: `${filler}${part}`, n: i }))
        }
      })
    }
    const size = Y.encodeStateAsUpdate(source.doc).length
    assert.ok(size > 5_000_000, `the document should be over 5 MB, it has ${size}`)
    await holdsAll(scene, room, source.doc)
    const began = performance.now()
    const late = scene.client(room, { record: true })
    let atSync
    late.provider.once('sync', () => { atSync = late.frames.length })
    await late.synced({ withinMs: 60_000 })
    scene.figure('first sync of a 5 MB document', performance.now() - began)
    const sync = late.frames.slice(0, atSync + 1).filter((f) => f.type === 0 && f.kind > 0)
    const kinds = sync.map((f) => f.kind)
    const end = kinds.indexOf(1)
    assert.ok(end >= 3, `expected: several update frames before the SyncStep2; seen: ${kinds.join(' ')}`)
    const largest = Math.max(...sync.map((f) => f.length))
    assert.ok(largest < size / 3, `expected: no frame with a third of the document; largest: ${largest} of ${size}`)
    assert.equal(late.doc.getMap('records').size, 5000)
    assert.deepEqual(late.doc.getMap('records').toJSON(), records.toJSON())
    const py = await scene.pycrdt(room)
    await py.edit({ op: 'map.set', path: ['py'], value: true })
    await late.until('an edit of a pycrdt client that loaded it too', () => late.map.get('py'))
  })

  check('YW5 a sender gets its own update back, and it is kept by then', async (scene) => {
    const room = scene.room()
    const raw = await scene.raw(room, { token: writer('ada') })
    await raw.frame('SyncStep1 of the server', (f) => f.type === 0 && f.kind === 0)
    const doc = new Y.Doc()
    const sent = []
    doc.on('update', (bytes) => { sent.push(bytes); raw.send(update(bytes)) })
    let version = 0
    for (let n = 1; n <= 5; n++) {
      doc.getMap('map').set('n', n)
      const bytes = Buffer.from(sent.at(-1))
      await raw.frame('its own update', (f) => f.type === 0 && f.kind === 2 && bytes.equals(Buffer.from(f.payload)))
      const { json } = await scene.admin('GET', room)
      assert.ok(json.version > version, `an acked edit has a version of its own: ${json.version} after ${version}`)
      version = json.version
    }
    const { json } = await scene.admin('GET', room, '/changes?since=0')
    const versions = [...new Set(json.events.map((event) => event.version))]
    assert.deepEqual(versions, Array.from({ length: version }, (_, i) => i + 1))
    assert.ok(json.events.every((event) => event.userId === 'ada'), JSON.stringify(json.events[0]))
  })

  check('YW6 every frame holds one message', async (scene) => {
    const room = scene.room()
    const a = scene.client(room, { record: true, user: { name: 'a' } })
    const b = scene.client(room, { record: true, user: { name: 'b' } })
    await Promise.all([a.synced(), b.synced()])
    for (let i = 0; i < 50; i++) {
      a.map.set(`a${i}`, i)
      b.map.set(`b${i}`, i)
      a.awareness.setLocalStateField('cursor', i)
    }
    await converge([a, b], ({ map }) => Object.keys(map).length === 100)
    for (const frame of [...a.frames, ...b.frames]) {
      assert.equal(frame.text, undefined, 'no text frame')
      assert.equal(frame.rest, 0, `bytes after the message of a frame: ${JSON.stringify(frame)}`)
    }
  })

  check('YW7 SyncStep1 is answered with exactly what its state vector lacks', async (scene) => {
    const room = scene.room()
    const a = await scene.client(room).synced()
    a.list.push(['first'])
    const half = Y.encodeStateVector(a.doc)
    a.list.push(['second'])
    const raw = await scene.raw(room)
    await holdsAll(scene, room, a.doc)
    raw.send(step1(half))
    const answer = await raw.frame('a SyncStep2', (f) => f.type === 0 && f.kind === 1)
    const meta = Y.parseUpdateMeta(answer.payload)
    assert.deepEqual([...meta.from], [[a.id, Y.decodeStateVector(half).get(a.id)]])
    raw.frames.length = 0
    raw.send(step1(NOTHING))
    const whole = await raw.frame('a SyncStep2', (f) => f.type === 0 && f.kind === 1)
    const doc = new Y.Doc()
    Y.applyUpdate(doc, whole.payload)
    assert.deepEqual(doc.getArray('list').toJSON(), ['first', 'second'])
  })

  check('YW8 an update with a gap is asked for again, and comes right', async (scene) => {
    const room = scene.room()
    const doc = new Y.Doc()
    const sent = []
    doc.on('update', (bytes) => sent.push(bytes))
    for (const word of ['one ', 'two ', 'three ']) doc.getText('text').insert(doc.getText('text').length, word)
    const raw = await scene.raw(room)
    await raw.frame('SyncStep1 of the server', (f) => f.type === 0 && f.kind === 0)
    raw.frames.length = 0
    raw.send(update(sent[0]))
    raw.send(update(sent[2]))
    const asked = await raw.frame('the server to ask for what is missing', (f) => f.type === 0 && f.kind === 0)
    assert.deepEqual([...Y.decodeStateVector(asked.payload)], [[doc.clientID, 4]])
    const before = await scene.client(room).synced()
    assert.equal(before.text.toString(), 'one ', 'nothing after the gap is shown to others')
    raw.send(update(Y.encodeStateAsUpdate(doc, asked.payload)))
    await before.until('the whole text', () => before.text.toString() === 'one two three ')
  })
})

const hasAll = (vector, doc) => {
  const there = Y.decodeStateVector(vector)
  return [...Y.decodeStateVector(Y.encodeStateVector(doc))].every(([id, clock]) => (there.get(id) ?? 0) >= clock)
}

/** Waits until the server holds all of a document, by joining it as one more client. */
async function holdsAll (scene, room, doc) {
  const witness = await scene.client(room, { token: writer('witness') }).synced()
  await witness.until('the server to hold all', () => hasAll(Y.encodeStateVector(witness.doc), doc), { withinMs: 60_000 })
  witness.destroy()
}
