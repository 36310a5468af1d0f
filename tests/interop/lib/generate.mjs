// Owns workloads of the same shapes as the data set's, made from a seed: for clones that do not have it.
// An agent sees its own edits and a prefix of the order in which edits arrived at a relay, as real clients do.
import * as Y from 'yjs'
import { canonical, sha256 } from './canonical.mjs'
import { dice } from './random.mjs'

const WORDS = 'the quick brown fox Größe jumps over 日本語 a lazy 😀 dog and runs away from it again'.split(' ')
const STATES = ['open', 'doing', 'done', null]

/** One agent types, deletes and jumps about. */
export function sequentialText (seed, edits) {
  return record({ name: `text-1-${seed}`, seed, agents: 1, edits, root: 'text', edit: editText })
}

/** Several agents type into one text, each behind the others by some edits. */
export function concurrentText (seed, agents, edits) {
  return record({ name: `text-${agents}-${seed}`, seed, agents, edits, root: 'text', edit: editText })
}

/** Several agents edit one table: cells, rows, creates, deletes, pastes, clears. */
export function concurrentTable (seed, agents, edits) {
  return record({ name: `table-${agents}-${seed}`, seed, agents, edits, root: 'records', edit: editTable })
}

function record ({ name, seed, agents, edits, root, edit }) {
  const random = dice(`${name} ${seed}`)
  const isText = root === 'text'
  const people = Array.from({ length: agents }, () => person(random, root, isText))
  const relay = []
  const order = []
  const streams = people.map(() => [])
  for (let n = 0; n < edits; n++) {
    const who = random.int(0, agents - 1)
    const me = people[who]
    // Mostly up to date, at times far behind, as somebody who was offline.
    if (!random.chance(me.isAway ? 0.98 : 0.3)) catchUp(me, who, relay, random.chance(0.7) ? Infinity : random.int(0, 40))
    if (random.chance(0.002)) me.isAway = !me.isAway
    const update = me.record(() => edit(me, random))
    if (!update) continue
    const deps = me.seen.map((count, a) => [a, count]).filter(([a, count]) => a !== who && count > 0)
    order.push([who, streams[who].length, deps])
    streams[who].push(update)
    relay.push({ who, update })
  }
  const final = new Y.Doc()
  for (const { update } of relay) Y.applyUpdate(final, update)
  const result = isText
    ? { text_sha256: sha256(final.getText(root).toString()) }
    : { json_sha256: sha256(canonical({ [root]: final.getMap(root).toJSON() })) }
  return { name, kind: agents === 1 ? 'sequential' : 'concurrent', root, isText, agents: streams, order, final: result }
}

function person (random, root, isText) {
  const doc = new Y.Doc()
  doc.clientID = random.int(1, 2 ** 32 - 1)
  const me = { doc, seen: [], at: 0, next: 0, isAway: false }
  me.root = isText ? doc.getText(root) : doc.getMap(root)
  me.record = (act) => {
    let made = null
    const keep = (update, _origin, _doc, transaction) => { if (transaction.local) made = update }
    doc.on('update', keep)
    doc.transact(act)
    doc.off('update', keep)
    return made
  }
  return me
}

function catchUp (me, who, relay, most) {
  for (let n = 0; n < most && me.next < relay.length; n++) {
    const { who: from, update } = relay[me.next++]
    while (me.seen.length <= from) me.seen.push(0)
    me.seen[from]++
    if (from !== who) Y.applyUpdate(me.doc, update)
  }
}

function editText (me, random) {
  const text = me.root
  me.at = Math.min(me.at, text.length)
  if (random.chance(0.03)) me.at = random.int(0, text.length)
  if (random.chance(0.25) && me.at > 0) {
    const length = Math.min(me.at, random.chance(0.9) ? 1 : random.int(1, 30))
    me.at -= length
    text.delete(me.at, length)
    return
  }
  const word = random.chance(0.8) ? random.pick('abcdefghijklmnopqrstuvwxyz \n') : `${random.pick(WORDS)} `
  text.insert(me.at, word)
  me.at += word.length
}

function editTable (me, random) {
  const ids = [...me.root.keys()]
  const cell = () => random.pick([
    () => random.pick(WORDS), () => random.int(-1000, 1000), () => random.int(0, 10_000) / 100,
    () => random.chance(0.5), () => random.pick(STATES), () => [random.pick(WORDS), random.pick(WORDS)]
  ])()
  const field = () => `fld${random.int(1, 12)}`
  // A quarter of all cell edits goes to a few hot rows.
  const row = () => me.root.get(random.chance(0.25) ? ids[random.int(0, Math.min(4, ids.length - 1))] : random.pick(ids))
  const create = () => {
    const made = new Y.Map()
    for (let i = 0; i < 6; i++) made.set(field(), cell())
    me.root.set(`rec${random.int(0, 2 ** 31).toString(36)}`, made)
  }
  const kind = random.next()
  if (ids.length < 20 || kind < 0.08) return create()
  if (kind < 0.75) return row().set(field(), cell())
  if (kind < 0.81) {
    const [name, value] = [field(), cell()]
    for (let i = 0; i < 10; i++) row().set(name, value)
  } else if (kind < 0.88) {
    const target = row()
    for (let i = 0; i < 6; i++) target.set(field(), cell())
  } else if (kind < 0.92) me.root.delete(random.pick(ids))
  else if (kind < 0.95) row().delete(field())
  else if (kind < 0.97) for (let i = 0; i < 5; i++) create()
  else if (kind < 0.99) {
    const made = new Y.Map()
    made.set(field(), cell())
    me.root.set(random.pick(ids), made)
  } else for (let i = 0; i < 10; i++) me.root.delete(random.pick(ids))
}
