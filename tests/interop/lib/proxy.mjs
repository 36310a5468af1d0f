// Owns a bad network: a TCP relay in front of the server whose connections can be cut, refused or frozen.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

export class Proxy {
  static async open (port) {
    const proxy = new Proxy(port)
    proxy.listener.listen(0, '127.0.0.1')
    await once(proxy.listener, 'listening')
    proxy.port = proxy.listener.address().port
    return proxy
  }

  constructor (target) {
    this.target = target
    this.pairs = new Set()
    this.isRefusing = false
    this.listener = createServer((client) => this.#relay(client))
  }

  get host () { return `127.0.0.1:${this.port}` }

  #relay (client) {
    if (this.isRefusing) return void client.destroy()
    const server = connect(this.target, '127.0.0.1')
    const pair = { client, server }
    this.pairs.add(pair)
    for (const [from, to] of [[client, server], [server, client]]) {
      from.setNoDelay(true)
      from.on('error', () => {})
      from.on('close', () => { this.pairs.delete(pair); to.destroy() })
      from.pipe(to)
    }
  }

  /** Every connection ends now, without a goodbye on either side. */
  cut () {
    for (const { client, server } of this.pairs) {
      client.resetAndDestroy()
      server.resetAndDestroy()
    }
  }

  /** Nothing gets through any more, and nobody is told: what a lost network looks like. */
  freeze () {
    for (const { client, server } of this.pairs) {
      client.unpipe(server)
      server.unpipe(client)
      client.pause()
      server.pause()
    }
  }

  refuse () { this.isRefusing = true }
  accept () { this.isRefusing = false }

  close () {
    this.cut()
    this.listener.close()
  }
}
