// Owns a server without a process, for an application's own tests: rooms in memory, the same
// protocol, and a network that can be taken away. It has no versions, no log and no HTTP.
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import * as protocol from 'y-protocols/awareness'
import * as Y from 'yjs'
import { Roundtable, type RoundtableOptions } from '../client.js'
import { colorOf } from '../colors.js'
import type { Fields } from '../values.js'
import { claimsOf } from '../token.js'
import { TestSocket, type Far } from './socket.js'

const [SYNC, AWARENESS, AUTH, CLOSE, STATUS] = [0, 1, 2, 7, 8]

interface TestRoom {
  doc: Y.Doc
  awareness: protocol.Awareness
  seats: Set<Seat>
}

/** One client's conversation about one room. */
interface Seat {
  socket: TestSocket
  address: string
  user: string
  access: 'write' | 'read'
  clients: Set<number>
}

export interface TestClientOptions extends Partial<RoundtableOptions> {
  /** Who it is. */
  user?: string
  name?: string
}

export class TestServer {
  #rooms = new Map<string, TestRoom>()
  #sockets = new Set<TestSocket>()
  #isReachable = true
  #readers = new Set<string>()

  /** A client of this server: nothing is kept on the device, and it comes back at once. */
  client({ user = 'ada', name = user, ...options }: TestClientOptions = {}): Roundtable {
    const server = this
    return new Roundtable({
      url: 'http://test.invalid',
      token: `.${btoa(JSON.stringify({ sub: user, name }))}.`,
      persist: false,
      shareConnection: false,
      backoff: { minMs: 1, maxMs: 1 },
      WebSocket: class {
        constructor() { return server.#socket() }
      } as unknown as typeof WebSocket,
      fetch: () => Promise.reject(new TypeError('a test server has no HTTP')),
      ...options
    })
  }

  /** The document of a room as the server has it. */
  doc(room: string): Y.Doc {
    return this.#room(room).doc
  }

  /** The records of a collection as the server has them, by id. */
  records(room: string, collection: string): Record<string, Fields> {
    return this.doc(room).getMap(collection).toJSON() as Record<string, Fields>
  }

  /** A user whose changes are refused, from when they next show their token. */
  readOnly(user: string, isReadOnly = true): void {
    if (isReadOnly) this.#readers.add(user)
    else this.#readers.delete(user)
  }

  /** Every connection ends, and none can be made. */
  goOffline(): void {
    this.#isReachable = false
    for (const socket of [...this.#sockets]) socket.drop(1006, '')
  }

  goOnline(): void {
    this.#isReachable = true
  }

  #room(name: string): TestRoom {
    let room = this.#rooms.get(name)
    if (!room) {
      const doc = new Y.Doc()
      const awareness = new protocol.Awareness(doc)
      awareness.setLocalState(null)
      // Nobody lapses here; a timer would keep a test from ending.
      clearInterval(awareness._checkInterval as ReturnType<typeof setInterval>)
      this.#rooms.set(name, (room = { doc, awareness, seats: new Set() }))
    }
    return room
  }

  #socket(): TestSocket {
    return new TestSocket((socket) => this.#isReachable ? this.#far(socket) : undefined)
  }

  #far(socket: TestSocket): Far {
    this.#sockets.add(socket)
    const seats = new Map<string, Seat>()
    return {
      receive: (frame) => {
        const from = decoding.createDecoder(frame)
        const address = decoding.readVarString(from)
        this.#take(socket, seats, address, from)
      },
      closed: () => {
        this.#sockets.delete(socket)
        for (const seat of seats.values()) this.#leave(seat)
      }
    }
  }

  #take(
    socket: TestSocket, seats: Map<string, Seat>, address: string, from: decoding.Decoder
  ): void {
    const type = decoding.readVarUint(from)
    const seat = seats.get(address)
    if (type === AUTH) {
      decoding.readVarUint(from)
      const user = claimsOf(decoding.readVarString(from)).sub
      if (seat) this.#admit(seat)
      else if (user !== undefined) seats.set(address, this.#enter(socket, address, user))
      else socket.deliver(denial(address))
    } else if (!seat) {
      // As the server does: what is said before a good token is not heard.
    } else if (type === SYNC) {
      this.#sync(seat, decoding.readVarUint(from), decoding.readVarUint8Array(from))
    } else if (type === AWARENESS) {
      this.#hear(seat, decoding.readVarUint8Array(from))
    } else if (type === CLOSE) {
      seats.delete(address)
      this.#leave(seat)
    }
  }

  #enter(socket: TestSocket, address: string, user: string): Seat {
    const seat: Seat = { socket, address, user, access: 'read', clients: new Set() }
    const { awareness, seats } = this.#of(seat)
    seats.add(seat)
    this.#admit(seat)
    const here = [...awareness.getStates().keys()]
    if (here.length > 0) sayAwareness(seat, protocol.encodeAwarenessUpdate(awareness, here))
    return seat
  }

  #admit(seat: Seat): void {
    seat.access = this.#readers.has(seat.user) ? 'read' : 'write'
    say(seat, AUTH, (to) => {
      encoding.writeVarUint(to, 2)
      encoding.writeVarString(to, seat.access === 'read' ? 'readonly' : 'read-write')
    })
  }

  #of({ address }: Seat): TestRoom {
    return this.#room(address.split('\0')[0] ?? '')
  }

  #leave(seat: Seat): void {
    const { awareness, seats } = this.#of(seat)
    seats.delete(seat)
    const gone = [...seat.clients]
    protocol.removeAwarenessStates(awareness, gone, seat)
    const update = protocol.encodeAwarenessUpdate(awareness, gone)
    for (const other of seats) sayAwareness(other, update)
  }

  #sync(seat: Seat, step: number, bytes: Uint8Array): void {
    const { doc, seats } = this.#of(seat)
    if (step === 0) {
      saySync(seat, 1, Y.encodeStateAsUpdate(doc, bytes))
      return saySync(seat, 0, Y.encodeStateVector(doc))
    }
    const isNew = !isKnown(doc, bytes)
    const isApplied = !isNew || seat.access === 'write'
    if (isApplied && isNew) {
      Y.applyUpdate(doc, bytes, seat)
      for (const other of seats) if (other !== seat) saySync(other, 2, bytes)
    }
    say(seat, STATUS, (to) => encoding.writeVarUint(to, isApplied ? 1 : 0))
  }

  #hear(seat: Seat, update: Uint8Array): void {
    const { awareness, seats } = this.#of(seat)
    const named = protocol.modifyAwarenessUpdate(update, (state: Fields | null) => {
      const user = { color: colorOf(seat.user), ...state?.user as object, id: seat.user }
      return state && { ...state, user }
    })
    protocol.applyAwarenessUpdate(awareness, named, seat)
    for (const client of clientsIn(update)) seat.clients.add(client)
    for (const other of seats) sayAwareness(other, named)
  }
}

function denial(address: string): Uint8Array {
  const to = encoding.createEncoder()
  encoding.writeVarString(to, address)
  encoding.writeVarUint(to, AUTH)
  encoding.writeVarUint(to, 1)
  encoding.writeVarString(to, 'unauthenticated')
  return encoding.toUint8Array(to)
}

function say(seat: Seat, type: number, write: (to: encoding.Encoder) => void): void {
  const to = encoding.createEncoder()
  encoding.writeVarString(to, seat.address)
  encoding.writeVarUint(to, type)
  write(to)
  seat.socket.deliver(encoding.toUint8Array(to))
}

const saySync = (seat: Seat, step: number, bytes: Uint8Array): void => say(seat, SYNC, (to) => {
  encoding.writeVarUint(to, step)
  encoding.writeVarUint8Array(to, bytes)
})

const sayAwareness = (seat: Seat, update: Uint8Array): void =>
  say(seat, AWARENESS, (to) => encoding.writeVarUint8Array(to, update))

/** Whether an update holds nothing that a document lacks, deletions aside. */
function isKnown(doc: Y.Doc, update: Uint8Array): boolean {
  const { structs, ds } = Y.decodeUpdate(update)
  const has = Y.decodeStateVector(Y.encodeStateVector(doc))
  return ds.clients.size === 0 &&
    structs.every(({ id, length }) => (has.get(id.client) ?? 0) >= id.clock + length)
}

function clientsIn(update: Uint8Array): number[] {
  const from = decoding.createDecoder(update)
  return Array.from({ length: decoding.readVarUint(from) }, () => {
    const client = decoding.readVarUint(from)
    decoding.readVarUint(from)
    decoding.readVarString(from)
    return client
  })
}
