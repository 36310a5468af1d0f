// Owns the shapes of the HTTP interface.
import type { ChangeEvent } from '../feed.js'
import type { Peer } from '../presence.js'
import type { Fields } from '../values.js'

export interface RoomInfo {
  room: string
  epoch: string
  version: number
  oldestVersion: number
  collections: Record<string, number>
  bytes: number
  connections: number
}

export interface RoomRow {
  room: string
  epoch: string
  version: number
  oldestVersion: number
  createdAt: string
  updatedAt: string
}

export interface StoredRecord<T = Fields> {
  collection: string
  recordId: string
  version: number
  fields: T
  createdAt: string
  createdBy: string
  updatedAt: string
  updatedBy: string
}

export interface ListQuery {
  limit?: number
  cursor?: string
  sort?: 'id' | 'updatedAt'
  /** A version: changed after it. A time: changed then or later. */
  updatedSince?: number | string
  filter?: Record<string, string | number | boolean>
}

export type OnConflict = 'merge' | 'reject' | 'strict'

export interface WriteOptions {
  unset?: string[]
  baseVersion?: number
  onConflict?: OnConflict
  /** Makes the write safe to repeat. */
  opId?: string
  clientId?: string
  /** The version that the record must have: 412 if it has another. */
  ifMatch?: number
}

export interface Operation {
  opId: string
  type: 'create' | 'update' | 'upsert' | 'delete' | 'increment'
  collection: string
  recordId?: string
  fields?: Fields
  unset?: string[]
  baseVersion?: number
  onConflict?: OnConflict
}

export interface FieldConflict {
  field: string
  mine?: unknown
  theirs?: unknown
  theirsVersion: number
  truncated?: boolean
}

export interface OperationResult {
  opId: string
  status: 'applied' | 'merged' | 'duplicate' | 'conflict' | 'rejected'
  recordId: string
  version?: number
  conflicts?: FieldConflict[]
  record?: StoredRecord
  error?: { code: string, message: string }
}

export interface Pushed {
  epoch: string
  version: number
  results: OperationResult[]
}

export interface ChangesQuery {
  since?: number
  epoch?: string
  limit?: number
  /** Seconds to wait for something to tell. */
  wait?: number
}

export interface Changes {
  room: string
  epoch: string
  version: number
  head: number
  recovery: 'caught_up' | 'replay' | 'snapshot'
  reason?: string
  events: ChangeEvent[]
  document?: Fields
  hasMore: boolean
}

export interface PresentPeer extends Peer {
  userId: string
  since: string
}

export interface LoggedConflict {
  id: string
  room: string
  collection: string
  recordId: string
  field: string
  mine?: unknown
  theirs?: unknown
  version: number
  theirsVersion: number
  userId: string
  clientId: string
  theirsUserId?: string
  timestamp: string
  resolved?: { resolution: 'mine' | 'theirs' | 'merged', userId: string, timestamp: string }
}

export interface Counts {
  connections: number
  users: number
  rooms: number
  subscriptions: number
  queues: number
}
