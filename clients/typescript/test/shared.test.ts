import { expect, test } from 'vitest'
import { BACKOFF } from '../src/connection/backoff.js'
import { Emitter } from '../src/emitter.js'
import type { TabChannel, TabMessage } from '../src/tabs/channel.js'
import { SharedConnection } from '../src/tabs/shared.js'
import { update } from '../src/wire/hocuspocus.js'

/** A socket whose far side is the test. */
class FakeSocket extends EventTarget {
  static all: FakeSocket[] = []
  binaryType = ''
  sent: Uint8Array[] = []
  constructor() {
    super()
    FakeSocket.all.push(this)
  }

  send(frame: Uint8Array): void { this.sent.push(frame) }
  close(): void {}
}

/** Locks of one name go to one after the other. */
class FakeLocks {
  #last = new Map<string, Promise<unknown>>()

  request(name: string, options: { signal?: AbortSignal }, act: () => Promise<void> | void): Promise<void> {
    const before = this.#last.get(name) ?? Promise.resolve()
    const held = before.then(() => options.signal?.aborted ? undefined : act())
    this.#last.set(name, held)
    return held
  }
}

/** Two tabs; what the second says arrives when the test lets it. */
function open(): { leader: SharedConnection, follower: SharedConnection, arrive: () => void } {
  const said: TabMessage[] = []
  const locks = new FakeLocks() as unknown as LockManager
  const toLeader = new Emitter<{ message: TabMessage }>()
  const toFollower = new Emitter<{ message: TabMessage }>()
  const tab = (
    name: string, events: typeof toLeader, tell: (message: TabMessage) => void
  ): SharedConnection => new SharedConnection({
    url: 'ws://test/hocuspocus', WebSocket: FakeSocket as unknown as typeof WebSocket,
    backoff: BACKOFF, isRenewable: () => false, scope: 's', tab: name, locks,
    channel: { events, tell } as unknown as TabChannel
  })
  return {
    leader: tab('a', toLeader, (message) => toFollower.emit('message', message)),
    follower: tab('b', toFollower, (message) => said.push(message)),
    arrive: () => { for (const message of said.splice(0)) toLeader.emit('message', message) }
  }
}

const settled = (): Promise<void> => new Promise((resolve) => { setTimeout(resolve) })

test('the leader hears that another tab ended', async () => {
  const { leader, follower, arrive } = open()
  let ended = 0
  leader.events.on('left', () => { ended++ })
  leader.start()
  await settled()
  follower.start()
  await settled()
  arrive()
  await settled()
  expect(ended).toBe(0)
  follower.stop()
  await settled()
  expect(ended).toBe(1)
})

test('what a tab said in one conversation is not heard in the next', async () => {
  FakeSocket.all = []
  const { leader, follower, arrive } = open()
  leader.start()
  await settled()
  follower.start()
  await settled()
  arrive()
  const frame = (byte: number): Uint8Array => update('r\0b', new Uint8Array([byte]))
  const [first] = FakeSocket.all
  first?.dispatchEvent(new Event('open'))
  follower.send(frame(1))
  arrive()
  follower.send(frame(2))

  // Lost and found again before the leader hears the second.
  first?.dispatchEvent(Object.assign(new Event('close'), { code: 1006, reason: '' }))
  leader.wake()
  const [, second] = FakeSocket.all
  second?.dispatchEvent(new Event('open'))
  expect(follower.isOpen).toBe(true)
  follower.send(frame(3))
  arrive()
  expect(first?.sent).toEqual([frame(1)])
  expect(second?.sent).toEqual([frame(3)])
})
