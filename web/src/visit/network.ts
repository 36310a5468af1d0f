// Owns the switch between this page and the network: what the client is given to connect with, and
// that it can be taken away. Sockets end and requests fail, as they do in a tunnel.
import { Emitter } from '../ui/emitter'

export class Network {
  readonly changed = new Emitter()
  #isOn = true
  #sockets = new Set<WebSocket>()

  get isOn(): boolean {
    return this.#isOn
  }

  /** A `WebSocket` that cannot connect while the network is off. */
  readonly WebSocket: typeof WebSocket = socketsOf(this, this.#sockets)

  readonly fetch = (input: string, init?: RequestInit): Promise<Response> =>
    this.#isOn ? fetch(input, init) : Promise.reject(new TypeError('the network is switched off'))

  turn(on: boolean): void {
    if (on === this.#isOn) return
    this.#isOn = on
    if (!on) for (const socket of this.#sockets) socket.close()
    // Whoever watches the machine's network learns of it the way they do of that.
    dispatchEvent(new Event(on ? 'online' : 'offline'))
    this.changed.emit()
  }
}

function socketsOf(network: Network, open: Set<WebSocket>): typeof WebSocket {
  return class extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols)
      open.add(this)
      this.addEventListener('close', () => open.delete(this))
      if (!network.isOn) this.close()
    }
  }
}
