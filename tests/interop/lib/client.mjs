// Owns an unmodified y-websocket client: yjs document, WebsocketProvider, awareness, and what passed over its sockets.
// Only the socket class is ours, so that frames can be seen and headers sent as a browser's could not.
import WebSocket from 'ws'
import { Awareness } from 'y-protocols/awareness'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { canonical } from './canonical.mjs'
import { read } from './frames.mjs'
import { until } from './wait.mjs'

// Every WebsocketProvider listens for the end of the process.
process.setMaxListeners(0)

export class Client {
  /** `base` is the URL that rooms are appended to; `doc` a document that was edited before. */
  constructor ({ base, room, token, doc, user, headers, protocols, params, connect = true, record = false }) {
    this.doc = doc ?? new Y.Doc()
    this.awareness = new Awareness(this.doc)
    if (user !== undefined) this.awareness.setLocalState(user === null ? null : { user })
    /** Sockets ever opened, frames received (when `record`), close codes seen, reasons of refused edits. */
    this.sockets = []
    this.frames = []
    this.closes = []
    this.refusals = []
    this.permanent = null
    this.provider = new WebsocketProvider(base, room, this.doc, {
      awareness: this.awareness,
      connect: false,
      disableBc: true,
      maxBackoffTime: 500,
      params: params ?? (token ? { token } : {}),
      protocols,
      WebSocketPolyfill: watched(this, headers ?? {}, record)
    })
    this.provider.on('connection-close', (event) => {
      if (event) this.closes.push({ code: event.code, reason: event.reason })
    })
    this.provider.on('closed', (event) => { this.permanent = event })
    if (connect) this.provider.connect()
  }

  get id () { return this.doc.clientID }
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
    return [...this.awareness.getStates()].filter(([clientId]) => clientId !== this.id)
  }

  /** Waits for anything that can be seen in the document, the awareness or the provider. */
  until (what, look, options = {}) {
    return until(what, look, {
      on: [
        [this.doc, 'update'], [this.awareness, 'update'], [this.awareness, 'change'],
        [this.provider, 'status'], [this.provider, 'sync'], [this.provider, 'closed'],
        [this.provider, 'connection-close'], [this.provider, 'connection-error'], [this.provider, 'refused']
      ],
      seen: () => ({
        contents: this.contents(), others: this.others(), synced: this.provider.synced,
        closes: this.closes.slice(-5), sockets: this.sockets.length
      }),
      ...options
    })
  }

  async synced (options) {
    await this.until('the client to be synced', () => this.provider.synced, options)
    return this
  }

  /** Waits for the close that the client takes as final. */
  async closed (options) {
    await this.until('the client to be closed for good', () => this.permanent, options)
    return this.permanent
  }

  /** Waits until its contents are those, compared as canonical JSON. */
  async shows (contents, options) {
    const expected = canonical(contents)
    await this.until(`contents ${expected}`, () => canonical(this.contents()) === expected, options)
  }

  /** A clean leave: the user closes the page. */
  leave () { this.provider.disconnect() }
  join () { this.provider.connect() }

  destroy () {
    this.provider.destroy()
    this.awareness.destroy()
  }
}

/** Waits until all of them hold the same contents, and at least what `look` asks for. */
export async function converge (clients, look = () => true, options) {
  const [first, ...others] = clients
  await first.until('the awaited contents', () => look(first.contents()), options)
  const same = (a, b) => canonical(a.contents()) === canonical(b.contents())
  const watched = clients.flatMap((client) => client.signals?.() ?? [[client.doc, 'update']])
  await until('all clients to hold the same', () => look(first.contents()) && others.every((c) => same(first, c)), {
    on: watched, seen: () => clients.map((client) => client.contents()), ...options
  })
}

function watched (client, headers, record) {
  return class extends WebSocket {
    constructor (url, protocols) {
      super(url, protocols?.length ? protocols : undefined, { headers, perMessageDeflate: false })
      client.sockets.push(this)
      // The status of a refused upgrade; the client itself only sees that there is no connection.
      this.on('unexpected-response', (_request, response) => { this.refusedWith = response.statusCode })
      this.on('message', (data, isBinary) => client.frames !== null && this.#note(data, isBinary))
      this.on('error', () => {})
    }

    #note (data, isBinary) {
      if (!isBinary) return void client.frames.push({ text: data.toString() })
      const bytes = new Uint8Array(data)
      const message = read(bytes)
      if (message.type === 2) {
        client.refusals.push(message.reason)
        client.provider.emit('refused', [message.reason])
      }
      if (record) client.frames.push({ ...message, length: bytes.length })
    }
  }
}
