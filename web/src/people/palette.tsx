// Owns the colours of people by name, so that an owner in the table looks like who is here.
import { useOthers } from '@roundtable/client/react'
import type { Room } from '@roundtable/client'
import { createContext, useContext, useMemo, type ReactNode } from 'react'
import { nameOf } from '../table/cursors'
import { COLORS } from '../visit/profile'
import { useLook } from '../visit/visit'

type Palette = ReadonlyMap<string, string>

const PaletteContext = createContext<Palette>(new Map())

/** Another palette only when somebody comes, goes or is painted anew: every disc follows it. */
export function PaletteProvider({
  room,
  children
}: {
  room: Room
  children: ReactNode
}): ReactNode {
  const look = useLook()
  const people = [
    look,
    ...useOthers(room).map((peer) => ({ name: nameOf(peer), color: peer.user.color }))
  ]
  const said = JSON.stringify(people.map(({ name, color }) => [name, color]))
  const palette = useMemo(() => new Map(JSON.parse(said) as [string, string][]), [said])
  return <PaletteContext value={palette}>{children}</PaletteContext>
}

/** The colour of somebody who is here, or one that belongs to the name. */
export function useColorOf(name: string): string {
  return useContext(PaletteContext).get(name) ?? hashed(name)
}

function hashed(name: string): string {
  let hash = 7
  for (const letter of name) hash = Math.imul(hash, 31) + (letter.codePointAt(0) ?? 0)
  return COLORS[Math.abs(hash) % COLORS.length] ?? COLORS[0]
}
