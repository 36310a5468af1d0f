// Owns the lines of the activity list: change events, what one hand did in one go put together.
import type { ChangeEvent, ServerChanges } from '@roundtable/client'

export interface Line {
  key: string
  /** The versions from the first to the last. */
  from: number
  to: number
  at: number
  userId: string
  type: ChangeEvent['type']
  collection: string
  recordId?: string
  changes: readonly Change[]
  /** How many records, where it was many at once. */
  count: number
}

export interface Change {
  field: string
  before: unknown
  after: unknown
}

const LINES_MAX = 200
/** Changes of one field by one person are one line while they follow each other so closely. */
const APART_MS_MAX = 20_000

/** The lines after some more changes, the latest first. */
export function after(
  lines: readonly Line[],
  { events }: Pick<ServerChanges, 'events'>
): readonly Line[] {
  const all = [...lines]
  for (const line of folded(events)) {
    const [last] = all
    const joined = last && join(last, line)
    if (joined) all[0] = joined
    else all.unshift(line)
  }
  return all.slice(0, LINES_MAX)
}

/** One line for each event, but one for all records that were made or deleted in one version. */
function folded(events: readonly ChangeEvent[]): Line[] {
  const lines: Line[] = []
  for (const event of events) {
    const line = lineOf(event)
    const last = lines.at(-1)
    const isSame =
      last && last.to === line.to && last.type === line.type && last.collection === line.collection
    if (last && isSame && line.type !== 'update') last.count++
    else lines.push(line)
  }
  return lines
}

function lineOf(event: ChangeEvent): Line {
  const { id, version, timestamp, userId, type, collection, recordId, changes } = event
  return {
    key: id,
    from: version,
    to: version,
    at: Date.parse(timestamp),
    userId,
    type,
    collection,
    count: 1,
    ...(recordId === undefined ? {} : { recordId }),
    changes: changes.map(({ field, oldValue, newValue }) => ({
      field,
      before: oldValue,
      after: newValue
    }))
  }
}

function join(last: Line, next: Line): Line | undefined {
  if (last.type !== 'update' || next.type !== 'update') return undefined
  if (
    last.userId !== next.userId ||
    last.recordId !== next.recordId ||
    last.collection !== next.collection
  ) {
    return undefined
  }
  const isSame =
    last.changes.length === next.changes.length &&
    last.changes.every(({ field }, at) => field === next.changes[at]?.field)
  if (!isSame || next.at - last.at > APART_MS_MAX) return undefined
  const changes = next.changes.map((change, at) => ({
    ...change,
    before: last.changes[at]?.before
  }))
  return { ...last, to: next.to, at: next.at, changes }
}
