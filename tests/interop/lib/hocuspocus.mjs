// Owns unmodified Hocuspocus clients: a socket that several documents may share, documents on it, and what passed over
// it. Only the socket class is ours, so that frames can be seen and headers sent as a browser's could not.
import * as now from '@hocuspocus/provider'
import * as before from 'hocuspocus-provider-3'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import WebSocket from 'ws'
import * as Y from 'yjs'
import { canonical } from './canonical.mjs'
import { read as readYjs } from './frames.mjs'
import { until } from './wait.mjs'

/** The provider's lines that are in use: the newest, and the one before. */
export const LINES = { 4: now, 3: before }

const TYPES = ['sync', 'awareness', 'auth', 'query', 'reply', 'stateless', 'broadcast', 'close', 'status', 'ping', 'pong']

/** One connection, for any number of documents. */
export class HocuspocusSocket {
  constructor ({ url, headers = {}, line = 4, delay = 200, ...options }) {
    this.line = line
    /** Sockets ever opened, frames received, closes seen. */
    this.sockets = []
    this.frames = []
    this.closes = []
    this.wire = new LINES[line].HocuspocusProviderWebsocket({
      url, delay, minDelay: 100, maxDelay: 500, WebSocketPolyfill: watched(this, headers), ...options
    })
    this.wire.on('close', ({ event }) => this.closes.push({ code: event.code, reason: event.reason }))
  }

  /** A document on this socket. */
  open (name, options = {}) {
    return new HocuspocusDocument({ socket: this, name, ...options })
  }

  /** The frames about a document, by its address. */
  about (address) { return this.frames.filter((frame) => frame.address === address) }

  destroy () { this.wire.destroy() }
}

/** One document: yjs document, provider, awareness, and what the provider said of it. */
export class HocuspocusDocument {
  constructor ({ socket, name, token, doc, user, ...options }) {
    this.socket = socket
    this.doc = doc ?? new Y.Doc()
    /** What users of the provider are told. */
    this.denials = []
    this.closes = []
    this.scopes = []
    this.payloads = []
    this.provider = new LINES[socket.line].HocuspocusProvider({
      websocketProvider: socket.wire, name, document: this.doc, token: token ?? null, ...options
    })
    const note = (event, list, of) => this.provider.on(event, (said) => list.push(of(said)))
    note('authenticationFailed', this.denials, ({ reason }) => reason)
    note('authenticated', this.scopes, ({ scope }) => scope)
    note('stateless', this.payloads, ({ payload }) => payload)
    note('close', this.closes, ({ event }) => ({ code: event.code, reason: event.reason }))
    if (user) this.provider.setAwarenessField('user', user)
    this.provider.attach()
  }

  get id () { return this.doc.clientID }
  get address () { return this.provider.effectiveName ?? this.provider.configuration.name }
  get awareness () { return this.provider.awareness }
  get map () { return this.doc.getMap('map') }
  get list () { return this.doc.getArray('list') }
  get text () { return this.doc.getText('text') }
  get xml () { return this.doc.getXmlFragment('xml') }

  /** The four shared roots as JSON. */
  contents () {
    return {
      map: this.map.toJSON(),
      list: this.list.toJSON(),
      text: this.text.toString(),
      xml: this.xml.toString()
    }
  }

  /** What others look like from here: `[clientId, state]` without our own. */
  others () {
    return [...this.awareness?.getStates() ?? []].filter(([clientId]) => clientId !== this.id)
  }

  /** What wakes those who wait for it. */
  signals () {
    const { provider } = this
    const names = ['synced', 'unsyncedChanges', 'authenticated', 'authenticationFailed', 'stateless', 'close', 'status']
    const presence = this.awareness ? [[this.awareness, 'change']] : []
    return [[this.doc, 'update'], [this.socket.wire, 'message'], [this.socket.wire, 'status'], ...presence,
      ...names.map((name) => [provider, name])]
  }

  /** Waits for anything that can be seen in the document, the awareness or the provider. */
  until (what, look, options = {}) {
    return until(what, look, {
      on: this.signals(),
      seen: () => ({
        contents: this.contents(), others: this.others(), synced: this.provider.synced, scopes: this.scopes,
        unsynced: this.provider.unsyncedChanges, denials: this.denials, closes: this.closes, socket: this.socket.closes
      }),
      ...options
    })
  }

  async synced (options) {
    await this.until('the document to be synced', () => this.provider.synced, options)
    return this
  }

  /** Waits until the provider says that everything is saved. */
  async saved (options) {
    await this.until('no unsynced changes', () => this.provider.synced && !this.provider.hasUnsyncedChanges, options)
    return this
  }

  /** Waits until its contents are those, compared as canonical JSON. */
  async shows (contents, options) {
    const expected = canonical(contents)
    await this.until(`contents ${expected}`, () => canonical(this.contents()) === expected, options)
  }

  /** How many frames of a kind came for it. */
  count (kind, look = () => true) {
    return this.socket.about(this.address).filter((frame) => frame.kind === kind && look(frame)).length
  }

  destroy () { this.provider.destroy() }
}

/** A message as bytes: the address, and then what is written. */
export function message (address, write) {
  const encoder = encoding.createEncoder()
  encoding.writeVarString(encoder, address)
  write(encoder)
  return encoding.toUint8Array(encoder)
}

/** A message whose body is a y-websocket message, or any bytes. */
export const about = (address, bytes) => message(address, (e) => encoding.writeUint8Array(e, Uint8Array.from(bytes)))

/** A token, with the provider's version if there is one. */
export const auth = (address, token, version) => message(address, (e) => {
  encoding.writeVarUint(e, 2)
  encoding.writeVarUint(e, 0)
  encoding.writeVarString(e, token)
  if (version) encoding.writeVarString(e, version)
})

/** A stateless payload. */
export const stateless = (address, payload) => message(address, (e) => {
  encoding.writeVarUint(e, 5)
  encoding.writeVarString(e, payload)
})

/** A server's frame taken apart: `{ address, kind, ... }`. */
export function read (bytes) {
  if (bytes.length === 1) return { kind: TYPES[bytes[0]], length: 1 }
  const decoder = decoding.createDecoder(bytes)
  const address = decoding.readVarString(decoder)
  const body = bytes.subarray(decoder.pos)
  const kind = TYPES[decoding.readVarUint(decoder)]
  const frame = { address, kind, length: bytes.length }
  if (kind === 'sync' || kind === 'awareness') return { ...frame, ...readYjs(body), kind, step: body[1] }
  if (kind === 'auth') {
    const step = decoding.readVarUint(decoder)
    return { ...frame, step, text: step > 0 ? decoding.readVarString(decoder) : undefined }
  }
  if (kind === 'status') return { ...frame, status: decoding.readVarUint(decoder) }
  if (kind === 'stateless' || kind === 'close') return { ...frame, text: decoding.readVarString(decoder) }
  return frame
}

function watched (socket, headers) {
  return class extends WebSocket {
    constructor (url) {
      super(url, { headers, perMessageDeflate: false })
      socket.sockets.push(this)
      this.on('message', (data, isBinary) => {
        socket.frames.push(isBinary ? read(new Uint8Array(data)) : { text: data.toString() })
      })
      this.on('error', () => {})
    }
  }
}
