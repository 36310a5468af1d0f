// Owns a bad way to Postgres: a relay that knows an append when it passes, and can lose it, lose its answer, delay what
// comes back, or fall silent.
import { EventEmitter, once } from 'node:events'
import { connect, createServer } from 'node:net'
import { pass, within } from '../../interop/lib/wait.mjs'

/** What may become of an append. */
export const FAULTS = {
  /** The connection is cut before the append got through: it was not made. */
  lost: 'lost',
  /** The database has made it and answered, and the connection is cut before the answer got through. */
  unanswered: 'unanswered',
  /** It is on its way when the connection is cut: nobody knows. */
  unclear: 'unclear',
  /** Neither it nor anything after it gets through, and nobody is told. */
  silence: 'silence'
}

/** How Postgres clients ask for TLS and say hello: 32-bit codes in place of a message type. */
const HELLO_CODES = [80877103, 80877104]

/** The text by which an append is known. */
const APPEND = 'INSERT INTO log'

/** Emits `append` for every append that passes, and `fault` when one met its fault. */
export class PostgresProxy extends EventEmitter {
  static async open (port) {
    const proxy = new PostgresProxy(port)
    proxy.listener.listen(0, '127.0.0.1')
    await once(proxy.listener, 'listening')
    proxy.port = proxy.listener.address().port
    return proxy
  }

  constructor (target) {
    super()
    this.setMaxListeners(0)
    this.target = target
    this.delayMs = 0
    this.appends = 0
    this.faults = 0
    this.next = null
    this.links = new Set()
    this.listener = createServer((client) => this.links.add(new Link(this, client)))
  }

  /** The same database by this way. */
  through (url) {
    const way = new URL(url)
    way.port = this.port
    return way.href
  }

  /** The append after `skip` others meets a fault; resolves when it has. */
  async meet (fault, skip = 0) {
    this.next = { fault, skip }
    await within(`an append to meet ${fault}`, once(this, 'fault'), { withinMs: 60_000 })
  }

  /** What becomes of an append that is here now. */
  judge () {
    this.appends++
    this.emit('append')
    if (this.next === null || this.next.skip-- > 0) return null
    const { fault } = this.next
    this.next = null
    return fault
  }

  happened () {
    this.faults++
    this.emit('fault')
  }

  close () {
    for (const link of this.links) link.cut()
    this.listener.close()
  }
}

/** One connection, and what was said on it. */
class Link {
  constructor (proxy, client) {
    this.proxy = proxy
    this.client = client
    this.server = connect(proxy.target, '127.0.0.1')
    this.pending = Buffer.alloc(0)
    this.isGreeting = true
    this.statements = new Set()
    this.fault = null
    this.answers = Promise.resolve()
    for (const [one, other] of [[this.client, this.server], [this.server, this.client]]) {
      one.setNoDelay(true)
      one.on('error', () => {})
      one.on('close', () => { proxy.links.delete(this); if (this.fault !== FAULTS.silence) other.destroy() })
    }
    this.client.on('data', (bytes) => this.#ask(bytes))
    this.server.on('data', (bytes) => this.#answer(bytes))
  }

  cut () {
    this.client.resetAndDestroy()
    this.server.resetAndDestroy()
  }

  /** Whole messages are passed on one by one, so that each can meet its fault. */
  #ask (bytes) {
    this.pending = Buffer.concat([this.pending, bytes])
    for (;;) {
      const message = this.#message()
      if (message === null || this.fault === FAULTS.silence) return
      const fault = this.#isAppend(message) ? this.proxy.judge() : null
      if (fault === FAULTS.lost) {
        this.cut()
        return this.proxy.happened()
      }
      if (fault === FAULTS.silence) {
        this.fault = fault
        return this.proxy.happened()
      }
      this.fault ??= fault
      this.server.write(message)
      if (fault === FAULTS.unclear) {
        // With what was to follow: an append without its Sync is never made.
        this.server.write(this.pending)
        this.pending = Buffer.alloc(0)
        setImmediate(() => this.cut())
        return this.proxy.happened()
      }
    }
  }

  #message () {
    const head = this.isGreeting ? 0 : 1
    if (this.pending.length < head + 4) return null
    const length = head + this.pending.readUInt32BE(head)
    if (this.pending.length < length) return null
    const message = this.pending.subarray(0, length)
    this.pending = this.pending.subarray(length)
    if (this.isGreeting) this.isGreeting = HELLO_CODES.includes(message.readUInt32BE(4))
    return message
  }

  /** A Bind of a statement whose Parse had the text of an append. */
  #isAppend (message) {
    const type = String.fromCharCode(message[0])
    if (type === 'P') {
      const [name, text] = strings(message, 5)
      if (text.includes(APPEND)) this.statements.add(name)
      else this.statements.delete(name)
    }
    return type === 'B' && this.statements.has(strings(message, 5)[1])
  }

  #answer (bytes) {
    if (this.fault === FAULTS.silence) return
    if (this.fault === FAULTS.unanswered) {
      // The answer leaves the database in one piece, when the append is made.
      this.fault = null
      this.cut()
      return this.proxy.happened()
    }
    const { delayMs } = this.proxy
    this.answers = this.answers.then(() => delayMs > 0 ? pass(delayMs) : undefined)
      .then(() => { if (!this.client.destroyed) this.client.write(bytes) })
  }
}

/** Two strings that end with a zero, from a place on. */
function strings (message, at) {
  const end = message.indexOf(0, at)
  const first = message.toString('utf8', at, end)
  return [first, message.toString('utf8', end + 1, message.indexOf(0, end + 1))]
}
