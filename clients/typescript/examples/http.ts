import { HttpError, RoundtableHttp } from '@roundtable/client/http'

const http = new RoundtableHttp({ url: process.env.ROUNDTABLE_URL ?? 'http://127.0.0.1:8080' })
const room = http.room('http')
const tasks = room.records<{ title: string, n: number }>('tasks')

const made = await tasks.create({ title: 'Buy milk', n: 1 }, 'milk')
await tasks.update('milk', { n: 2 }, { baseVersion: made.version })
await tasks.update('milk', { n: 3 }, { baseVersion: made.version }).catch((error: unknown) => {
  if (error instanceof HttpError) console.log(error.status, error.code)
})
const { results } = await room.push([
  { opId: '1', type: 'increment', collection: 'tasks', recordId: 'milk', fields: { n: 5 } },
  { opId: '1', type: 'increment', collection: 'tasks', recordId: 'milk', fields: { n: 5 } }
])
console.log(results.map(({ status }) => status))
for await (const { recordId, fields } of tasks.list({ filter: { n: 7 } })) console.log(recordId, fields)
for await (const { events } of room.follow({ version: 0 })) {
  console.log(events.map(({ version, type }) => `${version} ${type}`).join(', '))
  break
}

// 409 conflict
// [ 'applied', 'duplicate' ]
// milk { n: 7, title: 'Buy milk' }
// 1 create, 2 update, 3 update
