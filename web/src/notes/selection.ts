// Owns where people are in a text, said so that it holds while others write: by its letters.
import * as Y from 'yjs'
import type { Peer } from '@roundtable/client'
import { nameOf } from '../table/cursors'

/** As it is told to others, in a presence state's `selection`. */
interface Told {
  recordId: string
  anchor: unknown
  head: unknown
}

export interface Caret {
  clientId: string
  name: string
  color: string
  /** The selection, in letters; `head` is the end that moves. */
  from: number
  to: number
  head: number
}

export function tell(text: Y.Text, recordId: string, anchor: number, head: number): Told {
  const place = (index: number): unknown =>
    Y.relativePositionToJSON(Y.createRelativePositionFromTypeIndex(text, index))
  return { recordId, anchor: place(anchor), head: place(head) }
}

/** The carets of others in a text, by place. */
export function caretsIn(text: Y.Text, recordId: string, others: readonly Peer[]): Caret[] {
  return others.flatMap((peer) => {
    const told = peer.state.selection as Partial<Told> | null | undefined
    if (told?.recordId !== recordId) return []
    const anchor = placeOf(text, told.anchor)
    const head = placeOf(text, told.head)
    if (anchor === undefined || head === undefined) return []
    const {
      clientId,
      user: { color }
    } = peer
    return [
      {
        clientId,
        name: nameOf(peer),
        color,
        head,
        from: Math.min(anchor, head),
        to: Math.max(anchor, head)
      }
    ]
  })
}

/** Somebody else's words may be anything. */
function placeOf(text: Y.Text, told: unknown): number | undefined {
  if (typeof told !== 'object' || told === null || !text.doc) return undefined
  try {
    const position = Y.createRelativePositionFromJSON(told)
    const found = Y.createAbsolutePositionFromRelativePosition(position, text.doc)
    return found?.type === text ? found.index : undefined
  } catch {
    return undefined
  }
}
