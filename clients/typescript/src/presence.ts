// Owns who is here: this client's state, the others', and who came, changed and went.
import * as protocol from 'y-protocols/awareness'
import type * as Y from 'yjs'
import { colorOf } from './colors.js'
import { Emitter, type Unsubscribe } from './emitter.js'
import type { Claims } from './token.js'
import { isEqual } from './values.js'

/** Somebody, as the server made them from their token. */
export interface User {
  id: string
  name?: string
  color: string
  avatar?: string
}

/** What a client tells of itself; the named members are a convention. */
export interface PresenceState {
  cursor?: { recordId?: string, fieldId?: string, x?: number, y?: number } | null
  selection?: unknown
  viewId?: string
  typing?: boolean
  [member: string]: unknown
}

export interface Peer {
  /** One tab or device; a user may have several. */
  clientId: string
  user: User
  state: PresenceState
}

export interface PresenceEvents {
  /** Anything of these. */
  change: readonly Peer[]
  joined: Peer
  updated: Peer
  left: Peer
}

/** At most so often are moves told; the last one always is. */
const TELL_MS = 50
/** A connection that is back within this time has lost nobody. */
const GRACE_MS = 5_000

/** Presence that came from the server, not from this client. */
export const FROM_SERVER = Symbol('presence of others')

export class Presence {
  readonly awareness: protocol.Awareness
  #events = new Emitter<PresenceEvents>()
  #claims: () => Claims
  #tell: () => void
  #tellAt = 0
  #telling: ReturnType<typeof setTimeout> | undefined
  #fading: ReturnType<typeof setTimeout> | undefined
  #lapsing: ReturnType<typeof setTimeout> | undefined
  #polled = new Map<string, Peer>()
  #peers = new Map<string, Peer>()
  #others: readonly Peer[] = []

  /** `tell` is called when this client's state is to be sent. */
  constructor(doc: Y.Doc, claims: () => Claims, tell: () => void) {
    this.awareness = new protocol.Awareness(doc)
    this.awareness.setLocalState(null)
    this.#claims = claims
    this.#tell = tell
    this.awareness.on('update', this.#updated)
  }

  /** This client, whether or not it is here. */
  get me(): Peer {
    const { user, ...state } = this.awareness.getLocalState() ?? {}
    return { clientId: String(this.awareness.clientID), user: this.#user(user), state }
  }

  /** Whether this client is told to others. */
  get isHere(): boolean { return this.awareness.getLocalState() !== null }

  /** Everybody else, by client; the same array until somebody changes. */
  get others(): readonly Peer[] { return this.#others }

  /** Changes some members of this client's state, and enters if it was not here. */
  update(patch: PresenceState): void {
    const before = this.awareness.getLocalState() ?? {}
    const after = { ...before, ...patch, user: this.#user(before.user) }
    if (!isEqual(before, after)) this.awareness.setLocalState(after)
  }

  cursor(cursor: PresenceState['cursor']): void { this.update({ cursor: cursor ?? null }) }
  select(selection: unknown): void { this.update({ selection: selection ?? null }) }
  typing(isTyping = true): void { this.update({ typing: isTyping }) }

  /** Goes; told at once. */
  leave(): void {
    if (this.isHere) this.awareness.setLocalState(null)
  }

  subscribe(listener: (others: readonly Peer[]) => void): Unsubscribe {
    return this.#events.on('change', listener)
  }

  on<Name extends keyof PresenceEvents>(
    name: Name, listener: (event: PresenceEvents[Name]) => void
  ): Unsubscribe {
    return this.#events.on(name, listener)
  }

  /** Whether anybody wants to know who is here. */
  get isWatched(): boolean {
    return (['change', 'joined', 'updated', 'left'] as const).some((n) => this.#events.count(n) > 0)
  }

  /** @internal What the server sent. */
  receive(update: Uint8Array): void {
    const mine = this.awareness.getLocalState()
    protocol.applyAwarenessUpdate(this.awareness, update, FROM_SERVER)
    const said = this.awareness.getLocalState()
    if (said === mine) return
    // The server gives this client's own state back with a clock and a user of its making. It may
    // be an older state by now: the rest is this client's own affair, also that it is gone.
    const kept = mine && { ...mine, user: said?.user as unknown }
    if (!isEqual(kept, said)) this.awareness.setLocalState(kept)
  }

  /** @internal This client's state, for the wire. */
  encode(): Uint8Array | undefined {
    if (!this.isHere) return undefined
    return protocol.encodeAwarenessUpdate(this.awareness, [this.awareness.clientID])
  }

  /** @internal The last word to the wire: this client is not here any more. */
  encodeGoodbye(): Uint8Array {
    return protocol.encodeAwarenessUpdate(this.awareness, [this.awareness.clientID])
  }

  /** @internal A conversation begins: this client is told anew, under a clock nobody has seen. */
  connected(): void {
    clearTimeout(this.#fading)
    const state = this.awareness.getLocalState()
    if (state) this.awareness.setLocalState(state)
  }

  /** @internal Nobody can be seen by socket any more, after a time of grace. */
  disconnected(): void {
    clearTimeout(this.#fading)
    this.#fading = setTimeout(() => {
      const ids = [...this.awareness.getStates().keys()]
        .filter((id) => id !== this.awareness.clientID)
      protocol.removeAwarenessStates(this.awareness, ids, FROM_SERVER)
    }, GRACE_MS)
  }

  /** @internal Who is here according to HTTP, where there is no socket to hear it from. */
  setPolled(peers: Peer[]): void {
    clearTimeout(this.#lapsing)
    const own = String(this.awareness.clientID)
    this.#polled = new Map(peers.filter(({ clientId }) => clientId !== own)
      .map((peer) => [peer.clientId, peer]))
    this.#refresh()
  }

  /** @internal HTTP tells nothing any more; by then a socket does, or nobody can be seen. */
  polledLast(): void {
    clearTimeout(this.#lapsing)
    this.#lapsing = setTimeout(() => this.setPolled([]), GRACE_MS)
  }

  /** @internal */
  stop(): void {
    clearTimeout(this.#telling)
    clearTimeout(this.#fading)
    clearTimeout(this.#lapsing)
    this.awareness.destroy()
    this.#events.clear()
  }

  #updated = (
    { added, updated, removed }: Record<'added' | 'updated' | 'removed', number[]>, origin: unknown
  ): void => {
    const isOwn = [...added, ...updated, ...removed].includes(this.awareness.clientID)
    if (origin !== FROM_SERVER && isOwn) this.#schedule()
    this.#refresh()
  }

  #schedule(): void {
    if (this.#telling !== undefined) return
    const wait = this.isHere ? this.#tellAt + TELL_MS - Date.now() : 0
    if (wait <= 0) return this.#say()
    this.#telling = setTimeout(() => this.#say(), wait)
  }

  #say(): void {
    this.#telling = undefined
    this.#tellAt = Date.now()
    this.#tell()
  }

  #refresh(): void {
    const before = this.#peers
    const after = new Map(this.#polled)
    for (const [id, state] of this.awareness.getStates()) {
      if (id === this.awareness.clientID) continue
      const clientId = String(id)
      const { user, ...rest } = state
      after.set(clientId, { clientId, user: userOf(user, clientId), state: rest })
    }
    const joined: Peer[] = []
    const updated: Peer[] = []
    for (const [id, peer] of after) {
      const was = before.get(id)
      if (!was) joined.push(peer)
      else if (isEqual(was, peer)) after.set(id, was)
      else updated.push(peer)
    }
    const left = [...before.values()].filter(({ clientId }) => !after.has(clientId))
    if (joined.length + updated.length + left.length === 0) return
    this.#peers = after
    this.#others = [...after.values()].sort((a, b) => (a.clientId < b.clientId ? -1 : 1))
    for (const peer of joined) this.#events.emit('joined', peer)
    for (const peer of updated) this.#events.emit('updated', peer)
    for (const peer of left) this.#events.emit('left', peer)
    this.#events.emit('change', this.#others)
  }

  /** Who this client is: as the server said, or as the token says until it has. */
  #user(said: unknown): User {
    const { sub, name, color, avatar } = this.#claims()
    const id = sub ?? String(this.awareness.clientID)
    if (isUser(said) && (sub === undefined || said.id === sub)) return said
    return {
      id, color: color ?? colorOf(id), ...(name ? { name } : {}), ...(avatar ? { avatar } : {})
    }
  }
}

function isUser(value: unknown): value is User {
  return typeof value === 'object' && value !== null && 'id' in value && 'color' in value
}

function userOf(said: unknown, clientId: string): User {
  return isUser(said) ? said : { id: clientId, color: colorOf(clientId) }
}
