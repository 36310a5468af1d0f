// The OpenAPI document, held against what the handlers do.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onEachStore } from './lib/stage.mjs'
import { admin } from './lib/token.mjs'
import { within } from './lib/wait.mjs'

const SCHEMATHESIS = fileURLToPath(new URL('../../.venv/bin/schemathesis', import.meta.url))
const CONFIG = fileURLToPath(new URL('schemathesis.toml', import.meta.url))

/** Requests of each kind and operation; the same every time. */
const EXAMPLES = process.env.ROUNDTABLE_TEST_EXAMPLES ?? '15'
const SEED = process.env.ROUNDTABLE_TEST_SEED ?? '1'

/** Runs schemathesis against a server; resolves to its exit code and all it said. */
async function schemathesis (server) {
  const folder = mkdtempSync(join(tmpdir(), 'roundtable-openapi-'))
  const args = [
    '--config-file', CONFIG, 'run', `${server.http}/api/v1/openapi.json`, '--url', `${server.http}/api/v1`,
    '--header', `Authorization: Bearer ${admin()}`, '--max-examples', EXAMPLES, '--seed', SEED,
    '--generation-database', 'none', '--request-timeout', '30', '--no-color'
  ]
  const child = spawn(SCHEMATHESIS, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { said += text })
  const ended = within('schemathesis to end', once(child, 'close'), { withinMs: 240_000, seen: () => said.slice(-4000) })
  const [code] = await ended.finally(() => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  return { code, said }
}

onEachStore('openapi', (check) => {
  check('HT5 schemathesis finds nothing', async (scene) => {
    await scene.serve({ env: { ROUNDTABLE_MAX_REQUESTS: '1000000', ROUNDTABLE_MAX_AUTH_FAILURES: '1000000' } })
    const { code, said } = await schemathesis(scene.server)
    assert.match(said, /\d+ generated, \d+ passed/, said)
    assert.equal(code, 0, said)
  }, { timeout: 300_000 })

  check('HT3 the document and the page that shows it are for everyone, and ask nobody else for anything', async (scene) => {
    await scene.serve()
    const { status, json } = await scene.server.request('GET', '/api/v1/openapi.json')
    assert.equal(status, 200)
    assert.match(json.openapi, /^3\.1/)
    const page = await scene.server.request('GET', '/api/v1/docs/')
    assert.equal(page.status, 200)
    const html = Buffer.from(page.bytes).toString()
    const sources = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source]) => source)
    assert.ok(sources.length > 3, html)
    for (const source of sources) {
      assert.doesNotMatch(source, /^(?:https?:)?\/\//)
      const { status } = await scene.server.request('GET', new URL(source, 'http://x/api/v1/docs/').pathname)
      assert.equal(status, 200, source)
    }
  })
})
