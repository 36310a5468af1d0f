// Owns one conversation about one room over a wire: who says what next, and which confirmation is
// for which changes. It knows no storage and no status.
import * as Y from 'yjs'
import { batches, merged, type Entry, type Outbox } from './outbox.js'
import * as hocuspocus from './wire/hocuspocus.js'
import type { Message } from './wire/hocuspocus.js'

/** What a session needs of its room. */
export interface SessionHost {
  readonly doc: Y.Doc
  readonly outbox: Outbox
  send(frame: Uint8Array): void
  /** Applies what the server sent. */
  receive(update: Uint8Array): void
  receiveAwareness(update: Uint8Array): void
  /** This client's presence, to be told again; none when it is not here. */
  awareness(): Uint8Array | undefined
  token(): string
  settled(ids: string[]): void
  refused(ids: string[]): void
  denied(reason: string): void
  closed(reason: string): void
  roundTrip(ms: number): void
  changed(): void
}

interface InFlight {
  ids: string[]
  sentAt: number
}

export class Session {
  readonly address: string
  isReadOnly = false
  #host: SessionHost
  #isOpen = false
  /** The server has said what it has. */
  #isGreeted = false
  /** It has since we last asked: edits go out as they are made, and each is confirmed. */
  #isCounting = false
  #hasState = false
  #inFlight: InFlight[] = []
  #askedAt: number | undefined

  constructor(address: string, host: SessionHost) {
    this.address = address
    this.#host = host
  }

  get isOpen(): boolean { return this.#isOpen }

  /** Both sides have what the other had when the conversation began. */
  get isSynced(): boolean { return this.#isGreeted && this.#hasState }

  /** The wire is open: begin. */
  open(): void {
    this.close()
    this.#isOpen = true
    this.#host.send(hocuspocus.auth(this.address, this.#host.token()))
    this.greet()
    this.announce()
  }

  /** The wire is closed: what was not confirmed was perhaps not heard. */
  close(): void {
    this.#isOpen = this.#isGreeted = this.#hasState = false
    this.#askedAt = undefined
    this.#forget()
  }

  /** The room is left; the wire stays. */
  leave(): void {
    if (this.#isOpen) this.#host.send(hocuspocus.goodbye(this.address))
    this.close()
  }

  /**
   * Asks for what this client lacks; the server answers even when that is nothing, and asks back.
   * With that it begins to count anew: what was under way is confirmed by our answer alone.
   */
  greet(): void {
    this.#askedAt ??= Date.now()
    this.#forget()
    const stateVector = Y.encodeStateVector(this.#host.doc)
    this.#host.send(hocuspocus.greeting(this.address, stateVector))
  }

  /** Tells who is here. */
  announce(update = this.#host.awareness()): void {
    if (this.#isOpen && update) this.#host.send(hocuspocus.awareness(this.address, update))
  }

  authenticate(): void {
    if (this.#isOpen) this.#host.send(hocuspocus.auth(this.address, this.#host.token()))
  }

  /** Sends changes, if the conversation has come so far; else they are part of the answer. */
  submit(entries: Entry[]): void {
    if (!this.#isCounting || entries.length === 0) return
    for (const batch of batches(entries)) {
      this.#dispatch(batch, hocuspocus.update(this.address, merged(batch)))
    }
  }

  take(message: Message): void {
    switch (message.type) {
      case 'stateVector': return this.#answer(message.stateVector)
      case 'answer': return this.#answered(message.update)
      case 'update': return this.#host.receive(message.update)
      case 'awareness': return this.#host.receiveAwareness(message.update)
      case 'queryAwareness': return this.announce()
      case 'tokenWanted': return this.authenticate()
      case 'denied': return this.#host.denied(message.reason)
      case 'authenticated': return this.#authenticated(message.isReadOnly)
      case 'status': return this.#status(message.isApplied)
      case 'closed': return this.#closed(message.reason)
      // Nobody has said what such a message means here.
      case 'stateless': return
    }
  }

  #answer(stateVector: Uint8Array): void {
    if (this.#isCounting) return this.#fill(stateVector)
    const groups = batches(this.#host.outbox.all())
    let theirs = Y.decodeStateVector(stateVector)
    // The last group goes with the answer, and so does what has a gap before it.
    while (groups.length > 1) {
      const [batch = []] = groups
      const after = joined(theirs, batch)
      if (!after) break
      this.#dispatch(batch, hocuspocus.answer(this.address, merged(batch)))
      theirs = after
      groups.shift()
    }
    const rest = Y.encodeStateAsUpdate(this.#host.doc, Y.encodeStateVector(theirs))
    this.#isGreeted = this.#isCounting = true
    this.#dispatch(groups.flat(), hocuspocus.answer(this.address, rest))
    this.#host.changed()
  }

  /** Something was missing before what is under way; that is confirmed when the gap is closed. */
  #fill(stateVector: Uint8Array): void {
    const update = Y.encodeStateAsUpdate(this.#host.doc, stateVector)
    this.#host.send(hocuspocus.answer(this.address, update))
  }

  #answered(update: Uint8Array): void {
    if (this.#askedAt !== undefined) this.#host.roundTrip(Date.now() - this.#askedAt)
    this.#askedAt = undefined
    this.#host.receive(update)
    this.#hasState = true
    this.#host.changed()
  }

  #dispatch(entries: Entry[], frame: Uint8Array): void {
    const ids = entries.map(({ id }) => id)
    this.#inFlight.push({ ids, sentAt: Date.now() })
    this.#host.outbox.sent(ids)
    this.#host.send(frame)
  }

  /** Nothing is under way any more, as far as anybody will say. */
  #forget(): void {
    const ids = this.#inFlight.flatMap((sent) => sent.ids)
    this.#inFlight = []
    this.#isCounting = false
    this.#host.outbox.unsent(ids)
  }

  /** Confirmations come in the order of what they confirm. */
  #status(isApplied: boolean): void {
    const sent = this.#inFlight.shift()
    if (!sent) return
    if (!isApplied) return this.#host.refused(sent.ids)
    this.#host.roundTrip(Date.now() - sent.sentAt)
    this.#host.settled(sent.ids)
    this.#host.changed()
  }

  #authenticated(isReadOnly: boolean): void {
    this.isReadOnly = isReadOnly
    this.#host.changed()
  }

  #closed(reason: string): void {
    this.close()
    this.#host.closed(reason)
  }
}

/** What they have after changes that join on to what they had; none if there is a gap. */
function joined(theirs: Map<number, number>, batch: Entry[]): Map<number, number> | undefined {
  const clocks = new Map(theirs)
  for (const { update } of batch) {
    const { from, to } = Y.parseUpdateMeta(update)
    for (const [client, begin] of from) if (begin > (clocks.get(client) ?? 0)) return undefined
    for (const [client, end] of to) clocks.set(client, Math.max(end, clocks.get(client) ?? 0))
  }
  return clocks
}
