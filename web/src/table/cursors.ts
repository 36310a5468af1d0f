// Owns who else is in which cell: by row, the same list for a row as long as nothing moved there.
import { useRef } from 'react'
import type { Peer } from '@roundtable/client'

export interface Cursor {
  clientId: string
  name: string
  color: string
  field: string
  isTyping: boolean
}

const NOBODY: readonly Cursor[] = []
type ByRow = ReadonlyMap<string, readonly Cursor[]>

export function nameOf(peer: Peer): string {
  return peer.user.name ?? guestName(peer.user.id)
}

/** A guest who did not say a name. */
export function guestName(id: string): string {
  return `Guest ${id.replace(/^guest-/, '').slice(0, 4)}`
}

export function useCursors(others: readonly Peer[]): (id: string) => readonly Cursor[] {
  const last = useRef<{ others: readonly Peer[]; byRow: ByRow }>({ others: [], byRow: new Map() })
  if (last.current.others !== others) {
    last.current = { others, byRow: byRowOf(others, last.current.byRow) }
  }
  const { byRow } = last.current
  return (id) => byRow.get(id) ?? NOBODY
}

function byRowOf(others: readonly Peer[], before: ByRow): ByRow {
  const rows = new Map<string, Cursor[]>()
  for (const peer of others) {
    const { recordId, fieldId } = peer.state.cursor ?? {}
    if (!recordId || !fieldId) continue
    const cursor = {
      clientId: peer.clientId,
      name: nameOf(peer),
      color: peer.user.color,
      field: fieldId,
      isTyping: peer.state.typing === true
    }
    rows.set(recordId, [...(rows.get(recordId) ?? []), cursor])
  }
  return new Map(
    [...rows].map(([id, cursors]) => {
      const was = before.get(id)
      return [id, was && isSame(was, cursors) ? was : cursors]
    })
  )
}

function isSame(a: readonly Cursor[], b: readonly Cursor[]): boolean {
  return (
    a.length === b.length &&
    a.every((cursor, at) => {
      const other = b[at]
      return (
        other !== undefined &&
        cursor.clientId === other.clientId &&
        cursor.name === other.name &&
        cursor.color === other.color &&
        cursor.field === other.field &&
        cursor.isTyping === other.isTyping
      )
    })
  )
}
