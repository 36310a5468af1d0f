// Owns a small light: whether what was changed here is safe, how much is not, and what to do.
import type { CSSProperties, ReactNode } from 'react'
import type { Pending } from '../outbox.js'
import type { Room } from '../room.js'
import type { Status } from '../status.js'
import { usePending, useStatus } from './hooks.js'

export type Light = 'green' | 'yellow' | 'red'

export interface SyncIndicatorLabels {
  saved: string
  saving: (count: number) => string
  connecting: string
  connectingWith: (count: number) => string
  polling: string
  offline: string
  offlineWith: (count: number) => string
  failed: (reason: string) => string
  retry: string
}

const changes = (count: number): string => count === 1 ? '1 change' : `${count} changes`

const LABELS: SyncIndicatorLabels = {
  saved: 'All changes saved',
  saving: (count) => `Saving ${changes(count)}…`,
  connecting: 'Connecting…',
  connectingWith: (count) => `Connecting… ${changes(count)} kept on this device`,
  polling: 'Slow connection: updates every few seconds',
  offline: 'Offline. Go on working: changes are kept on this device',
  offlineWith: (count) => `Offline. ${changes(count)} kept on this device until you are back`,
  failed: (reason) => `Not saved: ${reason}. Try again, or reload and sign in`,
  retry: 'Try again'
}

const COLORS: Record<Light, string> = { green: '#1a7f37', yellow: '#9a6700', red: '#cf222e' }

/** Green: safe on the server. Yellow: safe on this device. Red: somebody has to do something. */
export function lightOf(status: Status, { total }: Pending): Light {
  switch (status) {
    case 'error': return 'red'
    case 'saved': return 'green'
    case 'polling': return total === 0 ? 'green' : 'yellow'
    case 'connected':
    case 'syncing':
    case 'connecting':
    case 'offline': return 'yellow'
  }
}

/** What to say, in words. */
export function adviceOf(
  status: Status, { total }: Pending, reason: string, labels: SyncIndicatorLabels = LABELS
): string {
  switch (status) {
    case 'error': return labels.failed(reason)
    case 'saved': return labels.saved
    case 'polling': return total === 0 ? labels.polling : labels.saving(total)
    case 'syncing': return labels.saving(total)
    case 'connected':
    case 'connecting': return total === 0 ? labels.connecting : labels.connectingWith(total)
    case 'offline': return total === 0 ? labels.offline : labels.offlineWith(total)
  }
}

export interface SyncIndicatorProps {
  room: Room
  labels?: Partial<SyncIndicatorLabels>
  className?: string
  style?: CSSProperties
}

export function SyncIndicator({ room, labels, className, style }: SyncIndicatorProps): ReactNode {
  const status = useStatus(room)
  const pending = usePending(room)
  const words = { ...LABELS, ...labels }
  const light = lightOf(status, pending)
  const reason = room.error?.message ?? 'the server refused a change'
  return (
    <span
      role="status"
      className={className}
      data-status={status}
      data-light={light}
      data-pending={pending.total}
      style={{ display: 'inline-flex', alignItems: 'center', gap: '0.5em', ...style }}
    >
      <span aria-hidden style={{
        width: '0.7em', height: '0.7em', borderRadius: '50%', background: COLORS[light]
      }} />
      {pending.total > 0 && <b>{pending.total}</b>}
      <span>{adviceOf(status, pending, reason, words)}</span>
      {light === 'red' && <button type="button" onClick={() => room.retry()}>{words.retry}</button>}
    </span>
  )
}
