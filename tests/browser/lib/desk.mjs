// Owns what a test of the demo page stands on: the real server with its page, Chromium, and people at the table, who
// do with mouse and keys what people do.
import { Server } from '../../interop/lib/server.mjs'
import { openStore } from '../../interop/lib/store.mjs'
import { BOUND_MS } from '../../interop/lib/wait.mjs'
import { launch } from './chromium.mjs'

export class Desk {
  /** `auth` in the place of `--dev`, which lets anybody in. */
  static async open (t, { auth = ['--dev'], args = [] } = {}) {
    const desk = new Desk()
    t.after(() => desk.close())
    desk.store = await openStore('sqlite')
    desk.server = await Server.start({ store: desk.store, auth, args: ['--drain-seconds', '1', ...args] })
    desk.browser = await launch()
    return desk
  }

  /** Two people at one table of nine tasks, all of it saved. */
  static async two (t) {
    const desk = await Desk.open(t)
    const ada = await desk.person('Ada')
    await ada.laid()
    await ada.saved()
    const bob = await desk.person('Bob', ada.link)
    await bob.laid()
    return { desk, ada, bob }
  }

  constructor () {
    this.people = []
  }

  get url () { return `${this.server.http}/` }

  /** Somebody with a browser of their own, at a link or at a fresh table. */
  async person (name, link = this.url, { viewport = { width: 1440, height: 900 } } = {}) {
    const context = await this.browser.newContext({ viewport, permissions: ['clipboard-read', 'clipboard-write'] })
    context.setDefaultTimeout(BOUND_MS)
    await context.addInitScript((look) => {
      localStorage.setItem('roundtable:look:1', JSON.stringify(look))
    }, { name, color: '#0b7285' })
    const person = new Sitting(await context.newPage(), context)
    this.people.push(person)
    await person.page.goto(link)
    await person.page.locator('.scroller').waitFor()
    return person
  }

  async close () {
    await this.browser?.close()
    await this.server?.stop()
    await this.store?.drop()
  }
}

/** Somebody at the table. */
export class Sitting {
  constructor (page, context) {
    this.page = page
    this.context = context
    this.errors = []
    page.on('pageerror', (error) => this.errors.push(error.stack ?? String(error)))
    // What the policy of the page forbids is said here.
    page.on('console', (message) => {
      if (message.type() === 'error' && /Content Security Policy/.test(message.text())) this.errors.push(message.text())
    })
  }

  get link () { return this.page.url() }
  get rows () { return this.page.locator('.rows .row') }

  /** The id of the row at a place. */
  async id (at) { return (await this.rows.nth(at).getAttribute('data-row')) ?? '' }

  cell (id, field) { return this.page.locator(`[data-cell="${id}:${field}"]`) }

  async laid (count = 9) {
    await this.page.locator(`[role=grid][aria-rowcount="${count + 1}"]`).waitFor()
  }

  /** Waits until a cell shows words. */
  shows (id, field, words) {
    return this.page.waitForFunction(
      ([cell, words]) => document.querySelector(`[data-cell="${cell}"]`)?.textContent.includes(words),
      [`${id}:${field}`, words])
  }

  /** Types into a cell in the place of what is there. */
  async write (id, field, words) {
    const cell = this.cell(id, field)
    await cell.click()
    await this.page.keyboard.press('F2')
    await cell.locator('input').fill(words)
    await this.page.keyboard.press('Enter')
  }

  status (status) { return this.page.locator(`.sync[data-status=${status}]`).waitFor() }
  saved () { return this.page.locator('.sync[data-status=saved][data-pending="0"]').waitFor() }

  async network (isOn) {
    const knob = this.page.getByRole('switch', { name: 'Network' })
    if ((await knob.getAttribute('aria-checked') === 'true') !== isOn) await knob.click()
    if (!isOn) await this.status('offline')
  }

  /** The cell that has the focus. */
  focused () {
    return this.page.evaluate(() => document.activeElement?.closest('[data-cell]')?.getAttribute('data-cell'))
  }

  focuses (cell) {
    return this.page.waitForFunction((cell) => document.activeElement?.getAttribute('data-cell') === cell, cell)
  }
}
