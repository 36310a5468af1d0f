// Owns a client that edits as fast as it is acked, and knows by name what was acked.
//
// An edit is acked when the server sent the client's own update back, byte for byte, on the socket that it was sent on.
// That a peer's update has it is no ack: after a crash peers bring what they heard of each other, and that leaves the
// room before it is durable. Every edit is a record of its own, so that an acked one can be looked for by name in
// whatever is left after a fault, and in the events that tell of it.
import { EventEmitter, setMaxListeners } from 'node:events'
import { read, SYNC, STEP1, UPDATE } from '../../interop/lib/frames.mjs'
import { breathe, until } from '../../interop/lib/wait.mjs'
import * as Y from '../../interop/lib/yjs.mjs'

/** Edits that wait for their ack at a time. */
const WINDOW = 8

/** Longer than any fault of these tests. */
const PATIENCE_MS = 600_000

/** A new record with one field. */
export function record (n) {
  const made = new Y.Map()
  made.set('n', n)
  return made
}

/** Emits `change` whenever something was acked, or may be written again. */
export class Writer extends EventEmitter {
  constructor (client, name) {
    super()
    this.setMaxListeners(0)
    this.client = client
    this.name = name
    this.n = 0
    this.acked = new Set()
    /** Written and not acked, in order: `{ key, clock }`. */
    this.waiting = []
    /** How many of them were written before the last greeting: their own ack may never come, that of a later one does. */
    this.doubtful = 0
    this.#listen()
    client.provider.on('status', () => this.#listen())
    client.provider.on('sync', () => this.emit('change'))
  }

  #listen () {
    const { ws } = this.client.provider
    if (!ws || ws.isHeard) return
    ws.isHeard = true
    const sent = new Map()
    const send = ws.send.bind(ws)
    ws.send = (data, ...rest) => {
      this.#note(read(new Uint8Array(data)), sent)
      send(data, ...rest)
    }
    ws.on('message', (data) => this.#hear(read(new Uint8Array(data)), sent))
  }

  /** Keeps how far an update that was sent reaches. What answers a greeting is not acked for certain. */
  #note ({ type, kind, payload }, sent) {
    if (type !== SYNC || kind !== UPDATE) return
    const own = Y.decodeUpdate(payload).structs.filter(({ id }) => id.client === this.client.id)
    if (own.length) sent.set(text(payload), Math.max(...own.map(({ id, length }) => id.clock + length)))
  }

  #hear ({ type, kind, payload }, sent) {
    if (type !== SYNC) return
    if (kind === STEP1) {
      this.doubtful = this.waiting.length
      this.emit('change')
    } else if (kind === UPDATE && sent.has(text(payload))) {
      this.#take(sent.get(text(payload)))
      sent.delete(text(payload))
    }
  }

  /** All up to there is kept: an edit rests on those before it. */
  #take (clock) {
    while (this.waiting.length && this.waiting[0].clock <= clock) {
      this.acked.add(this.waiting.shift().key)
      this.doubtful = Math.max(0, this.doubtful - 1)
    }
    this.emit('change')
  }

  /** Writes one edit, connected or not. Returns its key. */
  write (mark = '') {
    const key = `${this.name}-${mark}-${++this.n}`
    this.client.map.set(key, record(this.n))
    this.waiting.push({ key, clock: Y.getState(this.client.doc.store, this.client.id) })
    return key
  }

  #mayWrite () {
    return this.client.provider.synced && this.waiting.length - this.doubtful < WINDOW
  }

  /** Writes as fast as it is acked, until told to stop. */
  async work (mark, signal) {
    const stopped = () => this.emit('change')
    setMaxListeners(0, signal)
    signal.addEventListener('abort', stopped)
    while (!signal.aborted) {
      await until('room to write', () => signal.aborted || this.#mayWrite(), {
        on: [[this, 'change']], withinMs: PATIENCE_MS, seen: () => this.about()
      })
      if (!signal.aborted) this.write(mark)
      await breathe()
    }
    signal.removeEventListener('abort', stopped)
  }

  /** Writes once more and waits for the ack: then all it ever wrote is acked. Returns the last key. */
  async settle (options = {}) {
    const { provider } = this.client
    let key = this.write('last')
    // What was written before a greeting is only acked by what comes after it.
    const again = (isSynced) => { if (isSynced) key = this.write('last') }
    provider.on('sync', again)
    await until('the ack of the last edit', () => this.acked.has(key), {
      on: [[this, 'change']], seen: () => this.about(), ...options
    }).finally(() => provider.off('sync', again))
    return key
  }

  about () {
    return {
      name: this.name, synced: this.client.provider.synced, written: this.n, acked: this.acked.size,
      waiting: this.waiting.length, doubtful: this.doubtful, closes: this.client.closes.slice(-3)
    }
  }
}

const text = (bytes) => Buffer.from(bytes).toString('base64')
