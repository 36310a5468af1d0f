import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { INITIAL, type Phase, type State } from '../src/connection/machine.js'
import type { Wire, WireEvents } from '../src/connection/wire.js'
import type { Context } from '../src/context.js'
import { Emitter } from '../src/emitter.js'
import { Feed, type ServerChanges } from '../src/feed.js'
import { Room } from '../src/room.js'
import { NoStorage } from '../src/storage/storage.js'
import { TabChannel } from '../src/tabs/channel.js'
import { TokenSource } from '../src/token.js'

type Said = { type: string } & Record<string, unknown>

/** A socket whose far side is the test. */
class FakeSocket extends EventTarget {
  static all: FakeSocket[] = []
  readyState = 0
  said: Said[] = []

  constructor() {
    super()
    FakeSocket.all.push(this)
    queueMicrotask(() => {
      this.readyState = 1
      this.dispatchEvent(new Event('open'))
    })
  }

  send(text: string): void { this.said.push(JSON.parse(text) as Said) }
  close(): void { this.readyState = 3 }

  /** From the far side. */
  drop(): void {
    this.readyState = 3
    this.dispatchEvent(new Event('close'))
  }

  tell(...replies: Said[]): void {
    for (const reply of replies) {
      this.dispatchEvent(new MessageEvent('message', { data: JSON.stringify(reply) }))
    }
  }
}

type Answer = { status?: number, headers?: Record<string, string>, json?: unknown }

/** A feed; `answer` is the server's HTTP. */
function open(answer: (url: URL, token: string, signal?: AbortSignal | null) => Answer) {
  const events = new Emitter<WireEvents>()
  const wire = { events, state: INITIAL }
  const turn = (phase: Phase): void => {
    wire.state = { ...INITIAL, phase }
    events.emit('state', wire.state as State)
  }
  const asked: string[] = []
  let feed: Feed | undefined
  const tokens = new TokenSource('first', (token) => feed?.renewed(token))
  const fetch = (input: string, init?: RequestInit): Promise<Response> => {
    const url = new URL(input)
    asked.push(url.pathname)
    const token = (init?.headers as Record<string, string>).authorization ?? ''
    const { status = 200, headers, json } = answer(url, token.slice('Bearer '.length), init?.signal)
    return Promise.resolve(new Response(JSON.stringify(json), { status, ...(headers ? { headers } : {}) }))
  }
  const context = {
    wire: wire as unknown as Wire, tokens,
    http: { base: 'http://test', fetch, token: () => tokens.get() },
    socketBase: 'ws://test', WebSocket: FakeSocket as unknown as typeof WebSocket,
    storage: new NoStorage(), channel: new TabChannel('feed'), tab: 'tab', isShared: false,
    pollMs: 5_000
  } satisfies Context
  feed = new Feed(context)
  feeds.push(feed)
  return { feed, turn, tokens, asked, context }
}

const feeds: Feed[] = []
const at = (version: number, epoch = 'e') => ({ epoch, version })
const standing = (): Answer => ({ json: at(1) })
const event = (version: number) => ({ version, type: 'update' })
const changes = (room: string, version: number): Said =>
  ({ type: 'changes', room, ...at(version), events: [event(version)] })
const heardBy = (feed: Feed, room: string): (number | string)[] => {
  const heard: (number | string)[] = []
  feed.follow(room, {
    changes: ({ events, missed }: ServerChanges) =>
      heard.push(...events.map(({ version }) => version), ...(missed ? [missed] : []))
  })
  return heard
}
const socket = (): FakeSocket => FakeSocket.all.at(-1)!
/** What was said since the last time that somebody looked, pings aside. */
const said = (): Said[] =>
  socket().said.splice(0).filter(({ type }) => type !== 'ping')
const passed = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)

beforeEach(() => {
  vi.useFakeTimers()
  vi.spyOn(Math, 'random').mockReturnValue(1)
})
afterEach(() => {
  for (const feed of feeds.splice(0)) feed.stop()
  vi.useRealTimers()
})

describe('a room that is followed', () => {
  test('and whose place is not told is asked for again, when the server says', async () => {
    const answers: Answer[] = [{ status: 429, headers: { 'retry-after': '7' }, json: {} }]
    const { feed, turn } = open(() => answers.shift() ?? standing())
    const heard = heardBy(feed, 'r')
    turn('connected')
    await passed(6_999)
    expect(said()).toEqual([{ type: 'token', token: 'first' }])
    await passed(1)
    expect(said()).toEqual([{ type: 'subscribe', room: 'r', since: at(1) }])
    socket().tell(changes('r', 2))
    expect(heard).toEqual([2])
  })

  test('is followed again when the server could not go on, later each time', async () => {
    const { feed, turn } = open(standing)
    const heard = heardBy(feed, 'r')
    turn('connected')
    await passed()
    socket().tell({ type: 'subscribed', room: 'r', ...at(1), recovery: 'caught_up' }, changes('r', 2))
    const over = { type: 'error', room: 'r', code: 'unavailable', retryable: true }
    const again = { type: 'subscribe', room: 'r', since: at(2) }
    said()
    for (const ms of [2_000, 4_000, 8_000]) {
      socket().tell(over)
      await passed(ms - 1)
      expect(said()).toEqual([])
      await passed(1)
      expect(said()).toEqual([again])
    }
    socket().tell({ type: 'subscribed', room: 'r', ...at(2), recovery: 'caught_up' }, over)
    await passed(2_000)
    expect(said()).toEqual([again])
    socket().tell(changes('r', 3))
    expect(heard).toEqual([2, 3])
  })

  test('and was deleted is followed as what it is then, which is told', async () => {
    const { feed, turn } = open(standing)
    const heard = heardBy(feed, 'r')
    turn('connected')
    await passed()
    socket().tell({ type: 'subscribed', room: 'r', ...at(1), recovery: 'caught_up' })
    said()
    socket().tell({ type: 'reset', room: 'r', reason: 'room_deleted' })
    await passed(2_000)
    expect(said()).toEqual([{ type: 'subscribe', room: 'r', since: at(1) }])
    socket().tell(
      { type: 'subscribed', room: 'r', ...at(0, 'f'), recovery: 'snapshot', reason: 'epoch_changed' },
      { ...changes('r', 1), epoch: 'f' }
    )
    expect(heard).toEqual(['epoch_changed', 1])
  })

  test('and is not granted any more is followed with the next token, and not before', async () => {
    const { feed, turn, tokens } = open(standing)
    const heard = heardBy(feed, 'r')
    turn('connected')
    await passed()
    socket().tell({ type: 'subscribed', room: 'r', ...at(1), recovery: 'caught_up' }, changes('r', 2))
    tokens.set('worse')
    socket().tell({ type: 'reset', room: 'r', reason: 'forbidden' })
    await passed(2_000)
    said()
    socket().tell({ type: 'error', room: 'r', code: 'forbidden', retryable: false })
    await passed(3_600_000)
    expect(said()).toEqual([])
    tokens.set('better')
    await passed()
    expect(said()).toEqual([
      { type: 'token', token: 'better' }, { type: 'subscribe', room: 'r', since: at(2) }
    ])
    socket().tell(changes('r', 3))
    expect(heard).toEqual([2, 3])
  })

  test('and was refused while another token was on its way is asked for with that one', async () => {
    const { feed, turn, tokens } = open((_, token) => {
      if (token === 'better') return standing()
      tokens.set('better')
      return { status: 403, json: { code: 'forbidden' } }
    })
    const heard = heardBy(feed, 'r')
    turn('connected')
    await passed(2_000)
    expect(said()).toEqual([
      { type: 'token', token: 'first' }, { type: 'token', token: 'better' },
      { type: 'subscribe', room: 'r', since: at(1) }
    ])
    socket().tell(changes('r', 2))
    expect(heard).toEqual([2])
  })

  test('is asked for once on each socket, and not when nobody listens any more', async () => {
    let isRefused = true
    const { feed, turn, asked } = open(() => isRefused ? { status: 503, json: {} } : standing())
    const end = feed.follow('r', { changes: () => {} })
    feed.follow('other', { changes: () => {} })
    turn('connected')
    await passed()
    end()
    socket().drop()
    isRefused = false
    await passed(60_000)
    const subscribe = { type: 'subscribe', room: 'other', since: at(1) }
    expect(said()).toEqual([{ type: 'token', token: 'first' }, subscribe])
    expect(asked.filter((path) => path.endsWith('/r'))).toHaveLength(1)
    expect(FakeSocket.all.filter(({ readyState }) => readyState === 1)).toHaveLength(1)
  })

  test('by polls is polled whatever comes of the others, when the server says', async () => {
    const answers: Answer[] = [{ status: 429, headers: { 'retry-after': '20' }, json: {} }]
    let version = 1
    const { feed, turn, asked } = open(({ pathname }) => {
      if (pathname.includes('/secret')) return answers.shift() ?? { status: 403, json: {} }
      if (!pathname.endsWith('/changes')) return standing()
      version++
      return { json: { ...at(version), events: [event(version)], recovery: 'replay' } }
    })
    heardBy(feed, 'secret')
    const heard = heardBy(feed, 'r')
    turn('polling')
    await passed(19_999)
    expect(heard).toEqual([2])
    await passed(5_001)
    expect(heard).toEqual([2, 3, 4])
    expect(asked.filter((path) => path.endsWith('/secret'))).toHaveLength(3)
  })
})

test('polls leave nothing behind, and end at once', async () => {
  const signals: AbortSignal[] = []
  const { feed, turn, asked } = open((_url, _token, signal) => {
    if (signal) signals.push(signal)
    return { json: { ...at(1), events: [] } }
  })
  heardBy(feed, 'r')
  turn('polling')
  await passed(100_000)
  const count = asked.length
  const [signal] = signals
  expect(new Set(signals)).toEqual(new Set([signal]))
  expect(getEventListeners(signal!, 'abort')).toHaveLength(1)
  turn('offline')
  await passed(100_000)
  expect(getEventListeners(signal!, 'abort')).toHaveLength(0)
  expect(asked).toHaveLength(count)
})

test('who listened in a room that was closed is told nothing more', async () => {
  const { feed, turn, context } = open(() => ({ json: { ...at(1), events: [] } }))
  const room = new Room('r', context, feed, () => {})
  const told: string[] = []
  const listen = (): void => {
    room.on('changes', () => told.push('changes'))
    room.on('message', () => told.push('message'))
    room.messages.on('wave', () => told.push('wave'))
    room.follow({ version: 1 }, () => told.push('follow'))
    room.on('changes', () => told.push('never'))()
  }
  listen()
  heardBy(feed, 'other')
  turn('connected')
  await passed()
  const words = [changes('r', 2), { type: 'message', room: 'r', event: 'wave', payload: 1 }]
  socket().tell(...words)
  expect(told.splice(0)).toEqual(['changes', 'follow', 'message', 'wave'])
  said()
  room.close()
  listen()
  await passed()
  socket().tell(...words)
  expect(told).toEqual([])
  expect(said().filter(({ type }) => type === 'subscribe')).toEqual([])
})
