// Owns the size budget: what an application pays for the core, without yjs, after gzip.
import { build } from 'esbuild'
import { gzipSync } from 'node:zlib'

const BUDGETS = [
  { door: 'the core', entry: 'dist/index.js', kilobytes: 30 },
  { door: 'the core with React', entry: 'dist/react/index.js', kilobytes: 35 },
  { door: 'http', entry: 'dist/http/index.js', kilobytes: 5 }
]

let isOver = false
for (const { door, entry, kilobytes } of BUDGETS) {
  const { outputFiles: [file] } = await build({
    entryPoints: [entry], bundle: true, minify: true, format: 'esm', write: false,
    external: ['yjs', 'react', 'react/jsx-runtime'], platform: 'browser', target: 'es2022'
  })
  const bytes = gzipSync(file.contents, { level: 9 }).length
  const share = Math.round(bytes / (kilobytes * 10.24))
  console.log(`${door}: ${bytes} bytes after gzip, ${share} % of its ${kilobytes} KB`)
  isOver ||= bytes > kilobytes * 1024
}
if (isOver) {
  console.error('size: over budget')
  process.exit(1)
}
