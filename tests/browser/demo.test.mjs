// Owns the demo page: what people at one table do and see.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SECRET, writer } from '../interop/lib/token.mjs'
import { Desk } from './lib/desk.mjs'

test('DM1 DM2 the page comes with its policy, is asked for anew, and what it loads is kept', async (t) => {
  const { url } = await Desk.open(t)
  const page = await fetch(url)
  assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8')
  assert.match(page.headers.get('content-security-policy'), /^default-src 'self'; /)
  assert.equal(page.headers.get('cache-control'), 'no-cache')
  const known = page.headers.get('etag')
  assert.equal((await fetch(url, { headers: { 'if-none-match': known } })).status, 304)

  const html = await page.text()
  const paths = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path)
  assert.equal(paths.length, 3)
  for (const path of paths) {
    const file = await fetch(new URL(path, url))
    assert.equal(file.status, 200)
    assert.match(file.headers.get('content-type'), /^(text\/(javascript|css)|image\/svg\+xml)/)
    assert.equal(file.headers.get('cache-control'), 'public, max-age=31536000, immutable')
  }
  assert.equal((await fetch(new URL('/assets/other.js', url))).status, 404)
})

test('DM4 without the page everything else is there', async (t) => {
  const { url } = await Desk.open(t, { args: ['--demo=false'] })
  assert.equal((await fetch(url)).status, 404)
  assert.equal((await fetch(new URL('/readyz', url))).status, 200)
})

test('DM5 a fresh table has a name of its own, and its link leads others to it', async (t) => {
  const desk = await Desk.open(t)
  const ada = await desk.person('Ada')
  await ada.laid()
  assert.match(ada.link, /#room=[a-z]+-[a-z]+-[2-9a-z]{5}$/)
  await ada.page.getByRole('button', { name: 'Copy link' }).click()
  const link = await ada.page.evaluate(() => navigator.clipboard.readText())
  assert.equal(link, ada.link)
  await ada.saved()

  const bob = await desk.person('Bob', link)
  await bob.laid()
  assert.equal(await bob.id(0), await ada.id(0))
  const eve = await desk.person('Eve')
  assert.notEqual(eve.link, ada.link)
  // Two windows of one browser are two people.
  const second = await ada.context.newPage()
  await second.goto(link)
  await ada.page.getByRole('button', { name: /^Go to Bob/ }).waitFor()
  await ada.page.locator('.people li').nth(1).waitFor()
  assert.deepEqual([ada.errors, bob.errors, eve.errors], [[], [], []])
})

test('DM6 two people edit the same and different cells, and see each other in them', async (t) => {
  const { ada, bob } = await Desk.two(t)
  const [first, second] = [await ada.id(0), await ada.id(1)]

  await bob.cell(first, 'title').click()
  await ada.page.locator(`[data-cell="${first}:title"][data-here=Bob]`).waitFor()
  await ada.write(second, 'estimate', '2,5')
  await bob.shows(second, 'estimate', '2.5')
  await bob.write(first, 'title', 'Buy oat milk')
  await ada.shows(first, 'title', 'Buy oat milk')
  await ada.write(first, 'title', 'Buy soy milk')
  await bob.shows(first, 'title', 'Buy soy milk')

  await ada.cell(second, 'status').click()
  await ada.page.keyboard.press('Enter')
  await ada.page.getByRole('option', { name: 'Blocked' }).click()
  await bob.shows(second, 'status', 'Blocked')
  await bob.cell(second, 'done').click()
  await ada.page.locator(`[data-cell="${second}:done"][aria-checked=true]`).waitFor()
  await ada.rows.first().hover()
  await ada.page.getByRole('button', { name: 'Delete Buy soy milk' }).click()
  await bob.laid(8)
  await ada.page.getByRole('status').getByRole('button', { name: 'Undo' }).click()
  await bob.shows(first, 'title', 'Buy soy milk')
  assert.deepEqual([ada.errors, bob.errors], [[], []])
})

test('DM6 a long text is written together, with carets', async (t) => {
  const { ada, bob } = await Desk.two(t)
  const id = await ada.id(1)
  for (const person of [ada, bob]) {
    await person.cell(id, 'notes').click()
    await person.page.locator('.notes textarea').waitFor()
  }
  const words = (person) => person.page.locator('.notes textarea').inputValue()
  const both = (text) => Promise.all([ada, bob].map(({ page }) => page.waitForFunction(
    (text) => document.querySelector('.notes textarea').value === text, text)))
  await ada.page.keyboard.type('milk, soap')
  await both('milk, soap')
  await ada.page.locator('.notes .caret', { hasText: 'Bob' }).waitFor()
  // Bob stands at the beginning, Ada at the end: each goes on where they are.
  await bob.page.keyboard.press('Control+Home')
  await Promise.all([bob.page.keyboard.type('Buy '), ada.page.keyboard.type(' and tea')])
  await both('Buy milk, soap and tea')
  assert.equal(await words(bob), 'Buy milk, soap and tea')
  const carets = await Promise.all([ada, bob].map(({ page }) => page.evaluate(() =>
    document.querySelector('.notes textarea').selectionEnd)))
  assert.deepEqual(carets, ['Buy milk, soap and tea'.length, 'Buy '.length])
  assert.deepEqual([ada.errors, bob.errors], [[], []])
})

test('DM7 edits without a network are counted, and merged when it is back', async (t) => {
  const { ada, bob } = await Desk.two(t)
  const [first, second] = [await ada.id(0), await ada.id(1)]

  await ada.network(false)
  await ada.write(first, 'owner', 'Ada')
  await ada.write(first, 'estimate', '3')
  await ada.page.locator('.sync[data-pending="2"]').waitFor()
  await ada.page.locator(`[data-row="${first}"][data-state=pending]`).waitFor()
  await bob.write(second, 'title', 'Meanwhile')
  await bob.saved()
  assert.doesNotMatch(await ada.cell(second, 'title').innerText(), /Meanwhile/)
  await ada.network(true)
  await ada.saved()
  await ada.shows(second, 'title', 'Meanwhile')
  await bob.shows(first, 'estimate', '3')
  await bob.shows(first, 'owner', 'Ada')
  assert.equal(await ada.page.getByRole('dialog').count(), 0)
  assert.deepEqual([ada.errors, bob.errors], [[], []])
})

for (const [keep, expected] of [['mine', 'Hers'], ['theirs', 'His'], ['merged', 'Ours']]) {
  test(`DM7 of two values of one cell a dialog lets one keep ${keep}`, async (t) => {
    const { ada, bob } = await Desk.two(t)
    const id = await ada.id(2)
    await ada.network(false)
    await ada.write(id, 'title', 'Hers')
    await bob.write(id, 'title', 'His')
    await bob.saved()
    await ada.network(true)
    const dialog = ada.page.locator(`dialog[data-conflict="${id}:title"]`)
    await dialog.waitFor()
    assert.match(await dialog.locator('[data-keep=mine]').innerText(), /Hers/)
    assert.match(await dialog.locator('[data-keep=theirs]').innerText(), /His/)
    // Escape puts it off, and the button brings it back.
    await ada.page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    await ada.page.getByRole('button', { name: '1 conflict' }).click()
    if (keep === 'merged') await dialog.locator('.merging input').fill('Ours')
    await dialog.locator(`[data-keep=${keep}]`).click()
    await dialog.waitFor({ state: 'detached' })
    for (const person of [ada, bob]) await person.shows(id, 'title', expected)
    assert.deepEqual([ada.errors, bob.errors], [[], []])
  })
}

test('DM8 the table is walked, edited and sorted with the keys alone', async (t) => {
  const desk = await Desk.open(t)
  const { page, ...ada } = await keysOf(desk)
  const [first, second, third] = ada.ids
  await page.locator(`[data-cell="${first}:title"]`).focus()
  await ada.press('ArrowDown', `${second}:title`)
  await ada.press('ArrowRight', `${second}:status`)
  await ada.press('Home', `${second}:done`)
  await ada.press('End', `${second}:notes`)
  await ada.press('Control+Home', `${first}:done`)
  await page.keyboard.press(' ')
  await page.locator(`[data-cell="${first}:done"][aria-checked=true]`).waitFor()
  await ada.press('ArrowRight', `${first}:title`)
  assert.equal(await page.locator('.rows .cell[tabindex="0"]').count(), 1)

  // Escape leaves things as they were; Enter goes down, Tab to the right.
  await page.keyboard.press('Enter')
  await page.keyboard.type('no')
  await ada.press('Escape', `${first}:title`)
  await page.keyboard.type('typed')
  await ada.press('Enter', `${second}:title`)
  assert.equal(await page.locator(`[data-cell="${first}:title"]`).innerText(), 'typed')
  await page.keyboard.press('F2')
  await page.keyboard.press('End')
  await page.keyboard.type('!')
  await ada.press('Tab', `${second}:status`)
  assert.match(await page.locator(`[data-cell="${second}:title"]`).innerText(), /!$/)
  await page.keyboard.press('Enter')
  await page.keyboard.type('rev')
  await page.keyboard.press('Enter')
  await ada.shows(second, 'status', 'Review')
  await ada.focuses(`${second}:status`)
  await page.keyboard.press('Delete')
  await page.waitForFunction((cell) => document.querySelector(`[data-cell="${cell}"]`).textContent === '', `${second}:status`)
  await ada.press('ArrowDown', `${third}:status`)
  await page.keyboard.press('Control+Delete')
  await ada.laid(8)
  await page.keyboard.press('Control+z')
  await ada.laid(9)
  await page.keyboard.press('Control+Enter')
  await ada.laid(10)
  // Tab leaves the table, and there is one place in it to come back to.
  await page.getByRole('columnheader', { name: 'Task' }).getByRole('button').focus()
  await page.keyboard.press('Enter')
  await page.locator('[role=columnheader][aria-sort=ascending]').waitFor()
  const titles = await page.locator('.rows [data-field=title]').allInnerTexts()
  const words = titles.filter(Boolean)
  assert.deepEqual(words, [...words].sort(new Intl.Collator('en', { numeric: true, sensitivity: 'base' }).compare))
  assert.deepEqual(ada.errors, [])
})

async function keysOf (desk) {
  const ada = await desk.person('Ada')
  await ada.laid()
  return {
    page: ada.page,
    ids: await Promise.all([0, 1, 2].map((at) => ada.id(at))),
    errors: ada.errors,
    laid: (count) => ada.laid(count),
    shows: (...words) => ada.shows(...words),
    focuses: (cell) => ada.focuses(cell),
    /** Presses a key, and waits for where it leads. */
    press: async (key, cell) => {
      await ada.page.keyboard.press(key)
      await ada.focuses(cell)
    }
  }
}

test('DM9 of a thousand rows only those that can be seen are in the document', async (t) => {
  const { ada, bob } = await Desk.two(t)
  await ada.page.getByRole('button', { name: 'Add 1,000 rows' }).click()
  for (const person of [ada, bob]) await person.laid(1009)
  await ada.saved()
  const box = await ada.page.locator('.scroller').boundingBox()
  const most = Math.ceil(box.height / 44) + 2 * 8 + 2 * 4 + 1
  assert.ok(await ada.rows.count() <= most)

  const scrolling = await ada.page.evaluate(scroll)
  assert.ok(scrolling.rowsMax <= most, `${scrolling.rowsMax} rows of at most ${most}`)
  assert.equal(scrolling.last, '1009')
  const editing = await ada.page.evaluate(edit)
  assert.equal(editing.count, 20)
  t.diagnostic(`scrolling: ${JSON.stringify(scrolling)}`)
  t.diagnostic(`editing: ${JSON.stringify(editing)}`)
  // The cell that has the focus stays, wherever one scrolls.
  await bob.page.keyboard.press('Escape')
  const id = await bob.id(0)
  await bob.cell(id, 'title').click()
  await bob.page.evaluate(() => { document.querySelector('.scroller').scrollTop = 20_000 })
  await bob.page.locator('[aria-rowindex="462"]').waitFor()
  assert.equal(await bob.focused(), `${id}:title`)
  await bob.page.keyboard.press('ArrowDown')
  await bob.focuses(`${await bob.page.locator('[aria-rowindex="3"]').getAttribute('data-row')}:title`)
  assert.deepEqual([ada.errors, bob.errors], [[], []])
})

/** Scrolls through everything, frame by frame, and says how long frames took. */
async function scroll () {
  const box = document.querySelector('.scroller')
  const longTasks = []
  const observer = new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration)))
  observer.observe({ type: 'longtask' })
  const frames = []
  let rowsMax = 0
  const frame = () => new Promise(requestAnimationFrame)
  let last = await frame()
  while (box.scrollTop + box.clientHeight < box.scrollHeight - 1) {
    box.scrollTop += 300
    const now = await frame()
    frames.push(now - last)
    last = now
    rowsMax = Math.max(rowsMax, document.querySelectorAll('.rows .row').length)
  }
  await frame()
  await frame()
  observer.disconnect()
  frames.sort((a, b) => a - b)
  const part = (share) => Math.round(frames[Math.floor((frames.length - 1) * share)] * 10) / 10
  const seen = [...document.querySelectorAll('.rows .row')].map((row) => Number(row.getAttribute('aria-rowindex')) - 1)
  return {
    frames: frames.length, medianMs: part(0.5), p95Ms: part(0.95), maxMs: part(1), longTasks: longTasks.length,
    longTaskMaxMs: Math.round(Math.max(0, ...longTasks)), rowsMax, last: String(Math.max(...seen))
  }
}

/** Ticks boxes one after the other, and says how long each took to be painted. */
async function edit () {
  const times = []
  const cells = [...document.querySelectorAll('.rows [data-field=done]')].slice(2, 22).map((cell) => cell.dataset.cell)
  for (const name of cells) {
    const cell = () => document.querySelector(`[data-cell="${name}"]`)
    const before = cell().getAttribute('aria-checked')
    const start = performance.now()
    cell().click()
    do await new Promise(requestAnimationFrame); while (cell().getAttribute('aria-checked') === before)
    times.push(performance.now() - start)
  }
  times.sort((a, b) => a - b)
  const part = (share) => Math.round(times[Math.floor((times.length - 1) * share)] * 10) / 10
  return { count: times.length, medianMs: part(0.5), p95Ms: part(0.95), maxMs: part(1) }
}

test('DM10 where guests are not let in the page asks for a token, and keeps it out of the address', async (t) => {
  const desk = await Desk.open(t, { auth: ['--jwt-secret', SECRET] })
  const room = `${desk.url}#room=closed`
  const ada = await desk.person('nobody', room)
  const dialog = ada.page.locator('dialog.admission')
  await dialog.waitFor()
  assert.match(await dialog.innerText(), /roundtable token/)
  await dialog.getByLabel('Token').fill(writer('ada', { name: 'Ada of the token' }))
  await dialog.getByRole('button', { name: 'Sit down' }).click()
  await ada.saved()
  await ada.page.getByRole('button', { name: 'You are Ada of the token' }).waitFor()
  await ada.page.locator('.tools .add').click()
  await ada.laid(1)

  const bob = await desk.person('nobody', `${room}&token=${writer('bob', { name: 'Bob' })}`)
  await bob.laid(1)
  assert.equal(bob.link, room)
  await ada.page.getByRole('button', { name: /^Go to Bob/ }).waitFor()
  const rob = await desk.person('nobody', `${room}&token=${writer('rob', { rooms: { '*': 'read' } })}`)
  await rob.laid(1)
  assert.equal(await rob.page.locator('.tools .add').count(), 0)
})

test('DM11 each change is listed as it happens: who, what, from what to what, and its version', async (t) => {
  const { desk, ada, bob } = await Desk.two(t)
  const id = await ada.id(0)
  await ada.page.locator('.activity li', { hasText: 'added 9 tasks' }).waitFor()
  await bob.write(id, 'estimate', '4')
  const line = ada.page.locator('.activity li', { hasText: 'Bob changed' })
  await line.waitFor()
  assert.match(await line.innerText(), /Days 0\.5→4[\s\S]*v2/)
  await bob.page.locator('.activity li', { hasText: 'You changed' }).waitFor()
  // Whoever comes later reads what was before.
  const eve = await desk.person('Eve', ada.link)
  await eve.page.locator('.activity li', { hasText: 'Bob changed' }).waitFor()
  assert.equal(await eve.page.locator('.activity h2 .version').innerText(), '2')
})

test('DM12 somebody is called as they like, and is known by that when they come back', async (t) => {
  const { ada, bob } = await Desk.two(t)
  await bob.page.getByRole('button', { name: 'You are Bob' }).click()
  await bob.page.getByLabel('Your name').fill('Roberta')
  await bob.page.keyboard.press('Enter')
  await ada.page.getByRole('button', { name: /^Go to Roberta/ }).waitFor()
  await bob.network(false)
  await bob.network(true)
  await bob.saved()
  await ada.page.getByRole('button', { name: /^Go to Roberta/ }).waitFor()
})
