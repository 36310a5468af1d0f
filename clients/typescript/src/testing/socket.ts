// Owns a WebSocket that leads to a server in the same process.

/** The far side of a socket. */
export interface Far {
  receive(frame: Uint8Array): void
  closed(): void
}

/** What is said arrives in order, and never before the caller has gone on. */
export class TestSocket extends EventTarget {
  binaryType = 'arraybuffer'
  readyState = 0
  #far: Far | undefined

  /** `accept` is asked a moment later; without a far side the connection fails. */
  constructor(accept: (socket: TestSocket) => Far | undefined) {
    super()
    queueMicrotask(() => {
      if (this.readyState !== 0) return
      this.#far = accept(this)
      if (!this.#far) return this.drop(1006, '')
      this.readyState = 1
      this.dispatchEvent(new Event('open'))
    })
  }

  send(data: Uint8Array): void {
    const copy = data.slice()
    queueMicrotask(() => { if (this.readyState === 1) this.#far?.receive(copy) })
  }

  close(): void {
    this.drop(1000, '')
  }

  /** From the far side. */
  deliver(frame: Uint8Array): void {
    const data = frame.slice().buffer
    queueMicrotask(() => {
      if (this.readyState === 1) this.dispatchEvent(new MessageEvent('message', { data }))
    })
  }

  drop(code: number, reason: string): void {
    if (this.readyState === 3) return
    this.readyState = 3
    this.#far?.closed()
    queueMicrotask(() => {
      this.dispatchEvent(Object.assign(new Event('close'), { code, reason }))
    })
  }
}
