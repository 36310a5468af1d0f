import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import * as protocol from 'y-protocols/awareness'
import * as Y from 'yjs'
import { colorOf } from '../src/colors.js'
import { Presence } from '../src/presence.js'

describe('presence', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => { vi.useRealTimers() })

  function open(): { presence: Presence, told: unknown[] } {
    const told: unknown[] = []
    const presence = new Presence(new Y.Doc(), () => ({ sub: 'ada', name: 'Ada' }), () => {
      told.push(presence.isHere ? presence.me.state : null)
    })
    return { presence, told }
  }

  /** What the server says of a client, under a clock of its own. */
  function said(clientID: number, clock: number, state: object | null): Uint8Array {
    const doc = new Y.Doc()
    doc.clientID = clientID
    const awareness = new protocol.Awareness(doc)
    awareness.states.set(clientID, state ?? {})
    awareness.meta.set(clientID, { clock, lastUpdated: 0 })
    if (!state) awareness.states.delete(clientID)
    const update = protocol.encodeAwarenessUpdate(awareness, [clientID])
    awareness.destroy()
    return update
  }

  const server = { id: 'ada', name: 'Ada', color: '#123456' }

  test('is told at once, then at most every fifty milliseconds, and the last word always', () => {
    const { presence, told } = open()
    presence.update({ viewId: 'a' })
    expect(told).toEqual([{ viewId: 'a' }])
    for (let x = 0; x < 10; x++) presence.cursor({ x })
    expect(told.length).toBe(1)
    vi.advanceTimersByTime(50)
    expect(told).toEqual([{ viewId: 'a' }, { viewId: 'a', cursor: { x: 9 } }])
    presence.cursor({ x: 9 })
    vi.advanceTimersByTime(100)
    expect(told.length).toBe(2)
    presence.leave()
    expect(told.at(-1)).toBe(null)
    presence.stop()
  })

  test('who it is comes from the token, and then from the server', () => {
    const { presence } = open()
    expect(presence.me.user).toEqual({ id: 'ada', name: 'Ada', color: colorOf('ada') })
    presence.update({ viewId: 'a' })
    presence.receive(said(presence.awareness.clientID, 1_000, { viewId: 'a', user: server }))
    expect(presence.me.user).toEqual(server)
    presence.update({ viewId: 'b' })
    expect(presence.awareness.getLocalState()?.user).toEqual(server)
    presence.stop()
  })

  test('an older state of its own that the server gives back undoes nothing', () => {
    const { presence, told } = open()
    presence.update({ viewId: 'a' })
    presence.cursor({ recordId: 't1' })
    presence.receive(said(presence.awareness.clientID, 1_000, { viewId: 'a', user: server }))
    expect(presence.me).toMatchObject({ user: server, state: { viewId: 'a', cursor: { recordId: 't1' } } })
    vi.advanceTimersByTime(50)
    expect(told.at(-1)).toEqual({ viewId: 'a', cursor: { recordId: 't1' } })
    expect(presence.awareness.meta.get(presence.awareness.clientID)?.clock).toBeGreaterThan(1_000)
    presence.stop()
  })

  test('who has left is not brought back by an echo', () => {
    const { presence, told } = open()
    presence.update({ viewId: 'a' })
    presence.leave()
    presence.receive(said(presence.awareness.clientID, 1_000, { viewId: 'a', user: server }))
    expect(presence.isHere).toBe(false)
    expect(told.at(-1)).toBe(null)
    presence.stop()
  })

  test('a lost connection shows nobody as gone for five seconds', () => {
    const { presence } = open()
    presence.receive(said(7, 1, { viewId: 'a', user: { id: 'bob', color: 'red' } }))
    const left: string[] = []
    presence.on('left', ({ user }) => left.push(user.id))
    presence.disconnected()
    vi.advanceTimersByTime(4_999)
    presence.connected()
    vi.advanceTimersByTime(10_000)
    expect(left).toEqual([])
    expect(presence.others.length).toBe(1)
    presence.disconnected()
    vi.advanceTimersByTime(5_000)
    expect(left).toEqual(['bob'])
    expect(presence.others).toEqual([])
    presence.stop()
  })

  test('others by HTTP and by socket are one list, without this client', () => {
    const { presence } = open()
    const peer = { clientId: '8', user: { id: 'eve', color: 'blue' }, state: { viewId: 'x' } }
    presence.setPolled([peer, { ...peer, clientId: String(presence.awareness.clientID) }])
    presence.receive(said(7, 1, { user: { id: 'bob', color: 'red' } }))
    expect(presence.others.map(({ user }) => user.id)).toEqual(['bob', 'eve'])
    expect(presence.others).toBe(presence.others)
    presence.setPolled([])
    expect(presence.others.map(({ user }) => user.id)).toEqual(['bob'])
    presence.stop()
  })

  test('between socket and HTTP everybody is seen once, and stays', () => {
    const { presence } = open()
    const left: string[] = []
    const bob = { clientId: '7', user: { id: 'bob', color: 'red' }, state: { viewId: 'a' } }
    presence.on('left', ({ user }) => left.push(user.id))
    presence.receive(said(7, 1, { viewId: 'a', user: bob.user }))
    presence.disconnected()
    presence.setPolled([bob])
    vi.advanceTimersByTime(10_000)
    expect(presence.others).toEqual([bob])
    presence.polledLast()
    presence.connected()
    vi.advanceTimersByTime(1_000)
    presence.receive(said(7, 3, { viewId: 'a', user: bob.user }))
    vi.advanceTimersByTime(10_000)
    expect(presence.others).toEqual([bob])
    expect(left).toEqual([])
    presence.disconnected()
    vi.advanceTimersByTime(10_000)
    expect(left).toEqual(['bob'])
    presence.stop()
  })

  test('listeners make it watched, and colours are the same everywhere', () => {
    const { presence } = open()
    expect(presence.isWatched).toBe(false)
    const end = presence.subscribe(() => {})
    expect(presence.isWatched).toBe(true)
    end()
    expect(presence.isWatched).toBe(false)
    expect(colorOf('ada')).toBe(colorOf('ada'))
    expect(colorOf('ada')).toMatch(/^hsl\(\d+, 70%, 40%\)$/)
    presence.stop()
  })
})
