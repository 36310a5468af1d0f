// Owns the names of people who were here: change events say an id, and nobody tells who has left.
import { useOthers } from '@roundtable/client/react'
import type { Room, User } from '@roundtable/client'
import { useEffect, useState } from 'react'
import { guestName } from '../table/cursors'
import { useLook, useVisit } from '../visit/visit'

export interface Acquaintance {
  name: string
  color: string
  isMe: boolean
}

type Known = Record<string, Omit<Acquaintance, 'isMe'>>

const KNOWN_MAX = 300
const UNKNOWN_COLOR = '#7a7770'

/** Somebody by id: here, or here once while this browser looked. */
export function useAcquaintances(room: Room): (userId: string) => Acquaintance {
  const key = `roundtable:known:${room.name}`
  const { address } = useVisit()
  const look = useLook()
  const others = useOthers(room)
  const [known, setKnown] = useState<Known>(() => read(key))
  const [me, setMe] = useState(room.presence.me.user.id)

  useEffect(() => {
    const { awareness } = room.presence
    const learn = (): void => {
      const { user } = room.presence.me
      setMe(user.id)
      const met: User[] = [user, ...room.presence.others.map((peer) => peer.user)]
      setKnown((known) => learned(known, met))
    }
    learn()
    awareness.on('change', learn)
    return () => awareness.off('change', learn)
  }, [room, others])
  useEffect(() => localStorage.setItem(key, JSON.stringify(known)), [key, known])

  return (id) => {
    const isMe = id === me
    if (isMe && !address.token) return { ...look, isMe }
    const met = known[id]
    return { name: met?.name ?? guestName(id), color: met?.color ?? UNKNOWN_COLOR, isMe }
  }
}

function learned(known: Known, met: User[]): Known {
  const news = met.filter(
    ({ id, name, color }) =>
      name !== undefined && (known[id]?.name !== name || known[id]?.color !== color)
  )
  if (news.length === 0) return known
  const all = {
    ...known,
    ...Object.fromEntries(news.map(({ id, name = '', color }) => [id, { name, color }]))
  }
  return Object.fromEntries(Object.entries(all).slice(-KNOWN_MAX))
}

function read(key: string): Known {
  try {
    const known: unknown = JSON.parse(localStorage.getItem(key) ?? '{}')
    return typeof known === 'object' && known !== null ? (known as Known) : {}
  } catch {
    return {}
  }
}
