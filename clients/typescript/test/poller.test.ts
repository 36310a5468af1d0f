import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import * as Y from 'yjs'
import { Poller, type PollerHost } from '../src/connection/poller.js'
import type { Roundtable, RoundtableOptions } from '../src/index.js'
import { Outbox, type Entry } from '../src/outbox.js'
import { Presence } from '../src/presence.js'
import { HttpServer, problem } from './server.js'

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

  test('a change made during a turn is refused as a change, not as the room', async () => {
    const server = new HttpServer()
    server.readers.add('ada')
    const held: (() => void)[] = []
    server.before = holding('POST sync', held)
    const room = client(server).room('r')
    await pass(20)
    room.records('tasks').create({ title: 'mine' })
    server.before = () => undefined
    held[0]?.()
    await pass(20)
    expect([room.error, room.pending]).toMatchObject([undefined, { failed: 1, total: 1 }])
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

  test('a token that is not good is told by its code', async () => {
    const server = new HttpServer()
    server.before = () => problem(401, 'unauthenticated')
    const room = client(server).room('r')
    await pass(60)
    expect([room.status, room.error])
      .toEqual(['error', { code: 'unauthenticated', message: 'unauthenticated: unauthenticated' }])
  })

  test('nothing is asked before the server said, whoever edits meanwhile, and nothing is lost', async () => {
    const server = new HttpServer()
    const one = client(server)
    const room = one.room('r')
    const told: string[] = []
    await pass(20)
    for (const name of ['status', 'failed', 'lost'] as const) room.on(name, () => told.push(name))
    server.before = () => problem(429, 'too_many_requests', { 'retry-after': '60' })
    server.asked.length = 0
    for (let edit = 0; edit < 50; edit++) {
      room.text('t').insert(0, 'x')
      await pass(1)
    }
    expect(server.asked).toEqual(['POST sync'])
    expect(room.pending).toMatchObject({ pending: 50, total: 50 })
    expect([room.status, room.error, told]).toEqual(['polling', undefined, []])

    server.before = () => undefined
    const saved = room.saved()
    await pass(15)
    await saved
    expect(server.doc.getText('t').toJSON()).toBe('x'.repeat(50))
    expect([room.status, room.pending.total, told]).toEqual(['polling', 0, []])
  })

  test('who is told to go slowly without a time waits for the next turn', async () => {
    const server = new HttpServer()
    const room = client(server).room('r')
    await pass(20)
    server.before = () => problem(429, 'too_many_requests')
    server.asked.length = 0
    for (let edit = 0; edit < 20; edit++) {
      room.text('t').insert(0, 'x')
      await pass(1)
    }
    expect(server.asked.length).toBeLessThanOrEqual(5)
  })

  test('a server that is away for a moment is asked again when it said, not when polling began anew', async () => {
    const server = new HttpServer()
    const { poller, edit } = poll(server)
    edit('mine')
    server.before = () => problem(503, 'unavailable', { 'retry-after': '2' })
    poller.start()
    await pass(1)
    poller.stop()
    poller.start()
    await pass(0.9)
    expect(server.asked).toEqual(['POST sync'])
    await pass(0.2)
    expect(server.asked).toEqual(['POST sync', 'POST sync'])
    poller.stop()
  })

  test('presence is told and asked for once a turn, not with every edit', async () => {
    const server = new HttpServer()
    const { poller, presence, edit } = poll(server)
    presence.subscribe(() => {})
    poller.start()
    await pass(0.1)
    server.asked.length = 0
    for (let x = 0; x < 25; x++) {
      edit(`${x} `)
      presence.cursor({ x, y: 0 })
      poller.nudge()
      await pass(1)
    }
    const count = (what: string): number => server.asked.filter((asked) => asked === what).length
    expect(count('POST sync')).toBeGreaterThan(20)
    expect([count('PUT presence'), count('GET presence')]).toEqual([4, 4])
    poller.stop()
  })

  test('a socket that comes while presence is being told leaves nobody twice', async () => {
    const server = new HttpServer()
    const { poller, presence } = poll(server)
    presence.update({ viewId: 'table' })
    const held: (() => void)[] = []
    server.before = holding('PUT presence', held)
    poller.start()
    await pass(1)
    poller.stop()
    await pass(1)
    held[0]?.()
    await pass(1)
    expect(server.asked.slice(1)).toEqual(['PUT presence', 'DELETE presence'])
    expect([...server.present]).toEqual([])
  })

  test('presence that could not be told is told again with the next turn', async () => {
    const server = new HttpServer()
    const { poller, presence } = poll(server)
    presence.update({ viewId: 'table' })
    server.before = (asked) => asked === 'PUT presence' ? problem(500, 'internal') : undefined
    poller.start()
    await pass(1)
    server.before = () => undefined
    await pass(5)
    expect([...server.present.values()]).toEqual([{ viewId: 'table' }])
    await pass(5)
    expect(server.asked.filter((asked) => asked === 'PUT presence').length).toBe(2)
    poller.stop()
  })

  test('a turn that ends late has no say in the next one', async () => {
    const server = new HttpServer()
    const { poller, presence } = poll(server)
    presence.update({ viewId: 'table' })
    const held: (() => void)[] = []
    server.before = holding('PUT presence', held)
    poller.start()
    await pass(1)
    poller.stop()
    server.before = holding('POST sync', held)
    poller.start()
    await pass(6)
    const [first, second] = held
    first?.()
    await pass(1)
    poller.stop()
    second?.()
    await pass(1)
    expect(server.asked)
      .toEqual(['POST sync', 'PUT presence', 'POST sync', 'DELETE presence'])
    expect([...server.present]).toEqual([])
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

/** Such requests are answered when the test says so. */
const holding = (what: string, held: (() => void)[]) => async (asked: string): Promise<undefined> => {
  if (asked === what) await new Promise<void>((resolve) => { held.push(resolve) })
}

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
