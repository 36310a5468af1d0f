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

  test('that was asked for before another was given changes nothing', async () => {
    const told: string[] = []
    const former = answering()
    const source = new TokenSource(former.option, (token) => told.push(token))
    const waiting = source.get()
    source.set('of the new user')
    former.answer('of the old user')
    expect(await waiting).toBe('of the new user')
    expect(source.current).toBe('of the new user')
    expect(told).toEqual(['of the new user'])
  })

  test('comes from the function that was given last, also while a former one is asked', async () => {
    const told: string[] = []
    const [former, latter] = [answering(), answering()]
    const source = new TokenSource(former.option, (token) => told.push(token))
    const waiting = source.get()
    source.set(latter.option)
    former.fail(new Error('nobody is logged in'))
    latter.answer('of the new user')
    expect(await waiting).toBe('of the new user')
    expect(await source.get()).toBe('of the new user')
    expect(told).toEqual(['of the new user'])
  })

  test('is asked for anew when the same function is given again', async () => {
    const answers = ['of the old user', 'of the new user']
    const option = (): string => answers.shift()!
    const source = new TokenSource(option, () => {})
    const waiting = source.get()
    source.set(option)
    expect(await waiting).toBe('of the new user')
    expect(source.current).toBe('of the new user')
  })

  test('can be renewed once a function was given, and not once a string was', async () => {
    const source = new TokenSource('fixed', () => {})
    source.set(() => 'fetched')
    expect(source.isRenewable).toBe(true)
    expect(await source.get()).toBe('fetched')
    source.set('fixed')
    expect(source.isRenewable).toBe(false)
  })
})

/** A token function that answers when the test says so. */
function answering(): {
  option: () => Promise<string>, answer: (token: string) => void, fail: (error: Error) => void
} {
  let answer!: (token: string) => void
  let fail!: (error: Error) => void
  const answered = new Promise<string>((resolve, reject) => { [answer, fail] = [resolve, reject] })
  return { option: () => answered, answer, fail }
}
