import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { claimsOf, TokenSource } from '../src/token.js'

const minted = (claims: object): string =>
  `x.${btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(claims)))).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')}.y`

describe('a token', () => {
  beforeEach(() => { vi.useFakeTimers({ now: 1_000_000_000 }) })
  afterEach(() => { vi.useRealTimers() })
  const inSeconds = (seconds: number): string => minted({ sub: 'ada', exp: 1_000_000 + seconds })

  test('says who it is, in any script, and nonsense says nothing', () => {
    expect(claimsOf(minted({ sub: 'ada', name: 'Åda ✓' }))).toEqual({ sub: 'ada', name: 'Åda ✓' })
    for (const text of ['', 'a', 'a.b.c', minted([]).slice(0, 6), `x.${btoa('null')}.y`]) {
      expect(claimsOf(text)).toEqual({})
    }
  })

  test('that is a string is what it is', async () => {
    const source = new TokenSource('fixed', () => {})
    expect(await source.get()).toBe('fixed')
    expect(source.isRenewable).toBe(false)
    expect(await new TokenSource(undefined, () => {}).get()).toBe('')
  })

  test('that is fetched is fetched once, for all who ask', async () => {
    const fetch = vi.fn(() => inSeconds(600))
    const source = new TokenSource(fetch, () => {})
    expect(await Promise.all([source.get(), source.get()])).toEqual([inSeconds(600), inSeconds(600)])
    await source.get()
    expect(fetch).toHaveBeenCalledTimes(1)
    source.stop()
  })

  test('is renewed before it ends, and who needs it is told', async () => {
    const tokens = [inSeconds(600), inSeconds(1200)]
    const told: string[] = []
    const source = new TokenSource(() => tokens.shift() ?? inSeconds(5000), (token) => told.push(token))
    await source.get()
    await vi.advanceTimersByTimeAsync(569_000)
    expect(told.length).toBe(1)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(told).toEqual([inSeconds(600), inSeconds(1200)])
    source.stop()
  })

  test('that could not be renewed is tried again', async () => {
    let calls = 0
    const source = new TokenSource(() => {
      calls++
      if (calls === 2) throw new Error('away')
      return inSeconds(calls * 60)
    }, () => {})
    await source.get()
    await vi.advanceTimersByTimeAsync(59_000)
    expect(calls).toBe(3)
    source.stop()
  })

  test('that has expired is not handed out', async () => {
    const tokens = [inSeconds(-10), inSeconds(600)]
    const source = new TokenSource(() => tokens.shift()!, () => {})
    await source.renew()
    expect(await source.get()).toBe(inSeconds(600))
    source.stop()
  })
})
