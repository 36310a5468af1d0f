// Owns an unmodified Socket.IO client: what it was told, in order, and waiting for it.
import { EventEmitter } from 'node:events'
import { io } from 'socket.io-client'
import { until } from './wait.mjs'

export class SocketClient extends EventEmitter {
  /** Connects and waits until it is connected, unless `wait` is false. */
  static async open ({ http, token, auth, transports = ['websocket'], wait = true, ...options }) {
    const client = new SocketClient(io(http, {
      auth: { ...(token ? { token } : {}), ...auth },
      transports,
      forceNew: true,
      reconnectionDelay: 50,
      reconnectionDelayMax: 300,
      ...options
    }))
    if (wait) await client.connected()
    return client
  }

  constructor (socket) {
    super()
    this.setMaxListeners(0)
    this.socket = socket
    /** `{ event, body }`, and what became of the connection: names, reasons. */
    this.told = []
    this.states = []
    this.connects = 0
    socket.onAny((event, ...bodies) => {
      this.told.push({ event, body: bodies[0], count: bodies.length })
      this.emit('told')
    })
    const state = (name) => (detail) => {
      this.states.push({ name, detail: detail?.message ?? detail })
      this.emit('told')
    }
    socket.on('connect', () => { this.connects++; state('connect')() })
    socket.on('connect_error', state('connect_error'))
    socket.on('disconnect', state('disconnect'))
  }

  until (what, look, options = {}) {
    return until(what, look, {
      on: [[this, 'told']],
      seen: () => ({ states: this.states.slice(-5), told: this.told.slice(-10) }),
      ...options
    })
  }

  connected (times = 1) { return this.until(`${times} connects`, () => this.connects >= times && this.socket.connected) }

  /** What was told under a name. */
  of (event) { return this.told.filter((it) => it.event === event).map((it) => it.body) }

  /** Waits for the first under a name that fits. */
  hears (event, fits = () => true) {
    return this.until(event, () => {
      const found = this.told.find((it) => it.event === event && fits(it.body))
      return found && { body: found.body }
    }).then(({ body }) => body)
  }

  state (name) { return this.until(name, () => this.states.find((it) => it.name === name)) }

  send (event, ...bodies) { this.socket.emit(event, ...bodies) }

  /** Sends and waits for the answer. */
  ask (event, ...bodies) { return this.socket.timeout(30_000).emitWithAck(event, ...bodies) }

  subscribe (tableId, viewId = 'grid') { return this.ask('subscribe_to_table', { tableId, viewId }) }

  /** One change of one field. */
  change (tableId, recordId, fieldId, newValue, more = {}) {
    return this.ask('record_change', {
      type: 'update', recordId, tableId, baseId: 'base', changes: [{ fieldId, newValue }], ...more
    })
  }

  /** All change events, however they were told. */
  events () {
    return this.told.flatMap(({ event, body }) =>
      event === 'record_change' ? [body] : event === 'batch_changes' || event === 'missed_events' ? body : [])
  }

  /** The connection under it. */
  get engine () { return this.socket.io.engine }

  /** Breaks the connection as a network does. */
  drop () { this.engine.transport.ws?.terminate?.() ?? this.engine.close() }

  /** What is read from the network, where it is a WebSocket. */
  pause () { this.engine.transport.ws._socket.pause() }

  resume () { this.engine.transport.ws._socket.resume() }

  destroy () { this.socket.disconnect() }
}
