// Owns tokens in the browser: renewed before they end, refused when they grant nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { admin, epochSeconds, reader, sign, writer } from '../interop/lib/token.mjs'
import { World } from './lib/world.mjs'

test('a token is renewed while the connection goes on', async (t) => {
  const world = await World.open(t, { tokenSeconds: 3 })
  const ada = await world.person('ada', { renew: 'yes' })
  await ada.status('saved')
  await ada.page.waitForFunction(() => window.asked >= 3)
  const id = await ada.add({ title: 'with a later token' })
  await ada.saved()
  assert.deepEqual((await world.doc()).tasks, { [id]: { title: 'with a later token' } })
  assert.deepEqual(await ada.page.evaluate(() => window.seen.filter(({ event }) => event === 'lost')), [])
})

test('without a grant the room is in error, and a better token heals it', async (t) => {
  const world = await World.open(t)
  const token = sign({ sub: 'joe', exp: epochSeconds(600), rooms: { 'another': 'write' } })
  const joe = await world.person('joe', { token })
  await joe.status('error')
  assert.equal(await joe.page.evaluate(() => window.room.error.code), 'forbidden')
  const id = await joe.add({ title: 'kept here' })
  await joe.page.waitForSelector('[role=status][data-light=red]')
  const better = sign({ sub: 'joe', exp: epochSeconds(600), rooms: { '*': 'write' } })
  await joe.page.evaluate((better) => window.client.setToken(better), better)
  await joe.saved()
  assert.deepEqual((await world.doc()).tasks, { [id]: { title: 'kept here' } })
})

test('what a reader writes is failed, and says so', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const id = await ada.add({ title: 'hers' })
  await ada.saved()
  const rob = await world.person('rob', { token: reader('rob') })
  await rob.shows(id, 'title', 'hers')
  await rob.page.waitForFunction(() => window.room.isReadOnly)
  await rob.cell(id, 'title').fill('his')
  await rob.page.waitForFunction((id) => window.room.records('tasks').stateOf(id) === 'failed', id)
  await rob.status('error')
  assert.equal(await rob.page.evaluate(() => window.room.pending.failed), 1)
  assert.deepEqual((await world.doc()).tasks, { [id]: { title: 'hers' } })
})

test('a reader who becomes a writer needs no new connection', async (t) => {
  const world = await World.open(t)
  const rob = await world.person('rob', { token: reader('rob') })
  await rob.page.waitForFunction(() => window.room.isReadOnly)
  const id = await rob.add({ title: 'his' })
  await rob.status('error')
  await rob.page.evaluate((token) => window.client.setToken(token), writer('rob'))
  await rob.saved()
  assert.equal(await rob.page.evaluate(() => window.room.status), 'saved')
  assert.deepEqual((await world.doc()).tasks, { [id]: { title: 'his' } })
  assert.deepEqual(await rob.page.evaluate(() => window.seen.filter(({ event }) => event === 'lost')), [])
})

test('a reader who becomes a writer needs no WebSocket, either', async (t) => {
  const world = await World.open(t)
  world.gate.block()
  const rob = await world.person('rob', { token: reader('rob'), backoffMs: 300, pollMs: 200 })
  await rob.status('polling')
  const id = await rob.add({ title: 'his' })
  await rob.page.waitForFunction((id) => window.room.records('tasks').stateOf(id) === 'failed', id)
  // What was refused does not keep him from reading.
  const ada = await world.person('ada', { backoffMs: 300, pollMs: 200 })
  const hers = await ada.add({ title: 'hers' })
  await ada.saved()
  await rob.shows(hers, 'title', 'hers')
  await rob.page.evaluate((token) => window.client.setToken(token), writer('rob'))
  await rob.saved()
  assert.equal(await rob.page.evaluate(() => window.room.status), 'polling')
  assert.deepEqual((await world.doc()).tasks, { [id]: { title: 'his' }, [hers]: { title: 'hers' } })
})

test('a room for which there is no place is let in when there is one', async (t) => {
  const world = await World.open(t, { args: ['--max-rooms-per-user', '2', '--idle-seconds', '1'] })
  const ada = await world.person('ada')
  const denied = new Promise((resolve) => {
    ada.page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => {
      if (payload.includes('too_many_requests')) resolve()
    }))
  })
  await ada.page.reload()
  await ada.saved()
  await ada.page.evaluate(async () => {
    await window.client.room('second').saved()
    window.failures = []
    window.third = window.client.room('third')
    window.third.on('failed', ({ code }) => window.failures.push(code))
  })
  await denied
  await ada.page.evaluate(() => window.client.room('second').close())
  await ada.page.waitForFunction(() => window.third.status === 'saved')
  assert.deepEqual(await ada.page.evaluate(() => window.failures), [])
})

test('a room that was deleted is in error, and can be begun anew', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  await ada.add({ title: 'of the old room' })
  await ada.saved()
  await ada.offline()
  await ada.status('offline')
  await ada.add({ title: 'written meanwhile' })
  await world.server.room('project:42', '', { method: 'DELETE', token: admin() })
  const bob = await world.person('bob')
  const id = await bob.add({ title: 'of the new room' })
  await bob.saved()

  await ada.online()
  await ada.status('error')
  assert.match(await ada.page.evaluate(() => window.room.error.code), /^(epoch_changed|room_deleted)$/)
  // Nothing of the deleted room came back, and nothing here is lost before somebody says so.
  assert.deepEqual((await world.doc()).tasks, { [id]: { title: 'of the new room' } })
  assert.equal(Object.keys(await ada.tasks()).length, 2)
  await ada.page.evaluate(() => window.room.forget())
  await ada.page.reload()
  await ada.page.waitForFunction(() => window.room)
  await ada.saved()
  assert.deepEqual(await ada.tasks(), { [id]: { title: 'of the new room' } })
})

test('who is in a room while it is deleted is told', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  await ada.add({ title: 'x' })
  await ada.saved()
  await world.server.room('project:42', '', { method: 'DELETE', token: admin() })
  await ada.status('error')
  assert.equal(await ada.page.evaluate(() => window.room.error.code), 'room_deleted')
})
