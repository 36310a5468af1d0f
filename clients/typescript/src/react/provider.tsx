// Owns the client in React: one per provider, and the rooms that components use.
import { createContext, useContext, useEffect, useMemo, type ReactNode } from 'react'
import { Roundtable, type RoundtableOptions } from '../client.js'
import type { Room } from '../room.js'

interface Held {
  client: Roundtable
  /** How many components use a room. */
  uses: Map<string, number>
}

const ClientContext = createContext<Held | undefined>(undefined)

export type RoundtableProviderProps =
  | { client: Roundtable, children?: ReactNode }
  | (RoundtableOptions & { children?: ReactNode })

/** Makes a client from its options, or takes one; a client that it made ends with it. */
export function RoundtableProvider(props: RoundtableProviderProps): ReactNode {
  return 'client' in props
    ? <Given client={props.client}>{props.children}</Given>
    : <Made {...props} />
}

function Given({ client, children }: { client: Roundtable, children?: ReactNode }): ReactNode {
  const held = useMemo(() => ({ client, uses: new Map<string, number>() }), [client])
  return <ClientContext.Provider value={held}>{children}</ClientContext.Provider>
}

function Made({ children, ...options }: RoundtableOptions & { children?: ReactNode }): ReactNode {
  // Another server or user is another client; a token is one of the client's own affairs.
  const client = useMemo(() => new Roundtable(options), [options.url, options.user])
  useEffect(() => keepAlive(client), [client])
  return <Given client={client}>{children}</Given>
}

/** Effects run twice in development: what ends is closed a moment later, unless it is back. */
const ending = new WeakMap<Roundtable, ReturnType<typeof setTimeout>>()

function keepAlive(client: Roundtable): () => void {
  clearTimeout(ending.get(client))
  return () => { ending.set(client, setTimeout(() => client.close())) }
}

function useHeld(): Held {
  const held = useContext(ClientContext)
  if (!held) throw new Error('there is no <RoundtableProvider> above')
  return held
}

export function useClient(): Roundtable {
  return useHeld().client
}

/** The room of that name: opened with the first component that uses it, closed after the last. */
export function useRoom(name: string): Room {
  const { client, uses } = useHeld()
  const room = client.room(name)
  useEffect(() => {
    uses.set(name, (uses.get(name) ?? 0) + 1)
    return () => {
      uses.set(name, (uses.get(name) ?? 1) - 1)
      setTimeout(() => {
        if (uses.get(name) !== 0) return
        uses.delete(name)
        room.close()
      })
    }
  }, [client, uses, name, room])
  return room
}
