// Owns the glow of a cell that somebody else has just changed.
import { useEffect, type RefObject } from 'react'
import type { Room } from '@roundtable/client'
import { TASKS } from './task'

/** More than so many rows at once are not somebody's hand. */
const ROWS_MAX = 20

export function useFlashes(room: Room, box: RefObject<HTMLElement | null>): void {
  useEffect(
    () =>
      room.on('change', (changes) => {
        const others = changes.filter(({ isLocal, collection }) => !isLocal && collection === TASKS)
        if (others.length > ROWS_MAX || matchMedia('(prefers-reduced-motion: reduce)').matches)
          return
        // After React has put the values there.
        requestAnimationFrame(() => {
          for (const { recordId, fields, type } of others) {
            if (type === 'removed') continue
            for (const field of fields) flash(box.current, `${recordId}:${field}`)
          }
        })
      }),
    [room, box]
  )
}

function flash(box: HTMLElement | null, name: string): void {
  const cell = box?.querySelector(`[data-cell="${CSS.escape(name)}"]`)
  cell?.animate([{ backgroundColor: 'var(--flash)' }, { backgroundColor: 'transparent' }], {
    duration: 1400,
    easing: 'ease-out'
  })
}
