// Shows that what the README says to paste does what it says.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as Y from 'yjs'
import { onEachStore } from './lib/stage.mjs'

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')

/** The lines to paste after a face's name. */
function pasted (face) {
  const after = README.slice(README.indexOf(`\n**${face}**`) + 1)
  const lines = after.slice(after.indexOf('\n    ') + 1).split('\n')
  return lines.slice(0, lines.findIndex((line) => !line.startsWith('    '))).map((line) => line.slice(4))
}

/** Runs them as a shell would, with the server's address; curl says nothing beside the answers. */
async function paste (scene, face) {
  const lines = pasted(face)
  // A comment behind a command is arguments to it in zsh.
  for (const line of lines) assert.ok(!/(^|\s)#/.test(line), line)
  const script = lines.join('\n').replaceAll('http://127.0.0.1:8080', scene.server.http)
  assert.match(script, new RegExp(`${scene.server.http}/api/v1/rooms/`))
  const folder = mkdtempSync(join(tmpdir(), 'roundtable-readme-'))
  scene.later(() => rmSync(folder, { recursive: true }))
  const quiet = 'curl() { command curl --silent --show-error "$@"; echo; }\n'
  const { stdout, stderr } = await promisify(execFile)('bash', ['-c', quiet + script], { cwd: folder })
  return { folder, answers: stdout.split('\n').filter(Boolean), stderr }
}

onEachStore('what the README shows', (check) => {
  check('the lines for records are answered as they say', async (scene) => {
    await scene.serve({ auth: ['--dev'] })
    const { answers, stderr } = await paste(scene, 'Records')
    const [made, changed, late, pushed, listed, changes, ...events] = answers
    assert.deepEqual(JSON.parse(made).fields, { title: 'Buy milk', n: 1 })
    assert.deepEqual(JSON.parse(changed).fields, { title: 'Buy milk', n: 2 })
    const { status, code, record } = JSON.parse(late)
    assert.deepEqual([status, code, record.fields.n], [409, 'conflict', 2])
    assert.deepEqual(JSON.parse(pushed).results.map((it) => it.status), ['applied', 'applied'])
    assert.deepEqual(JSON.parse(listed).records.map((it) => [it.recordId, it.fields.n]), [['milk', 7]])
    assert.equal(JSON.parse(changes).events.length, 4)
    const told = events.filter((line) => line.startsWith('data:')).map((line) => JSON.parse(line.slice(5)))
    assert.equal(told.flatMap((it) => it.events ?? []).length, 4)
    assert.match(stderr, /^curl: \(28\) [^\n]*\n$/, 'the stream alone ends by its time')
  })

  check('the lines for the document are answered', async (scene) => {
    await scene.serve({ auth: ['--dev'] })
    const ada = await scene.client('my-room', { token: null }).synced()
    ada.doc.getMap('tasks').set('t1', new Y.Map([['title', 'Buy milk']]))
    await scene.server.room('my-room', '/changes?since=0&wait=30')
    const { folder, answers, stderr } = await paste(scene, 'HTTP')
    const [document, changes] = answers.map((line) => JSON.parse(line))
    assert.deepEqual([document, changes.events.length], [{ tasks: { t1: { title: 'Buy milk' } } }, 1])
    assert.ok(readFileSync(join(folder, 'my-room.bin')).length > 0)
    assert.ok(readFileSync(join(folder, 'reply.bin')).length > 0)
    assert.equal(stderr, '')
  })
}, { stores: ['sqlite'], own: true })
