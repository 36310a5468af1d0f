// Owns the bytes of the Hocuspocus protocol (provider 4.x): messages to frames and back. Pure.
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'

const SYNC = 0
const AWARENESS = 1
const AUTH = 2
const QUERY_AWARENESS = 3
const STATELESS = 5
const CLOSE = 7
const SYNC_STATUS = 8
const PING = 9

const STEP_1 = 0
const STEP_2 = 1
const UPDATE = 2

/** The version of the provider whose protocol this is. */
const VERSION = '4.8.0'

/** What the server says about one address. */
export type Message =
  | { type: 'stateVector', stateVector: Uint8Array }
  | { type: 'answer', update: Uint8Array }
  | { type: 'update', update: Uint8Array }
  | { type: 'awareness', update: Uint8Array }
  | { type: 'queryAwareness' }
  | { type: 'tokenWanted' }
  | { type: 'denied', reason: string }
  | { type: 'authenticated', isReadOnly: boolean }
  | { type: 'status', isApplied: boolean }
  | { type: 'stateless', payload: string }
  | { type: 'closed', reason: string }

export type Incoming =
  | { type: 'ping' }
  | { type: 'message', address: string, message: Message }
  /** A type that this client does not know; the protocol asks to go on. */
  | { type: 'unknown' }

/** A session of a room on a socket that several tabs share; without a session, the room alone. */
export function addressOf(room: string, session?: string): string {
  return session === undefined ? room : `${room}\0${session}`
}

function frame(address: string, type: number, write: (to: encoding.Encoder) => void): Uint8Array {
  const to = encoding.createEncoder()
  encoding.writeVarString(to, address)
  encoding.writeVarUint(to, type)
  write(to)
  return encoding.toUint8Array(to)
}

const sync = (address: string, step: number, bytes: Uint8Array): Uint8Array =>
  frame(address, SYNC, (to) => {
    encoding.writeVarUint(to, step)
    encoding.writeVarUint8Array(to, bytes)
  })

/** The token, first of all, and again whenever there is a new one. */
export const auth = (address: string, token: string): Uint8Array =>
  frame(address, AUTH, (to) => {
    encoding.writeVarUint(to, 0)
    encoding.writeVarString(to, token)
    encoding.writeVarString(to, VERSION)
  })

/** What this client has: the server answers with what it lacks. */
export const greeting = (address: string, stateVector: Uint8Array): Uint8Array =>
  sync(address, STEP_1, stateVector)

/** What the server lacks, as it asked. */
export const answer = (address: string, update: Uint8Array): Uint8Array =>
  sync(address, STEP_2, update)

export const update = (address: string, bytes: Uint8Array): Uint8Array =>
  sync(address, UPDATE, bytes)

export const awareness = (address: string, bytes: Uint8Array): Uint8Array =>
  frame(address, AWARENESS, (to) => encoding.writeVarUint8Array(to, bytes))

/** The room is left; the socket stays. */
export const goodbye = (address: string): Uint8Array => frame(address, CLOSE, () => {})

/** The whole answer to a ping. */
export const PONG: Uint8Array = new Uint8Array([10])

/** Reads a frame; throws when it is none. */
export function read(bytes: Uint8Array): Incoming {
  if (bytes.length === 1 && bytes[0] === PING) return { type: 'ping' }
  const from = decoding.createDecoder(bytes)
  const address = decoding.readVarString(from)
  const message = messageOf(from)
  return message ? { type: 'message', address, message } : { type: 'unknown' }
}

/** The address of a frame, for who passes it on without reading it. */
export function addressIn(bytes: Uint8Array): string | undefined {
  if (bytes.length === 1) return undefined
  return decoding.readVarString(decoding.createDecoder(bytes))
}

function messageOf(from: decoding.Decoder): Message | undefined {
  switch (decoding.readVarUint(from)) {
    case SYNC: return syncOf(from)
    case AWARENESS: return { type: 'awareness', update: decoding.readVarUint8Array(from) }
    case AUTH: return authOf(from)
    case QUERY_AWARENESS: return { type: 'queryAwareness' }
    case STATELESS: return { type: 'stateless', payload: decoding.readVarString(from) }
    case CLOSE: return { type: 'closed', reason: textOf(from) }
    case SYNC_STATUS: return { type: 'status', isApplied: decoding.readVarUint(from) === 1 }
    default: return undefined
  }
}

function syncOf(from: decoding.Decoder): Message | undefined {
  const step = decoding.readVarUint(from)
  const bytes = decoding.readVarUint8Array(from)
  if (step === STEP_1) return { type: 'stateVector', stateVector: bytes }
  if (step === STEP_2) return { type: 'answer', update: bytes }
  return step === UPDATE ? { type: 'update', update: bytes } : undefined
}

function authOf(from: decoding.Decoder): Message | undefined {
  const kind = decoding.readVarUint(from)
  if (kind === 0) return { type: 'tokenWanted' }
  if (kind === 1) return { type: 'denied', reason: textOf(from) }
  return kind === 2
    ? { type: 'authenticated', isReadOnly: decoding.readVarString(from) === 'readonly' }
    : undefined
}

function textOf(from: decoding.Decoder): string {
  return decoding.hasContent(from) ? decoding.readVarString(from) : ''
}
