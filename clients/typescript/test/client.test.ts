import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Peer, RecordChange, Roundtable, Room } from '../src/index.js'
import { TestServer, type TestClientOptions } from '../src/testing/index.js'

const open: Roundtable[] = []
afterEach(() => { for (const client of open.splice(0)) client.close() })

function client(server: TestServer, options?: TestClientOptions): Roundtable {
  const made = server.client(options)
  open.push(made)
  return made
}

const becomes = (room: Room, status: Room['status']): Promise<void> =>
  vi.waitFor(() => expect(room.status).toBe(status))

describe('a client', () => {
  test('edits are there at once, elsewhere a moment later, and saved when they were confirmed', async () => {
    const server = new TestServer()
    const ada = client(server).room('r')
    const bob = client(server, { user: 'bob' }).room('r')
    const id = ada.records('tasks').create({ title: 'Buy milk' })
    expect(ada.records('tasks').get(id)?.title).toBe('Buy milk')
    expect(ada.records('tasks').stateOf(id)).toBe('pending')
    await ada.saved()
    expect(ada.records('tasks').stateOf(id)).toBe('saved')
    expect(server.records('r', 'tasks')).toEqual({ [id]: { title: 'Buy milk' } })
    await vi.waitFor(() => expect(bob.records('tasks').get(id)?.title).toBe('Buy milk'))
  })

  test('goes through its statuses, offline and back', async () => {
    const server = new TestServer()
    const one = client(server)
    const room = one.room('r')
    const told: string[] = []
    for (const name of ['lost', 'restored'] as const) one.on(name, () => told.push(name))
    room.on('status', (status) => told.push(status))
    await room.saved()
    server.goOffline()
    // Every attempt fails, and so does every poll.
    await becomes(room, 'offline')
    room.text('notes').insert(0, 'while away')
    expect(room.pending).toMatchObject({ pending: 1, total: 1 })
    server.goOnline()
    await room.saved()
    expect(told.filter((word) => word !== 'polling')).toEqual([
      'connected', 'saved', 'lost', 'connecting', 'offline', 'restored', 'connected', 'syncing',
      'saved'
    ])
    expect(server.doc('r').getText('notes').toJSON()).toBe('while away')
  })

  test('one notification per transaction, and one event name for all rooms', async () => {
    const server = new TestServer()
    const one = client(server)
    const other = client(server, { user: 'bob' })
    const heard: string[] = []
    one.on('tasks:updated', ({ room, recordId, isLocal }) => heard.push(`${room} ${recordId} ${isLocal}`))
    one.on('tasks:*', ({ name }) => heard.push(name))
    one.on('*', ({ name }) => heard.push(`* ${name}`))
    const batches: RecordChange[][] = []
    for (const name of ['a', 'b']) {
      one.room(name).records('tasks').create({ title: 'x' }, 't1')
      await one.room(name).saved()
      await other.room(name).saved()
      await vi.waitFor(() => expect(other.room(name).records('tasks').size).toBe(1))
    }
    heard.length = 0
    one.room('a').on('change', (changes) => batches.push(changes))
    other.room('a').records('tasks').update('t1', { title: 'y' })
    await vi.waitFor(() => expect(heard).toEqual(['a t1 false', 'tasks:updated', '* tasks:updated']))
    expect(batches.map((changes) => changes.map(({ before, after }) => [before?.title, after?.title])))
      .toEqual([[['x', 'y']]])
  })

  test('a refused change is failed, stays, and goes out when it is granted', async () => {
    const server = new TestServer()
    server.readOnly('rob')
    const room = client(server, { user: 'rob' }).room('r')
    const failures: string[] = []
    room.on('failed', ({ code }) => failures.push(code))
    const id = room.records('tasks').create({ title: 'x' })
    await becomes(room, 'error')
    expect(room.records('tasks').stateOf(id)).toBe('failed')
    expect(failures).toEqual(['forbidden'])
    expect(server.records('r', 'tasks')).toEqual({})
    server.readOnly('rob', false)
    room.retry()
    await room.saved()
    expect(room.status).toBe('saved')
    expect(server.records('r', 'tasks')).toEqual({ [id]: { title: 'x' } })
  })

  test('presence joins, is updated and leaves; moves are no new arrivals', async () => {
    const server = new TestServer()
    const ada = client(server, { name: 'Ada' }).room('r')
    const bob = client(server, { user: 'bob' }).room('r')
    await bob.saved()
    const told: string[] = []
    const note = (word: string) => ({ user, state }: Peer) => told.push(`${word} ${user.id} ${JSON.stringify(state)}`)
    for (const name of ['joined', 'updated', 'left'] as const) bob.presence.on(name, note(name))
    ada.presence.update({ viewId: 'table' })
    await vi.waitFor(() => expect(told.length).toBe(1))
    expect(bob.presence.others[0]?.user).toMatchObject({ id: 'ada', name: 'Ada' })
    ada.presence.cursor({ recordId: 't1', fieldId: 'title' })
    await vi.waitFor(() => expect(told.length).toBe(2))
    ada.presence.leave()
    await vi.waitFor(() => expect(told.length).toBe(3))
    const cursor = '"cursor":{"recordId":"t1","fieldId":"title"}'
    expect(told).toEqual([
      'joined ada {"viewId":"table"}',
      `updated ada {"viewId":"table",${cursor}}`,
      `left ada {"viewId":"table",${cursor}}`
    ])
  })

  test('a burst of moves is told in few messages, the last one among them', async () => {
    const server = new TestServer()
    const ada = client(server).room('r')
    const bob = client(server, { user: 'bob' }).room('r')
    await Promise.all([ada.saved(), bob.saved()])
    let updates = 0
    bob.presence.subscribe(() => { updates++ })
    for (let x = 1; x <= 100; x++) ada.presence.cursor({ x, y: 0 })
    await vi.waitFor(() => expect(bob.presence.others[0]?.state.cursor).toEqual({ x: 100, y: 0 }))
    expect(updates).toBeLessThan(5)
  })

  test('a room that is open is the same room; closed, it lets go', async () => {
    const server = new TestServer()
    const one = client(server)
    const room = one.room('r')
    expect(one.room('r')).toBe(room)
    expect(room.records('tasks')).toBe(room.records('tasks'))
    await room.saved()
    room.presence.update({ typing: true })
    const told: string[] = []
    room.on('status', (status) => told.push(status))
    room.close()
    room.close()
    expect(told).toEqual([])
    expect(one.rooms).toEqual([])
    expect(one.room('r')).not.toBe(room)
    await expect(room.saved()).rejects.toThrow(/closed/)
  })

  test('who waits for a room to be saved is told that it was closed, without a network, too', async () => {
    const server = new TestServer()
    server.goOffline()
    const one = client(server)
    const [left, lost] = [one.room('left'), one.room('lost')]
    const told: string[] = []
    for (const room of [left, lost]) {
      await room.ready
      room.on('status', (status) => told.push(`${room.name} ${status}`))
      room.records('tasks').create({ title: 'x' })
    }
    const waiting = [left.saved(), lost.saved()]
    const refusals = waiting.map((saved) => expect(saved).rejects.toThrow(/closed/))
    await Promise.resolve()
    told.length = 0
    left.close()
    one.close()
    await Promise.all(refusals)
    expect(told).toEqual([])
  })

  test('a listener that throws does not keep the next from hearing', async () => {
    const server = new TestServer()
    const room = client(server).room('r')
    const heard: string[] = []
    const errors: unknown[] = []
    process.once('uncaughtException', (error) => errors.push(error))
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => errors.push(error))
    room.records('tasks').subscribe(() => { throw new Error('theirs') })
    room.records('tasks').subscribe(() => heard.push('second'))
    room.records('tasks').create({ title: 'x' })
    await vi.waitFor(() => expect(errors.length).toBe(1))
    process.removeAllListeners('uncaughtException')
    for (const listener of listeners) process.on('uncaughtException', listener)
    expect(heard).toEqual(['second'])
  })
})

describe('a device that keeps nothing', () => {
  test('says so once, and editing goes on', async () => {
    const server = new TestServer()
    const broken = { open: () => { throw new Error('no space left') } }
    vi.stubGlobal('indexedDB', broken)
    const room = client(server, { persist: true }).room('r')
    const failures: string[] = []
    room.on('failed', ({ code }) => failures.push(code))
    await room.ready
    const id = room.records('tasks').create({ title: 'x' })
    room.records('tasks').update(id, { title: 'y' })
    await room.saved()
    expect(server.records('r', 'tasks')).toEqual({ [id]: { title: 'y' } })
    expect(failures).toEqual(['storage'])
    vi.unstubAllGlobals()
  })
})

describe('a token', () => {
  test('that cannot be had at first is had later, without anybody doing anything', async () => {
    const server = new TestServer()
    const good = `.${btoa(JSON.stringify({ sub: 'eve', exp: Math.floor(Date.now() / 1000) + 600 }))}.`
    let calls = 0
    const one = client(server, { token: () => ++calls < 2 ? Promise.reject(new Error('away')) : good })
    await one.room('r').saved()
    expect(one.room('r').presence.me.user.id).toBe('eve')
  })

  test('that expired is a reason to come back once a function was given in its place', async () => {
    const { Refused, attempts } = refusing(4401, 'unauthenticated')
    const one = client(new TestServer(), { WebSocket: Refused })
    one.setToken(() => new Promise(() => {}))
    one.room('r')
    await vi.waitFor(() => expect(attempts()).toBeGreaterThan(1))
  })

  test('comes from a function when there is a connection, and only then', async () => {
    const server = new TestServer()
    const token = `.${btoa(JSON.stringify({ sub: 'eve', exp: Math.floor(Date.now() / 1000) + 600 }))}.`
    const fetch = vi.fn(() => Promise.resolve(token))
    const one = client(server, { token: fetch })
    expect(fetch).not.toHaveBeenCalled()
    const room = one.room('r')
    await room.saved()
    expect(fetch).toHaveBeenCalledTimes(1)
    expect(room.presence.me.user.id).toBe('eve')
  })

  test('that cannot be had leaves the room open for editing', async () => {
    const server = new TestServer()
    const one = client(server, { token: () => Promise.reject(new Error('away')) })
    const room = one.room('r')
    await room.ready
    const id = room.records('tasks').create({ title: 'x' })
    expect(room.records('tasks').get(id)?.title).toBe('x')
  })
})

describe('a connection that the server refused', () => {
  test('stays away by itself, and is tried at once when the application says so', async () => {
    const { Refused, attempts } = refusing(4400, 'malformed')
    const one = client(new TestServer(), { WebSocket: Refused })
    const failures: string[] = []
    one.on('failed', ({ code }) => failures.push(code))
    const room = one.room('r')
    await becomes(room, 'error')
    expect([attempts(), failures]).toEqual([1, ['malformed']])
    one.connect()
    expect([room.status, attempts()]).toEqual(['connecting', 2])
    await becomes(room, 'error')
    expect([attempts(), failures]).toEqual([2, ['malformed', 'malformed']])
  })
})

/** Sockets that the server closes at once, and how many there were. */
function refusing(code: number, reason: string): {
  Refused: typeof WebSocket, attempts: () => number
} {
  let attempts = 0
  class Refused extends EventTarget {
    constructor() {
      super()
      attempts++
      queueMicrotask(() => this.dispatchEvent(Object.assign(new Event('close'), { code, reason })))
    }

    close(): void {}
  }
  return { Refused: Refused as unknown as typeof WebSocket, attempts: () => attempts }
}
