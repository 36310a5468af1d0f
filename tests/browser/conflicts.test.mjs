// Owns what is shown when two people changed the same thing without knowing, and what they decide.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { writer } from '../interop/lib/token.mjs'
import { World } from './lib/world.mjs'

/** Ada offline and Bob online write into the same cell; whoever stands, Ada is asked. */
async function disagreement (t) {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const bob = await world.person('bob')
  const id = await ada.add({ title: 'Buy milk' })
  await bob.shows(id, 'title', 'Buy milk')
  await ada.saved()
  await ada.offline()
  await ada.status('offline')
  await ada.cell(id, 'title').fill('Buy oat milk')
  await bob.cell(id, 'title').fill('Buy goat milk')
  await bob.saved()
  await ada.online()
  const dialog = ada.page.locator(`[data-conflict="${id}:title"]`)
  await dialog.waitFor()
  assert.equal(await dialog.locator('.mine').textContent(), 'Buy oat milk')
  assert.equal(await dialog.locator('.theirs').textContent(), 'Buy goat milk')
  return { world, ada, bob, id, dialog }
}

for (const [choice, stands] of [
  ['keep-mine', 'Buy oat milk'], ['keep-theirs', 'Buy goat milk'], ['merge', 'Buy oat milk Buy goat milk']
]) {
  test(`a concurrent overwrite is shown with both values: ${choice}`, async (t) => {
    const { world, ada, bob, id, dialog } = await disagreement(t)
    await dialog.locator(`.${choice}`).click()
    await dialog.waitFor({ state: 'detached' })
    for (const person of [ada, bob]) {
      await person.shows(id, 'title', stands)
      await person.saved()
    }
    assert.deepEqual((await world.doc()).tasks, { [id]: { title: stands } })
    assert.equal(await bob.page.locator('dialog').count(), 0)
  })
}

test('a conflict outlives a reload; another tab knows it, too, and that it was decided', async (t) => {
  const { world, ada, id, dialog } = await disagreement(t)
  await ada.page.reload()
  await dialog.waitFor()
  assert.equal(await dialog.locator('.mine').textContent(), 'Buy oat milk')
  const tab = await ada.tab()
  const there = tab.locator(`[data-conflict="${id}:title"]`)
  await there.waitFor()
  await dialog.locator('.keep-theirs').click()
  await there.waitFor({ state: 'detached' })
  await ada.shows(id, 'title', 'Buy goat milk')
  await ada.saved()
  await ada.kept()
  await ada.page.reload()
  await ada.status('saved')
  assert.deepEqual(await ada.page.evaluate(() => window.room.conflicts.list()), [])
  assert.deepEqual((await world.doc()).tasks, { [id]: { title: 'Buy goat milk' } })
})

test('an edit of a record that somebody else removed can bring it back', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const bob = await world.person('bob')
  const id = await ada.add({ title: 'Buy milk', done: 'no' })
  await bob.shows(id, 'title', 'Buy milk')
  await ada.saved()
  await ada.offline()
  await ada.status('offline')
  await ada.cell(id, 'done').fill('yes')
  await bob.page.evaluate((id) => window.room.records('tasks').remove(id), id)
  await bob.saved()
  await ada.online()
  await ada.page.locator(`[data-conflict="${id}:"] .keep-mine`).click()
  await bob.shows(id, 'done', 'yes')
  await ada.saved()
  assert.deepEqual((await world.doc()).tasks, { [id]: { title: 'Buy milk', done: 'yes' } })
})

test('edits that saw each other, and edits of the same value, are no conflict', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const bob = await world.person('bob')
  const id = await ada.add({ title: 'one' })
  await bob.shows(id, 'title', 'one')
  await bob.cell(id, 'title').fill('two')
  await ada.shows(id, 'title', 'two')
  await ada.saved()
  await ada.offline()
  await ada.status('offline')
  await ada.cell(id, 'title').fill('three')
  await bob.cell(id, 'title').fill('three')
  await bob.cell(id, 'done').fill('yes')
  await bob.saved()
  await ada.online()
  await ada.shows(id, 'done', 'yes')
  await ada.saved()
  assert.deepEqual(await ada.page.evaluate(() => window.room.conflicts.list().length), 0)
})

test('a conflict that the server logged is shown, and decided there', async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada')
  const id = await ada.add({ title: 'Buy milk' })
  await ada.saved()
  const { version } = (await world.server.room('project:42', '', { token: writer('root') })).json
  await ada.cell(id, 'title').fill('Buy oat milk')
  await ada.saved()
  // Somebody without Yjs writes on top of what they saw before.
  const pushed = await world.server.room('project:42', `/records/tasks/${id}`, {
    method: 'PATCH',
    token: writer('eve'),
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ fields: { title: 'Buy soap' }, baseVersion: version, onConflict: 'merge' })
  })
  assert.equal(pushed.status, 200)
  const dialog = ada.page.locator(`[data-conflict="${id}:title"][data-source=server]`)
  await dialog.waitFor()
  assert.equal(await dialog.locator('.mine').textContent(), 'Buy oat milk')
  assert.equal(await dialog.locator('.theirs').textContent(), 'Buy soap')
  await dialog.locator('.keep-mine').click()
  await dialog.waitFor({ state: 'detached' })
  await ada.shows(id, 'title', 'Buy oat milk')
  const log = (await world.server.request('GET', '/api/v1/conflicts?room=project%3A42', { token: writer('root') })).json
  assert.deepEqual(log.conflicts.map(({ resolved }) => resolved.resolution), ['theirs'])
})
