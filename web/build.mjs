// Owns how the page becomes files: one script and one style sheet, named by what is in them, and
// the page that names them. The client comes from its sources; what both stand on is this folder's.
import { build, context } from 'esbuild'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const HERE = dirname(fileURLToPath(import.meta.url))
const CLIENT = resolve(HERE, '../clients/typescript/src')
const DIST = join(HERE, 'dist')
const isWatching = process.argv.includes('--watch')

/** The client's own imports are looked up here, so that there is one yjs and one React. */
const fromHere = {
  name: 'from-here',
  setup: ({ onResolve, resolve }) => {
    onResolve({ filter: /^[^./]/ }, ({ path, importer, kind, pluginData }) => {
      if (!importer.startsWith(CLIENT) || pluginData === fromHere) return undefined
      return resolve(path, { kind, resolveDir: HERE, pluginData: fromHere })
    })
  }
}

/** Writes `index.html` with the names that the files have got. */
const page = {
  name: 'page',
  setup: ({ onEnd }) => {
    onEnd(({ metafile, errors }) => {
      if (errors.length > 0 || !metafile) return
      const names = Object.keys(metafile.outputs).map((path) => path.split('/').at(-1))
      const named = (pattern) => `/assets/${names.find((name) => pattern.test(name))}`
      const html = readFileSync(join(HERE, 'index.html'), 'utf8')
        .replace('{{style}}', named(/^main-.*\.css$/))
        .replace('{{script}}', named(/^main-.*\.js$/))
        .replace('{{icon}}', named(/^icon-.*\.svg$/))
      writeFileSync(join(DIST, 'index.html'), html)
    })
  }
}

const options = {
  absWorkingDir: HERE,
  entryPoints: ['src/main.tsx', 'src/icon.svg'],
  outdir: 'dist/assets',
  entryNames: '[name]-[hash]',
  // The paths of `tsconfig.json` are about types.
  tsconfigRaw: {},
  alias: {
    '@roundtable/client/react': join(CLIENT, 'react/index.ts'),
    '@roundtable/client/http': join(CLIENT, 'http/index.ts'),
    '@roundtable/client': join(CLIENT, 'index.ts')
  },
  bundle: true,
  format: 'esm',
  target: ['es2022', 'chrome111', 'firefox115', 'safari16.4'],
  jsx: 'automatic',
  loader: { '.svg': 'copy' },
  define: { 'process.env.NODE_ENV': '"production"' },
  minify: !isWatching,
  legalComments: 'none',
  metafile: true,
  plugins: [fromHere, page]
}

rmSync(DIST, { recursive: true, force: true })
mkdirSync(DIST, { recursive: true })
if (isWatching) await (await context(options)).watch()
else await build(options)
