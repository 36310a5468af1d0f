// Owns a Postgres server of a scenario's own, which may be stopped and filled without hurting anybody else's.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { dirname, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { within } from '../../interop/lib/wait.mjs'

const SCRIPT = resolve(dirname(fileURLToPath(import.meta.url)), '../../../scripts/with-postgres.sh')

/** Says where it is, and lives until its input ends. */
const COMMAND = 'echo "$ROUNDTABLE_TEST_POSTGRES $ROUNDTABLE_TEST_POSTGRES_CTL"; cat >/dev/null'

const run = promisify(execFile)

export class Cluster {
  /** `folder` is where its files go, readable by everybody. */
  static async open ({ folder = tmpdir() } = {}) {
    const child = spawn(SCRIPT, ['sh', '-c', COMMAND], {
      env: { ...process.env, TMPDIR: folder }, stdio: ['pipe', 'pipe', 'inherit']
    })
    const line = once(createInterface({ input: child.stdout }), 'line')
    const ended = once(child, 'exit').then(([code]) => { throw new Error(`with-postgres.sh ended with ${code}`) })
    ended.catch(() => {})
    const [words] = await within('a Postgres server', Promise.race([line, ended]), { withinMs: 120_000 })
    const [url, control] = words.split(' ')
    return new Cluster(child, url, control)
  }

  constructor (child, url, control) {
    this.child = child
    this.url = url
    this.control = control
  }

  get port () { return Number(new URL(this.url).port) }

  stop () { return this.#control('stop') }
  start () { return this.#control('start') }

  async isRunning () {
    return this.#control('status').then(() => true, () => false)
  }

  #control (what) {
    // Its own output would keep a pipe open for as long as the server lives.
    return run('sh', ['-c', '"$0" "$1" >/dev/null 2>&1', this.control, what])
  }

  async close () {
    const gone = once(this.child, 'exit')
    this.child.stdin.end()
    await gone
  }
}
