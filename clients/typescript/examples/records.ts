import { Roundtable } from '@roundtable/client'

interface Task { title: string, done: boolean, note?: string | null }

const client = new Roundtable({ url: process.env.ROUNDTABLE_URL ?? 'http://127.0.0.1:8080' })
const room = client.room('records')
await room.ready
const tasks = room.records<Task>('tasks')

// Told once per transaction, whoever made it.
tasks.subscribe((changes) => {
  for (const { type, recordId, fields } of changes) console.log(type, recordId, fields.join(' '))
})

tasks.create({ title: 'Buy milk', done: false }, 'milk')
tasks.update('milk', { done: true, note: null })
tasks.update('milk', { note: undefined }) // null is a value, undefined removes the field
tasks.upsert('call', { title: 'Call Ada', done: false })
tasks.batch(() => {
  tasks.update('call', { title: 'Call Ada and Bob' })
  tasks.remove('milk')
})

console.log(tasks.get('call'))
console.log(tasks.list({ where: ({ done }) => !done, sort: (a, b) => a.title < b.title ? -1 : 1 }).length)
await room.saved()
console.log(tasks.stateOf('call'))
client.close()

// created milk title done
// updated milk done note
// updated milk note
// created call title done
// updated call title
// removed milk title done
// { title: 'Call Ada and Bob', done: false, id: 'call' }
// 1
// saved
