// Owns finding out that an edit of somebody else met one of this device that they had not seen.
// Both are merged by then, and one value stands; the other one is read out of the document's items.
import * as Y from 'yjs'
import type { Outbox } from '../outbox.js'
import { recordIn, type Touch } from '../touched.js'
import { isEqual, plain, type Snapshot } from '../values.js'

export interface Overlap {
  collection: string
  recordId: string
  /** None when the whole record was removed. */
  field?: string
  /** What this device wrote; none for a removal. */
  mine?: unknown
  theirs?: unknown
}

interface Known {
  doc: Y.Doc
  outbox: Outbox
  /** The record before the transaction. */
  before: (collection: string, recordId: string) => Snapshot | undefined
}

/** What a transaction of the server's overlapped with; to be asked while it is still open. */
export function overlaps(
  transaction: Y.Transaction, touches: Touch[], known: Known
): Overlap[] {
  return touches.flatMap((touch) => overlapsOf(transaction, touch, known))
}

function overlapsOf(transaction: Y.Transaction, touch: Touch, known: Known): Overlap[] {
  const { collection, recordId, fields } = touch
  if (recordId === undefined || !known.outbox.touches(collection, recordId)) return []
  const record = recordIn(known.doc, collection, recordId)
  const before = known.before(collection, recordId)
  if (!record) return before ? [{ collection, recordId, mine: before }] : []
  return (fields ?? []).flatMap((field) => {
    if (!known.outbox.touches(collection, recordId, field)) return []
    const values = valuesOf(transaction, record, field, before)
    if (!values || isEqual(values.mine, values.theirs)) return []
    return [{ collection, recordId, field, ...values }]
  })
}

/** Both values of a field, if the new one was written without having seen the old one. */
function valuesOf(
  transaction: Y.Transaction, record: Y.Map<unknown>, field: string, before: Snapshot | undefined
): { mine?: unknown, theirs?: unknown } | undefined {
  const hasMine = before !== undefined && field in before
  const own = hasMine ? { mine: before[field] } : {}
  const current = record._map.get(field)
  if (!current) return undefined
  const isNew = ({ id }: Y.Item): boolean =>
    id.clock >= (transaction.beforeState.get(id.client) ?? 0)
  if (isNew(current)) {
    // The first of theirs that stands behind ours says whether they had seen it.
    let first = current
    while (first.left && isNew(first.left)) first = first.left
    const ours = first.left
    const isSeen = ours !== null && first.origin !== null && Y.compareIDs(first.origin, ours.lastId)
    if (isSeen) return undefined
    return current.deleted ? own : { ...own, theirs: valueIn(current) }
  }
  // Ours stands. Theirs, if there is one, went in before it and was written over.
  for (let item = current.left; item; item = item.left) {
    if (isNew(item)) return { ...own, theirs: valueIn(item) }
  }
  // Nothing new: it was removed by somebody who had seen it.
  return undefined
}

function valueIn(item: Y.Item): unknown {
  const content = item.content.getContent() as unknown[]
  return plain(content[content.length - 1])
}
