// Owns reading out of a Yjs transaction which records and fields it touched.
import * as Y from 'yjs'

/** A record, or a root that has none; without `fields`, all of it. */
export interface Touch {
  collection: string
  recordId?: string
  fields?: string[]
}

/** The one of Yjs, whatever events it has. */
type Parent = Y.AbstractType<any>

/** The root a type hangs from, and the types between, from below the root down to the type. */
function lineage(type: Parent): Parent[] {
  const line: Parent[] = [type]
  for (let at = type; at._item !== null;) {
    at = at._item.parent as Parent
    line.unshift(at)
  }
  return line
}

export function touchedBy(transaction: Y.Transaction): Touch[] {
  const touches: Touch[] = []
  for (const [type, keys] of transaction.changed) {
    const [root, record, field] = lineage(type)
    if (!root) continue
    const collection = Y.findRootTypeKey(root)
    if (!record) touches.push(...rootTouches(collection, keys))
    else touches.push(recordTouch(collection, record, field, keys))
  }
  return merged(touches)
}

function rootTouches(collection: string, keys: Set<string | null>): Touch[] {
  return [...keys].map((key) => key === null ? { collection } : { collection, recordId: key })
}

function recordTouch(
  collection: string, record: Parent, field: Parent | undefined, keys: Set<string | null>
): Touch {
  const recordId = record._item?.parentSub
  if (recordId === null || recordId === undefined) return { collection }
  if (field) {
    const name = field._item?.parentSub
    return { collection, recordId, ...(name ? { fields: [name] } : {}) }
  }
  return { collection, recordId, fields: [...keys].filter((key) => key !== null) }
}

/** One per record; a record that is touched as a whole has no fields. */
function merged(touches: Touch[]): Touch[] {
  const byKey = new Map<string, Touch>()
  for (const touch of touches) {
    const key = keyOf(touch.collection, touch.recordId)
    const before = byKey.get(key)
    if (before?.fields && touch.fields) {
      before.fields = [...new Set([...before.fields, ...touch.fields])]
    } else if (!before || before.fields) {
      byKey.set(key, { ...touch })
    }
  }
  return [...byKey.values()]
}

/** One string for a record, or for a root that has none. */
export function keyOf(collection: string, recordId?: string): string {
  return recordId === undefined ? collection : `${collection}\0${recordId}`
}

/** The root of that name if it is a map of records, without making it anything. */
export function collectionIn(doc: Y.Doc, name: string): Y.Map<unknown> | undefined {
  const root = doc.share.get(name) as Parent | undefined
  if (!root) return undefined
  if (root instanceof Y.Map) return root as Y.Map<unknown>
  // A root that nobody has named yet has no kind. One with keys that lead to maps is a collection.
  if (root.constructor !== Y.AbstractType) return undefined
  for (const item of root._map.values()) {
    const content: unknown = item.content
    if (content instanceof Y.ContentType && content.type instanceof Y.Map) return doc.getMap(name)
  }
  return undefined
}

/** The record of that id, if it is one. */
export function recordIn(doc: Y.Doc, collection: string, id: string): Y.Map<unknown> | undefined {
  const record = collectionIn(doc, collection)?.get(id)
  return record instanceof Y.Map ? (record as Y.Map<unknown>) : undefined
}
