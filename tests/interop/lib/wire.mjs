// Owns a Hocuspocus socket without a provider behind it: frames go out as the test made them.
import { EventEmitter, once } from 'node:events'
import WebSocket from 'ws'
import { read } from './hocuspocus.mjs'
import { until, within } from './wait.mjs'

/** A WebSocket. Emits `frame` and `closed`. */
export class Wire extends EventEmitter {
  static async open (url, options) {
    const wire = new Wire(url, options)
    await within('the socket to open', once(wire.socket, 'open'))
    return wire
  }

  /** The HTTP status that an upgrade is answered with. */
  static async upgrade (url, options) {
    const wire = new Wire(url, options)
    const opened = once(wire.socket, 'open').then(() => ({ status: 101 }))
    const refused = once(wire.socket, 'unexpected-response').then(([, response]) => ({ status: response.statusCode }))
    const answer = await within('an answer to the upgrade', Promise.race([opened, refused]))
    wire.destroy()
    return answer
  }

  constructor (url, { headers = {} } = {}) {
    super()
    this.setMaxListeners(0)
    this.frames = []
    this.closed = null
    this.socket = new WebSocket(url, { headers, perMessageDeflate: false, maxPayload: 1 << 30 })
    this.socket.on('error', () => {})
    this.socket.on('message', (data, isBinary) => {
      const frame = isBinary ? read(new Uint8Array(data)) : { text: data.toString() }
      this.frames.push(frame)
      this.emit('frame', frame)
    })
    this.socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() }
      this.emit('closed', this.closed)
    })
  }

  send (bytes) { this.socket.send(bytes) }

  /** Waits for a frame that satisfies `look`, among those that came and those to come. */
  frame (what, look) {
    return until(what, () => this.frames.find(look), {
      on: [[this, 'frame'], [this, 'closed']], seen: () => ({ frames: this.frames.slice(-8), closed: this.closed })
    })
  }

  /** Waits for the close. */
  ended () {
    return until('the server to close the socket', () => this.closed, {
      on: [[this, 'closed']], seen: () => this.frames.slice(-8)
    })
  }

  destroy () { this.socket.terminate() }
}
