import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { FeedListener, ServerChanges } from '../src/feed.js'
import { replay } from '../src/replay.js'

beforeEach(() => { vi.useFakeTimers() })
afterEach(() => { vi.useRealTimers() })

const changesAt = (version: number): ServerChanges => ({
  room: 'r', epoch: 'e', version, events: [{ version } as ServerChanges['events'][number]]
})

/** Somebody who follows from the beginning; what they miss is what `answer` gives. */
function open(answer: () => Promise<Response>) {
  const feed: FeedListener[] = []
  const asked = vi.fn(answer)
  const told: number[] = []
  const heard = { version: (_: number): void => {} }
  const end = replay({ base: 'http://test', fetch: asked, token: () => '' }, 'r', { version: 0 }, ({ version }) => {
    told.push(version)
    heard.version(version)
  }, (listener) => {
    feed.push(listener)
    return () => { feed.splice(0) }
  })
  const [live] = feed
  live?.following?.()
  return { end, told, heard, asked, live: (version: number) => live?.changes?.(changesAt(version)) }
}

const page = (version: number): Response =>
  new Response(JSON.stringify({ ...changesAt(version), recovery: 'replay', hasMore: false }))

test('what was missed is told first, then what came meanwhile, each once', async () => {
  const { told, live } = open(() => Promise.resolve(page(2)))
  for (const version of [2, 3]) live(version)
  await vi.advanceTimersByTimeAsync(0)
  live(4)
  expect(told).toEqual([2, 3, 4])
})

test('who does not listen any more is told nothing, and nothing is asked for them', async () => {
  const { end, told, asked, live } = open(() => Promise.reject(new TypeError('offline')))
  await vi.advanceTimersByTimeAsync(0)
  live(1)
  end()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(told).toEqual([])
  expect(asked).toHaveBeenCalledTimes(1)
})

test('who leaves while they are told is told no more, nor is a page that was on its way', async () => {
  const leaving = open(() => Promise.resolve(page(1)))
  for (const version of [2, 3]) leaving.live(version)
  leaving.heard.version = (version) => { if (version === 2) leaving.end() }
  const answers: ((page: Response) => void)[] = []
  const left = open(() => new Promise((resolve) => { answers.push(resolve) }))
  await vi.advanceTimersByTimeAsync(0)
  left.live(2)
  left.end()
  answers[0]?.(page(1))
  await vi.advanceTimersByTimeAsync(60_000)
  expect([leaving.told, left.told]).toEqual([[1, 2], []])
})
