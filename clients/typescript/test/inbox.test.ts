import 'fake-indexeddb/auto'
import { expect, test, vi } from 'vitest'
import type { Context } from '../src/context.js'
import { Emitter } from '../src/emitter.js'
import type { Feed } from '../src/feed.js'
import { Inbox } from '../src/inbox.js'
import { IndexedDbStorage } from '../src/storage/indexeddb.js'
import { NoStorage, type Storage } from '../src/storage/storage.js'

/** A server that keeps messages; the clock goes on with each. */
class Server {
  #sent: { id: string, type: string, payload: null, timestamp: number }[] = []

  send(id: string): void {
    this.#sent.push({ id, type: 'note', payload: null, timestamp: this.#sent.length + 1 })
  }

  /** A tab that listens, and what it heard. */
  tab(storage: Storage): { inbox: Inbox, heard: string[] } {
    const fetch = (input: string): Promise<Response> => {
      const since = Number(new URL(input).searchParams.get('since'))
      const messages = this.#sent.filter(({ timestamp }) => timestamp > since)
      return Promise.resolve(new Response(JSON.stringify({ messages, timestamp: this.#sent.length })))
    }
    const http = { base: 'http://test', fetch, token: () => '' }
    const feed = { inbox: new Emitter(), open: () => {} } as unknown as Feed
    const inbox = new Inbox({ http, storage } as unknown as Context, feed)
    const heard: string[] = []
    inbox.subscribe(({ id }) => heard.push(id))
    return { inbox, heard }
  }
}

test('every tab that polls hears every message; the next page begins where the last one ended', async () => {
  const server = new Server()
  const storage = new IndexedDbStorage('inbox')
  server.send('before')
  const [one, other] = [server.tab(storage), server.tab(storage)]
  for (let at = 0; at < 6; at++) {
    server.send(String(at))
    await [one, other][at % 2]?.inbox.poll()
  }
  await one.inbox.poll()
  for (const { heard } of [one, other]) expect(heard).toEqual(['before', '0', '1', '2', '3', '4', '5'])
  const next = server.tab(storage)
  server.send('after')
  // Another tab is faster.
  await one.inbox.poll()
  await next.inbox.poll()
  expect(next.heard).toEqual(['after'])
  storage.close()
})

test('a device that keeps nothing hears all the same', async () => {
  const server = new Server()
  const storage = new NoStorage()
  for (const name of ['read', 'write'] as const) {
    vi.spyOn(storage, name).mockRejectedValue(new Error('no IndexedDB'))
  }
  const { inbox, heard } = server.tab(storage)
  for (const id of ['a', 'b']) {
    server.send(id)
    await inbox.poll()
  }
  expect(heard).toEqual(['a', 'b'])
})
