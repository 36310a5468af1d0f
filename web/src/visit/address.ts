// Owns what the page's address says: the room, and once a token. Both are behind the `#`, which no
// browser sends to a server.
import { anyRoom } from './names'

export interface Address {
  room: string
  /** Nobody has been in the room before: its name was made just now. */
  isFresh: boolean
  token?: string
}

const TOKEN = 'roundtable:token'

/** Reads the address. A room that has no name yet gets one; a token leaves the address at once. */
export function readAddress(): Address {
  const said = new URLSearchParams(location.hash.slice(1))
  const isFresh = !said.get('room')
  const room = said.get('room') || anyRoom()
  const token = said.get('token') ?? sessionStorage.getItem(TOKEN) ?? undefined
  if (token) sessionStorage.setItem(TOKEN, token)
  history.replaceState(history.state, '', linkTo(room))
  return { room, isFresh, ...(token ? { token } : {}) }
}

export function linkTo(room: string): string {
  return `${location.origin}${location.pathname}#${new URLSearchParams({ room })}`
}

/** The next time that the page is read it has this token. */
export function keepToken(token: string): void {
  sessionStorage.setItem(TOKEN, token)
}

export function forgetToken(): void {
  sessionStorage.removeItem(TOKEN)
}
