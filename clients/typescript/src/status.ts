// Owns the one word an application shows: derived, never set.
import type { State } from './connection/machine.js'

/**
 * - `connecting`: no connection yet, or none any more; an attempt is under way or due.
 * - `connected`: a connection, and the room's state is being exchanged.
 * - `syncing`: a connection, and changes of this device that the server has not confirmed.
 * - `saved`: a connection, and everything is durable on the server.
 * - `polling`: no socket can be had; HTTP stands in for it.
 * - `offline`: no network. Everything is kept on the device.
 * - `error`: the server refused; `room.error` says why.
 */
export type Status =
  'connecting' | 'connected' | 'syncing' | 'saved' | 'polling' | 'offline' | 'error'

export interface Standing {
  connection: Pick<State, 'phase' | 'reachable' | 'attempts'>
  /** Both sides have what the other had. */
  isSynced: boolean
  /** Changes that are not confirmed. */
  unsaved: number
  hasFailed: boolean
}

export function statusOf({ connection, isSynced, unsaved, hasFailed }: Standing): Status {
  if (hasFailed || connection.phase === 'failed') return 'error'
  switch (connection.phase) {
    case 'offline': return 'offline'
    case 'idle':
    case 'connecting':
    case 'waiting': return 'connecting'
    case 'polling':
    case 'probing': return connection.reachable ? 'polling' : 'offline'
    case 'connected':
      if (!isSynced) return 'connected'
      return unsaved > 0 ? 'syncing' : 'saved'
  }
}

/** Of several rooms, the one that needs most attention. */
const BY_CONCERN: Status[] =
  ['error', 'offline', 'polling', 'connecting', 'connected', 'syncing', 'saved']

export function worstOf(statuses: Status[], otherwise: Status): Status {
  return BY_CONCERN.find((status) => statuses.includes(status)) ?? otherwise
}
