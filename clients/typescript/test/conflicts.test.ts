import 'fake-indexeddb/auto'
import { afterEach, expect, test, vi } from 'vitest'
import * as Y from 'yjs'
import { Conflicts } from '../src/conflicts/conflicts.js'
import type { Context } from '../src/context.js'
import { Mirror } from '../src/mirror.js'
import type { Outbox } from '../src/outbox.js'
import { IndexedDbStorage } from '../src/storage/indexeddb.js'
import { TabChannel } from '../src/tabs/channel.js'
import { TokenSource } from '../src/token.js'

const closing: (() => void)[] = []
afterEach(() => { for (const close of closing.splice(0)) close() })

/** A room's conflicts in one more tab of a device, and what was told of them. */
function tab(device: string, log: () => string[]) {
  const listed = (): object[] => log().map((id) => ({
    id, collection: 'tasks', recordId: 't', field: 'title', mine: 'a', theirs: 'b', userId: 'eve',
    timestamp: '2026-11-21T11:22:23.649Z'
  }))
  const fetch = (): Promise<Response> =>
    Promise.resolve(new Response(JSON.stringify({ conflicts: listed() })))
  const storage = new IndexedDbStorage(device)
  const channel = new TabChannel(device)
  const context = {
    storage, channel, tokens: new TokenSource('', () => {}),
    http: { base: 'http://test', fetch, token: () => '' }
  } as unknown as Context
  const doc = new Y.Doc()
  const mirror = new Mirror(doc, () => true, () => false)
  const host = { name: 'r', doc, status: 'connecting' as const, on: () => () => {} }
  const conflicts = new Conflicts(host, {} as Outbox, mirror, context)
  const told: string[] = []
  conflicts.on(({ id }) => told.push(id))
  closing.push(() => {
    conflicts.stop()
    channel.close()
    storage.close()
  })
  return { conflicts, told, ids: () => conflicts.list().map(({ id }) => id) }
}

test('a conflict of the server that was dismissed stays away, in all tabs and over reloads', async () => {
  const log = (): string[] => ['1', '2', '3']
  const [first, second] = [tab('dismissing', log), tab('dismissing', log)]
  await first.conflicts.refresh()
  await second.conflicts.refresh()
  expect(first.told.splice(0)).toEqual(['1', '2', '3'])
  first.conflicts.list()[0]?.dismiss()
  await vi.waitFor(() => expect(second.ids()).toEqual(['2', '3']))
  second.conflicts.list()[0]?.dismiss()
  await vi.waitFor(() => expect(first.ids()).toEqual(['3']))
  const third = tab('dismissing', log)
  for (const { conflicts, ids } of [first, second, third]) {
    await conflicts.refresh()
    expect(ids()).toEqual(['3'])
  }
  expect(first.told).toEqual([])
})

test('what was dismissed is remembered as long as the server lists it, and with the room', async () => {
  const log = ['1']
  const { conflicts, told } = tab('forgetting', () => log)
  await conflicts.refresh()
  conflicts.list()[0]?.dismiss()
  await conflicts.refresh()
  expect(told).toEqual(['1'])
  log.pop()
  await conflicts.refresh()
  log.push('1')
  await conflicts.refresh()
  expect(told).toEqual(['1', '1'])
  conflicts.list()[0]?.dismiss()
  await conflicts.forget()
  const next = tab('forgetting', () => log)
  await next.conflicts.refresh()
  expect(next.told).toEqual(['1'])
})
