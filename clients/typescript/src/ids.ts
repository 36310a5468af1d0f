// Owns new names: UUIDs of version 7, which sort by the time of their making.

/** A UUID of version 7 (RFC 9562). */
export function uuid(): string {
  return uuidOf(Date.now())
}

/** How many ids a millisecond has: twelve bits count. */
const COUNT_END = 0x1000
let last = { ms: 0, count: 0 }

/** One after the other, also within a millisecond. */
export function orderedId(): string {
  const ms = Math.max(Date.now(), last.ms)
  const count = ms === last.ms ? last.count + 1 : 0
  last = count < COUNT_END ? { ms, count } : { ms: ms + 1, count: 0 }
  return uuidOf(last.ms, last.count)
}

function uuidOf(ms: number, count?: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  for (let at = 0; at < 6; at++) bytes[at] = Math.floor(ms / 2 ** (8 * (5 - at))) % 256
  if (count !== undefined) {
    bytes[6] = count >> 8
    bytes[7] = count & 0xff
  }
  bytes[6] = 0x70 | (bytes[6] ?? 0) & 0x0f
  bytes[8] = 0x80 | (bytes[8] ?? 0) & 0x3f
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return [8, 12, 16, 20].reduceRight((text, at) => `${text.slice(0, at)}-${text.slice(at)}`, hex)
}
