// Owns the IndexedDB of a client: updates by room, the outbox, and small values.
import * as Y from 'yjs'
import type { Entry, Failure } from '../outbox.js'
import type { Storage, Stored } from './storage.js'

const VERSION = 1
const UPDATES = 'updates'
const OUTBOX = 'outbox'
const VALUES = 'values'
const BY_ROOM = 'room'

interface StoredUpdate {
  room: string
  update: Uint8Array
}

export class IndexedDbStorage implements Storage {
  #database: Promise<IDBDatabase>

  constructor(name: string) {
    this.#database = open(name)
    // Who uses it hears of it; nobody else has to.
    this.#database.catch(() => {})
  }

  async load(room: string): Promise<Stored> {
    const transaction = await this.#begin([UPDATES, OUTBOX], 'readonly')
    const rows = all<StoredUpdate>(transaction, UPDATES, room)
    const entries = all<Entry>(transaction, OUTBOX, room)
    return { updates: (await rows).map(({ update }) => update), entries: await entries }
  }

  async add(room: string, updates: Uint8Array[], entries: Entry[]): Promise<void> {
    await this.#write([UPDATES, OUTBOX], (transaction) => {
      for (const update of updates) transaction.objectStore(UPDATES).add({ room, update })
      for (const entry of entries) transaction.objectStore(OUTBOX).put(entry)
    })
  }

  async settle(ids: string[]): Promise<void> {
    await this.#write([OUTBOX], (transaction) => {
      for (const id of ids) transaction.objectStore(OUTBOX).delete(id)
    })
  }

  async fail(ids: string[], failure: Failure): Promise<void> {
    await this.#write([OUTBOX], (transaction) => {
      const outbox = transaction.objectStore(OUTBOX)
      for (const id of ids) {
        const found = outbox.get(id) as IDBRequest<Entry | undefined>
        found.onsuccess = () => { if (found.result) outbox.put({ ...found.result, failure }) }
      }
    }, false)
  }

  async compact(room: string): Promise<void> {
    await this.#write([UPDATES], (transaction) => {
      const updates = transaction.objectStore(UPDATES)
      const range = IDBKeyRange.only(room)
      const rows = updates.index(BY_ROOM).getAll(range) as IDBRequest<StoredUpdate[]>
      const keys = updates.index(BY_ROOM).getAllKeys(range)
      keys.onsuccess = () => {
        if (keys.result.length < 2) return
        for (const key of keys.result) updates.delete(key)
        updates.add({ room, update: folded(rows.result) })
      }
    }, false)
  }

  async forget(room: string): Promise<void> {
    await this.#write([UPDATES, OUTBOX], (transaction) => {
      for (const name of [UPDATES, OUTBOX]) {
        const store = transaction.objectStore(name)
        const keys = store.index(BY_ROOM).getAllKeys(IDBKeyRange.only(room))
        keys.onsuccess = () => { for (const key of keys.result) store.delete(key) }
      }
    }, false)
  }

  async read(key: string): Promise<unknown> {
    const transaction = await this.#begin([VALUES], 'readonly')
    return result(transaction.objectStore(VALUES).get(key))
  }

  async write(key: string, value: unknown): Promise<void> {
    await this.#write([VALUES], (transaction) => {
      transaction.objectStore(VALUES).put(value, key)
    })
  }

  close(): void {
    void this.#database.then((database) => database.close(), () => {})
  }

  async #begin(stores: string[], mode: IDBTransactionMode): Promise<IDBTransaction> {
    return (await this.#database).transaction(stores, mode, { durability: 'relaxed' })
  }

  /**
   * One transaction. It is committed at once rather than when the browser next looks at it, so
   * that a page which is left a moment later has kept what it wrote; not so where results lead to
   * writes.
   */
  async #write(
    stores: string[], act: (transaction: IDBTransaction) => void, isComplete = true
  ): Promise<void> {
    const transaction = await this.#begin(stores, 'readwrite')
    const done = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error ?? new Error('aborted'))
    })
    act(transaction)
    if (isComplete) transaction.commit()
    return done
  }
}

function open(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, VERSION)
    request.onupgradeneeded = () => {
      const database = request.result
      database.createObjectStore(UPDATES, { autoIncrement: true }).createIndex(BY_ROOM, 'room')
      database.createObjectStore(OUTBOX, { keyPath: 'id' }).createIndex(BY_ROOM, 'room')
      database.createObjectStore(VALUES)
    }
    request.onsuccess = () => {
      // A later version of this program in another tab wants to change the tables.
      request.result.onversionchange = () => request.result.close()
      resolve(request.result)
    }
    request.onerror = () => reject(request.error ?? new Error('no IndexedDB'))
    request.onblocked = () => reject(new Error('IndexedDB is held by another version'))
  })
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error ?? new Error('not read'))
  })
}

function all<T>(transaction: IDBTransaction, store: string, room: string): Promise<T[]> {
  return result(transaction.objectStore(store).index(BY_ROOM).getAll(room))
}

/** One update for many, without what was deleted: a document is the only one who can tell. */
function folded(rows: StoredUpdate[]): Uint8Array {
  const doc = new Y.Doc()
  doc.transact(() => { for (const { update } of rows) Y.applyUpdate(doc, update) })
  const update = Y.encodeStateAsUpdate(doc)
  doc.destroy()
  return update
}
