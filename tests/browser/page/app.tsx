// Owns the application under test: a table of tasks, who is in which cell, notes, the light, and a
// dialog for conflicts. It uses the public names of the client and nothing else.
import {
  RoundtableProvider, SyncIndicator, useConflicts, useOthers, usePresence, useRecords, useRoom,
  useStatus, useText
} from '@roundtable/client/react'
import { Roundtable, type Conflict, type Room } from '@roundtable/client'
import { createRoot } from 'react-dom/client'

interface Task {
  title: string
  done?: string
}

const settings = Object.fromEntries(new URLSearchParams(location.search))
const { url = '', token, room: roomName = 'project:42', user = 'ada' } = settings

declare global {
  interface Window {
    client: Roundtable
    room: Room
    /** A token in place of the one that the client began with. */
    nextToken?: string
    asked: number
    seen: { event: string, value: unknown }[]
  }
}

window.seen = []
window.asked = 0
const client = window.client = new Roundtable({
  url,
  user,
  token: settings.renew ? () => {
    window.asked++
    return fetch(`/token?user=${user}`).then((reply) => reply.text())
  } : token ?? '',
  shareConnection: settings.share !== 'no',
  ...(settings.pollMs ? { pollMs: Number(settings.pollMs) } : {}),
  ...(settings.backoffMs ? { backoff: { minMs: 50, maxMs: Number(settings.backoffMs) } } : {})
})
for (const event of ['lost', 'restored', 'status'] as const) {
  client.on(event, (value) => window.seen.push({ event, value }))
}

function Cell({ room, id, field, value, save }: {
  room: Room, id: string, field: string, value: string, save: (value: string) => void
}) {
  const here = useOthers(room)
    .filter(({ state }) => state.cursor?.recordId === id && state.cursor.fieldId === field)
  return (
    <td data-here={here.map((peer) => peer.user.id).join(' ')}>
      <input
        data-cell={`${id}:${field}`}
        value={value}
        onFocus={() => room.presence.cursor({ recordId: id, fieldId: field })}
        onBlur={() => room.presence.cursor(null)}
        onChange={(event) => save(event.target.value)}
      />
      {here.map(({ clientId, user }) => (
        <i key={clientId} style={{ background: user.color }}>{user.name}</i>
      ))}
    </td>
  )
}

function Tasks({ room }: { room: Room }) {
  const { records, update, create } = useRecords<Task>(room, 'tasks')
  return (
    <>
      <table><tbody>
        {records.map(({ id, title, done }) => (
          <tr key={id} data-row={id}>
            <Cell room={room} id={id} field="title" value={title}
              save={(value) => update(id, { title: value })} />
            <Cell room={room} id={id} field="done" value={done ?? ''}
              save={(value) => update(id, { done: value })} />
          </tr>
        ))}
      </tbody></table>
      <button id="add" onClick={() => create({ title: '' })}>New task</button>
    </>
  )
}

function Notes({ room }: { room: Room }) {
  const { value, set } = useText(room, 'notes')
  return <textarea id="notes" value={value} onChange={(event) => set(event.target.value)} />
}

function Dialog({ conflict }: { conflict: Conflict }) {
  const { mine, theirs, recordId, field } = conflict
  return (
    <dialog open data-conflict={`${recordId}:${field ?? ''}`} data-source={conflict.source}>
      <p>Both of you changed {field}</p>
      <q className="mine">{String(mine)}</q> <q className="theirs">{String(theirs)}</q>
      <button className="keep-mine" onClick={() => void conflict.keepMine()}>Keep mine</button>
      <button className="keep-theirs" onClick={() => void conflict.keepTheirs()}>Keep theirs</button>
      <button className="merge" onClick={() => void conflict.merge(`${mine} ${theirs}`)}>Both</button>
    </dialog>
  )
}

function App() {
  const room = window.room = useRoom(roomName)
  usePresence(room, { viewId: 'table' })
  const others = useOthers(room)
  const conflicts = useConflicts(room)
  const status = useStatus(room)
  return (
    <main data-status={status}>
      <SyncIndicator room={room} />
      <p id="others">{others.map((peer) => peer.user.name).join(', ')}</p>
      <Tasks room={room} />
      <Notes room={room} />
      {conflicts.map((conflict) => <Dialog key={conflict.id} conflict={conflict} />)}
    </main>
  )
}

// The page itself is there without a network, as an offline-first application's is.
if (settings.worker !== 'no') void navigator.serviceWorker.register('/worker.js')

createRoot(document.body.appendChild(document.createElement('div'))).render(
  <RoundtableProvider client={client}><App /></RoundtableProvider>
)
