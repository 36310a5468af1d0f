import { Roundtable } from '@roundtable/client'
import { RoundtableHttp } from '@roundtable/client/http'

const url = process.env.ROUNDTABLE_URL ?? 'http://127.0.0.1:8080'
const token = process.env.ROUNDTABLE_TOKEN ?? ''
const client = new Roundtable({ url, token })
const room = client.room('conflicts')
const tasks = room.records('tasks')
tasks.create({ title: 'Buy milk' }, 'milk')
await room.saved()

// Told when somebody changed what was being changed here: on this device when it comes back from
// being offline, or in the server's log when a write was based on an older version, as here.
const decided = new Promise<void>((resolve) => {
  room.on('conflict', async (conflict) => {
    console.log(conflict.field, '-', conflict.mine, '-', conflict.theirs)
    await conflict.merge('Buy oat milk and soap') // or keepMine(), keepTheirs(), dismiss()
    resolve()
  })
})

const records = new RoundtableHttp({ url, token }).room('conflicts').records('tasks')
const { version: baseVersion } = await records.get('milk')
await records.update('milk', { title: 'Buy oat milk' })
await records.update('milk', { title: 'Buy soap' }, { baseVersion, onConflict: 'merge' })
await decided
while (tasks.get('milk')?.title !== 'Buy oat milk and soap') {
  await new Promise((resolve) => room.doc.once('update', resolve))
}
console.log(room.conflicts.list().length)
client.close()

// title - Buy soap - Buy oat milk
// 0
