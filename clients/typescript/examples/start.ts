import { Roundtable } from '@roundtable/client'

const client = new Roundtable({ url: process.env.ROUNDTABLE_URL ?? 'http://127.0.0.1:8080' })
const room = client.room('project:42')
const tasks = room.records<{ title: string, done: boolean }>('tasks')

tasks.subscribe(() => console.log(tasks.list().map((task) => task.title).join(', ')))
const id = tasks.create({ title: 'Buy milk', done: false })
tasks.update(id, { title: 'Buy oat milk' })
await room.saved()
console.log(room.status)
client.close()

// Buy milk
// Buy oat milk
// saved
