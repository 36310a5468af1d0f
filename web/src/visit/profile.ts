// Owns how this window's person is called and painted, as long as no token says so.
import type { Room, User } from '@roundtable/client'
import { Emitter } from '../ui/emitter'
import { anyPerson } from './names'

export interface Look {
  name: string
  color: string
}

/** Dark enough for white text, bright enough on black. */
export const COLORS = [
  '#d9480f',
  '#0b7285',
  '#7048e8',
  '#c2255c',
  '#2b8a3e',
  '#1c66c4',
  '#a8600a',
  '#9c36b5',
  '#087f6c',
  '#c92a2a'
] as const

const NAME_LENGTH_MAX = 40

export class Profile {
  readonly changed = new Emitter()
  #key: string
  #look: Look

  /** What the seat was called before, or something new. */
  constructor(seat: number) {
    this.#key = `roundtable:look:${seat}`
    this.#look = kept(this.#key) ?? {
      name: anyPerson(),
      color: COLORS[(seat - 1) % COLORS.length] ?? COLORS[0]
    }
    this.#keep()
  }

  get look(): Look {
    return this.#look
  }

  change(patch: Partial<Look>): void {
    const name = (patch.name ?? this.#look.name).trim().slice(0, NAME_LENGTH_MAX)
    this.#look = { ...this.#look, ...patch, name: name || this.#look.name }
    this.#keep()
    this.changed.emit()
  }

  /**
   * Tells the room. Guests say themselves who they are; the server puts the user of a token in the
   * place of whatever is said here.
   */
  tell(room: Room): void {
    const { presence } = room
    const user = presence.me.user
    const { name, color } = this.#look
    if (user.name === name && user.color === color) return
    const said: User = { ...user, name, color }
    presence.awareness.setLocalStateField('user', said)
  }

  #keep(): void {
    localStorage.setItem(this.#key, JSON.stringify(this.#look))
  }
}

function kept(key: string): Look | undefined {
  try {
    const look = JSON.parse(localStorage.getItem(key) ?? 'null') as Partial<Look> | null
    if (typeof look?.name === 'string' && typeof look.color === 'string') return look as Look
  } catch {
    // Somebody else's words: a new look takes their place.
  }
  return undefined
}
