import 'fake-indexeddb/auto'
import { describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { IndexedDbStorage } from '../src/storage/indexeddb.js'
import { NoStorage } from '../src/storage/storage.js'
import type { Entry } from '../src/outbox.js'

let databases = 0
const open = (): [IndexedDbStorage, string] => {
  const name = `test ${++databases}`
  return [new IndexedDbStorage(name), name]
}
const entry = (id: string, room = 'r'): Entry =>
  ({ id, room, at: 1, update: new Uint8Array([1]), touched: [{ collection: 'tasks', recordId: 'a' }] })

describe('what is kept on the device', () => {
  test('is there when it is opened again, by room', async () => {
    const [first, name] = open()
    await first.add('r', [new Uint8Array([1]), new Uint8Array([2])], [entry('1')])
    await first.add('other', [new Uint8Array([3])], [entry('2', 'other')])
    first.close()
    const again = new IndexedDbStorage(name)
    expect(await again.load('r')).toEqual({
      updates: [new Uint8Array([1]), new Uint8Array([2])], entries: [entry('1')]
    })
    expect(await again.load('nobody')).toEqual({ updates: [], entries: [] })
  })

  test('forgets what was confirmed and notes what was refused', async () => {
    const [storage] = open()
    const failure = { code: 'forbidden', message: 'no' }
    await storage.add('r', [], [entry('1'), entry('2'), entry('3')])
    await storage.settle(['1', 'unknown'])
    await storage.fail(['2', 'unknown'], failure)
    expect((await storage.load('r')).entries).toEqual([{ ...entry('2'), failure }, entry('3')])
  })

  test('is folded into one update that says the same', async () => {
    const [storage] = open()
    const doc = new Y.Doc()
    const updates: Uint8Array[] = []
    doc.on('update', (update: Uint8Array) => updates.push(update))
    for (let at = 0; at < 20; at++) doc.getText('t').insert(0, String(at % 10))
    doc.getText('t').delete(0, 10)
    await storage.add('r', updates, [])
    await storage.add('other', updates, [])
    await storage.compact('r')
    const { updates: [one, ...more] } = await storage.load('r')
    expect(more).toEqual([])
    const copy = new Y.Doc()
    Y.applyUpdate(copy, one!)
    expect(copy.getText('t').toJSON()).toBe(doc.getText('t').toJSON())
    expect((await storage.load('other')).updates.length).toBe(21)
  })

  test('can be forgotten room by room', async () => {
    const [storage] = open()
    await storage.add('r', [new Uint8Array([1])], [entry('1')])
    await storage.add('other', [new Uint8Array([2])], [entry('2', 'other')])
    await storage.forget('r')
    expect(await storage.load('r')).toEqual({ updates: [], entries: [] })
    expect((await storage.load('other')).updates.length).toBe(1)
  })

  test('has small values, too', async () => {
    const [storage] = open()
    expect(await storage.read('since')).toBeUndefined()
    await storage.write('since', 17)
    expect(await storage.read('since')).toBe(17)
  })

  test('is nothing where nothing is wanted', async () => {
    const storage = new NoStorage()
    await storage.add()
    expect(await storage.load()).toEqual({ updates: [], entries: [] })
    expect(await storage.read()).toBeUndefined()
  })
})
