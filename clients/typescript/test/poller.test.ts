import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import * as Y from 'yjs'
import { Poller, type PollerHost } from '../src/connection/poller.js'
import type { Roundtable, RoundtableOptions } from '../src/index.js'
import { Outbox, type Entry } from '../src/outbox.js'
import { Presence } from '../src/presence.js'
import { HttpServer } from './http.js'

const open: Roundtable[] = []

describe('without a socket', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => {
    for (const client of open.splice(0)) client.close()
    vi.useRealTimers()
  })

  function client(server: HttpServer, options?: Partial<RoundtableOptions>): Roundtable {
    const made = server.client(options)
    open.push(made)
    return made
  }

  const pass = (seconds: number): Promise<unknown> => vi.advanceTimersByTimeAsync(seconds * 1_000)

  test('a refused change stays, the room goes on, and a better token takes it out', async () => {
    const server = new HttpServer()
    server.readers.add('reader')
    const one = client(server, { token: 'reader' })
    const room = one.room('r')
    const failures: string[] = []
    room.on('failed', ({ code }) => failures.push(code))
    const tasks = room.records('tasks')
    const id = tasks.create({ title: 'mine' })
    await pass(60)
    expect([room.status, room.error, tasks.stateOf(id)]).toEqual(['error', undefined, 'failed'])
    expect(failures).toEqual(['forbidden'])
    expect(server.doc.toJSON()).toEqual({})
    server.doc.getMap('notes').set('theirs', true)
    await pass(10)
    expect(room.doc.getMap('notes').toJSON()).toEqual({ theirs: true })

    one.setToken('writer')
    await pass(10)
    expect([room.status, room.pending.total, tasks.stateOf(id)]).toEqual(['polling', 0, 'saved'])
    expect(server.doc.getMap('tasks').toJSON()).toEqual({ [id]: { title: 'mine' } })
  })

  test('a refused change goes out by `retry` once it is granted', async () => {
    const server = new HttpServer()
    server.readers.add('ada')
    const room = client(server).room('r')
    const id = room.records('tasks').create({ title: 'mine' })
    await pass(60)
    expect(room.pending).toMatchObject({ failed: 1, total: 1 })
    server.readers.delete('ada')
    room.retry()
    const saved = room.saved()
    await pass(10)
    await saved
    expect(room.status).toBe('polling')
    expect(server.doc.getMap('tasks').toJSON()).toEqual({ [id]: { title: 'mine' } })
  })

  test('what was refused before is offered once more when polling begins', async () => {
    const server = new HttpServer()
    const { poller, outbox, edit } = poll(server)
    outbox.fail([edit('mine').id], { code: 'forbidden', message: 'no' })
    poller.start()
    await pass(1)
    expect(outbox.summary().total).toBe(0)
    expect(server.doc.getText('t').toJSON()).toBe('mine')
    poller.stop()
  })
})

/** A poller alone: the test says when it polls. */
function poll(server: HttpServer): {
  poller: Poller, outbox: Outbox, presence: Presence, edit: (text: string) => Entry
} {
  const doc = new Y.Doc()
  const outbox = new Outbox()
  const presence = new Presence(doc, () => ({ sub: 'ada' }), () => {})
  const host: PollerHost = {
    name: 'r', doc, outbox, presence,
    http: { base: 'http://test.invalid', fetch: server.fetch, token: () => 'ada' },
    receive: (update) => Y.applyUpdate(doc, update, 'server'),
    settled: (ids) => { outbox.settle(ids) },
    failed: (ids, failure) => outbox.fail(ids, failure),
    answered: () => {},
    changed: () => {}
  }
  const edit = (text: string): Entry => {
    let update: Uint8Array = new Uint8Array()
    doc.once('update', (bytes: Uint8Array) => { update = bytes })
    doc.getText('t').insert(0, text)
    const entry: Entry = { id: text, room: 'r', at: Date.now(), update, touched: [] }
    outbox.add([entry])
    return entry
  }
  return { poller: new Poller(host), outbox, presence, edit }
}
