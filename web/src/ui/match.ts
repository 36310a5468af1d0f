// Owns following what the screen is like.
import { useCallback, useSyncExternalStore } from 'react'

export function useMatch(query: string): boolean {
  return useSyncExternalStore(
    useCallback(
      (changed: () => void) => {
        const list = matchMedia(query)
        list.addEventListener('change', changed)
        return () => list.removeEventListener('change', changed)
      },
      [query]
    ),
    () => matchMedia(query).matches
  )
}
