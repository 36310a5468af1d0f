import { describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { overlaps, type Overlap } from '../src/conflicts/concurrent.js'
import { orderedId, uuid } from '../src/ids.js'
import { Mirror, type RecordChange } from '../src/mirror.js'
import { Outbox, type Entry } from '../src/outbox.js'
import { Records } from '../src/records.js'
import { touchedBy, type Touch } from '../src/touched.js'
import { differing, isEqual, writable } from '../src/values.js'

const REMOTE = 'remote'

interface Task { title: string, done?: boolean | null, tags?: string[] }

function open(): { doc: Y.Doc, mirror: Mirror, tasks: Records<Task>, outbox: Outbox } {
  const doc = new Y.Doc()
  const outbox = new Outbox()
  const mirror = new Mirror(doc, (origin) => origin !== REMOTE, () => false)
  const tasks = new Records('tasks', doc, mirror, outbox) as unknown as Records<Task>
  return { doc, mirror, tasks, outbox }
}

const copy = (from: Y.Doc, to: Y.Doc): void =>
  Y.applyUpdate(to, Y.encodeStateAsUpdate(from, Y.encodeStateVector(to)), REMOTE)

describe('records', () => {
  test('are plain objects in, and maps in a root map in the document', () => {
    const { doc, tasks } = open()
    const id = tasks.create({ title: 'Buy milk', tags: ['a'] })
    expect(doc.toJSON()).toEqual({ tasks: { [id]: { title: 'Buy milk', tags: ['a'] } } })
    expect(doc.getMap('tasks').get(id)).toBeInstanceOf(Y.Map)
    expect(tasks.get(id)).toEqual({ id, title: 'Buy milk', tags: ['a'] })
    expect(tasks.size).toBe(1)
  })

  test('an update writes what differs, and nothing else', () => {
    const { doc, tasks } = open()
    const id = tasks.create({ title: 'a', done: false, tags: ['x'] })
    const sizes: number[] = []
    doc.on('update', (update) => sizes.push(update.length))
    tasks.update(id, { title: 'a', done: false, tags: ['x'] })
    expect(sizes).toEqual([])
    tasks.update(id, { title: 'b', done: undefined, tags: ['x', 'y'] })
    expect(tasks.get(id)).toEqual({ id, title: 'b', tags: ['x', 'y'] })
    expect(sizes.length).toBe(1)
  })

  test('null is a value, and the id is not a field', () => {
    const { doc, tasks } = open()
    tasks.create({ title: 'a', done: null, ...{ id: 'ignored' } }, 't1')
    expect(doc.toJSON()).toEqual({ tasks: { t1: { title: 'a', done: null } } })
  })

  test('what is missing is not updated, what is there not created', () => {
    const { tasks } = open()
    expect(() => tasks.update('t1', { title: 'a' })).toThrow(/no record "t1"/)
    tasks.upsert('t1', { title: 'a' })
    expect(() => tasks.create({ title: 'b' }, 't1')).toThrow(/already/)
    tasks.upsert('t1', { title: 'b' })
    expect(tasks.get('t1')?.title).toBe('b')
    expect(tasks.remove('t1')).toBe(true)
    expect(tasks.remove('t1')).toBe(false)
  })

  test('lists are sorted, filtered, and the same until something changes', () => {
    const { tasks } = open()
    for (const [id, title] of [['b', '1'], ['a', '2'], ['c', '0']] as const) tasks.create({ title }, id)
    expect(tasks.list().map(({ id }) => id)).toEqual(['a', 'b', 'c'])
    expect(tasks.list()).toBe(tasks.list())
    const byTitle = tasks.list({ sort: (a, b) => a.title.localeCompare(b.title) })
    expect(byTitle.map(({ id }) => id)).toEqual(['c', 'b', 'a'])
    expect(tasks.list({ where: ({ title }) => title !== '2' }).length).toBe(2)
    const [before, other] = tasks.list()
    tasks.update('a', { title: '3' })
    expect(tasks.list()[0]).not.toBe(before)
    expect(tasks.list()[1]).toBe(other)
    expect(Object.isFrozen(other)).toBe(true)
  })

  test('one transaction is one notification, with old and new', () => {
    const { tasks } = open()
    const told: RecordChange[][] = []
    tasks.create({ title: 'old' }, 'a')
    tasks.create({ title: 'gone' }, 'b')
    tasks.subscribe((changes) => told.push(changes))
    tasks.batch(() => {
      tasks.update('a', { title: 'new', done: true })
      tasks.remove('b')
      tasks.create({ title: 'made' }, 'c')
    })
    expect(told.length).toBe(1)
    expect(told[0]?.map(({ type, recordId, fields, before, after, isLocal }) =>
      [type, recordId, fields, before?.title, after?.title, isLocal]).sort()).toEqual([
      ['created', 'c', ['title'], undefined, 'made', true],
      ['removed', 'b', ['title'], 'gone', undefined, true],
      ['updated', 'a', ['title', 'done'], 'old', 'new', true]
    ])
  })

  test('of others are seen without having been named, plain roots are not', () => {
    const other = new Y.Doc()
    other.getMap('tasks').set('t1', new Y.Map([['title', 'theirs']]))
    other.getMap('settings').set('color', 'red')
    other.getText('notes').insert(0, 'hi')
    const { doc, mirror } = open()
    const told: RecordChange[] = []
    mirror.events.on('changes', (changes) => told.push(...changes))
    copy(other, doc)
    expect(told.map(({ collection, recordId, isLocal }) => [collection, recordId, isLocal]))
      .toEqual([['tasks', 't1', false]])
    expect(doc.getText('notes').toJSON()).toBe('hi')
  })

  test('a nested type is the value of its field', () => {
    const { doc, tasks } = open()
    tasks.create({ title: 'a' }, 't1')
    const record = doc.getMap('tasks').get('t1') as Y.Map<unknown>
    record.set('body', new Y.Text('x'))
    const told: string[][] = []
    tasks.subscribe((changes) => told.push(changes.flatMap(({ fields }) => fields)))
    ;(record.get('body') as Y.Text).insert(1, 'y')
    expect(tasks.get('t1')).toEqual({ id: 't1', title: 'a', body: 'xy' })
    expect(told).toEqual([['body']])
  })
})

describe('values', () => {
  test('that could not be kept exactly are refused', () => {
    const good = [null, true, 'a', 1.5, ['a', { b: [1] }], new Uint8Array([1]), new Y.Text()]
    for (const value of good) expect(writable(value, 'f')).toBe(value)
    const bad = [new Date(), NaN, Infinity, 1n, () => 1, Symbol('x'), new Map(), { a: new Date() }, [undefined]]
    for (const value of bad) expect(() => writable(value, 'f')).toThrow(/field "f" cannot hold/)
  })

  test('are compared by what they hold', () => {
    expect(isEqual({ a: [1, { b: null }] }, { a: [1, { b: null }] })).toBe(true)
    expect(isEqual({ a: undefined }, { b: undefined })).toBe(false)
    expect(isEqual([1], { 0: 1 })).toBe(false)
    expect(isEqual(new Uint8Array([1]), new Uint8Array([1]))).toBe(true)
    expect(isEqual(new Uint8Array([1]), new Uint8Array([2]))).toBe(false)
    expect(differing({ id: 'x', a: 1, b: 2 }, { id: 'x', a: 1, c: 3 })).toEqual(['b', 'c'])
  })

  test('ids are UUIDs of version 7, in the order of their making', () => {
    expect(uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const ids = Array.from({ length: 10_000 }, orderedId)
    expect([...ids].sort()).toEqual(ids)
    expect(new Set(ids).size).toBe(10_000)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })
})

test('a transaction says which records and fields it touched', () => {
  const doc = new Y.Doc()
  const tasks = doc.getMap('tasks')
  const touched: Touch[][] = []
  doc.on('afterTransaction', (transaction) => touched.push(touchedBy(transaction)))
  doc.transact(() => tasks.set('t1', new Y.Map([['title', 'a']])))
  const record = tasks.get('t1') as Y.Map<unknown>
  doc.transact(() => { record.set('title', 'b'); record.set('body', new Y.Array()) })
  ;(record.get('body') as Y.Array<unknown>).push([new Y.Map()])
  ;((record.get('body') as Y.Array<unknown>).get(0) as Y.Map<unknown>).set('deep', 1)
  doc.getText('notes').insert(0, 'x')
  tasks.delete('t1')
  const field = [{ collection: 'tasks', recordId: 't1', fields: ['body'] }]
  expect(touched).toEqual([
    [{ collection: 'tasks', recordId: 't1' }],
    [{ collection: 'tasks', recordId: 't1', fields: ['title', 'body'] }],
    field, field,
    [{ collection: 'notes' }],
    [{ collection: 'tasks', recordId: 't1' }]
  ])
})

describe('a concurrent overwrite', () => {
  /** Two devices with the same record; what one does is pending there when the other's arrives. */
  function meet(
    mine: (tasks: Records<Task>) => void, theirs: (tasks: Records<Task>) => void, ids: [number, number],
    options: { theySawMine?: boolean } = {}
  ): Overlap[] {
    const me = open()
    const other = open()
    me.doc.clientID = ids[0]
    other.doc.clientID = ids[1]
    me.tasks.create({ title: 'start', done: false }, 't1')
    copy(me.doc, other.doc)
    const found: Overlap[] = []
    me.doc.on('update', (update: Uint8Array, origin: unknown, _: Y.Doc, transaction: Y.Transaction) => {
      if (origin === REMOTE) return
      const entry: Entry = { id: uuid(), room: 'r', at: 1, update, touched: touchedBy(transaction) }
      me.outbox.add([entry])
    })
    me.mirror.events.on('touched', ({ transaction, touches }) => {
      if (transaction.origin !== REMOTE) return
      const before = (collection: string, id: string) => me.mirror.get(collection, id)
      found.push(...overlaps(transaction, touches, { doc: me.doc, outbox: me.outbox, before }))
    })
    mine(me.tasks)
    if (options.theySawMine) copy(me.doc, other.doc)
    theirs(other.tasks)
    copy(other.doc, me.doc)
    return found
  }

  // Yjs lets the higher id stand: once theirs does, once mine.
  for (const ids of [[1, 2], [2, 1]] as [number, number][]) {
    const title = { collection: 'tasks', recordId: 't1', field: 'title' }

    test(`has both values, whichever stands (${ids})`, () => {
      expect(meet((t) => t.update('t1', { title: 'mine' }), (t) => t.update('t1', { title: 'theirs' }), ids))
        .toEqual([{ ...title, mine: 'mine', theirs: 'theirs' }])
    })

    test(`of another field is none (${ids})`, () => {
      expect(meet((t) => t.update('t1', { title: 'mine' }), (t) => t.update('t1', { done: true }), ids)).toEqual([])
    })

    test(`with the same value is none (${ids})`, () => {
      expect(meet((t) => t.update('t1', { title: 'x' }), (t) => t.update('t1', { title: 'x' }), ids)).toEqual([])
    })

    test(`that had seen mine is none (${ids})`, () => {
      const found = meet(
        (t) => t.update('t1', { title: 'mine' }), (t) => t.update('t1', { title: 'theirs' }), ids,
        { theySawMine: true })
      expect(found).toEqual([])
    })

    test(`of a record they removed has the record (${ids})`, () => {
      expect(meet((t) => t.update('t1', { title: 'mine' }), (t) => { t.remove('t1') }, ids)).toEqual([
        { collection: 'tasks', recordId: 't1', mine: { id: 't1', title: 'mine', done: false } }
      ])
    })

    test(`of several steps has their last value (${ids})`, () => {
      const [found] = meet((t) => t.update('t1', { title: 'mine' }), (t) => {
        t.update('t1', { title: 'first' })
        t.update('t1', { title: 'last' })
      }, ids)
      expect(found).toEqual({ ...title, mine: 'mine', theirs: 'last' })
    })
  }
})
