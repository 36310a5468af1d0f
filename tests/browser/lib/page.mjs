// Owns the page under test: built once from the client's sources, served from its own origin.
import { build } from 'esbuild'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writer } from '../../interop/lib/token.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))
/** The package under test. */
export const CLIENT = resolve(HERE, '../../../clients/typescript')
const PAGE = join(HERE, '../page')

const HTML = '<!doctype html><meta charset="utf-8"><title>tasks</title><body><script src="/app.js" defer></script>'

/** The doors of the package, from its sources; what it stands on is its own. */
export const ALIAS = {
  ...Object.fromEntries(['react', 'http', 'testing'].map((door) =>
    [`@roundtable/client/${door}`, join(CLIENT, `src/${door}/index.ts`)])),
  '@roundtable/client': join(CLIENT, 'src/index.ts')
}
export const NODE_PATHS = [join(CLIENT, 'node_modules')]

/** The client as a script in Node has it. */
export async function importClient (contents) {
  const { outputFiles: [file] } = await build({
    stdin: { contents, resolveDir: HERE },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    alias: ALIAS,
    nodePaths: NODE_PATHS
  })
  return import(`data:text/javascript;base64,${Buffer.from(file.contents).toString('base64')}`)
}

let bundle

/** The page as one script. */
function script () {
  bundle ??= build({
    entryPoints: [join(PAGE, 'app.tsx')],
    bundle: true,
    write: false,
    format: 'iife',
    jsx: 'automatic',
    sourcemap: 'inline',
    nodePaths: NODE_PATHS,
    alias: ALIAS
  }).then(({ outputFiles: [file] }) => file.contents)
  return bundle
}

/** Serves the page and fresh tokens; `tokenSeconds` is how long those live. */
export async function servePage ({ tokenSeconds = 3600 } = {}) {
  const files = new Map([
    ['/', ['text/html', HTML]],
    ['/app.js', ['text/javascript', await script()]],
    ['/worker.js', ['text/javascript', readFileSync(join(PAGE, 'worker.js'))]]
  ])
  const server = createServer((from, to) => {
    const url = new URL(from.url, 'http://page')
    const [type, body] = url.pathname === '/token'
      ? ['text/plain', writer(url.searchParams.get('user'), { seconds: tokenSeconds })]
      : files.get(url.pathname) ?? []
    to.writeHead(body ? 200 : 404, { 'content-type': type ?? 'text/plain', 'cache-control': 'no-store' })
    to.end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  server.unref()
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() }
}
