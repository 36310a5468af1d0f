// Shows that presence is right: who joined, moved and left, under whose name, and after every kind of cut.
import assert from 'node:assert/strict'
import { awareness } from './lib/frames.mjs'
import { onEachStore } from './lib/stage.mjs'
import { writer } from './lib/token.mjs'
import { until } from './lib/wait.mjs'

/** States that claim to be a user, as one client sees them. */
const of = (client, user) => client.others().filter(([, state]) => state?.user?.id === user)

/** Writes down every change of awareness that a client sees: `{ at, added, updated, removed }`. */
function diary (client) {
  const entries = []
  client.awareness.on('change', ({ added, updated, removed }) => {
    entries.push({ at: performance.now(), added, updated, removed })
  })
  return entries
}

/** The earlier of a wait that is about something else than the client's own timers: it forgets others after 30 s. */
const BEFORE_CLIENTS_FORGET = { withinMs: 20_000 }

onEachStore('presence', (check) => {
  check('PR1 who joins and moves is seen by y-websocket and pycrdt clients', async (scene) => {
    const room = scene.room()
    const ada = scene.client(room, { token: writer('ada'), user: { name: 'ada' } })
    const bob = scene.client(room, { token: writer('bob'), user: { name: 'bob' } })
    await Promise.all([ada.synced(), bob.synced()])
    await bob.until('ada', () => of(bob, 'ada').length === 1)
    await ada.until('bob', () => of(ada, 'bob').length === 1)
    const py = await scene.pycrdt(room, { token: writer('py') })
    await py.presence({ cursor: 0 })
    await py.until('ada and bob', () => of(py, 'ada').length === 1 && of(py, 'bob').length === 1)
    for (const client of [ada, bob]) await client.until('py', () => of(client, 'py').length === 1)

    ada.awareness.setLocalStateField('cursor', { recordId: 'r1', x: 7 })
    for (const client of [bob, py]) {
      await client.until('the move of ada', () => of(client, 'ada')[0]?.[1].cursor?.x === 7)
    }
    await py.presence({ cursor: 42 })
    for (const client of [ada, bob]) {
      await client.until('the move of py', () => of(client, 'py')[0]?.[1].cursor === 42)
    }
  })

  check('PR2 the user in a state is the one of the token, whatever the client says', async (scene) => {
    const room = scene.room()
    const token = writer('mallory', { name: 'Mallory M.', color: '#ff0000' })
    const bob = await scene.client(room, { token: writer('bob'), user: { name: 'bob' } }).synced()
    const forged = { id: 'ada', name: 'Ada', color: '#00ff00', avatar: 'https://example.org/ada.png' }
    const mallory = await scene.client(room, { token, user: forged }).synced()
    const py = await scene.pycrdt(room, { token: writer('py', { name: 'Py' }) })
    await py.presence({ user: { id: 'ada', name: 'Ada' } })
    await bob.until('two others', () => bob.others().length === 2)
    const users = Object.fromEntries(bob.others().map(([, state]) => [state.user.id, state.user]))
    assert.deepEqual(Object.keys(users).sort(), ['mallory', 'py'])
    assert.equal(users.mallory.name, 'Mallory M.')
    assert.equal(users.mallory.color, '#ff0000')
    assert.notEqual(users.mallory.avatar, forged.avatar)
    assert.equal(users.py.name, 'Py')
    assert.match(users.py.color, /^(#|hsl|rgb)/, 'a colour is assigned when the token has none')
    mallory.awareness.setLocalStateField('user', { id: 'bob' })
    mallory.awareness.setLocalStateField('cursor', 1)
    await bob.until('the move', () => bob.others().find(([id]) => id === mallory.id)?.[1].cursor === 1)
    assert.deepEqual(of(bob, 'bob'), [])
  })

  check('PR3 nobody can speak for the client of another connection', async (scene) => {
    const room = scene.room()
    const ada = await scene.client(room, { token: writer('ada'), user: { name: 'ada' } }).synced()
    const bob = await scene.client(room, { token: writer('bob'), user: { name: 'bob' } }).synced()
    await bob.until('ada', () => of(bob, 'ada').length === 1)
    const seen = diary(bob)
    const raw = await scene.raw(room, { token: writer('mallory') })
    raw.send(awareness([[ada.id, 1000, { stolen: true }]]))
    raw.send(awareness([[ada.id, 1001, 'null']]))
    raw.send(awareness([[4711, 1, { mine: true }]]))
    await bob.until('mallory under its own id', () => of(bob, 'mallory').some(([id]) => id === 4711))
    assert.deepEqual(of(bob, 'ada').map(([id, state]) => [id, state.stolen]), [[ada.id, undefined]])
    assert.ok(!seen.some(({ removed }) => removed.includes(ada.id)), 'ada was never gone')
    ada.awareness.setLocalStateField('cursor', 5)
    await bob.until('ada to move on', () => of(bob, 'ada')[0]?.[1].cursor === 5)
  })

  check('PR4 a clean leave is told at once, a lost connection lapses later', async (scene) => {
    const room = scene.room()
    const proxy = await scene.proxy()
    const bob = await scene.client(room, { token: writer('bob'), user: { name: 'bob' } }).synced()
    const ada = await scene.client(room, { token: writer('ada'), user: { name: 'ada' }, via: proxy }).synced()
    const cleo = await scene.client(room, { token: writer('cleo'), user: { name: 'cleo' } }).synced()
    const py = await scene.pycrdt(room, { token: writer('py') })
    await bob.until('three others', () => bob.others().length === 3)
    const seen = diary(bob)
    proxy.refuse()
    const cutAt = performance.now()
    proxy.cut()
    await ada.until('ada to know', () => !ada.provider.wsconnected)
    const leftAt = performance.now()
    cleo.leave()
    await bob.until('cleo to be gone', () => of(bob, 'cleo').length === 0, BEFORE_CLIENTS_FORGET)
    scene.figure('clean leave seen after', performance.now() - leftAt)
    assert.equal(of(bob, 'ada').length, 1, 'ada, whose connection was lost before, is still in her grace time')
    await bob.until('ada to lapse', () => of(bob, 'ada').length === 0, BEFORE_CLIENTS_FORGET)
    scene.figure('lost connection lapsed after', performance.now() - cutAt)
    assert.deepEqual(seen.flatMap(({ removed }) => removed), [cleo.id, ada.id])
    assert.equal(of(bob, 'py').length, 1)
    py.destroy()
    await bob.until('the killed pycrdt client to lapse', () => bob.others().length === 0, BEFORE_CLIENTS_FORGET)
  })

  check('PR5 a client that was cut and is back is seen at once, and never twice', async (scene) => {
    const room = scene.room()
    const proxy = await scene.proxy()
    const bob = await scene.client(room, { token: writer('bob'), user: { name: 'bob' } }).synced()
    const ada = await scene.client(room, { token: writer('ada'), user: { name: 'ada' }, via: proxy }).synced()
    await bob.until('ada', () => of(bob, 'ada').length === 1)
    const seen = diary(bob)
    let most = 0
    bob.awareness.on('update', () => { most = Math.max(most, of(bob, 'ada').length) })

    for (let round = 1; round <= 3; round++) {
      const cutAt = performance.now()
      const from = seen.length
      proxy.cut()
      await ada.until('ada to know', () => !ada.provider.wsconnected)
      await ada.synced()
      const backAt = performance.now()
      ada.awareness.setLocalStateField('round', round)
      await bob.until(`ada in round ${round}`, () => of(bob, 'ada')[0]?.[1].round === round, BEFORE_CLIENTS_FORGET)
      const gone = seen.slice(from).some(({ removed }) => removed.includes(ada.id))
      scene.figure(`cut ${round}: seen again after`, performance.now() - backAt)
      scene.figure(`cut ${round}: whole gap (${gone ? 'left in between' : 'never left'})`, performance.now() - cutAt)
      assert.equal(gone, false, 'who is back within the grace time never left')
    }
    assert.equal(most, 1, 'never twice')
  })

  check('PR5 a client that is back after it lapsed is seen at once, without moving', async (scene) => {
    const room = scene.room()
    const proxy = await scene.proxy()
    const bob = await scene.client(room, { token: writer('bob'), user: { name: 'bob' } }).synced()
    const ada = await scene.client(room, { token: writer('ada'), user: { name: 'ada' }, via: proxy }).synced()
    await bob.until('ada', () => of(bob, 'ada').length === 1)
    proxy.refuse()
    proxy.cut()
    await bob.until('ada to lapse', () => of(bob, 'ada').length === 0, BEFORE_CLIENTS_FORGET)
    proxy.accept()
    await ada.synced()
    const backAt = performance.now()
    // y-websocket renews its state every 15 s by itself: the bound is below that.
    await bob.until('ada again', () => of(bob, 'ada').length === 1, { withinMs: 10_000 })
    scene.figure('seen again after a lapse', performance.now() - backAt)
    assert.equal(of(bob, 'ada')[0][0], ada.id)
  })

  check('PR6 after its second cut nobody is left behind as a ghost', async (scene) => {
    const room = scene.room()
    const proxy = await scene.proxy()
    const bob = await scene.client(room, { token: writer('bob'), user: { name: 'bob' } }).synced()
    const ada = await scene.client(room, { token: writer('ada'), user: { name: 'ada' }, via: proxy }).synced()
    await bob.until('ada', () => of(bob, 'ada').length === 1)
    proxy.cut()
    await ada.until('ada to know', () => !ada.provider.wsconnected)
    await ada.synced()
    await bob.until('ada', () => of(bob, 'ada').length === 1)
    proxy.refuse()
    const cutAt = performance.now()
    proxy.cut()
    await bob.until('ada to lapse', () => of(bob, 'ada').length === 0, BEFORE_CLIENTS_FORGET)
    scene.figure('ghost gone after', performance.now() - cutAt)
    const late = await scene.client(room, { token: writer('late'), user: { name: 'late' } }).synced()
    await late.until('bob', () => of(late, 'bob').length === 1)
    assert.deepEqual(of(late, 'ada'), [])
  })

  check('PR7 a client that is back sees all others at once', async (scene) => {
    const room = scene.room()
    const proxy = await scene.proxy()
    const others = ['bob', 'cleo', 'dan'].map((name) =>
      scene.client(room, { token: writer(name), user: { name } }))
    const ada = scene.client(room, { token: writer('ada'), user: { name: 'ada' }, via: proxy })
    await Promise.all([ada, ...others].map((client) => client.synced()))
    await ada.until('three others', () => ada.others().length === 3)
    for (let round = 1; round <= 2; round++) {
      proxy.cut()
      await ada.until('ada to see nobody', () => !ada.provider.wsconnected && ada.others().length === 0)
      await ada.synced()
      const backAt = performance.now()
      // The others renew their states every 15 s by themselves: the bound is below that.
      await ada.until('three others', () => ada.others().length === 3, { withinMs: 8_000 })
      scene.figure(`others seen after cut ${round}`, performance.now() - backAt)
    }
    for (const other of others) {
      other.awareness.setLocalStateField('cursor', 9)
      await ada.until('its move', () => ada.others().find(([id]) => id === other.id)?.[1].cursor === 9)
    }
  })

  check('PR8 a half-open connection lapses, and its client is taken back', async (scene) => {
    const room = scene.room()
    const proxy = await scene.proxy()
    const bob = await scene.client(room, { token: writer('bob'), user: { name: 'bob' } }).synced()
    const ada = await scene.client(room, { token: writer('ada'), user: { name: 'ada' }, via: proxy }).synced()
    await bob.until('ada', () => of(bob, 'ada').length === 1)
    proxy.freeze()
    // Ada's browser notices first and opens another connection while the old one still looks alive to the server.
    ada.provider.ws.terminate()
    await ada.until('ada to know', () => !ada.provider.wsconnected)
    await ada.synced()
    ada.awareness.setLocalStateField('back', true)
    await bob.until('ada over her second connection', () => of(bob, 'ada')[0]?.[1].back === true, BEFORE_CLIENTS_FORGET)
    assert.equal(of(bob, 'ada').length, 1)
    // The late end of the first connection is not the end of the second one's presence.
    const seen = diary(bob)
    for (const { server } of proxy.pairs) if (server.isPaused()) server.resetAndDestroy()
    const cleo = await scene.client(room, { token: writer('cleo'), user: { name: 'cleo' } }).synced()
    await bob.until('cleo', () => of(bob, 'cleo').length === 1)
    cleo.leave()
    await bob.until('cleo to be gone', () => of(bob, 'cleo').length === 0, BEFORE_CLIENTS_FORGET)
    assert.ok(!seen.some(({ removed }) => removed.includes(ada.id)), 'ada never left')
  })

  check('PR9 an old or repeated clock is dropped: no echo storm', async (scene) => {
    const room = scene.room()
    const bob = await scene.raw(room, { token: writer('bob') })
    const ada = await scene.raw(room, { token: writer('ada') })
    ada.send(awareness([[77, 5, { n: 5 }]]))
    await bob.frame('the first state', (f) => has(f, 77, (state) => state?.n === 5))
    for (let i = 0; i < 100; i++) ada.send(awareness([[77, 5, { n: 6 }]]))
    for (let i = 0; i < 100; i++) ada.send(awareness([[77, 3, { n: 7 }]]))
    ada.send(awareness([[77, 6, { n: 8 }]]))
    await bob.frame('the next state', (f) => has(f, 77, (state) => state?.n === 8))
    assert.ok(!bob.frames.some((f) => has(f, 77, (state) => state?.n === 6 || state?.n === 7)))
    ada.send(awareness([[77, 6, 'null']]))
    await bob.frame('a clean leave at the same clock', (f) => has(f, 77, (state) => state === null))
  })

  check('PR10 a burst of moves ends in the last one, with at most as many messages', async (scene) => {
    const room = scene.room()
    const bob = await scene.raw(room, { token: writer('bob') })
    const ada = await scene.raw(room, { token: writer('ada') })
    await bob.handled()
    const moves = 2000
    for (let n = 1; n <= moves; n++) ada.send(awareness([[88, n, { n }]]))
    await bob.frame('the last move', (f) => has(f, 88, (state) => state?.n === moves))
    const told = bob.frames.filter((f) => has(f, 88, () => true))
    scene.figure(`messages for ${moves} moves`, told.length, 'messages')
    const order = told.map((f) => f.states.find((s) => s.clientId === 88).state.n)
    assert.deepEqual(order, [...order].sort((a, b) => a - b), 'never backwards')
    assert.equal(ada.closed, null, 'a burst of moves is not a reason to close')
  })

  check('PR11 queryAwareness is answered with everyone', async (scene) => {
    const room = scene.room()
    const ada = await scene.client(room, { token: writer('ada'), user: { name: 'ada' } }).synced()
    const raw = await scene.raw(room, { token: writer('bob') })
    await raw.frame('ada on joining', (f) => has(f, ada.id, (state) => state?.user.id === 'ada'))
    raw.frames.length = 0
    raw.send(Uint8Array.of(3))
    await raw.frame('ada on asking', (f) => has(f, ada.id, (state) => state?.user.id === 'ada'))
  })

  // JavaScript clients ignore clock 0 from somebody they do not know.
  check('PR12 a first state with clock 0 is told with a clock that clients take', async (scene) => {
    const room = scene.room()
    const bob = await scene.client(room, { token: writer('bob'), user: { name: 'bob' } }).synced()
    const raw = await scene.raw(room, { token: writer('ada') })
    raw.send(awareness([[99, 0, { first: true }]]))
    await until('the state of clock 0', () => bob.others().some(([id]) => id === 99), {
      on: [[bob.awareness, 'change']], seen: () => bob.others(), withinMs: 10_000
    })
  })
})

const has = (frame, clientId, look) =>
  frame.type === 1 && frame.states.some((s) => s.clientId === clientId && look(s.state))
