// Owns plain values: what may be written into a field, and how records look to the application.
import * as Y from 'yjs'

export type Fields = Record<string, unknown>

/** A record as it is now: frozen, and the same object until the record changes. */
export type Snapshot<T extends object = Fields> = Readonly<T> & { readonly id: string }

/** Refuses what Yjs or the server could not keep exactly; gives back what is to be written. */
export function writable(value: unknown, name: string): unknown {
  if (value instanceof Y.AbstractType || isPlain(value, 0)) return value
  throw new TypeError(
    `field "${name}" cannot hold ${describe(value)}: fields hold JSON, bytes and Yjs types`
  )
}

const DEPTH_MAX = 60

function isPlain(value: unknown, depth: number): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (value instanceof Uint8Array) return true
  if (typeof value !== 'object' || depth === DEPTH_MAX) return false
  if (Array.isArray(value)) return value.every((item) => isPlain(item, depth + 1))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  return Object.values(value).every((item) => isPlain(item, depth + 1))
}

function describe(value: unknown): string {
  if (typeof value === 'object' && value !== null) return value.constructor?.name ?? 'an object'
  return typeof value === 'number' ? String(value) : typeof value
}

export function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  if (a instanceof Uint8Array || b instanceof Uint8Array) return isSameBytes(a, b)
  const names = Object.keys(a)
  return names.length === Object.keys(b).length &&
    names.every((name) => name in b && isEqual((a as Fields)[name], (b as Fields)[name]))
}

function isSameBytes(a: object, b: object): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array && a.length === b.length &&
    a.every((byte, at) => byte === b[at])
}

/** The value of a field: nested Yjs types as their plain form. */
export function plain(value: unknown): unknown {
  return value instanceof Y.AbstractType ? (value.toJSON() as unknown) : value
}

/** A record's snapshot; values that did not change stay the same objects. */
export function snapshot(id: string, record: Y.Map<unknown>, before?: Snapshot): Snapshot {
  const fields: Fields = {}
  for (const [name, value] of record.entries()) {
    const now = plain(value)
    const was = before?.[name]
    fields[name] = isEqual(now, was) ? was : now
  }
  return Object.freeze({ ...fields, id })
}

/** The fields that differ between two snapshots. */
export function differing(before: Snapshot | undefined, after: Snapshot | undefined): string[] {
  const names = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])
  names.delete('id')
  return [...names].filter((name) => {
    const had = before !== undefined && name in before
    const has = after !== undefined && name in after
    return had !== has || !isEqual(before?.[name], after?.[name])
  })
}
