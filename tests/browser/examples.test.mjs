// Owns the examples of the client: each runs as it is shown, and prints what it says it prints.
import assert from 'node:assert/strict'
import { build } from 'esbuild'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, after, test } from 'node:test'
import { promisify } from 'node:util'
import { Server } from '../interop/lib/server.mjs'
import { openStore } from '../interop/lib/store.mjs'
import { writer } from '../interop/lib/token.mjs'
import { ALIAS, CLIENT, NODE_PATHS } from './lib/page.mjs'

const EXAMPLES = join(CLIENT, 'examples')
const README = readFileSync(join(CLIENT, 'README.md'), 'utf8')
const ws = createRequire(new URL('../interop/package.json', import.meta.url)).resolve('ws')

/** Those that need somebody to be somebody. */
const WITH_TOKEN = new Set(['conflicts.ts', 'inbox.ts', 'token.ts'])

const servers = {}
const folder = mkdtempSync(join(tmpdir(), 'roundtable-examples-'))
const stores = []

before(async () => {
  for (const [name, auth] of [['open', ['--dev']], ['closed', undefined]]) {
    const store = await openStore('sqlite')
    stores.push(store)
    servers[name] = await Server.start({ store, ...(auth ? { auth } : {}) })
  }
})

after(async () => {
  for (const server of Object.values(servers)) await server.stop()
  for (const store of stores) await store.drop()
  rmSync(folder, { recursive: true, force: true })
})

for (const name of readdirSync(EXAMPLES)) {
  const source = readFileSync(join(EXAMPLES, name), 'utf8')

  test(`the README shows ${name} as it is`, () => {
    const shown = source.replace(/\n(\/\/ .*\n)+$/, '')
    assert.ok(README.includes(shown.trim()), `README.md does not have examples/${name}`)
  })

  if (name.endsWith('.tsx')) continue
  test(`${name} prints what it says`, async () => {
    const expected = /\n((?:\/\/ .*\n)+)$/.exec(source)[1].replace(/^\/\/ /gm, '')
    const outfile = join(folder, name.replace('.ts', '.mjs'))
    await build({
      entryPoints: [join(EXAMPLES, name)],
      bundle: true,
      platform: 'node',
      format: 'esm',
      outfile,
      alias: ALIAS,
      nodePaths: NODE_PATHS,
      // Node has a WebSocket of its own from version 22 on.
      banner: {
        js: `import { createRequire } from 'node:module'
globalThis.WebSocket ??= createRequire(import.meta.url)(${JSON.stringify(ws)})`
      }
    })
    const server = WITH_TOKEN.has(name) ? servers.closed : servers.open
    const token = WITH_TOKEN.has(name) ? writer('ada', { name: 'Ada' }) : ''
    const { stdout } = await promisify(execFile)(process.execPath, [outfile], {
      env: { ...process.env, ROUNDTABLE_URL: server.http, ROUNDTABLE_TOKEN: token, NO_COLOR: '1' },
      timeout: 30_000
    })
    assert.equal(stdout, expected)
  })
}
