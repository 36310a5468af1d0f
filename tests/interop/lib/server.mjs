// Owns the server under test: started on a private port, watched, stopped, killed. It knows the program only from
// outside: its command line, its ports, its log.
import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SECRET } from './token.mjs'
import { poll, within } from './wait.mjs'

const REPOSITORY = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')

/** The program under test. */
export const BIN = resolve(
  REPOSITORY,
  process.env.ROUNDTABLE_BIN ?? `${process.env.CARGO_TARGET_DIR ?? 'target'}/debug/roundtable`
)

/** The program with faults that updates may carry, for the tests of what follows a crash. */
export const FAULTS_BIN = resolve(
  REPOSITORY,
  process.env.ROUNDTABLE_FAULTS_BIN ?? `${process.env.CARGO_TARGET_DIR ?? 'target'}/fault-injection/roundtable`
)

/** Where rooms are served; another server with the same protocol may have them elsewhere. */
export const WS_PREFIX = process.env.ROUNDTABLE_WS_PREFIX ?? '/ws'

/** How many lines of the server's log a failure shows. */
const LOG_LINES = 60

/** What a finished command said. */
export async function run (args, { env = {}, withinMs = 60_000 } = {}) {
  const child = spawn(BIN, args, { env: clean(env), stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text) => { stdout += text })
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text })
  const gone = within(`roundtable ${args[0]} to end`, once(child, 'close'), { withinMs })
  const [code, signal] = await gone.finally(() => child.kill('SIGKILL'))
  return { code, signal, stdout, stderr }
}

/** One process of the server and the store it stands on. Emits `exit`. */
export class Server extends EventEmitter {
  /**
   * Starts and waits until it is ready. `args` come after the fixed ones; `auth` replaces the key; `through` is a
   * command that becomes the program it is given.
   */
  static async start ({ store, args = [], env = {}, port, auth = ['--jwt-secret', SECRET], bin = BIN, through = [] }) {
    if (!existsSync(bin)) {
      const how = bin === BIN ? '`cargo build`, or name one in ROUNDTABLE_BIN' : '`scripts/build-faults.sh`'
      throw new Error(`there is no server at ${bin}: run ${how}`)
    }
    for (let tries = 1; ; tries++) {
      const server = new Server({ store, args, env, auth, bin, through, port: port ?? await freePort() })
      try {
        await server.#launch()
        return server
      } catch (error) {
        await server.kill()
        // Between choosing a free port and listening on it somebody else may have taken it.
        const taken = /address (already )?in use|EADDRINUSE/i.test(server.log())
        if (!taken || tries === 5) throw server.explain(error)
      }
    }
  }

  constructor (options) {
    super()
    this.setMaxListeners(0)
    this.options = options
    this.port = options.port
    this.lines = []
    this.exit = null
  }

  get host () { return `127.0.0.1:${this.port}` }
  get http () { return `http://${this.host}` }
  get ws () { return `ws://${this.host}${WS_PREFIX}` }
  get hocuspocus () { return `ws://${this.host}/hocuspocus` }
  get pid () { return this.child.pid }

  async #launch () {
    const { store, args, env, auth, bin, through } = this.options
    const fixed = ['serve', '--listen', this.host, '--database-url', store.url, ...auth]
    this.exit = null
    this.isStopped = false
    const [program, ...words] = [...through, bin, ...fixed, ...args]
    // What is not about rates may ask as often as it likes.
    const rates = { ROUNDTABLE_MAX_REQUESTS: '0', ROUNDTABLE_MAX_POLLS: '0', ROUNDTABLE_MAX_AUTH_FAILURES: '0' }
    const state = { STATE_DIRECTORY: store.folder, ...rates }
    this.child = spawn(program, words, { env: clean({ ...state, ...env }), stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(this.child)
    const child = this.child
    for (const stream of [child.stdout, child.stderr]) this.#listen(stream)
    child.on('close', (code, signal) => {
      running.delete(child)
      this.exit = { code, signal }
      this.emit('exit', this.exit)
    })
    await poll(`GET ${this.http}/readyz to answer 200`, async () => {
      if (this.exit) throw new Error(`the server ended before it was ready: ${JSON.stringify(this.exit)}`)
      const status = await fetch(`${this.http}/readyz`).then((r) => r.status, (e) => String(e.cause ?? e))
      return { ok: status === 200, status }
    }, { withinMs: 60_000 })
  }

  #listen (stream) {
    let rest = ''
    stream.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()
      this.lines.push(...lines)
      this.emit('line')
      if (this.lines.length > 20_000) this.lines.splice(0, 10_000)
    })
    stream.on('end', () => { if (rest) this.lines.push(rest) })
  }

  /** Starts again on the same port and store, with other arguments if given. */
  async restart ({ args = this.options.args, bin = this.options.bin } = {}) {
    this.options = { ...this.options, args, bin }
    this.lines.push(`--- started again with: ${args.join(' ')}`)
    await this.#launch().catch((error) => { throw this.explain(error) })
  }

  /** SIGTERM, or another signal that asks for an end; resolves with `{ code, signal }`. */
  async stop ({ signal = 'SIGTERM', withinMs = 60_000 } = {}) {
    return this.#end(signal, withinMs)
  }

  /** kill -9. */
  async kill () {
    return this.#end('SIGKILL', 10_000)
  }

  async #end (signal, withinMs) {
    if (!this.child || this.exit) return this.exit
    const gone = once(this, 'exit')
    this.isStopped = true
    this.child.kill(signal)
    await within(`the server to end after ${signal}`, gone, { withinMs }).catch((e) => { throw this.explain(e) })
    return this.exit
  }

  /** The whole log so far. */
  log () { return this.lines.join('\n') }

  /** The same error, with the end of the server's log under it. */
  explain (error) {
    const tail = this.lines.slice(-LOG_LINES).map((line) => `    ${line}`).join('\n')
    const state = this.exit ? `ended: ${JSON.stringify(this.exit)}` : 'running'
    const text = `\n--- server (${this.options.store.kind}, ${state}), last lines of its log:\n${tail}\n---`
    if (!(error instanceof Error)) return new Error(`${error}${text}`)
    error.message += text
    error.stack = `${error.stack}${text}`
    return error
  }

  /** Resident memory in bytes, from the system. */
  residentBytes () {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)[1]) * 1024
  }

  /** How many descriptors the process has open. */
  descriptors () { return readdirSync(`/proc/${this.pid}/fd`).length }

  /** A metric, summed over its labels. */
  async metric (name) {
    const { bytes } = await this.request('GET', '/metrics')
    const lines = Buffer.from(bytes).toString().split('\n')
    const values = lines.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    return values.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' '))), 0)
  }

  /** Stops it as it stands; resolves when none of its threads runs any more. */
  async freeze () {
    this.child.kill('SIGSTOP')
    const tasks = `/proc/${this.pid}/task`
    await poll('every thread to be stopped', () => {
      const states = readdirSync(tasks).map((id) => /\) (\S)/.exec(readFileSync(`${tasks}/${id}/stat`, 'utf8'))[1])
      return { ok: states.every((state) => state === 'T'), states }
    }, { everyMs: 1 })
  }

  /** Lets it go on. */
  thaw () { this.child.kill('SIGCONT') }

  /** One HTTP request; the body is read as JSON, or as bytes. */
  async request (method, path, { token, headers = {}, body } = {}) {
    const auth = token ? { authorization: `Bearer ${token}` } : {}
    const reply = await fetch(`${this.http}${path}`, { method, headers: { ...auth, ...headers }, body }).catch((error) => {
      throw new Error(`${method} ${path} was not answered: ${error.cause ?? error}`)
    })
    const bytes = new Uint8Array(await reply.arrayBuffer())
    const type = reply.headers.get('content-type') ?? ''
    const json = /json/.test(type) ? JSON.parse(Buffer.from(bytes).toString('utf8') || 'null') : undefined
    return { status: reply.status, headers: reply.headers, type, bytes, json }
  }

  /** `GET /api/v1/rooms/{room}{rest}` and the like. */
  room (room, rest = '', options = {}) {
    const { method = 'GET', ...others } = options
    return this.request(method, `/api/v1/rooms/${encodeURIComponent(room)}${rest}`, others)
  }

  /** Runs `roundtable check` over the store; throws with its words when it finds a difference. */
  async check () {
    const result = await run(['check', '--database-url', this.options.store.url], { withinMs: 300_000 })
    if (result.code !== 0) {
      throw this.explain(new Error(
        `expected: roundtable check to end with 0\nseen: ${result.code ?? result.signal}\n` +
        `${result.stdout.slice(-4000)}\n${result.stderr.slice(-4000)}`
      ))
    }
  }
}

const running = new Set()
process.on('exit', () => { for (const child of running) child.kill('SIGKILL') })

// A setting of the person's own shell is not part of the test.
function clean (env) {
  const own = Object.entries(process.env).filter(([name]) =>
    !/^(ROUNDTABLE_(?!TEST|BIN|WS_PREFIX)|DATABASE_URL|REDIS_URL|RUST_LOG)/.test(name))
  return { ...Object.fromEntries(own), RUST_BACKTRACE: '1', ...env }
}

async function freePort () {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}
