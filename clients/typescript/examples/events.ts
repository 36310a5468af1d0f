import { Roundtable } from '@roundtable/client'

const client = new Roundtable({ url: process.env.ROUNDTABLE_URL ?? 'http://127.0.0.1:8080' })

// One bus for all rooms: `tasks:created`, `tasks:updated`, `tasks:removed`, `tasks:*`, `*`.
client.on('tasks:updated', ({ room, recordId, fields, after }) => {
  console.log('bus:', room, recordId, fields, after?.title)
})

const room = client.room('events')
const tasks = room.records('tasks')
tasks.create({ title: 'Buy milk' }, 'milk')
await room.saved()
tasks.update('milk', { title: 'Buy oat milk' })
await room.saved()

// What the server logged, with versions: for activity lists, not for keeping up. From a position on,
// each version once, in order; `room.on('changes', ...)` begins with what happens next.
await new Promise<void>((resolve) => {
  room.follow({ version: 0 }, ({ events }) => {
    for (const { version, type, recordId } of events) console.log('log:', version, type, recordId)
    if (events.some(({ type }) => type === 'update')) resolve()
  })
})
client.close()

// bus: events milk [ 'title' ] Buy oat milk
// log: 1 create milk
// log: 2 update milk
