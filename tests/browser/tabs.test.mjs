// Owns several tabs of one browser: one connection, the same document, and what happens when tabs end.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { poll } from '../interop/lib/wait.mjs'
import { World } from './lib/world.mjs'

/** Sockets at the server. */
const sockets = (world) => world.gate.sockets.size / 2

test('tabs share one connection, and the next one takes it over', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const second = await ada.tab()
  const third = await ada.tab()
  const id = await ada.add({ title: 'one' })
  for (const page of [second, third]) await ada.shows(id, 'title', 'one', page)
  for (const page of [ada.page, second, third]) {
    await page.waitForFunction(() => window.room.status === 'saved')
  }
  assert.equal(sockets(world), 1)
  await ada.cell(id, 'title', third).fill('from the third')
  await third.waitForFunction(() => window.room.isSynced && window.room.pending.total === 0)
  assert.deepEqual((await world.doc()).tasks, { [id]: { title: 'from the third' } })

  await ada.page.close()
  await third.waitForFunction(() => window.room.status === 'saved')
  await ada.cell(id, 'title', second).fill('after the first')
  await ada.shows(id, 'title', 'after the first', third)
  await second.waitForFunction(() => window.room.isSynced && window.room.pending.total === 0)
  assert.deepEqual((await world.doc()).tasks, { [id]: { title: 'after the first' } })
  assert.equal(sockets(world), 1)
})

test('tabs see each other without a network, and what a closed one left goes out', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const second = await ada.tab()
  const id = await ada.add({ title: 'one' })
  await ada.shows(id, 'title', 'one', second)
  await ada.saved()
  await ada.offline()
  await second.waitForFunction(() => window.room.status === 'offline')
  await ada.cell(id, 'title', second).fill('by the second')
  await ada.shows(id, 'title', 'by the second')
  assert.equal(await ada.page.evaluate(() => window.room.pending.total), 1)
  await ada.kept()
  await second.close()
  await ada.online()
  await ada.saved()
  assert.deepEqual((await world.doc()).tasks, { [id]: { title: 'by the second' } })
})

test('what a tab was having confirmed when it ended is confirmed to the others', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const expected = {}
  for (let round = 0; round < 5; round++) {
    const second = await ada.tab()
    await second.waitForFunction(() => window.room.status === 'saved')
    const title = `by tab ${round}`
    const id = await second.evaluate((title) => window.room.records('tasks').create({ title }), title)
    await second.close()
    await ada.shows(id, 'title', title)
    await ada.saved()
    expected[id] = { title }
  }
  assert.deepEqual((await world.doc()).tasks, expected)
})

test('a tab that ends leaves no ghost', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const second = await ada.tab()
  const bob = await world.person('bob')
  await bob.page.waitForFunction(() => window.room.presence.others.length === 2)
  await second.close({ runBeforeUnload: false })
  await bob.page.waitForFunction(() => window.room.presence.others.length === 1)
  assert.deepEqual(await bob.page.evaluate(() => window.room.presence.others.map((it) => it.user.id)), ['ada'])
})

for (const [which, at] of [['that follows', 1], ['that leads', 0]]) {
  test(`a tab ${which} can crash: no ghost, and the other goes on`, async (t) => {
    const world = await World.open(t)
    const ada = await world.person('ada')
    const tabs = [ada.page, await ada.tab()]
    const bob = await world.person('bob')
    await bob.page.waitForFunction(() => window.room.presence.others.length === 2)
    const crashed = tabs[at]
    const [left] = tabs.filter((page) => page !== crashed)
    const gone = new Promise((resolve) => crashed.once('crash', resolve))
    crashed.goto('chrome://crash').catch(() => {})
    await gone
    await bob.page.waitForFunction(() => window.room.presence.others.length === 1)
    const id = await left.evaluate(() => window.room.records('tasks').create({ title: 'go on' }))
    await bob.shows(id, 'title', 'go on')
    assert.equal(sockets(world), 2)
  })
}

test('rooms share one connection, too', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const named = await ada.page.evaluate(async () => {
    const names = []
    window.client.on('notes:created', ({ room, name }) => names.push(`${room} ${name}`))
    const rooms = ['a', 'b', 'c'].map((name) => window.client.room(name))
    for (const room of rooms) room.records('notes').create({ text: room.name }, 'n')
    await Promise.all(rooms.map((room) => room.saved()))
    return names
  })
  assert.deepEqual(named, ['a notes:created', 'b notes:created', 'c notes:created'])
  for (const room of ['a', 'b', 'c']) assert.deepEqual((await world.doc(room)).notes, { n: { text: room } })
  assert.equal(sockets(world), 1)
})

test('where sharing is off, each tab has a connection', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada', { share: 'no' })
  const second = await ada.tab({ share: 'no' })
  const id = await ada.add({ title: 'one' })
  await ada.shows(id, 'title', 'one', second)
  await ada.saved()
  await poll('two sockets', () => ({ ok: sockets(world) === 2, seen: sockets(world) }))
})
