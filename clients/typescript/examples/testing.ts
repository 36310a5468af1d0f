import { TestServer } from '@roundtable/client/testing'

// For an application's own tests: the client as it is, a server in memory, and a network to take away.
const server = new TestServer()
const ada = server.client({ user: 'ada' }).room('project:42')
const bob = server.client({ user: 'bob' }).room('project:42')

server.goOffline()
ada.records('tasks').create({ title: 'Buy milk' }, 'milk')
console.log(ada.pending.total, server.records('project:42', 'tasks'))

server.goOnline()
await Promise.all([ada.saved(), bob.saved()])
console.log(ada.pending.total, server.records('project:42', 'tasks'))
process.exit()

// 1 {}
// 0 { milk: { title: 'Buy milk' } }
