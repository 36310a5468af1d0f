// Owns one visit: who is at which table, over which network, with which client.
import { Roundtable } from '@roundtable/client'
import { createContext, useContext, useEffect, useSyncExternalStore } from 'react'
import type { Room } from '@roundtable/client'
import { readAddress, type Address } from './address'
import { Network } from './network'
import { Profile, type Look } from './profile'
import { takeSeat } from './seat'

export interface Visit {
  address: Address
  network: Network
  profile: Profile
  client: Roundtable
}

export async function beginVisit(): Promise<Visit> {
  const address = readAddress()
  const seat = await takeSeat()
  const network = new Network()
  const client = new Roundtable({
    url: location.origin,
    user: `${userOf(address.token)}seat-${seat}`,
    ...(address.token ? { token: address.token } : {}),
    // Each window is somebody of its own here, and can lose its network alone.
    shareConnection: false,
    WebSocket: network.WebSocket,
    fetch: network.fetch
  })
  return { address, network, profile: new Profile(seat), client }
}

/** What is kept on this device is kept by whom the token names, too. */
function userOf(token: string | undefined): string {
  if (token === undefined) return ''
  try {
    const claims = token.split('.')[1]?.replace(/-/g, '+').replace(/_/g, '/') ?? ''
    const { sub } = JSON.parse(atob(claims)) as { sub?: unknown }
    return `${String(sub)}:`
  } catch {
    // No token: the server will say so.
    return 'nobody:'
  }
}

const VisitContext = createContext<Visit | undefined>(undefined)

export const VisitProvider = VisitContext.Provider

export function useVisit(): Visit {
  const visit = useContext(VisitContext)
  if (!visit) throw new Error('there is no <VisitProvider> above')
  return visit
}

export function useIsOnline(): boolean {
  const { network } = useVisit()
  return useSyncExternalStore(network.changed.on, () => network.isOn)
}

export function useLook(): Look {
  const { profile } = useVisit()
  return useSyncExternalStore(profile.changed.on, () => profile.look)
}

/** Keeps the room told of who this is: after a change here, and after each new greeting. */
export function useIntroduction(room: Room): void {
  const { profile, address } = useVisit()
  const isGuest = address.token === undefined
  useEffect(() => {
    room.presence.update({})
    if (!isGuest) return undefined
    const { awareness } = room.presence
    const tell = (): void => profile.tell(room)
    tell()
    awareness.on('change', tell)
    const unlisten = profile.changed.on(tell)
    return () => {
      awareness.off('change', tell)
      unlisten()
    }
  }, [room, profile, isGuest])
}
