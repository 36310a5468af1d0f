// Shows that an unmodified Socket.IO client speaks the vocabulary of tables and of projects, over every transport.
import assert from 'node:assert/strict'
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
})
