// Owns a person as a small disc: initials on a colour.
import type { ReactNode } from 'react'
import { useColorOf } from './palette'

interface AvatarProps {
  name: string
  /** Without one, that of whoever is here by that name. */
  color?: string
  size?: 'small' | 'large'
}

export function Avatar({ name, color, size = 'large' }: AvatarProps): ReactNode {
  const known = useColorOf(name)
  return (
    <span className="avatar" data-size={size} style={{ background: color ?? known }} aria-hidden>
      {initials(name)}
    </span>
  )
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/)
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]]
  return letters
    .map((word) => [...(word ?? '')][0] ?? '')
    .join('')
    .toLocaleUpperCase()
}
