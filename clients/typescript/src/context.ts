// Owns what all parts of one client share.
import type { Wire } from './connection/wire.js'
import type { Requester } from './http/request.js'
import type { Storage } from './storage/storage.js'
import type { TabChannel } from './tabs/channel.js'
import type { TokenSource } from './token.js'

export interface Context {
  wire: Wire
  http: Requester
  tokens: TokenSource
  storage: Storage
  channel: TabChannel
  WebSocket: typeof WebSocket
  /** `ws://host:port`, without a slash at the end. */
  socketBase: string
  /** This tab's name. */
  tab: string
  /** Whether other tabs use the same socket, so that addresses must tell tabs apart. */
  isShared: boolean
  pollMs: number
}
