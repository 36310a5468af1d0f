// Owns hooks: each follows one thing of a room, and renders again when just that changes.
import { useCallback, useEffect, useMemo, useRef, useSyncExternalStore } from 'react'
import type * as Y from 'yjs'
import type { Conflict } from '../conflicts/conflicts.js'
import { NOTHING_PENDING, type Pending, type RecordState } from '../outbox.js'
import type { Peer, Presence, PresenceState } from '../presence.js'
import type { Records } from '../records.js'
import type { Room, RoomEvents } from '../room.js'
import type { Status } from '../status.js'
import type { Fields, Snapshot } from '../values.js'
import { useClient } from './provider.js'

const NOBODY: readonly Peer[] = []
const NO_CONFLICTS: readonly Conflict[] = []
const NO_RECORDS: readonly never[] = []

export interface UseRecords<T extends object> extends Pick<
  Records<T>, 'create' | 'update' | 'upsert' | 'remove' | 'batch'
> {
  /** All records, by id; the same array until one changes. */
  records: readonly Snapshot<T>[]
}

/** A collection, and what to do with it. */
export function useRecords<T extends object = Fields>(room: Room, name: string): UseRecords<T> {
  const records = room.records<T>(name)
  const all = useSyncExternalStore(
    useCallback((changed: () => void) => records.subscribe(changed), [records]),
    () => records.list(),
    () => NO_RECORDS
  )
  const actions = useMemo<Omit<UseRecords<T>, 'records'>>(() => ({
    create: (fields, id) => records.create(fields, id),
    update: (id, patch) => records.update(id, patch),
    upsert: (id, patch) => records.upsert(id, patch),
    remove: (id) => records.remove(id),
    batch: (change) => records.batch(change)
  }), [records])
  return { records: all, ...actions }
}

/** One record; renders again for its own changes only. */
export function useRecord<T extends object = Fields>(
  room: Room, name: string, id: string
): Snapshot<T> | undefined {
  const records = room.records<T>(name)
  return useSyncExternalStore(
    useCallback((changed: () => void) => records.subscribe(changed), [records]),
    () => records.get(id),
    () => undefined
  )
}

/** Whether what was changed here in a record is durable on the server. */
export function useRecordState(room: Room, name: string, id: string): RecordState {
  const records = room.records(name)
  return useSyncExternalStore(
    useCallback((changed: () => void) => room.on('pending', changed), [room]),
    () => records.stateOf(id),
    () => 'saved'
  )
}

/** A text and its words. Give `text` to an editor's binding, or use `set` in a plain field. */
export function useText(
  room: Room, name: string
): { text: Y.Text, value: string, set: (value: string) => void } {
  const text = room.text(name)
  const value = useSyncExternalStore(
    useCallback((changed: () => void) => {
      text.observe(changed)
      return () => text.unobserve(changed)
    }, [text]),
    () => text.toJSON(),
    () => ''
  )
  const set = useCallback((after: string) => rewrite(text, after), [text])
  return { text, value, set }
}

/** Writes only what differs, so that what others write elsewhere in the text stays. */
function rewrite(text: Y.Text, after: string): void {
  const before = text.toJSON()
  let start = 0
  while (start < before.length && before[start] === after[start]) start++
  let end = 0
  const most = Math.min(before.length, after.length) - start
  while (end < most && before[before.length - 1 - end] === after[after.length - 1 - end]) end++
  text.doc?.transact(() => {
    const removed = before.length - end - start
    if (removed > 0) text.delete(start, removed)
    const added = after.slice(start, after.length - end)
    if (added) text.insert(start, added)
  })
}

/** This client's presence and how to change it. It leaves when the component does. */
export function usePresence(
  room: Room, initial?: PresenceState
): { me: PresenceState, update: Presence['update'], presence: Presence } {
  const { presence } = room
  const first = useRef(initial)
  useEffect(() => {
    if (first.current) presence.update(first.current)
    return () => presence.leave()
  }, [presence])
  const me = useSyncExternalStore(
    useCallback((changed: () => void) => {
      presence.awareness.on('change', changed)
      return () => presence.awareness.off('change', changed)
    }, [presence]),
    () => presence.awareness.getLocalState() as PresenceState | null,
    () => null
  )
  const update = useCallback((patch: PresenceState) => presence.update(patch), [presence])
  return { me: me ?? {}, update, presence }
}

export function useOthers(room: Room): readonly Peer[] {
  return useSyncExternalStore(
    useCallback((changed: () => void) => room.presence.subscribe(changed), [room]),
    () => room.presence.others,
    () => NOBODY
  )
}

/** The status of a room, or of all that are open. */
export function useStatus(room?: Room): Status {
  const client = useClient()
  return useSyncExternalStore(
    useCallback(
      (changed: () => void) => room ? room.on('status', changed) : client.on('status', changed),
      [room, client]
    ),
    () => (room ?? client).status,
    () => 'connecting'
  )
}

/** What waits to be confirmed. */
export function usePending(room: Room): Pending {
  return useSyncExternalStore(
    useCallback((changed: () => void) => room.on('pending', changed), [room]),
    () => room.pending,
    () => NOTHING_PENDING
  )
}

/** Calls the last `listener` that was given for each event of the room. */
export function useRoomEvent<Name extends keyof RoomEvents>(
  room: Room, name: Name, listener: (event: RoomEvents[Name]) => void
): void {
  const last = useRef(listener)
  useEffect(() => { last.current = listener })
  useEffect(() => room.on(name, (event) => last.current(event)), [room, name])
}

/** Conflicts that nobody has decided. */
export function useConflicts(room: Room): readonly Conflict[] {
  return useSyncExternalStore(
    useCallback((changed: () => void) => room.conflicts.subscribe(changed), [room]),
    () => room.conflicts.list(),
    () => NO_CONFLICTS
  )
}
