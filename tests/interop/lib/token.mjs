// Owns tokens as an application would mint them: HS256, signed here and not by the server under test.
import { createHmac } from 'node:crypto'

/** What the server under test is started with. */
export const SECRET = 'interop-secret-of-more-than-thirty-two-bytes'

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A signed token; `claims` are taken as they are, so that a test can leave out or break any of them. */
export function sign (claims, { secret = SECRET, header = { alg: 'HS256', typ: 'JWT' } } = {}) {
  const body = `${part(header)}.${part(claims)}`
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
}

/** Seconds since 1970, now and so many seconds more. */
export const epochSeconds = (plus = 0) => Math.floor(Date.now() / 1000) + plus

/** A token that may write every room. */
export function writer (sub = 'ada', { name, color, rooms = { '*': 'write' }, seconds = 3600 } = {}) {
  return sign({ sub, exp: epochSeconds(seconds), name: name ?? sub, color, rooms })
}

/** A token that may read every room. */
export const reader = (sub = 'rob') => writer(sub, { rooms: { '*': 'read' } })

/** A token that may do everything. */
export const admin = (sub = 'root') => sign({ sub, exp: epochSeconds(3600), name: sub, admin: true })
