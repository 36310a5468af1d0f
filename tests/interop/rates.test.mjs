// How often one may ask.
import assert from 'node:assert/strict'
import { Raw } from './lib/raw.mjs'
import { onEachStore } from './lib/stage.mjs'
import { admin, epochSeconds, sign, writer } from './lib/token.mjs'

const ROOMS = '/api/v1/rooms/r'

onEachStore('rates', (check) => {
  check('RL6 who asks too often is answered with 429 and when to come back; others are not', async (scene) => {
    await scene.serve({ env: { ROUNDTABLE_MAX_REQUESTS: '3' } })
    const ask = (token, path = ROOMS) => scene.server.request('GET', path, { token })
    for (const token of [writer('ada'), admin('chief')]) {
      for (const left of [2, 1, 0]) {
        const { status, headers } = await ask(token)
        assert.equal(status, 200)
        assert.equal(headers.get('ratelimit-policy'), '"requests";q=3;w=900')
        assert.match(headers.get('ratelimit'), new RegExp(`^"requests";r=${left};t=\\d+$`))
      }
      const { status, headers, json } = await ask(token)
      assert.equal(status, 429)
      assert.equal(json.code, 'too_many_requests')
      assert.match(headers.get('ratelimit'), /^"requests";r=0;t=\d+$/)
      const seconds = Number(headers.get('retry-after'))
      assert.ok(seconds > 0 && seconds <= 900, `${seconds}`)
    }
    assert.equal((await ask(writer('bob'))).status, 200)
    // Another token of the same user is no other user.
    assert.equal((await ask(writer('ada', { seconds: 7200 }))).status, 429)
    // Sockets are limited by what they do.
    await scene.client('r', { token: writer('ada') }).synced()
  })

  check('RL7 bad tokens are counted by address; good ones are let in from there', async (scene) => {
    await scene.serve({ env: { ROUNDTABLE_MAX_AUTH_FAILURES: '3' } })
    const forged = sign({ sub: 'eve', exp: epochSeconds(60) }, { secret: 'another secret of thirty-two bytes or more' })
    const ask = (token) => scene.server.request('GET', ROOMS, { token })
    assert.equal((await ask(forged)).status, 401)
    assert.equal((await Raw.upgrade({ base: scene.server.ws, room: 'r', token: forged })).status, 401)
    assert.equal((await ask(undefined)).status, 401)
    const { status, headers, json } = await ask(forged)
    assert.equal(status, 429)
    assert.equal(json.code, 'too_many_requests')
    assert.ok(Number(headers.get('retry-after')) <= 60)
    assert.equal((await Raw.upgrade({ base: scene.server.ws, room: 'r', token: forged })).status, 429)
    assert.equal((await ask(writer())).status, 200)
    assert.equal((await ask(writer('ada', { seconds: -60 }))).status, 401, 'it was good once')
  })

  check('RL8 polls and waiting requests do not lock out the others', async (scene) => {
    await scene.serve({ env: { ROUNDTABLE_MAX_REQUESTS: '2', ROUNDTABLE_MAX_POLLS: '4' } })
    const token = writer('ada')
    const ask = (path) => scene.server.request('GET', path, { token })
    const paths = ['/api/v1/sync/poll?since=0', `${ROOMS}/changes?wait=1`, '/api/v1/sync/poll', '/api/v1/sync/poll']
    for (const path of paths) {
      const { status, headers } = await ask(path)
      assert.equal(status, 200)
      assert.equal(headers.get('ratelimit-policy'), '"polls";q=4;w=900')
    }
    assert.equal((await ask(paths[0])).status, 429)
    for (const status of [200, 200, 429]) assert.equal((await ask(ROOMS)).status, status)
  })
}, { own: true })
