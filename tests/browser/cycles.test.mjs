// Owns the long way through bad days: two people edit through random losses of network, page, browser
// and server, and in the end everything is there, once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dice, SEED } from '../interop/lib/random.mjs'
import { World } from './lib/world.mjs'

const ROUNDS = Number(process.env.ROUNDTABLE_TEST_ROUNDS ?? 100)
const KINDS = ['offline', 'online', 'reload', 'cut', 'block', 'unblock', 'server', 'tab']
const SETTINGS = { backoffMs: 200, pollMs: 300 }

test(`nothing is lost or doubled in ${ROUNDS} random cycles (seed ${SEED})`, async (t) => {
  const world = await World.open(t)
  const people = [await world.resident('ada', SETTINGS), await world.person('bob', SETTINGS)]
  const trip = new Trip(world, people, dice(SEED))
  for (const person of people) {
    await person.saved()
    await person.installed()
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const at of people.keys()) await trip.edit(at)
    await trip.disturb(trip.dice.pick([0, 0, 1]))
    for (const at of people.keys()) await trip.edit(at)
    if (trip.dice.chance(0.5)) await trip.calm()
  }
  await trip.calm()
  t.diagnostic(`what happened: ${JSON.stringify(trip.happened)}; pieces: ${trip.marks.length}`)
  await trip.judge()
})

test(`nothing is lost or doubled by two tabs that share a connection (seed ${SEED})`, async (t) => {
  const world = await World.open(t)
  const ada = await world.person('ada', SETTINGS)
  const people = [ada, await world.beside(ada, SETTINGS)]
  const trip = new Trip(world, people, dice(SEED), KINDS)
  await ada.saved()
  await ada.installed()
  for (let round = 0; round < ROUNDS / 4; round++) {
    for (const at of people.keys()) await trip.edit(at)
    await trip.disturb(trip.dice.pick([0, 1]))
    for (const at of people.keys()) await trip.edit(at)
    if (trip.dice.chance(0.5)) await trip.calm()
  }
  await trip.calm()
  t.diagnostic(`what happened: ${JSON.stringify(trip.happened)}; pieces: ${trip.marks.length}`)
  await trip.judge()
})

class Trip {
  constructor (world, people, random, kinds = [...KINDS, 'browser']) {
    this.kinds = kinds
    this.world = world
    this.people = people
    this.dice = random
    this.marks = []
    this.titles = new Map()
    this.happened = {}
  }

  /** One to three edits; every one leaves a mark that can be counted. */
  async edit (at) {
    const { page } = this.people[at]
    const user = `${at ? 'b' : 'a'}`
    for (let left = this.dice.int(1, 3); left > 0; left--) {
      const mark = `[${user}${this.marks.length}]`
      const own = [...this.titles].filter(([, { owner }]) => owner === user).map(([id]) => id)
      const id = own.length > 0 && this.dice.chance(0.6) ? this.dice.pick(own) : undefined
      const made = await page.evaluate(({ id, mark }) => {
        const tasks = window.room.records('tasks')
        const text = window.room.text('notes')
        text.insert(text.length, mark)
        if (id === undefined) return tasks.create({ title: mark })
        tasks.upsert(id, { title: mark })
        return id
      }, { id, mark })
      this.marks.push(mark)
      this.titles.set(made, { owner: user, title: mark })
    }
  }

  async disturb (at) {
    const kind = this.dice.pick(this.kinds.filter((kind) => kind !== 'browser' || this.people[at].kill))
    this.happened[kind] = (this.happened[kind] ?? 0) + 1
    await this[kind](at)
  }

  async offline (at) {
    await this.people[at].offline()
  }

  async online (at) {
    await this.people[at].online()
  }

  /** A reload at once: what was edited a moment ago has to be there. */
  async reload (at) {
    const { page } = this.people[at]
    await page.reload()
    await this.arrived(page)
  }

  /** The tab is closed and another opened. */
  async tab (at) {
    const person = this.people[at]
    await this.online(at)
    await person.page.close()
    person.page = await person.tab(SETTINGS)
    await this.arrived(person.page)
  }

  async arrived (page) {
    await page.waitForFunction(() => window.room)
    await page.evaluate(() => window.room.ready)
  }

  cut () { this.world.gate.cut() }
  block () { this.world.gate.block() }
  unblock () { this.world.gate.unblock() }

  /** kill -9, in the middle of whatever it does. */
  async server () {
    await this.world.server.kill()
    await this.world.server.restart()
  }

  /** kill -9 of the browser, once the disk has what was edited. */
  async browser (at) {
    const person = this.people[at]
    await person.kept()
    await person.kill()
    this.people[at] = await this.world.returning(person.user, person.folder, SETTINGS)
    await this.arrived(this.people[at].page)
  }

  async calm () {
    this.world.gate.unblock()
    for (const at of this.people.keys()) await this.online(at)
    for (const person of this.people) await person.saved()
  }

  async judge () {
    const document = await this.world.doc()
    const expected = Object.fromEntries([...this.titles].map(([id, { title }]) => [id, { title }]))
    const count = (text, mark) => text.split(mark).length - 1
    const views = [['the server', document]]
    for (const { user, page } of this.people) {
      await page.waitForFunction(
        (length) => window.room.text('notes').length === length, document.notes.length)
      const view = await page.evaluate(() => ({
        notes: window.room.text('notes').toJSON(), tasks: window.room.doc.getMap('tasks').toJSON()
      }))
      views.push([user, view])
    }
    for (const [who, { notes, tasks }] of views) {
      const wrong = this.marks.filter((mark) => count(notes, mark) !== 1)
      assert.deepEqual(wrong, [], `${who}: pieces that are not there once`)
      assert.deepEqual(tasks, expected, `${who}: records`)
    }
  }
}
