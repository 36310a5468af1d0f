// Owns the other side of py/agent.py: a pycrdt client that looks like `Client` to a test.
import { spawn } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { canonical } from './canonical.mjs'
import { until, within } from './wait.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))
const PYTHON = process.env.ROUNDTABLE_TEST_PYTHON ?? resolve(HERE, '../../../.venv/bin/python')

export class PyClient extends EventEmitter {
  constructor ({ base, room, token, headers = {} }) {
    super()
    this.setMaxListeners(0)
    if (!existsSync(PYTHON)) {
      throw new Error(`there is no Python with pycrdt at ${PYTHON}: scripts/setup-interop.sh makes it`)
    }
    const path = room.split('/').map(encodeURIComponent).join('/')
    this.url = `${base}/${path}${token ? `?token=${token}` : ''}`
    this.headers = headers
    this.calls = new Map()
    this.last = { contents: { map: {}, list: [], text: '', xml: '' }, others: [] }
    this.errors = ''
    this.child = spawn(PYTHON, [join(HERE, '../py/agent.py')], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.child.stderr.setEncoding('utf8').on('data', (text) => { this.errors += text })
    this.child.stdin.on('error', () => {})
    let rest = ''
    this.child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()
      for (const line of lines) this.#hear(JSON.parse(line))
    })
    this.child.on('close', () => {
      for (const { reject } of this.calls.values()) reject(new Error(`the pycrdt client ended\n${this.errors}`))
    })
    agents.add(this.child)
  }

  #hear (message) {
    if (message.event === 'changed') {
      this.last = message
      return void this.emit('changed')
    }
    const call = this.calls.get(message.reply)
    this.calls.delete(message.reply)
    if (message.error) call.reject(new Error(`pycrdt: ${message.error}\n${this.errors.slice(-2000)}`))
    else call.resolve(message.value)
  }

  #call (command, rest = {}) {
    const id = `${this.calls.size}-${Math.random()}`
    const reply = new Promise((resolve, reject) => this.calls.set(id, { resolve, reject }))
    this.child.stdin.write(`${JSON.stringify({ id, command, ...rest })}\n`)
    return within(`pycrdt to ${command}`, reply, { seen: () => this.errors.slice(-2000) })
  }

  async connect () {
    this.id = (await this.#call('connect', { url: this.url, headers: this.headers })).clientId
    return this
  }

  disconnect () { return this.#call('disconnect') }
  edit (...ops) { return this.#call('edit', { ops }) }
  presence (state) { return this.#call('presence', { state }) }

  contents () { return this.last.contents }
  others () { return this.last.others }
  signals () { return [[this, 'changed']] }

  until (what, look, options = {}) {
    return until(what, look, { on: this.signals(), seen: () => this.last, ...options })
  }

  async shows (contents, options) {
    const expected = canonical(contents)
    await this.until(`contents ${expected}`, () => canonical(this.contents()) === expected, options)
  }

  destroy () {
    this.child.kill('SIGKILL')
    agents.delete(this.child)
  }
}

const agents = new Set()
process.on('exit', () => { for (const child of agents) child.kill('SIGKILL') })
