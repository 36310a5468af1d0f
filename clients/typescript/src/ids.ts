// Owns new names: UUIDs of version 7, which sort by the time of their making.

/** A UUID of version 7 (RFC 9562). */
export function uuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const now = Date.now()
  for (let at = 0; at < 6; at++) bytes[at] = Math.floor(now / 2 ** (8 * (5 - at))) % 256
  bytes[6] = 0x70 | (bytes[6] ?? 0) & 0x0f
  bytes[8] = 0x80 | (bytes[8] ?? 0) & 0x3f
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return [8, 12, 16, 20].reduceRight((text, at) => `${text.slice(0, at)}-${text.slice(at)}`, hex)
}

/** One after the other, also within a millisecond. */
let last = ''
export function orderedId(): string {
  let next = uuid()
  while (next <= last) next = uuid()
  return (last = next)
}
