// Owns `src/http/openapi.ts`: the types of the HTTP interface as the server itself describes it. Starts the program
// (ROUNDTABLE_BIN, or the one in target/), asks it, and writes; with --check it only compares.
import openapi, { astToString } from 'openapi-typescript'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FILE = fileURLToPath(new URL('../src/http/openapi.ts', import.meta.url))
const HEAD = '// Made by `npm run openapi` from what the server says of itself at /api/v1/openapi.json.\n'

/** The types for a document, as they should be in the file. */
export async function typesOf (document) {
  return HEAD + astToString(await openapi(document, { alphabetize: true }))
}

/** The types as they are in the file. */
export const typesNow = () => readFileSync(FILE, 'utf8')

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const interop = '../../../tests/interop/lib'
  const { Server } = await import(`${interop}/server.mjs`)
  const { openStore } = await import(`${interop}/store.mjs`)
  const store = await openStore('sqlite')
  const server = await Server.start({ store })
  const { json, status } = await server.request('GET', '/api/v1/openapi.json')
  await server.stop()
  await store.drop()
  if (status !== 200) throw new Error(`the server has no OpenAPI document: ${status}`)
  const types = await typesOf(json)
  if (!process.argv.includes('--check')) {
    writeFileSync(FILE, types)
  } else if (types !== typesNow()) {
    console.error('openapi: src/http/openapi.ts is not what the server says: run `npm run openapi`')
    process.exit(1)
  }
}
