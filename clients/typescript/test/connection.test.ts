import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { BACKOFF, delay } from '../src/connection/backoff.js'
import { closingOf } from '../src/connection/closing.js'
import { Connection } from '../src/connection/connection.js'
import { QualityMeter } from '../src/connection/quality.js'

describe('backoff', () => {
  test('is anything up to a bound that doubles from one second to thirty', () => {
    const bounds = [0, 1, 2, 3, 4, 5, 6, 99].map((attempt) => delay(attempt, 1))
    expect(bounds).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
    expect(delay(4, 0)).toBe(0)
    expect(delay(4, 0.5)).toBe(8_000)
  })
})

describe('a close code', () => {
  test('of 44xx is final, another a reason to come back', () => {
    for (const code of [4400, 4403, 4404, 4409, 4413]) {
      expect(closingOf(code, 'x', true).kind).toBe('fatal')
    }
    for (const code of [1000, 1006, 1011, 4205, 4500, 4503, 4508, 4529]) {
      expect(closingOf(code, 'x', false).kind).toBe('again')
    }
  })

  test('of an expired token depends on whether there is another', () => {
    expect(closingOf(4401, 'unauthenticated', true).kind).toBe('again')
    expect(closingOf(4401, 'unauthenticated', false).kind).toBe('fatal')
  })

  test('can say when to come back, within reason', () => {
    expect(closingOf(4503, 'unavailable; retry after 1234 ms', false))
      .toMatchObject({ kind: 'paced', afterMs: 1234 })
    expect(closingOf(4503, 'unavailable; retry after 99999999 ms', false))
      .toMatchObject({ kind: 'paced', afterMs: 120_000 })
  })
})

test('quality follows the round trips slowly, and is none without a connection', () => {
  const meter = new QualityMeter()
  expect(meter.read(true)).toEqual({ level: 'good' })
  meter.roundTrip(80)
  meter.roundTrip(160)
  meter.seen(1_000)
  expect(meter.read(true)).toEqual({ level: 'good', roundTripMs: 90, lastSeenAt: 1_000 })
  for (let at = 0; at < 50; at++) meter.roundTrip(400)
  expect(meter.read(true).level).toBe('fair')
  for (let at = 0; at < 50; at++) meter.roundTrip(900)
  expect(meter.read(true).level).toBe('poor')
  expect(meter.read(false).level).toBe('none')
})

/** A socket whose far side is the test. */
class FakeSocket extends EventTarget {
  static all: FakeSocket[] = []
  static get last(): FakeSocket { return FakeSocket.all.at(-1)! }
  binaryType = ''
  isClosed = false
  sent: Uint8Array[] = []
  constructor(readonly url: string) {
    super()
    FakeSocket.all.push(this)
  }

  send(frame: Uint8Array): void { this.sent.push(frame) }
  close(): void { this.isClosed = true }
  open(): void { this.dispatchEvent(new Event('open')) }
  say(...bytes: number[]): void {
    this.dispatchEvent(new MessageEvent('message', { data: new Uint8Array(bytes).buffer }))
  }

  end(code: number, reason = ''): void {
    this.dispatchEvent(Object.assign(new Event('close'), { code, reason }))
  }
}

describe('a connection', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    vi.spyOn(Math, 'random').mockReturnValue(1)
    FakeSocket.all = []
  })
  afterEach(() => { vi.useRealTimers() })

  function start(isRenewable = () => false): { connection: Connection, told: string[] } {
    const connection = new Connection({
      url: 'ws://test/hocuspocus', WebSocket: FakeSocket as unknown as typeof WebSocket,
      backoff: BACKOFF, isRenewable
    })
    const told: string[] = []
    for (const name of ['opened', 'closed', 'heartbeat', 'lost', 'restored', 'failed'] as const) {
      connection.events.on(name, () => told.push(name))
    }
    connection.start()
    return { connection, told }
  }

  test('is one when it was heard, not when a proxy let it in', () => {
    const { connection, told } = start()
    FakeSocket.last.open()
    expect(connection.state.phase).toBe('connecting')
    expect(told).toEqual(['opened'])
    FakeSocket.last.say(1, 100)
    expect(connection.state.phase).toBe('connected')
  })

  test('gives up on a socket that says nothing', () => {
    const { connection, told } = start()
    FakeSocket.last.open()
    vi.advanceTimersByTime(20_000)
    expect(FakeSocket.all[0]?.isClosed).toBe(true)
    expect(connection.state.attempts).toBe(1)
    expect(told).toEqual(['opened', 'closed'])
  })

  test('asks after a silence, and ends when there is no answer', () => {
    const { connection, told } = start()
    FakeSocket.last.open()
    FakeSocket.last.say(1, 100)
    vi.advanceTimersByTime(18_000)
    expect(told).toEqual(['opened', 'heartbeat'])
    FakeSocket.last.say(1, 100)
    vi.advanceTimersByTime(12_000)
    expect(connection.state.phase).toBe('connected')
    vi.advanceTimersByTime(20_000)
    expect(told).toEqual(['opened', 'heartbeat', 'heartbeat', 'lost', 'closed'])
  })

  test('answers a ping with a pong and tells nobody', () => {
    const { connection } = start()
    const frames: Uint8Array[] = []
    connection.events.on('frame', (frame) => frames.push(frame))
    FakeSocket.last.open()
    FakeSocket.last.say(9)
    expect(FakeSocket.last.sent).toEqual([new Uint8Array([10])])
    expect(frames).toEqual([])
  })

  test('comes back when the server said, not before', () => {
    const { connection } = start()
    FakeSocket.last.open()
    FakeSocket.last.say(1, 100)
    FakeSocket.last.end(4503, 'unavailable; retry after 5000 ms')
    vi.advanceTimersByTime(4_999)
    expect(FakeSocket.all.length).toBe(1)
    vi.advanceTimersByTime(1)
    expect(FakeSocket.all.length).toBe(2)
    expect(connection.state.phase).toBe('connecting')
  })

  test('is not disturbed by what a former socket still says', () => {
    const { connection, told } = start()
    const first = FakeSocket.last
    first.open()
    first.say(1, 100)
    first.end(1006)
    vi.advanceTimersByTime(1_000)
    FakeSocket.last.open()
    FakeSocket.last.say(1, 100)
    first.end(1006)
    first.say(1, 100)
    expect(connection.state.phase).toBe('connected')
    expect(told).toEqual(['opened', 'lost', 'closed', 'opened', 'restored'])
  })

  test('does not come back as it is when the server said so', () => {
    const { connection, told } = start()
    FakeSocket.last.end(4400, 'malformed')
    vi.advanceTimersByTime(100_000)
    expect(FakeSocket.all.length).toBe(1)
    expect(told).toEqual(['failed'])
    connection.renewed()
    expect(FakeSocket.all.length).toBe(2)
  })

  test('comes back with another token as soon as one can be had', () => {
    let isRenewable = false
    const { connection, told } = start(() => isRenewable)
    isRenewable = true
    FakeSocket.last.end(4401, 'unauthenticated')
    expect(connection.state.phase).toBe('waiting')
    expect(told).toEqual([])
  })

  test('ends with its timers', () => {
    const { connection } = start()
    FakeSocket.last.end(1006)
    connection.stop()
    vi.advanceTimersByTime(100_000)
    expect(FakeSocket.all.length).toBe(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('a socket that cannot be made is a failed attempt', () => {
    const connection = new Connection({
      url: 'ws://test', backoff: BACKOFF, isRenewable: () => false,
      WebSocket: class { constructor() { throw new SyntaxError('no') } } as unknown as typeof WebSocket
    })
    connection.start()
    expect(connection.state).toMatchObject({ phase: 'waiting', attempts: 1 })
    connection.stop()
  })
})
