// Owns the one way to write a JSON value down, so that two documents can be compared by a hash: members sorted by
// name, no white space, numbers and strings as JSON.stringify has them. The data set's `json_sha256` is made so.
import { createHash } from 'node:crypto'

export function canonical (value) {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item ?? null)).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const members = Object.keys(value).sort().filter((name) => value[name] !== undefined)
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`
}

export const sha256 = (text) => createHash('sha256').update(text).digest('hex')
