import { useState, type ReactNode } from 'react'
import {
  RoundtableProvider, SyncIndicator, useConflicts, useOthers, usePresence, useRecord, useRecords,
  useRecordState, useRoom, useRoomEvent, useText, type RoundtableProviderProps
} from '@roundtable/client/react'
import type { Room } from '@roundtable/client'

interface Task { title: string }

export function App(props: RoundtableProviderProps): ReactNode {
  return <RoundtableProvider {...props}><Project name="project:42" /></RoundtableProvider>
}

function Project({ name }: { name: string }): ReactNode {
  const room = useRoom(name)
  const { records, create } = useRecords<Task>(room, 'tasks')
  const { value, set } = useText(room, 'notes')
  const { update } = usePresence(room, { viewId: 'project' })
  const others = useOthers(room)
  const [news, setNews] = useState('')
  useRoomEvent(room, 'change', (changes) => setNews(`${changes.length} changed`))
  return (
    <main>
      <SyncIndicator room={room} />
      <p>{others.map(({ user }) => user.name).join(', ')} {news}</p>
      <ul>{records.map(({ id }) => <Item key={id} room={room} id={id} />)}</ul>
      <button onClick={() => create({ title: 'New task' })}>Add</button>
      <textarea
        value={value}
        onChange={(event) => set(event.target.value)}
        onFocus={() => update({ typing: true })}
        onBlur={() => update({ typing: false })}
      />
      <Conflicts room={room} />
    </main>
  )
}

/** Renders again when this task changes, and not when another does. */
function Item({ room, id }: { room: Room, id: string }): ReactNode {
  const task = useRecord<Task>(room, 'tasks', id)
  const state = useRecordState(room, 'tasks', id)
  return <li data-state={state}>{task?.title}</li>
}

function Conflicts({ room }: { room: Room }): ReactNode {
  const [conflict] = useConflicts(room)
  if (!conflict) return null
  return (
    <dialog open>
      {String(conflict.mine)} or {String(conflict.theirs)}?
      <button onClick={() => void conflict.keepMine()}>Keep mine</button>
      <button onClick={() => void conflict.keepTheirs()}>Keep theirs</button>
    </dialog>
  )
}
