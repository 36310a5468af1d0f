// Owns telling others where this person is, from the first time that they touched the table.
import type { Room } from '@roundtable/client'
import { useEffect, useState, type RefObject } from 'react'
import type { Spot } from './spot'

export function useTelling(
  room: Room,
  box: RefObject<HTMLElement | null>,
  spot: Spot | undefined,
  isTyping: boolean
): void {
  const [hasBegun, setHasBegun] = useState(false)
  useEffect(() => {
    const element = box.current
    const begin = (): void => setHasBegun(true)
    element?.addEventListener('focusin', begin, { once: true })
    return () => element?.removeEventListener('focusin', begin)
  }, [box])
  useEffect(() => {
    if (!hasBegun) return
    const cursor = spot ? { recordId: spot.id, fieldId: spot.field } : null
    room.presence.update({ cursor, typing: isTyping })
  }, [room, hasBegun, spot, isTyping])
}
