// Owns where a server under test keeps its rooms: a temporary SQLite file, or a database of its own in Postgres.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'

/** Both stores, or those named in ROUNDTABLE_TEST_STORES while one is being worked on. */
export const STORES = (process.env.ROUNDTABLE_TEST_STORES ?? 'sqlite,postgres').split(',')

const left = []

/**
 * Opens a new, empty store of a kind: `{ kind, url, folder, drop() }`. `under` is where its folder is made, `base` the
 * URL of the Postgres server, where they are not the usual ones.
 */
export async function openStore (kind, { under = tmpdir(), base = process.env.ROUNDTABLE_TEST_POSTGRES } = {}) {
  if (kind === 'sqlite') return openSqlite(under)
  if (kind === 'postgres') return openPostgres(base)
  throw new Error(`there is no store "${kind}": ROUNDTABLE_TEST_STORES may name sqlite and postgres`)
}

function openSqlite (under) {
  const folder = mkdtempSync(join(under, 'roundtable-interop-'))
  const drop = async () => rmSync(folder, { recursive: true, force: true })
  left.push(() => rmSync(folder, { recursive: true, force: true }))
  return { kind: 'sqlite', url: `sqlite://${join(folder, 'roundtable.db')}`, folder, drop }
}

async function openPostgres (base) {
  if (!base) {
    throw new Error(
      'ROUNDTABLE_TEST_POSTGRES is not set: `make test` sets it by running the tests under ' +
      'scripts/with-postgres.sh, and so does `scripts/with-postgres.sh node --test ...`'
    )
  }
  const name = `interop_${process.pid}_${Math.random().toString(36).slice(2, 10)}`
  await administer(base, `CREATE DATABASE ${name}`)
  const url = new URL(base)
  url.pathname = `/${name}`
  const folder = mkdtempSync(join(tmpdir(), 'roundtable-interop-'))
  left.push(() => rmSync(folder, { recursive: true, force: true }))
  const drop = async () => {
    rmSync(folder, { recursive: true, force: true })
    await administer(base, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
  }
  return { kind: 'postgres', url: url.href, folder, drop }
}

async function administer (url, statement) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

process.on('exit', () => {
  for (const remove of left) {
    try { remove() } catch { /* the system's own cleaning of its temporary folder is the second chance */ }
  }
})
