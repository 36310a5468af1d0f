// Owns what the client is told besides the document, against the real server: every change once, in order, whatever
// happens to the room and to who listens.
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { Server } from '../interop/lib/server.mjs'
import { openStore } from '../interop/lib/store.mjs'
import { admin, writer } from '../interop/lib/token.mjs'
import { poll } from '../interop/lib/wait.mjs'
import { importClient } from './lib/page.mjs'

const WebSocket = createRequire(new URL('../interop/package.json', import.meta.url))('ws')

let store, server, http, root, Roundtable, RoundtableHttp

before(async () => {
  ({ Roundtable, RoundtableHttp } = await importClient("export * from '@roundtable/client'; export * from '@roundtable/client/http'"))
  store = await openStore('sqlite')
  server = await Server.start({ store })
  http = new RoundtableHttp({ url: server.http, token: writer('eve') })
  root = new RoundtableHttp({ url: server.http, token: admin() })
})

after(async () => {
  await server.stop()
  await store.drop()
})

function open (t, token) {
  const client = new Roundtable({ url: server.http, token, WebSocket, persist: false })
  t.after(() => client.close())
  return client
}

const write = (room, id) => http.room(room).records('tasks').create({ title: id }, id)

/** The ids of records as a listener of `changes` hears of them, and why some cannot be told. */
function ear () {
  const heard = []
  const listener = ({ events, missed }) => heard.push(...events.map(({ recordId }) => recordId), ...(missed ? [missed] : []))
  return { heard, listener, hears: (expected) => poll(`${expected} to be heard`, () => ({ ok: `${heard}` === `${expected}`, heard })) }
}

test('what happened while a token did not grant the room is told with the next one', async (t) => {
  const client = open(t, writer('ada'))
  const room = client.room('feed/1')
  const { listener, hears } = ear()
  room.follow({ version: 0 }, listener)
  await write('feed/1', 'a')
  await hears(['a'])
  client.setToken(writer('ada', { rooms: { elsewhere: 'write' } }))
  await poll('the room to be refused', () => ({ ok: room.error?.code === 'forbidden' }))
  await write('feed/1', 'b')
  client.setToken(writer('ada'))
  await hears(['a', 'b'])
  await write('feed/1', 'c')
  await hears(['a', 'b', 'c'])
})

test('a room that was deleted is followed as what it is then, by who stayed and by who came back', async (t) => {
  const staying = ear()
  open(t, writer('bob')).room('feed/2').on('changes', staying.listener)
  const client = open(t, writer('ada'))
  const room = client.room('feed/2')
  const leaving = ear()
  room.on('changes', leaving.listener)
  await poll('both to hear', async () => {
    await http.room('feed/2').records('tasks').create({})
    return { ok: staying.heard.length > 0 && leaving.heard.length > 0 }
  })
  await root.room('feed/2').delete()
  await poll('the room to be gone', () => ({ ok: room.error !== undefined }))
  await room.forget()
  const back = ear()
  const again = client.room('feed/2')
  again.on('changes', back.listener)
  await again.saved()
  await poll('both to hear again', async () => {
    await http.room('feed/2').records('tasks').create({})
    const since = staying.heard.slice(staying.heard.indexOf('epoch_changed'))
    return { ok: since[0] === 'epoch_changed' && since.length > 1 && back.heard.length > 0, since, back: back.heard }
  })
})
