// Owns what can be chosen in a cell: the statuses, and the people who are here or own something.
import type { Peer, Room } from '@roundtable/client'
import { useCallback, useRef } from 'react'
import { Avatar } from '../people/avatar'
import type { Choice } from '../ui/picker'
import { nameOf } from './cursors'
import { STATUSES, type Field, type TaskRow } from './task'

const NONE: Choice = { value: '', face: <span className="none">None</span> }

const STATUS_CHOICES: readonly Choice[] = [
  ...STATUSES.map((value) => ({
    value,
    face: (
      <span className="pill" data-status={value}>
        {value}
      </span>
    )
  })),
  NONE
]

/** Asked when a list is opened; the same function all the time, so that no row renders for it. */
export function useChoices(
  rows: readonly TaskRow[],
  others: readonly Peer[],
  room: Room
): (field: Field) => readonly Choice[] {
  const last = useRef({ rows, others })
  last.current = { rows, others }
  return useCallback(
    (field) => {
      if (field === 'status') return STATUS_CHOICES
      const { rows, others } = last.current
      const { name } = room.presence.me.user
      const people = [...(name ? [name] : []), ...others.map(nameOf)]
      const owners = rows
        .flatMap(({ owner }) => (typeof owner === 'string' && owner ? [owner] : []))
        .sort()
      const all = [...new Set([...people, ...owners])].slice(0, 30)
      return [
        ...all.map((value) => ({
          value,
          face: (
            <span className="owner">
              <Avatar name={value} size="small" />
              <span>{value}</span>
            </span>
          )
        })),
        NONE
      ]
    },
    [room]
  )
}
