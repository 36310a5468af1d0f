import { Roundtable } from './dist/index.js'
import WebSocket from '/tmp/wt/sdk/tests/interop/node_modules/ws/wrapper.mjs'
import { openStore } from '/tmp/wt/sdk/tests/interop/lib/store.mjs'
import { Server } from '/tmp/wt/sdk/tests/interop/lib/server.mjs'
import { writer } from '/tmp/wt/sdk/tests/interop/lib/token.mjs'
const store = await openStore('sqlite')
const server = await Server.start({ store })
const t0 = Date.now()
const log = (...a) => console.log(Date.now() - t0, ...a)
const mk = (who) => new Roundtable({ url: server.http, token: writer(who), WebSocket, pollMs: 500, backoff: {minMs: 50, maxMs: 200} })
const a = mk('ada'), b = mk('bob')
const ra = a.room('r'), rb = b.room('r')
ra.on('status', s => log('a', s)); rb.on('status', s => log('b', s)); ra.on('pending', p => log('a pending', p.total, p.syncing))
b.on('tasks:created', e => log('b sees', e.name, e.after))
ra.on('failed', f => log('a failed', f))
ra.presence.update({ cursor: { x: 1 } })
rb.presence.subscribe(o => log('b others', JSON.stringify(o)))
ra.on('changes', c => log('changes', c.version, c.events.length))
rb.messages.on('hi', m => log('b msg', m)); b.inbox.on('note', m => log('b inbox', m))
const id = ra.records('tasks').create({ title: 'Buy milk', tags: ['x'] })
await ra.saved(); log('saved')
await new Promise(r => setTimeout(r, 3000))
log('doc', (await server.room('r', '/doc', { token: writer() })).json, rb.records('tasks').list())
log('rec', (await server.room('r', '/records/tasks', { token: writer() })).json)
await ra.messages.send('hi', 1).catch(e => log(e)); await a.inbox.send({ user: 'bob' }, 'note', { x: 1 })
await new Promise(r => setTimeout(r, 1500))
log(a.status, b.status, a.quality)
a.close(); b.close()
await server.stop({}); await store.drop()
