// Owns what two people see of each other: cells, cursors, texts, messages.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World } from './lib/world.mjs'

test('two people edit the same and different cells, and see each other in them', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const bob = await world.person('bob')
  const id = await ada.add({ title: 'Buy milk', done: '' })

  await bob.shows(id, 'title', 'Buy milk')
  await bob.cell(id, 'title').focus()
  await ada.page.waitForSelector(`td[data-here="bob"]:has([data-cell="${id}:title"])`)
  await ada.cell(id, 'done').fill('no')
  await bob.cell(id, 'title').fill('Buy oat milk')
  await ada.shows(id, 'title', 'Buy oat milk')
  await bob.shows(id, 'done', 'no')

  await bob.cell(id, 'done').focus()
  await ada.page.waitForSelector(`td[data-here="bob"]:has([data-cell="${id}:done"])`)
  await bob.cell(id, 'done').fill('yes')
  await ada.shows(id, 'done', 'yes')
  await ada.cell(id, 'done').fill('almost')
  await bob.shows(id, 'done', 'almost')

  for (const person of [ada, bob]) await person.saved()
  const expected = { [id]: { title: 'Buy oat milk', done: 'almost' } }
  assert.deepEqual(await ada.tasks(), expected)
  assert.deepEqual(await bob.tasks(), expected)
  assert.deepEqual((await world.doc()).tasks, expected)
  assert.deepEqual([ada.errors, bob.errors], [[], []])
})

test('a move of a cursor is an update, and a closed page a leave', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const id = await ada.add({ title: 'Call' })
  await ada.page.evaluate(() => {
    window.told = []
    for (const name of ['joined', 'updated', 'left']) {
      window.room.presence.on(name, (peer) => window.told.push(`${name} ${peer.user.id}`))
    }
  })
  const bob = await world.person('bob')
  await ada.page.waitForFunction(() => window.told.includes('joined bob'))
  await bob.shows(id, 'title', 'Call')
  await bob.cell(id, 'title').focus()
  await ada.page.waitForSelector('td[data-here="bob"]')
  await bob.cell(id, 'done').focus()
  await ada.page.waitForSelector(`td[data-here="bob"]:has([data-cell="${id}:done"])`)
  await bob.page.close()
  await ada.page.waitForFunction(() => window.told.includes('left bob'))
  const told = await ada.page.evaluate(() => window.told)
  assert.equal(told.filter((line) => line === 'joined bob').length, 1)
  assert.equal(told.filter((line) => line === 'left bob').length, 1)
  assert.equal(told.at(-1), 'left bob')
})

test('a text is written by two people at the same time', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const bob = await world.person('bob')
  await ada.page.locator('#notes').fill('Hello world')
  await bob.page.waitForFunction(() => document.querySelector('#notes').value === 'Hello world')
  await Promise.all([
    ada.page.evaluate(() => window.room.text('notes').insert(0, 'Oh! ')),
    bob.page.evaluate(() => {
      const text = window.room.text('notes')
      text.insert(text.length, '!')
    })
  ])
  const both = () => document.querySelector('#notes').value === 'Oh! Hello world!'
  await Promise.all([ada.page.waitForFunction(both), bob.page.waitForFunction(both)])
  for (const person of [ada, bob]) await person.saved()
  assert.equal((await world.doc()).notes, 'Oh! Hello world!')
})

test('messages are heard in the room, and the inbox by its user', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const bob = await world.person('bob')
  for (const { page } of [ada, bob]) {
    await page.evaluate(() => {
      window.heard = []
      window.room.messages.on('wave', (it) => window.heard.push(`${it.userId} ${it.payload.hand}`))
      window.client.inbox.on('note', (it) => window.heard.push(`${it.userId}: ${it.payload}`))
    })
  }
  // A message is kept by nobody: it is said until it is heard.
  await poll(bob, async () => {
    await ada.page.evaluate(() => window.room.messages.send('wave', { hand: 'left' }))
    return bob.page.evaluate(() => window.heard.includes('ada left'))
  })
  await ada.page.evaluate(() => window.client.inbox.send({ user: 'bob' }, 'note', 'hello'))
  await bob.page.waitForFunction(() => window.heard.includes('ada: hello'))
  const heard = await bob.page.evaluate(() => window.heard.filter((it) => it === 'ada: hello'))
  assert.equal(heard.length, 1)
  assert.deepEqual(await ada.page.evaluate(() => window.heard), [])
})

async function poll (person, ask) {
  while (!await ask()) await person.page.evaluate(() => new Promise(requestAnimationFrame))
}
