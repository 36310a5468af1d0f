// Owns a proxy as offices have them: it passes HTTP on, and WebSockets only while it is told to.
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { connect } from 'node:net'

export class Gate {
  static async open (port) {
    const gate = new Gate(port)
    gate.listener.listen(0, '127.0.0.1')
    await once(gate.listener, 'listening')
    return gate
  }

  constructor (target) {
    this.target = target
    this.isBlocking = false
    this.isDown = false
    this.refused = 0
    this.requests = 0
    this.sockets = new Set()
    this.all = new Set()
    this.listener = createServer((from, to) => this.#pass(from, to))
    this.listener.on('upgrade', (from, socket, head) => this.#upgrade(from, socket, head))
    this.listener.on('connection', (socket) => {
      this.all.add(socket)
      socket.on('error', () => {}).on('close', () => this.all.delete(socket))
      if (this.isDown) socket.destroy()
    })
  }

  get http () { return `http://127.0.0.1:${this.listener.address().port}` }

  /** No new sockets, and none of the old ones. */
  block () {
    this.isBlocking = true
    this.cut()
  }

  unblock () { this.isBlocking = false }

  /** Nobody answers any more. */
  down () {
    this.isDown = true
    this.cut()
    for (const socket of this.all) socket.destroy()
  }

  up () { this.isDown = false }

  /** Every socket ends without a goodbye. */
  cut () {
    for (const socket of this.sockets) socket.destroy()
  }

  #pass (from, to) {
    this.requests++
    const onward = request({
      host: '127.0.0.1', port: this.target, method: from.method, path: from.url, headers: from.headers
    }, (reply) => {
      to.writeHead(reply.statusCode, reply.headers)
      reply.pipe(to)
    })
    onward.on('error', () => to.destroy())
    to.on('close', () => onward.destroy())
    from.pipe(onward)
  }

  #upgrade (from, socket, head) {
    if (this.isBlocking) {
      this.refused++
      return void socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
    }
    const onward = connect(this.target, '127.0.0.1', () => {
      const headers = from.rawHeaders.reduce(
        (text, part, at) => text + part + (at % 2 ? '\r\n' : ': '), '')
      onward.write(`${from.method} ${from.url} HTTP/1.1\r\n${headers}\r\n`)
      onward.write(head)
      onward.pipe(socket).pipe(onward)
    })
    for (const one of [socket, onward]) {
      this.sockets.add(one)
      one.on('error', () => {})
      one.on('close', () => { this.sockets.delete(one); socket.destroy(); onward.destroy() })
    }
  }

  close () {
    this.down()
    this.listener.close()
  }
}
