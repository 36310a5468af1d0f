// Owns the package as it is published: packed, installed outside the tree, compiled against and run.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { Server } from '../interop/lib/server.mjs'
import { openStore } from '../interop/lib/store.mjs'
import { writer } from '../interop/lib/token.mjs'
import { CLIENT } from './lib/page.mjs'

const run = promisify(execFile)
const QUIET = ['--no-audit', '--no-fund', '--loglevel=error']

const APP = `
import { WebSocket } from 'ws'
import { Roundtable, type Room, type Snapshot } from '@roundtable/client'
import { RoundtableHttp, type StoredRecord } from '@roundtable/client/http'
import { RoundtableProvider, SyncIndicator, useRecords } from '@roundtable/client/react'
import { TestServer } from '@roundtable/client/testing'

interface Task { title: string, done?: boolean }
const url = process.env.ROUNDTABLE_URL ?? ''
const token = process.env.ROUNDTABLE_TOKEN ?? ''
const client = new Roundtable({ url, token, WebSocket: WebSocket as unknown as typeof globalThis.WebSocket })
const room: Room = client.room('packed')
const tasks = room.records<Task>('tasks')
const id: string = tasks.create({ title: 'Buy milk' })
await room.saved()
const kept: StoredRecord<Task> = await new RoundtableHttp({ url, token }).room('packed').records<Task>('tasks').get(id)
const here: Snapshot<Task> | undefined = tasks.get(id)
// @ts-expect-error a title is a string
export const wrong = (): void => tasks.update(id, { title: 1 })
const server = new TestServer()
const mine = server.client().room('r')
await mine.saved()
console.log(kept.fields.title, here?.title, room.status, mine.status)
console.log([RoundtableProvider, SyncIndicator, useRecords].every((it) => typeof it === 'function'))
process.exit()
`

test('the tarball works in an application outside the tree', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'roundtable-pack-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  await run('npm', ['pack', '--pack-destination', folder, ...QUIET], { cwd: CLIENT })
  const [tarball] = readdirSync(folder)
  assert.match(tarball, /^roundtable-client-.*\.tgz$/)

  const need = createRequire(join(CLIENT, 'package.json'))
  const { devDependencies: versions } = need('./package.json')
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', private: true }))
  await run('npm', ['install', `./${tarball}`, `yjs@${versions.yjs}`, `react@${versions.react}`, ...QUIET], { cwd: folder })
  // What only this test needs, an application would have itself.
  const interop = createRequire(new URL('../interop/package.json', import.meta.url))
  symlinkSync(dirname(interop.resolve('ws')), join(folder, 'node_modules/ws'))
  for (const types of ['@types/react', '@types/node', 'csstype', 'undici-types']) {
    const from = join(CLIENT, 'node_modules', types)
    if (types.includes('/')) await run('mkdir', ['-p', join(folder, 'node_modules', dirname(types))])
    symlinkSync(from, join(folder, 'node_modules', types))
  }
  writeFileSync(join(folder, 'ws.d.ts'), `declare module 'ws' { export const WebSocket: unknown }`)
  writeFileSync(join(folder, 'app.ts'), APP)
  await run(process.execPath, [
    need.resolve('typescript/bin/tsc'), '--strict', '--target', 'es2022', '--module', 'nodenext', '--lib',
    'es2023,dom', '--types', 'node', 'app.ts', 'ws.d.ts'
  ], { cwd: folder }).catch(({ stdout }) => assert.fail(stdout))

  const store = await openStore('sqlite')
  t.after(() => store.drop())
  const server = await Server.start({ store })
  t.after(() => server.stop())
  const { stdout } = await run(process.execPath, ['app.js'], {
    cwd: folder,
    env: { ...process.env, ROUNDTABLE_URL: server.http, ROUNDTABLE_TOKEN: writer('ada') },
    timeout: 60_000
  }).catch(({ stdout, stderr }) => assert.fail(`${stdout}\n${stderr}`))
  assert.equal(stdout, 'Buy milk Buy milk saved saved\ntrue\n')
})
