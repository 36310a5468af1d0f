// Owns the names and shapes of the HTTP interface that applications see: made from the server's own
// description, with what that leaves open.
import type { components } from './openapi.js'
import type { Fields } from '../values.js'

type Schemas = components['schemas']

/** What the server has nothing to say of it leaves out; it never says null there. */
type Told<T> = { [Name in keyof T]: undefined extends T[Name] ? Exclude<T[Name], null> : T[Name] }

export type RoomInfo = Told<Schemas['Portrait']>
export type RoomRow = Told<Schemas['Room']>
export type OnConflict = Schemas['OnConflict']
export type Operation = Told<Schemas['Operation']>
export type FieldConflict = Told<Schemas['Clash']>
export type LoggedConflict = Told<Schemas['Conflict']>
export type Counts = Told<Schemas['Status']>
export type InboxMessage = Told<Schemas['Message']>
export type Sent = Told<Schemas['Sent']>
export type ErrorCode = Schemas['Code']

/** One thing that an entry of a room's log did. */
export type ChangeEvent = Told<Omit<Schemas['ChangeEvent'], 'changes'>> & {
  changes: Told<Schemas['FieldChange']>[]
}

export type StoredRecord<T extends object = Fields> = Omit<Schemas['Record'], 'fields'> & {
  fields: T
}

export type OperationResult = Told<Omit<Schemas['Result'], 'conflicts'>> & {
  conflicts?: FieldConflict[]
  /** What is there, when that kept the operation from being done. */
  record?: StoredRecord
  error?: { code: string, message: string }
}

export type Pushed = Omit<Schemas['Pushed'], 'results'> & { results: OperationResult[] }
export type RoomResult = OperationResult & { room: string, epoch?: string }

export type Changes = Told<Omit<Schemas['ChangesPage'], 'events' | 'recovery'>> & {
  recovery: 'caught_up' | 'replay' | 'snapshot'
  events: ChangeEvent[]
}

export type PresentPeer = Omit<Schemas['Person'], 'user'> & {
  user: { id: string, color: string, name?: string, avatar?: string }
}

export interface ListQuery {
  limit?: number
  cursor?: string
  sort?: Schemas['RecordSort']
  /** A version: changed after it. A time: changed then or later. */
  updatedSince?: number | string
  filter?: Record<string, string | number | boolean>
}

export interface ChangesQuery {
  since?: number
  epoch?: string
  limit?: number
  /** Seconds to wait for something to tell. */
  wait?: number
}

export type WriteOptions = Told<Pick<
  Schemas['RecordBody'], 'unset' | 'baseVersion' | 'onConflict' | 'opId' | 'clientId'
>> & {
  /** The version that the record must have: 412 if it has another. */
  ifMatch?: number
}
