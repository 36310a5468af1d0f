// Owns the mice of others over the table: said as a place in a row, so that each sees them at the
// same words, however wide the window and however sorted the rows.
import { useOthers } from '@roundtable/client/react'
import type { Room } from '@roundtable/client'
import { useEffect, type RefObject, type ReactNode } from 'react'
import { nameOf } from '../table/cursors'
import type { TaskRow } from '../table/task'

/** As others are told, in a presence state's `pointer`: parts of the row's width and height. */
interface Pointer {
  recordId: string
  x: number
  y: number
}

interface PointersProps {
  room: Room
  rows: readonly TaskRow[]
  rowHeight: number
}

export function Pointers({ room, rows, rowHeight }: PointersProps): ReactNode {
  const pointing = useOthers(room).flatMap((peer) => {
    const pointer = read(peer.state.pointer)
    if (!pointer) return []
    const at = rows.findIndex(({ id }) => id === pointer.recordId)
    return at < 0 ? [] : [{ peer, left: pointer.x, top: (at + pointer.y) * rowHeight }]
  })
  if (pointing.length === 0) return null
  return (
    <div className="pointers" aria-hidden>
      {pointing.map(({ peer, left, top }) => (
        <span
          key={peer.clientId}
          className="pointer"
          style={{ transform: `translate(${left * 100}%, ${top}px)` }}
        >
          <span style={{ color: peer.user.color }}>
            <svg width="16" height="18" viewBox="0 0 16 18">
              <path
                d="M1 1v14l4-3.5 2.5 5 2.5-1.2L7.5 10.5H13z"
                fill="currentColor"
                stroke="#fff"
                strokeWidth="1.2"
              />
            </svg>
            <b style={{ background: peer.user.color }}>{nameOf(peer)}</b>
          </span>
        </span>
      ))}
    </div>
  )
}

function read(told: unknown): Pointer | undefined {
  if (typeof told !== 'object' || told === null) return undefined
  const { recordId, x, y } = told as Partial<Pointer>
  const isPlace = typeof recordId === 'string' && typeof x === 'number' && typeof y === 'number'
  return isPlace && x >= 0 && x <= 1 && y >= 0 && y <= 1 ? { recordId, x, y } : undefined
}

/** A mouse that lies still says nothing. */
const IDLE_MS = 5_000

/** Tells others where this person's mouse is, while it is over the rows and somebody is there. */
export function usePointer(room: Room, box: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const element = box.current
    if (!element) return undefined
    let idle: ReturnType<typeof setTimeout> | undefined
    const moved = (event: PointerEvent): void => {
      clearTimeout(idle)
      if (event.pointerType !== 'mouse' || room.presence.others.length === 0) return
      const row = (event.target as Element).closest<HTMLElement>('[data-row]')
      if (!row?.dataset.row) return left()
      const { left: x, top: y, width, height } = row.getBoundingClientRect()
      const part = (distance: number, whole: number): number =>
        Math.round(Math.max(0, Math.min(1, distance / whole)) * 1000) / 1000
      room.presence.update({
        pointer: {
          recordId: row.dataset.row,
          x: part(event.clientX - x, width),
          y: part(event.clientY - y, height)
        }
      })
      idle = setTimeout(left, IDLE_MS)
    }
    const left = (): void => {
      if (room.presence.me.state.pointer) room.presence.update({ pointer: null })
    }
    element.addEventListener('pointermove', moved, { passive: true })
    element.addEventListener('pointerleave', left)
    return () => {
      clearTimeout(idle)
      element.removeEventListener('pointermove', moved)
      element.removeEventListener('pointerleave', left)
    }
  }, [room, box])
}
