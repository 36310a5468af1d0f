import { expect, test } from 'vitest'
import * as hocuspocus from '../src/wire/hocuspocus.js'

const hex = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
const bytes = (text: string): Uint8Array =>
  Uint8Array.from(text.replaceAll(' ', '').match(/../g) ?? [], (pair) => parseInt(pair, 16))

// As @hocuspocus/provider 4.8.0 and @hocuspocus/server 4.7.0 said it on a real socket.
test('what is sent is what the provider sends', () => {
  expect(hex(hocuspocus.auth('doc', 'tok'))).toBe('03646f63' + '0200' + '03746f6b' + '05342e382e30')
  expect(hex(hocuspocus.greeting('doc', bytes('00')))).toBe('03646f63' + '00000100')
  expect(hex(hocuspocus.answer('doc', bytes('0000')))).toBe('03646f63' + '0001020000')
  expect(hex(hocuspocus.awareness('doc', bytes('010100027b7d')))).toBe('03646f63' + '0106' + '010100027b7d')
  expect(hex(hocuspocus.goodbye('doc'))).toBe('03646f63' + '07')
})

test('what is heard is what the server says', () => {
  const heard = (text: string): unknown => {
    const incoming = hocuspocus.read(bytes('03646f63' + text))
    return incoming.type === 'message' ? [incoming.address, incoming.message] : incoming
  }
  expect(heard('02 02 0a 72 65 61 64 2d 77 72 69 74 65'))
    .toEqual(['doc', { type: 'authenticated', isReadOnly: false }])
  expect(heard('02 02 08 72 65 61 64 6f 6e 6c 79'))
    .toEqual(['doc', { type: 'authenticated', isReadOnly: true }])
  expect(heard('02 00')).toEqual(['doc', { type: 'tokenWanted' }])
  expect(heard('02 01 02 6e 6f')).toEqual(['doc', { type: 'denied', reason: 'no' }])
  expect(heard('00 00 01 00')).toEqual(['doc', { type: 'stateVector', stateVector: bytes('00') }])
  expect(heard('00 01 02 00 00')).toEqual(['doc', { type: 'answer', update: bytes('0000') }])
  expect(heard('00 02 02 00 00')).toEqual(['doc', { type: 'update', update: bytes('0000') }])
  expect(heard('08 01')).toEqual(['doc', { type: 'status', isApplied: true }])
  expect(heard('08 00')).toEqual(['doc', { type: 'status', isApplied: false }])
  expect(heard('07 02 6e 6f')).toEqual(['doc', { type: 'closed', reason: 'no' }])
  expect(heard('07')).toEqual(['doc', { type: 'closed', reason: '' }])
  expect(heard('03')).toEqual(['doc', { type: 'queryAwareness' }])
  expect(heard('05 02 6e 6f')).toEqual(['doc', { type: 'stateless', payload: 'no' }])
  expect(heard('63')).toEqual({ type: 'unknown' })
  expect(hocuspocus.read(bytes('09'))).toEqual({ type: 'ping' })
})

test('an address names the tab where several share a socket', () => {
  expect(hocuspocus.addressOf('doc')).toBe('doc')
  const address = hocuspocus.addressOf('doc', 'tab')
  expect(address).toBe('doc\0tab')
  expect(hocuspocus.addressIn(hocuspocus.goodbye(address))).toBe(address)
  expect(hocuspocus.addressIn(bytes('09'))).toBeUndefined()
})

test('a frame that is cut off is none', () => {
  expect(() => hocuspocus.read(bytes('03646f63 00 02 05 00'))).toThrow()
})
