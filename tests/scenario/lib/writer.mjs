// Owns a client that edits as fast as it is acked, and knows by name what was acked.
//
// An edit is acked when the server sent the client's own update back, byte for byte: in what another client hands over,
// the same edit may come back before it is kept. Every edit is a record of its own, so that an acked one can be looked
// for by name in whatever is left after a fault, and in the events that tell of it.
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
    /** Written and not acked, in order: `{ key, clock, update }`. */
    this.waiting = []
    /** The update of the last edit. */
    this.made = null
    client.doc.on('update', (update, origin, doc, { local }) => { if (local) this.made = Buffer.from(update) })
    /** How many of them the server had when it greeted: their own ack may never come, that of a later one does. */
    this.doubtful = 0
    this.#listen()
    client.provider.on('status', () => this.#listen())
    client.provider.on('sync', () => this.emit('change'))
  }

  #listen () {
    const { ws } = this.client.provider
    if (!ws || ws.isHeard) return
    ws.isHeard = true
    ws.on('message', (data) => this.#hear(read(new Uint8Array(data))))
  }

  #hear ({ type, kind, payload }) {
    if (type !== SYNC) return
    if (kind === STEP1) {
      const clock = Y.decodeStateVector(payload).get(this.client.id) ?? 0
      this.doubtful = this.waiting.filter((one) => one.clock <= clock).length
      this.emit('change')
    } else if (kind === UPDATE) this.#take(payload)
  }

  #take (update) {
    const place = this.waiting.findIndex((one) => one.update.equals(update))
    if (place < 0) return
    for (const { key } of this.waiting.splice(0, place + 1)) {
      this.acked.add(key)
      this.doubtful = Math.max(0, this.doubtful - 1)
    }
    this.emit('change')
  }

  /** Writes one edit, connected or not. Returns its key. */
  write (mark = '') {
    const key = `${this.name}-${mark}-${++this.n}`
    this.client.map.set(key, record(this.n))
    this.waiting.push({ key, clock: Y.getState(this.client.doc.store, this.client.id), update: this.made })
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
    const key = this.write('last')
    await until(`the ack of ${key}`, () => this.acked.has(key), {
      on: [[this, 'change']], seen: () => this.about(), ...options
    })
    return key
  }

  about () {
    return {
      name: this.name, synced: this.client.provider.synced, written: this.n, acked: this.acked.size,
      waiting: this.waiting.length, doubtful: this.doubtful, closes: this.client.closes.slice(-3)
    }
  }
}
