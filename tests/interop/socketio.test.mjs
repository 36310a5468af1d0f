// Shows that an unmodified Socket.IO client speaks the vocabulary of tables and of projects, over every transport.
import assert from 'node:assert/strict'
import * as Y from 'yjs'
import { onEachStore } from './lib/stage.mjs'
import { writer } from './lib/token.mjs'

const TIME = /^\d{4}-\d\d-\d\dT.*Z$/

onEachStore('socket.io', (check) => {
  for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
    check(`SI1 a table is followed, changed and looked at over ${transports}`, async (scene) => {
      const table = scene.room('t')
      const ada = await scene.socket({ transports })
      const bob = await scene.socket({ transports, token: writer('bob', { name: 'Bob', color: '#123456' }) })
      if (transports.length === 2) await ada.until('the upgrade', () => ada.engine.transport.name === 'websocket')
      assert.deepEqual(await ada.ask('authenticate', { userId: 'eve', userName: 'Eve' }), { ok: true })
      assert.deepEqual(await ada.subscribe(table), { ok: true, version: 0 })
      assert.deepEqual(ada.of('recent_changes'), [[]])
      const [[herself]] = ada.of('table_users')
      assert.deepEqual([herself.userId, herself.userName, herself.tableId, herself.viewId], ['ada', 'ada', table, 'grid'])
      await bob.subscribe(table, 'kanban')
      const joined = await ada.hears('user_joined')
      assert.match(joined.lastSeen, TIME)
      delete joined.lastSeen
      assert.deepEqual(joined, { userId: 'bob', userName: 'Bob', tableId: table, viewId: 'kanban', color: '#123456' })
      assert.deepEqual((await bob.hears('table_users')).map((it) => it.userId).sort(), ['ada', 'bob'])

      const made = await bob.ask('record_change', {
        type: 'create', recordId: 'r1', tableId: table, baseId: 'b1', metadata: { source: 'form' },
        changes: [{ fieldId: 'f1', newValue: 'a' }, { fieldId: 'f2', newValue: 1 }]
      })
      assert.deepEqual(made, { ok: true, version: 1 })
      for (const client of [ada, bob]) {
        const event = await client.hears('record_change')
        const { id, timestamp, metadata: { epoch, opId, clientId, ...metadata }, ...rest } = event
        assert.match(timestamp, TIME)
        assert.equal(id, `${epoch}:1:0`)
        assert.ok(opId && clientId)
        assert.deepEqual(metadata, { source: 'form' })
        assert.deepEqual(rest, {
          type: 'create', entityType: 'record', entityId: 'r1', tableId: table, baseId: 'b1', userId: 'bob', version: 1,
          changes: [{ fieldId: 'f1', newValue: 'a' }, { fieldId: 'f2', newValue: 1 }]
        })
      }
      assert.deepEqual(await bob.change(table, 'r1', 'f1', 'b'), { ok: true, version: 2 })
      const changed = await ada.hears('record_change', (it) => it.version === 2)
      assert.deepEqual([changed.type, changed.changes], ['update', [{ fieldId: 'f1', oldValue: 'a', newValue: 'b' }]])
      const gone = await bob.ask('record_change', { type: 'delete', recordId: 'r1', tableId: table, baseId: 'b1' })
      assert.deepEqual(gone, { ok: true, version: 3 })
      assert.equal((await ada.hears('record_change', (it) => it.version === 3)).type, 'delete')

      bob.send('cursor_position', { tableId: table, cursor: { recordId: 'r1', fieldId: 'f1', x: 1, y: 2 } })
      const moved = { userId: 'bob', cursor: { recordId: 'r1', fieldId: 'f1', x: 1, y: 2 } }
      assert.deepEqual(await ada.hears('cursor_position'), moved)
      bob.send('selection', { tableId: table, selection: { from: 'r1', to: 'r2' } })
      assert.deepEqual(await ada.hears('selection'), { userId: 'bob', selection: { from: 'r1', to: 'r2' } })
      ada.send('heartbeat', { tableId: table })
      assert.match((await ada.hears('heartbeat_ack')).timestamp, TIME)
      assert.deepEqual(bob.of('cursor_position'), [])
      bob.destroy()
      assert.deepEqual(await ada.hears('user_left'), { userId: 'bob', tableId: table })
      assert.deepEqual(ada.of('error'), [])
    })
  }

  check('SI2 what was made offline is judged under its own ids, and its end is told', async (scene) => {
    const table = scene.room('t')
    const [ada, bob] = [await scene.socket(), await scene.socket({ token: writer('bob') })]
    await bob.subscribe(table)
    await ada.subscribe(table)
    await ada.change(table, 'r1', 'f', 'live')
    const change = (id, entityId, version, newValue, type = 'update') => ({
      id, type, entityType: 'record', entityId, tableId: table, baseId: 'b', userId: 'bob', version,
      timestamp: new Date().toISOString(), changes: [{ fieldId: 'f', newValue }]
    })
    const changes = [change('o1', 'r1', 1, 'offline'), change('o2', 'r2', 0, 'new', 'create'), change('o3', 'r1', 1, 'last')]
    bob.send('sync_offline_changes', changes)
    await bob.hears('offline_sync_complete')
    assert.deepEqual(bob.told.find((it) => it.event === 'offline_sync_complete').count, 0)
    await ada.until('three changes', () => ada.events().length === 4)
    assert.deepEqual(ada.events().map((it) => it.metadata.opId).slice(1), ['o1', 'o2', 'o3'])
    // A retry changes nothing.
    assert.deepEqual(await bob.ask('sync_offline_changes', changes), { ok: true, version: 4 })
    const { json } = await scene.server.room(`table:${table}`, '/records/records', { token: writer() })
    assert.deepEqual(json.records.map((it) => [it.recordId, it.fields.f]), [['r1', 'last'], ['r2', 'new']])
    const refused = await bob.ask('sync_offline_changes', [change('o4', 'r2', 0, 'x', 'create'), change('o5', 'r3', 0, 'y')])
    assert.equal(refused.ok, false)
    const { code, id, recordId, tableId } = await bob.hears('error')
    assert.deepEqual({ code, id, recordId, tableId }, { code: 'conflict', id: 'o4', recordId: 'r2', tableId: table })
    await ada.until('what was not refused', () => ada.events().length === 5)
    assert.deepEqual(bob.of('offline_changes'), [])
  })

  check('SI3 a project is followed, and its operations are told as they are kept', async (scene) => {
    const project = scene.room('p')
    const ada = await scene.socket({ auth: { deviceId: 'desk' } })
    const bob = await scene.socket({ token: writer('bob') })
    assert.deepEqual(await bob.ask('subscribe:project', project), { ok: true, version: 0 })
    await ada.ask('subscribe:project', { projectId: project })
    const op = { projectId: project, id: 'o1', type: 'CREATE', entity: 'bordereau', entityId: 'bordereau:1', data: { n: 1, s: 'x' } }
    assert.deepEqual(await ada.ask('sync:op', op), { ok: true, version: 1 })
    const expected = {
      id: 'o1', entity: 'bordereau', entityId: 'bordereau:1', type: 'CREATE', data: { n: 1, s: 'x' }, clientId: 'desk',
      userId: 'ada', server_seq: 1
    }
    for (const client of [ada, bob]) assert.deepEqual(await client.hears('sync:op'), expected)
    await scene.server.room(`project:${project}`, '/push', {
      method: 'POST', token: writer('eve'), headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ clientId: 'http', ops: [{ opId: 'o2', type: 'update', collection: 'bordereau', recordId: 'bordereau:1', fields: { n: 2 } }] })
    })
    const other = await bob.hears('sync:op', (it) => it.server_seq === 2)
    assert.deepEqual([other.type, other.data, other.clientId, other.userId], ['UPDATE', { n: 2 }, 'http', 'eve'])
    await ada.ask('sync:op', { ...op, id: 'o3', type: 'DELETE', data: {} })
    assert.equal((await bob.hears('sync:op', (it) => it.id === 'o3')).type, 'DELETE')
    // Back after a while, from what it saw last.
    const late = await scene.socket({ token: writer('bob') })
    await late.ask('subscribe:project', { projectId: project, since: 1 })
    await late.hears('sync:op', (it) => it.server_seq === 3)
    assert.deepEqual(late.of('sync:op').map((it) => it.id), ['o2', 'o3'])
    assert.deepEqual(await bob.ask('unsubscribe:project', project), { ok: true })
    await ada.ask('sync:op', { ...op, id: 'o4' })
    await ada.hears('sync:op', (it) => it.id === 'o4')
    assert.equal(bob.of('sync:op').length, 3)
  })

  check('SI4 Socket.IO, Yjs, JSON and HTTP clients in one room see what each other writes and where they are', async (scene) => {
    const table = scene.room('t')
    const room = `table:${table}`
    const ada = await scene.socket()
    await ada.subscribe(table)
    const yjs = await scene.client(room, { token: writer('yuri') }).synced()
    const json = await scene.json({ token: writer('joe') })
    await json.subscribe(room, { clientId: 'desk' })
    const records = yjs.doc.getMap('records')
    const make = (id, fields) => records.set(id, new Y.Map(Object.entries(fields)))
    make('y1', { name: 'from yjs' })
    const first = await ada.hears('record_change')
    assert.deepEqual([first.type, first.entityId, first.userId], ['create', 'y1', 'yuri'])
    await ada.change(table, 'y1', 'name', 'from socket.io')
    await yjs.until('the change', () => records.get('y1')?.get('name') === 'from socket.io')
    const http = { method: 'PATCH', token: writer('hal'), headers: { 'content-type': 'application/json' } }
    const body = JSON.stringify({ fields: { name: 'from http' } })
    assert.equal((await scene.server.room(room, '/records/records/y1', { ...http, body })).status, 200)
    assert.equal((await ada.hears('record_change', (it) => it.userId === 'hal')).version, 3)
    // One entry with more than one event.
    yjs.doc.transact(() => { make('y2', { n: 1 }); make('y3', { n: 2 }) })
    const batch = await ada.hears('batch_changes')
    assert.deepEqual(batch.map((it) => [it.entityId, it.version]).sort(), [['y2', 4], ['y3', 4]])
    await json.reaches(4, room)
    assert.deepEqual(json.events(room).map((it) => it.id), ada.events().map((it) => it.id))

    ada.send('cursor_position', { tableId: table, cursor: { recordId: 'y1', fieldId: 'name' } })
    const seen = () => yjs.others().find(([, state]) => state.user?.id === 'ada')?.[1]
    await yjs.until('her cursor', () => seen()?.cursor?.recordId === 'y1')
    await json.until('her, too', () => json.of('presence').some((it) =>
      [...it.joined, ...it.updated].some((one) => one.userId === 'ada' && one.state.cursor?.fieldId === 'name')))
    json.send({ type: 'presence', room, state: { cursor: { recordId: 'y2' }, viewId: 'board' } })
    assert.equal((await ada.hears('user_joined', (it) => it.userId === 'joe')).viewId, 'board')
    yjs.awareness.setLocalStateField('cursor', { anchor: 1 })
    assert.deepEqual(await ada.hears('cursor_position', (it) => it.userId === 'yuri'), { userId: 'yuri', cursor: { anchor: 1 } })
    yjs.leave()
    await ada.hears('user_left', (it) => it.userId === 'yuri')
  })

  check('SI5 who comes is told the last 50 changes, oldest first, and all from then on', async (scene) => {
    const table = scene.room('t')
    const ada = await scene.socket()
    for (let n = 1; n <= 60; n++) ada.change(table, 'r', 'n', n)
    await ada.change(table, 'r', 'n', 61)
    const bob = await scene.socket({ token: writer('bob') })
    assert.deepEqual(await bob.subscribe(table), { ok: true, version: 61 })
    const [recent] = bob.of('recent_changes')
    assert.deepEqual(recent.map((it) => it.version), Array.from({ length: 50 }, (_, at) => at + 12))
    await ada.change(table, 'r', 'n', 62)
    assert.equal((await bob.hears('record_change')).version, 62)
    assert.deepEqual(await bob.ask('unsubscribe_from_table', { tableId: table }), { ok: true })
    await ada.subscribe(table)
    await ada.change(table, 'r', 'n', 63)
    await ada.hears('record_change', (it) => it.version === 63)
    assert.equal(bob.of('record_change').length, 1)
  })

  check('SI6 an answer says what became of a change, and an error says it to who asked for none', async (scene) => {
    const table = scene.room('t')
    const ada = await scene.socket()
    const made = await ada.ask('record_change', { type: 'create', tableId: table, baseId: 'b', changes: [] })
    assert.ok(made.ok && made.recordId, JSON.stringify(made))
    const create = { type: 'create', recordId: made.recordId, tableId: table, baseId: 'b' }
    const again = await ada.ask('record_change', create)
    assert.deepEqual([again.ok, again.code], [false, 'conflict'])
    const stale = await ada.change(table, made.recordId, 'f', 1, { baseVersion: 99 })
    assert.deepEqual([stale.ok, stale.code], [false, 'malformed'])
    await ada.ask('record_change', { ...create, type: 'delete' })
    // What was deleted stays so.
    assert.equal((await ada.change(table, made.recordId, 'f', 1)).code, 'conflict')
    ada.told.length = 0
    ada.send('record_change', { ...create, type: 'update', changes: [{ fieldId: '', newValue: 1 }] })
    const error = await ada.hears('error')
    assert.deepEqual([error.code, error.tableId, error.recordId], ['malformed', table, made.recordId])
  })
})
