import { expect, test } from 'vitest'
import { RoundtableHttp } from '../src/http/index.js'

const tokenUntil = (exp: number): string => `.${btoa(JSON.stringify({ exp }))}.`

test('a token function that throws is asked again with the next request', async () => {
  const [old, good] = [tokenUntil(0), tokenUntil(Math.floor(Date.now() / 1000) + 600)]
  let asked = 0
  const shown: (string | undefined)[] = []
  const http = new RoundtableHttp({
    url: 'http://test.invalid',
    token: () => {
      asked++
      if (asked === 2) throw new Error('away')
      return asked === 1 ? old : good
    },
    fetch: (_, init) => {
      shown.push(new Headers(init?.headers).get('authorization')?.replace('Bearer ', ''))
      return Promise.resolve(Response.json({}))
    }
  })
  await http.stats()
  await expect(http.stats()).rejects.toThrow('away')
  await http.stats()
  await http.stats()
  expect([asked, shown]).toEqual([3, [old, good, good]])
})
