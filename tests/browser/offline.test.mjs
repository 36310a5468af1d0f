// Owns what happens without a network: editing goes on, nothing is lost, everything goes out by itself.
import assert from 'node:assert/strict'
import { copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { poll } from '../interop/lib/wait.mjs'
import { World } from './lib/world.mjs'

test('what two people did offline is merged when they are back', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const bob = await world.person('bob')
  const id = await ada.add({ title: 'Buy milk', done: '' })
  await bob.shows(id, 'title', 'Buy milk')
  await ada.saved()

  for (const person of [ada, bob]) {
    await person.offline()
    await person.status('offline')
  }
  await ada.cell(id, 'title').fill('Buy oat milk')
  await bob.cell(id, 'done').fill('yes')
  const call = await bob.add({ title: 'Call Ada' })
  assert.equal(await bob.page.evaluate(() => window.room.pending.total), 2)
  for (const person of [ada, bob]) await person.online()

  const expected = {
    [id]: { title: 'Buy oat milk', done: 'yes' }, [call]: { title: 'Call Ada' }
  }
  for (const person of [ada, bob]) {
    await person.saved()
    await person.shows(id, 'title', 'Buy oat milk')
    await person.shows(id, 'done', 'yes')
    await person.shows(call, 'title', 'Call Ada')
    assert.deepEqual(await person.tasks(), expected)
  }
  assert.deepEqual((await world.doc()).tasks, expected)
  const lost = await ada.page.evaluate(() => window.seen.map(({ event }) => event))
  assert.deepEqual(lost.filter((event) => event !== 'status'), ['lost', 'restored'])
})

test('a reload without a network keeps everything, and the count of what waits', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const bob = await world.person('bob')
  const id = await ada.add({ title: 'Buy milk', done: '' })
  const other = await ada.add({ title: 'Never mind' })
  await ada.saved()
  await ada.installed()

  await ada.offline()
  await ada.status('offline')
  await ada.cell(id, 'title').fill('x')
  await ada.page.evaluate((other) => window.room.records('tasks').remove(other), other)
  const made = await ada.add({ title: 'Made offline' })
  const before = await ada.page.evaluate(() => window.room.pending)
  await ada.page.reload()
  await ada.page.waitForFunction(() => window.room?.pending.total > 0)
  await ada.shows(id, 'title', 'x')
  const after = await ada.page.evaluate(() => window.room.pending)
  assert.deepEqual(after, before)
  assert.deepEqual(await ada.tasks(), { [id]: { title: 'x', done: '' }, [made]: { title: 'Made offline' } })
  const states = await ada.page.evaluate(
    (ids) => ids.map((id) => window.room.records('tasks').stateOf(id)), [id, other, made])
  assert.deepEqual(states, ['pending', 'pending', 'pending'])

  // Edits go on after the reload, under another client id.
  await ada.cell(made, 'done').fill('soon')
  await ada.online()
  await ada.saved()
  await bob.shows(made, 'done', 'soon')
  assert.deepEqual((await world.doc()).tasks, await ada.tasks())
  assert.deepEqual(await bob.tasks(), await ada.tasks())
})

test('edits survive the browser being killed', async (t) => {
  const world = await World.open(t)
  const ada = await world.resident('ada')
  const id = await ada.add({ title: 'Buy milk' })
  await ada.saved()
  await ada.installed()
  world.gate.down()
  await ada.status('connecting', 'offline', 'polling')
  await ada.cell(id, 'title').fill('Buy oat milk')
  await ada.kept()
  await ada.kill()

  world.gate.up()
  const again = await world.returning('ada', ada.folder)
  await again.saved()
  assert.deepEqual((await world.doc()).tasks, { [id]: { title: 'Buy oat milk' } })
})

test('a hundred changes made offline are durable after coming back', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  await ada.status('saved')
  await ada.offline()
  await ada.status('offline')
  await ada.page.evaluate(() => {
    const tasks = window.room.records('tasks')
    for (let at = 0; at < 100; at++) tasks.create({ title: `task ${at}` })
  })
  assert.equal(await ada.page.evaluate(() => window.room.pending.total), 100)
  await ada.online()
  const took = await ada.page.evaluate(async () => {
    const from = performance.now()
    await window.room.saved()
    return performance.now() - from
  })
  t.diagnostic(`100 changes were durable ${Math.round(took)} ms after the network was back`)
  assert.equal(Object.keys((await world.doc()).tasks).length, 100)
})

test('more than a frame should hold goes out in several, and all of it is confirmed', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  await ada.saved()
  await ada.offline()
  await ada.status('offline')
  await ada.page.evaluate(() => {
    const tasks = window.room.records('tasks')
    for (const letter of 'abcd') tasks.create({ title: letter.repeat(700_000) }, letter)
  })
  await ada.online()
  await ada.saved()
  await ada.page.evaluate(() => window.room.records('tasks').update('a', { title: 'short' }))
  await ada.saved()
  const { tasks } = await world.doc()
  assert.deepEqual(Object.values(tasks).map(({ title }) => title.length).sort(), [5, 700_000, 700_000, 700_000])
})

test('who looks again while something is under way has it confirmed', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  await ada.saved()
  for (let round = 0; round < 30; round++) {
    await ada.page.evaluate((round) => {
      const tasks = window.room.records('tasks')
      tasks.create({ title: `before ${round}` })
      // As a browser says it when its tab comes to the front: the client asks whether the server is there.
      document.dispatchEvent(new Event('visibilitychange'))
      tasks.create({ title: `after ${round}` })
    }, round)
    await ada.saved()
  }
  assert.equal(Object.keys((await world.doc()).tasks).length, 60)
})

test('a server that is killed and started again has lost nothing that was confirmed', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada', { backoffMs: 200 })
  const bob = await world.person('bob', { backoffMs: 200 })
  const id = await ada.add({ title: 'confirmed' })
  await ada.saved()
  await bob.shows(id, 'title', 'confirmed')
  await world.server.kill()
  await ada.page.waitForFunction(() => window.seen.some(({ event }) => event === 'lost'))
  await ada.cell(id, 'title').fill('while it was away')
  const made = await bob.add({ title: 'made while it was away' })
  await world.server.restart()
  for (const person of [ada, bob]) {
    await person.saved()
    await person.shows(id, 'title', 'while it was away')
    await person.shows(made, 'title', 'made while it was away')
  }
  assert.deepEqual((await world.doc()).tasks, await ada.tasks())
  await ada.page.waitForFunction(() => window.seen.some(({ event }) => event === 'restored'))
})

test('a server that drains says when to come back, and nobody loses anything', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada', { backoffMs: 200 })
  const id = await ada.add({ title: 'before' })
  await ada.saved()
  await world.server.stop()
  await ada.cell(id, 'title').fill('during')
  await world.server.restart()
  await ada.saved()
  assert.deepEqual((await world.doc()).tasks, { [id]: { title: 'during' } })
})

test('without WebSockets the page polls, until there are some again', async (t) => {
  const world = await World.open(t)
  world.gate.block()
  const settings = { backoffMs: 300, pollMs: 200 }
  const ada = await world.person('ada', settings)
  await ada.status('polling')
  assert.ok(world.gate.refused >= 3, `three attempts come first: ${world.gate.refused}`)
  const id = await ada.add({ title: 'by HTTP' })
  await ada.saved()
  assert.deepEqual((await world.doc()).tasks, { [id]: { title: 'by HTTP' } })

  const bob = await world.person('bob', settings)
  await bob.shows(id, 'title', 'by HTTP')
  await bob.cell(id, 'title').fill('both by HTTP')
  await ada.shows(id, 'title', 'both by HTTP')
  await ada.page.waitForSelector('td[data-here="bob"]')
  await ada.page.locator('[role=status]', { hasText: 'every few seconds' }).waitFor()

  world.gate.unblock()
  for (const person of [ada, bob]) await person.status('saved')
  await bob.cell(id, 'title').fill('by socket')
  await ada.shows(id, 'title', 'by socket')
  await ada.saved()
  assert.deepEqual((await world.doc()).tasks, { [id]: { title: 'by socket' } })
  // Who came by HTTP and stays by socket is one person.
  await ada.page.waitForFunction(() => window.room.presence.others.length === 1)
  const statuses = await ada.page.evaluate(
    () => window.seen.filter(({ event }) => event === 'status').map(({ value }) => value))
  assert.ok(statuses.indexOf('polling') < statuses.lastIndexOf('saved'))
})

test('the light is green, yellow and red, and says what to do', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const shows = (color, words) =>
    ada.page.locator(`[role=status][data-light=${color}]`, { hasText: words }).waitFor()
  await shows('green', 'All changes saved')
  await ada.offline()
  await shows('yellow', 'Offline')
  await ada.add({ title: 'kept here' })
  await shows('yellow', '1 change kept on this device until you are back')
  await ada.online()
  await shows('green', 'All changes saved')
})

for (const way of ['socket', 'HTTP']) {
  test(`what a server lost to a restored backup comes back from a device, by ${way}`, async (t) => {
    const world = await World.open(t)
    const ada = await world.person('ada', { backoffMs: 200, pollMs: 200 })
    const id = await ada.add({ title: 'in the backup' })
    await ada.saved()
    const backup = join(world.store.folder, 'backup')
    const database = join(world.store.folder, 'roundtable.db')
    await world.server.stop()
    copyFileSync(database, backup)
    await world.server.restart()
    await ada.cell(id, 'title').fill('after the backup')
    const made = await ada.add({ title: 'made after the backup' })
    await ada.saved()
    await world.server.stop()
    for (const rest of ['-wal', '-shm']) rmSync(`${database}${rest}`, { force: true })
    copyFileSync(backup, database)
    if (way === 'HTTP') world.gate.block()
    await ada.cell(made, 'title').fill('written on top of what was lost')
    await world.server.restart()
    await ada.saved()
    const expected = {
      [id]: { title: 'after the backup' }, [made]: { title: 'written on top of what was lost' }
    }
    await poll('the device to have brought it back', async () => {
      const { tasks } = await world.doc()
      return { ok: isDeepStrictEqual(tasks, expected), tasks }
    })
    assert.deepEqual(await ada.tasks(), expected)
  })
}
