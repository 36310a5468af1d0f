// Owns what a browser test stands on: the real server on its own store, a proxy before it, the page,
// and Chromium with as many people as wanted.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Server } from '../../interop/lib/server.mjs'
import { openStore } from '../../interop/lib/store.mjs'
import { writer } from '../../interop/lib/token.mjs'
import { BOUND_MS } from '../../interop/lib/wait.mjs'
import { launch } from './chromium.mjs'
import { Gate } from './gate.mjs'
import { servePage } from './page.mjs'
import { startBrowser } from './resident.mjs'

export class World {
  static async open (t, { tokenSeconds, args = [] } = {}) {
    const world = new World()
    t.after(() => world.close())
    world.store = await openStore('sqlite')
    world.server = await Server.start({
      store: world.store, args: ['--allowed-origins', '*', '--drain-seconds', '1', ...args]
    })
    world.gate = await Gate.open(world.server.port)
    world.page = await servePage({ tokenSeconds })
    world.browser = await launch()
    return world
  }

  constructor () {
    this.people = []
    this.folders = []
  }

  /** Somebody with a browser profile of their own, at the page. `settings` go into its address. */
  async person (user, settings = {}) {
    const context = await this.browser.newContext()
    return this.#arrive(user, context, settings)
  }

  /** The same person, at another tab of the same browser. */
  async beside (other, settings = {}) {
    const person = new Person(this, other.user, other.context)
    person.page = await person.tab(settings)
    return person
  }

  /** Somebody whose profile is on disk, so that the browser itself can be killed. */
  async resident (user, settings = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'roundtable-browser-'))
    this.folders.push(folder)
    return this.returning(user, folder, settings)
  }

  /** The same profile, in a new process. */
  async returning (user, folder, settings = {}) {
    const { context, kill } = await startBrowser(folder)
    const person = await this.#arrive(user, context, settings, kill)
    person.folder = folder
    return person
  }

  address (user, settings = {}) {
    const all = { url: this.gate.http, user, token: writer(user), ...settings }
    return `${this.page.url}?${new URLSearchParams(all)}`
  }

  async #arrive (user, context, settings, kill) {
    const person = new Person(this, user, context)
    person.kill = kill
    this.people.push(person)
    person.page = await person.tab(settings)
    return person
  }

  /** A room's document as the server has it. */
  async doc (room = 'project:42') {
    return (await this.server.room(room, '/doc', { token: writer('root') })).json
  }

  async close () {
    for (const { context, kill } of this.people) await (kill ? kill() : context.close().catch(() => {}))
    await this.browser?.close()
    this.gate?.close()
    this.page?.close()
    await this.server?.stop()
    await this.store?.drop()
    for (const folder of this.folders) rmSync(folder, { recursive: true, force: true })
  }
}

/** Somebody at the page, and what they can do and see there. */
export class Person {
  constructor (world, user, context) {
    this.world = world
    this.user = user
    this.context = context
    this.errors = []
    context.setDefaultTimeout(BOUND_MS)
  }

  /** Another tab of the same browser. */
  async tab (settings = {}) {
    const page = await this.context.newPage()
    page.on('pageerror', (error) => this.errors.push(error.stack ?? String(error)))
    await page.goto(this.world.address(this.user, settings))
    await page.waitForFunction(() => window.room !== undefined)
    return page
  }

  /** The page is kept for when there is no network. */
  async installed (page = this.page) {
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined))
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null)
  }

  cell (id, field, page = this.page) { return page.locator(`[data-cell="${id}:${field}"]`) }

  /** Makes a task, and gives back its id. */
  add (fields) {
    return this.page.evaluate((fields) => window.room.records('tasks').create(fields), fields)
  }

  status (...wanted) {
    return this.page.waitForFunction((wanted) => wanted.includes(window.room.status), wanted)
  }

  /** Waits until all is durable at the server; else says how the page stands. */
  async saved () {
    const { page } = this
    try {
      await page.waitForFunction(() => window.room.isSynced && window.room.pending.total === 0)
    } catch (error) {
      const stands = page.evaluate(() => {
        const { room: { status, isSynced, pending, error }, client, seen } = window
        return JSON.stringify({ status, isSynced, pending, error, quality: client.quality, seen: seen.slice(-20) })
      })
      error.message += `\n${this.user}: ${await stands.catch(String)}`
      throw error
    }
  }

  tasks (page = this.page) {
    return page.evaluate(() => Object.fromEntries(
      window.room.records('tasks').list().map(({ id, ...fields }) => [id, fields])))
  }

  /** Waits until the page shows a value in a cell. */
  shows (id, field, value, page = this.page) {
    return page.waitForFunction(
      ([cell, value]) => document.querySelector(`[data-cell="${cell}"]`)?.value === value,
      [`${id}:${field}`, value])
  }

  /** Everything that waits is in the browser's database: whatever happens to the page or to the browser. */
  kept (page = this.page) {
    return page.waitForFunction(async (user) => {
      const url = new URLSearchParams(location.search).get('url')
      const asked = indexedDB.open(`roundtable:${url}:${user}`)
      const database = await new Promise((resolve) => { asked.onsuccess = () => resolve(asked.result) })
      const count = database.transaction('outbox').objectStore('outbox').count()
      const kept = await new Promise((resolve) => { count.onsuccess = () => resolve(count.result) })
      database.close()
      return kept === window.room.pending.total
    }, this.user)
  }

  offline () { return this.context.setOffline(true) }
  online () { return this.context.setOffline(false) }
}
