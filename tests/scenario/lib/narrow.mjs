// Owns a narrow way: a relay that lets so many bytes a second through to the client, and no more.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { pass } from '../../interop/lib/wait.mjs'

/** Bytes that go at once; the pause after them makes the rate. */
const PIECE_BYTES = 64 << 10

export class Narrow {
  static async open (port, bytesPerSecond) {
    const way = new Narrow(port, bytesPerSecond)
    way.listener.listen(0, '127.0.0.1')
    await once(way.listener, 'listening')
    way.host = `127.0.0.1:${way.listener.address().port}`
    return way
  }

  constructor (target, bytesPerSecond) {
    this.sockets = new Set()
    this.listener = createServer((client) => {
      const server = connect(target, '127.0.0.1')
      for (const [one, other] of [[client, server], [server, client]]) {
        this.sockets.add(one)
        one.setNoDelay(true)
        one.on('error', () => {})
        one.on('close', () => { this.sockets.delete(one); other.destroy() })
      }
      client.pipe(server)
      this.#trickle(server, client, bytesPerSecond).catch(() => client.destroy())
    })
  }

  async #trickle (from, to, bytesPerSecond) {
    for await (const chunk of from) {
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
        const piece = chunk.subarray(at, at + PIECE_BYTES)
        if (!to.write(piece)) await once(to, 'drain')
        await pass(piece.length * 1_000 / bytesPerSecond)
      }
    }
  }

  close () {
    for (const socket of this.sockets) socket.destroy()
    this.listener.close()
  }
}
