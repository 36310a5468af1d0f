// Owns the records of a document as plain objects, and what each transaction did to them.
import * as Y from 'yjs'
import { Emitter } from './emitter.js'
import { collectionIn, recordIn, touchedBy, type Touch } from './touched.js'
import { differing, snapshot, type Snapshot } from './values.js'

export interface RecordChange {
  collection: string
  recordId: string
  type: 'created' | 'updated' | 'removed'
  before?: Snapshot
  after?: Snapshot
  /** The fields that are different now. */
  fields: string[]
  /** Whether this tab did it. */
  isLocal: boolean
}

export interface MirrorEvents {
  /** One per transaction that changed records. */
  changes: RecordChange[]
  /** Before the mirror follows a transaction: what it touched, and what was there. */
  touched: { transaction: Y.Transaction, touches: Touch[] }
}

const EMPTY: ReadonlyMap<string, Snapshot> = new Map()

export class Mirror {
  readonly events = new Emitter<MirrorEvents>()
  #doc: Y.Doc
  #isOwn: (origin: unknown) => boolean
  #isSilent: (origin: unknown) => boolean
  #collections = new Map<string, Map<string, Snapshot>>()

  /** `isOwn` tells edits of this tab by their origin, `isSilent` what was only loaded. */
  constructor(
    doc: Y.Doc, isOwn: (origin: unknown) => boolean, isSilent: (origin: unknown) => boolean
  ) {
    this.#doc = doc
    this.#isOwn = isOwn
    this.#isSilent = isSilent
    doc.on('afterTransaction', this.#follow)
  }

  collection(name: string): ReadonlyMap<string, Snapshot> {
    return this.#collections.get(name) ?? EMPTY
  }

  get(collection: string, id: string): Snapshot | undefined {
    return this.#collections.get(collection)?.get(id)
  }

  stop(): void {
    this.#doc.off('afterTransaction', this.#follow)
  }

  #follow = (transaction: Y.Transaction): void => {
    if (transaction.changed.size === 0) return
    const touches = touchedBy(transaction)
    this.events.emit('touched', { transaction, touches })
    const isLocal = this.#isOwn(transaction.origin)
    const changes = touches.flatMap((touch) => this.#compare(touch, isLocal))
    if (changes.length > 0 || !this.#isSilent(transaction.origin)) {
      this.events.emit('changes', changes)
    }
  }

  #compare({ collection, recordId }: Touch, isLocal: boolean): RecordChange[] {
    if (recordId === undefined || !collectionIn(this.#doc, collection)) return []
    const before = this.get(collection, recordId)
    const record = recordIn(this.#doc, collection, recordId)
    const after = record && snapshot(recordId, record, before)
    const fields = differing(before, after)
    if (!before && !after) return []
    if (before && after && fields.length === 0) return []
    this.#put(collection, recordId, after)
    const type = !before ? 'created' : after ? 'updated' : 'removed'
    return [{
      collection, recordId, type, fields, isLocal,
      ...(before ? { before } : {}), ...(after ? { after } : {})
    }]
  }

  #put(collection: string, id: string, record: Snapshot | undefined): void {
    let records = this.#collections.get(collection)
    if (!records) this.#collections.set(collection, (records = new Map()))
    if (record) records.set(id, record)
    else records.delete(id)
  }
}
