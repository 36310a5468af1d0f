// Owns a socket without a client behind it: frames go out as the test made them, and come back as they are.
import { EventEmitter, once } from 'node:events'
import { connect } from 'node:net'
import WebSocket from 'ws'
import { read, step1, NOTHING } from './frames.mjs'
import { until, within } from './wait.mjs'

/** A WebSocket. Emits `frame` and `closed`. */
export class Raw extends EventEmitter {
  static async open (options) {
    const raw = new Raw(options)
    await within('the socket to open', Promise.race([
      once(raw.socket, 'open'), once(raw, 'closed').then(([c]) => { throw new Error(`closed: ${JSON.stringify(c)}`) })
    ]))
    return raw
  }

  /** The HTTP status that an upgrade is answered with: 101, or the refusal's. */
  static async upgrade (options) {
    const raw = new Raw(options)
    const opened = once(raw.socket, 'open').then(() => ({ status: 101, protocol: raw.socket.protocol }))
    const refused = new Promise((resolve) => raw.on('refused', resolve))
    const broken = once(raw, 'closed').then(([closed]) => ({ status: 0, closed }))
    const answer = await within('an answer to the upgrade', Promise.race([opened, refused, broken]))
    raw.destroy()
    return answer
  }

  constructor ({ base, room, token, headers = {}, protocols, path }) {
    super()
    this.setMaxListeners(0)
    this.frames = []
    this.closed = null
    /** A quiet socket takes nothing apart: it emits `bytes`, and `frame` only for answers to SyncStep1. */
    this.isQuiet = false
    const url = `${base}/${path ?? encodeURI(room)}${token ? `?token=${token}` : ''}`
    this.socket = new WebSocket(url, protocols, {
      headers, perMessageDeflate: false, skipUTF8Validation: true, maxPayload: 1 << 30
    })
    this.socket.on('unexpected-response', (request, response) => {
      const parts = []
      response.on('data', (part) => parts.push(part))
      response.on('end', () => this.emit('refused', {
        status: response.statusCode,
        headers: response.headers,
        body: Buffer.concat(parts).toString()
      }))
      request.on('close', () => this.socket.terminate())
    })
    this.socket.on('error', (error) => { this.error = error })
    this.socket.on('message', (data, isBinary) => {
      if (this.isQuiet) {
        this.emit('bytes', data)
        if (data[0] === 0 && data[1] === 1) this.emit('frame', { type: 0, kind: 1 })
        return
      }
      const message = isBinary ? read(new Uint8Array(data)) : { text: data.toString() }
      this.frames.push(message)
      this.emit('frame', message)
    })
    this.socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString(), error: this.error?.message }
      this.emit('closed', this.closed)
    })
  }

  send (bytes) { this.socket.send(bytes) }

  /** Waits for a frame (or a close) that satisfies `look`, among those that came and those to come. */
  frame (what, look) {
    return until(what, () => this.frames.find(look), {
      on: [[this, 'frame'], [this, 'closed']], seen: () => ({ frames: this.frames.slice(-8), closed: this.closed })
    })
  }

  /** Waits for the close. */
  ended (what = 'the server to close the socket') {
    return until(what, () => this.closed, {
      on: [[this, 'closed']], seen: () => this.frames.slice(-8)
    })
  }

  /** Asks for the whole document and waits for the answer; everything sent before has then been handled. */
  async handled (options = {}) {
    let isAnswered = false
    const notice = (frame) => { isAnswered ||= frame.type === 0 && frame.kind === 1 }
    this.on('frame', notice)
    this.send(step1(NOTHING))
    await until('an answer to SyncStep1, or a close', () => this.closed || isAnswered, {
      on: [[this, 'frame'], [this, 'closed']], seen: () => this.frames.slice(-8), ...options
    }).finally(() => this.off('frame', notice))
    return this.closed
  }

  destroy () { this.socket.terminate() }
}

/** A plain TCP connection: for bytes that no WebSocket library would send. Emits nothing; read `bytes` and `ended`. */
export class Tcp {
  static async open (port) {
    const tcp = new Tcp()
    tcp.bytes = Buffer.alloc(0)
    tcp.isEnded = false
    tcp.events = new EventEmitter()
    tcp.socket = connect(port, '127.0.0.1')
    tcp.socket.on('data', (data) => {
      tcp.bytes = Buffer.concat([tcp.bytes, data])
      tcp.events.emit('change')
    })
    tcp.socket.on('error', () => {})
    const end = () => { tcp.isEnded = true; tcp.events.emit('change') }
    tcp.socket.on('end', end)
    tcp.socket.on('close', end)
    await within('a TCP connection', once(tcp.socket, 'connect'))
    return tcp
  }

  /** Opens a WebSocket by hand, so that every later byte is the test's own. */
  static async upgraded (port, path, host = `127.0.0.1:${port}`) {
    const tcp = await Tcp.open(port)
    tcp.write(
      `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'
    )
    await tcp.until('the upgrade to be answered', () => tcp.bytes.includes('\r\n\r\n'))
    const head = tcp.bytes.toString('latin1').split('\r\n')[0]
    if (!/ 101 /.test(head)) throw new Error(`expected: 101\nseen: ${head}`)
    return tcp
  }

  write (bytes) { if (!this.socket.destroyed) this.socket.write(bytes) }

  until (what, look, options = {}) {
    return until(what, look, {
      on: [[this.events, 'change']],
      seen: () => ({ bytes: this.bytes.subarray(0, 200).toString('latin1'), isEnded: this.isEnded }),
      ...options
    })
  }

  destroy () { this.socket.destroy() }
}

/** One WebSocket frame as bytes, with every field as the test wants it. */
export function wireFrame ({ opcode, payload = new Uint8Array(0), fin = true, masked = true, rsv = 0, claim }) {
  const length = claim ?? payload.length
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode]
  const mask = masked ? 0x80 : 0
  if (length < 126) head.push(mask | length)
  else if (length < 65536) head.push(mask | 126, length >> 8, length & 255)
  else {
    head.push(mask | 127)
    for (let shift = 56n; shift >= 0n; shift -= 8n) head.push(Number((BigInt(length) >> shift) & 255n))
  }
  if (!masked) return Buffer.concat([Buffer.from(head), Buffer.from(payload)])
  const key = [1, 2, 3, 4]
  const body = Buffer.from(payload.map((byte, i) => byte ^ key[i % 4]))
  return Buffer.concat([Buffer.from(head), Buffer.from(key), body])
}

/** The close code in the bytes that a server sent over a `Tcp` after its upgrade, if there is a close frame. */
export function closeCode (bytes) {
  let at = bytes.indexOf('\r\n\r\n') + 4
  while (at + 2 <= bytes.length) {
    const opcode = bytes[at] & 15
    let length = bytes[at + 1] & 127
    let body = at + 2
    if (length === 126) { length = bytes.readUInt16BE(body); body += 2 }
    else if (length === 127) { length = Number(bytes.readBigUInt64BE(body)); body += 8 }
    if (opcode === 8) return length >= 2 ? bytes.readUInt16BE(body) : 1005
    at = body + length
  }
  return undefined
}
