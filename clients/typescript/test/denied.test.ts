import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Roundtable, type RoundtableOptions } from '../src/index.js'
import { TestSocket } from '../src/testing/socket.js'
import * as hocuspocus from '../src/wire/hocuspocus.js'

const [SYNC, AUTH, STATUS] = [0, 2, 8]

/** A server that says no for these reasons, one for each token it is shown, and then lets in. */
class Doorkeeper {
  asked = 0
  #reasons: string[]

  constructor(...reasons: string[]) {
    this.#reasons = reasons
  }

  client(options: Partial<RoundtableOptions> = {}): Roundtable {
    const door = this
    return new Roundtable({
      url: 'http://test.invalid', token: 'ada', persist: false, shareConnection: false,
      WebSocket: class {
        constructor() {
          return new TestSocket((socket) =>
            ({ receive: (frame) => door.#take(socket, frame), closed: () => {} }))
        }
      } as unknown as typeof WebSocket,
      ...options
    })
  }

  #take(socket: TestSocket, frame: Uint8Array): void {
    const from = decoding.createDecoder(frame)
    const address = decoding.readVarString(from)
    const say = (type: number, write: (to: encoding.Encoder) => void): void => {
      const to = encoding.createEncoder()
      encoding.writeVarString(to, address)
      encoding.writeVarUint(to, type)
      write(to)
      socket.deliver(encoding.toUint8Array(to))
    }
    const type = decoding.readVarUint(from)
    if (type === AUTH) {
      const reason = this.#reasons[this.asked++]
      say(AUTH, (to) => {
        encoding.writeVarUint(to, reason === undefined ? 2 : 1)
        encoding.writeVarString(to, reason ?? 'read-write')
      })
    } else if (type === SYNC && this.asked > this.#reasons.length) {
      if (decoding.readVarUint(from) !== 0) return say(STATUS, (to) => encoding.writeVarUint(to, 1))
      socket.deliver(hocuspocus.answer(address, new Uint8Array([0, 0])))
      socket.deliver(hocuspocus.greeting(address, new Uint8Array([0])))
    }
  }
}

describe('who is not let in', () => {
  const open: Roundtable[] = []
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => {
    for (const client of open.splice(0)) client.close()
    vi.useRealTimers()
  })

  function client(door: Doorkeeper, options?: Partial<RoundtableOptions>): Roundtable {
    const made = door.client(options)
    open.push(made)
    return made
  }

  test.each([
    ['unauthenticated', 'unauthenticated: the token has expired'],
    ['forbidden', 'forbidden: the token does not grant this'],
    ['epoch_changed', 'epoch_changed']
  ])('is told the code: %s', async (code, message) => {
    const room = client(new Doorkeeper(message)).room('r')
    await vi.advanceTimersByTimeAsync(60_000)
    expect([room.status, room.error]).toEqual(['error', { code, message }])
  })

  test('because there are too many comes back later, and says nothing', async () => {
    const full = 'too_many_requests: this user has too many rooms open'
    const door = new Doorkeeper(full, full)
    const one = client(door)
    const room = one.room('r')
    const told: string[] = []
    for (const name of ['failed', 'lost'] as const) room.on(name, () => told.push(name))
    await vi.advanceTimersByTimeAsync(60_000)
    expect([room.status, room.error, told, door.asked]).toEqual(['saved', undefined, [], 3])
  })

  test('because there are too many is not asked for another token', async () => {
    const door = new Doorkeeper('too_many_requests: this user has too many rooms open')
    const fetch = vi.fn(() => 'ada')
    const room = client(door, { token: fetch }).room('r')
    await vi.advanceTimersByTimeAsync(60_000)
    expect([room.status, door.asked, fetch.mock.calls.length]).toEqual(['saved', 2, 1])
  })
})
