import { Roundtable } from '@roundtable/client'

const client = new Roundtable({ url: process.env.ROUNDTABLE_URL ?? 'http://127.0.0.1:8080' })
const room = client.room('offline')

// In a browser all of this survives a reload, without a network, too.
room.on('status', (status) => console.log('status:', status))
room.on('pending', ({ total, oldestAt }) => console.log(total, 'waiting', oldestAt !== undefined))
client.on('lost', () => console.log('go on: everything is kept on this device'))
client.on('restored', () => console.log('and goes out by itself'))
room.on('failed', ({ code, message }) => console.log(code, message))

const id = room.records('tasks').create({ title: 'Buy milk' })
console.log(room.records('tasks').stateOf(id)) // pending, then syncing, then saved, or failed
await room.saved()
console.log(room.records('tasks').stateOf(id))
client.close()

// 1 waiting true
// pending
// status: connected
// 1 waiting true
// status: syncing
// 0 waiting false
// status: saved
// saved
