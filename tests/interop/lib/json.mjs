// Owns a client of the JSON messages, over a WebSocket or as a stream of events: what it was told, in order.
import { EventEmitter } from 'node:events'
import WebSocket from 'ws'
import { until } from './wait.mjs'

/** What both kinds of clients have: the messages, and waiting for one. */
class Listener extends EventEmitter {
  constructor () {
    super()
    this.setMaxListeners(0)
    this.messages = []
  }

  take (message) {
    this.messages.push(message)
    this.emit('message', message)
  }

  /** The messages of a type, of one room if that is named. */
  of (type, room) {
    return this.messages.filter((message) => message.type === type && (!room || message.room === room))
  }

  /** Waits until `look()` is true of what it was told. */
  until (what, look) {
    return until(what, look, {
      on: [[this, 'message'], [this, 'close']],
      seen: () => ({ close: this.close, messages: this.messages.slice(-20) })
    })
  }

  /** Waits for the first message that fits. */
  told (what, fits) {
    return this.until(what, () => this.messages.find(fits))
  }

  /** Waits until it was told of a version. */
  reaches (version, room) {
    return this.until(`version ${version}`, () => this.of('changes', room).some((it) => it.version >= version))
  }

  /** The events of all changes, in the order in which they were told. */
  events (room) { return this.of('changes', room).flatMap((message) => message.events) }
}

/** One socket. Emits `message` and `close`. */
export class JsonClient extends Listener {
  static async open ({ base, token, query = true, protocols = [], headers = {}, path = '/api/v1/ws' }) {
    const url = base.replace(/\/ws$/, path) + (token && query ? `?token=${encodeURIComponent(token)}` : '')
    const client = new JsonClient(new WebSocket(url, protocols, { headers }))
    await client.until('an open socket', () => {
      if (client.failure) throw client.failure
      return client.isOpen
    })
    return client
  }

  constructor (socket) {
    super()
    this.socket = socket
    this.ids = 0
    socket.on('open', () => { this.isOpen = true; this.emit('message') })
    socket.on('unexpected-response', (_request, response) => {
      this.failure = Object.assign(new Error(`status ${response.statusCode}`), { status: response.statusCode })
      response.resume()
      this.emit('message')
    })
    socket.on('error', (error) => { this.failure ??= error; this.emit('message') })
    socket.on('message', (data) => this.take(JSON.parse(data.toString())))
    socket.on('close', (code, reason) => {
      this.close = { code, reason: reason.toString() }
      this.emit('close')
    })
  }

  send (message) {
    this.socket.send(typeof message === 'string' || message instanceof Uint8Array ? message : JSON.stringify(message))
  }

  /** Sends with an id and waits for the reply that carries it. */
  async ask (message) {
    const id = message.id ?? ++this.ids
    this.send({ ...message, id })
    return this.told(`a reply to ${message.type} ${id}`, (reply) => reply.id === id)
  }

  subscribe (room, more = {}) { return this.ask({ type: 'subscribe', room, ...more }) }

  push (room, ops, more = {}) { return this.ask({ type: 'push', room, ops, ...more }) }

  async closed () {
    await this.until('the close', () => this.close)
    return this.close
  }

  destroy () { this.socket.terminate() }
}

/** One stream of events. Emits `message` and `close`. */
export class EventStream extends Listener {
  static async open ({ http, room, token, query = '', lastId }) {
    const stream = new EventStream()
    const headers = { authorization: `Bearer ${token}`, ...(lastId ? { 'last-event-id': lastId } : {}) }
    const url = `${http}/api/v1/rooms/${encodeURIComponent(room)}/events${query}`
    stream.abort = new AbortController()
    stream.response = await fetch(url, { headers, signal: stream.abort.signal })
    stream.status = stream.response.status
    if (stream.status === 200) stream.#read(stream.response.body)
    return stream
  }

  async #read (body) {
    let rest = ''
    const decoder = new TextDecoder()
    try {
      for await (const chunk of body) {
        const blocks = (rest + decoder.decode(chunk, { stream: true })).split('\n\n')
        rest = blocks.pop()
        for (const block of blocks) this.#block(block)
      }
    } catch (error) {
      this.failure = error
    }
    this.close = { rest }
    this.emit('close')
  }

  #block (block) {
    const fields = Object.fromEntries(block.split('\n').map((line) => {
      const at = line.indexOf(':')
      return [line.slice(0, at), line.slice(at + 1).trim()]
    }))
    if (fields.data) this.take({ ...JSON.parse(fields.data), sse: fields.event, lastId: fields.id })
    else this.other = [...this.other ?? [], fields]
  }

  destroy () { this.abort.abort() }
}
