// Owns the frames of the y-websocket protocol as bytes, for tests that speak it without a client.
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'

export const SYNC = 0
export const AWARENESS = 1
export const AUTH = 2
export const STEP1 = 0
export const STEP2 = 1
export const UPDATE = 2

const frame = (write) => {
  const encoder = encoding.createEncoder()
  write(encoder)
  return encoding.toUint8Array(encoder)
}

const sync = (kind) => (payload) => frame((e) => {
  encoding.writeVarUint(e, SYNC)
  encoding.writeVarUint(e, kind)
  encoding.writeVarUint8Array(e, payload)
})

export const step1 = sync(STEP1)
export const step2 = sync(STEP2)
export const update = sync(UPDATE)

/** The state vector of an empty document. */
export const NOTHING = Uint8Array.of(0)

/** An awareness frame of `[clientId, clock, state]` lines; a state may be a string that is no JSON. */
export const awareness = (lines) => frame((e) => {
  encoding.writeVarUint(e, AWARENESS)
  encoding.writeVarUint8Array(e, frame((inner) => {
    encoding.writeVarUint(inner, lines.length)
    for (const [clientId, clock, state] of lines) {
      encoding.writeVarUint(inner, clientId)
      encoding.writeVarUint(inner, clock)
      encoding.writeVarString(inner, typeof state === 'string' ? state : JSON.stringify(state))
    }
  }))
})

/** `varUint8Array`s one after the other: the body of `POST /sync`. */
export const buffers = (...list) => frame((e) => {
  for (const bytes of list) encoding.writeVarUint8Array(e, Uint8Array.from(bytes))
})

export function readBuffers (bytes) {
  const decoder = decoding.createDecoder(bytes)
  const list = []
  while (decoding.hasContent(decoder)) list.push(decoding.readVarUint8Array(decoder))
  return list
}

/** A server's frame taken apart: `{ type, kind?, payload?, reason?, states? }`. */
export function read (bytes) {
  const decoder = decoding.createDecoder(bytes)
  const type = decoding.readVarUint(decoder)
  if (type === SYNC) {
    const kind = decoding.readVarUint(decoder)
    return { type, kind, payload: decoding.readVarUint8Array(decoder), rest: left(decoder) }
  }
  if (type === AWARENESS) {
    const states = readStates(decoding.readVarUint8Array(decoder))
    return { type, states, rest: left(decoder) }
  }
  if (type === AUTH) {
    const kind = decoding.readVarUint(decoder)
    return { type, kind, reason: decoding.readVarString(decoder), rest: left(decoder) }
  }
  return { type, rest: left(decoder) }
}

const left = (decoder) => decoder.arr.length - decoder.pos

function readStates (bytes) {
  const decoder = decoding.createDecoder(bytes)
  return Array.from({ length: decoding.readVarUint(decoder) }, () => ({
    clientId: decoding.readVarUint(decoder),
    clock: decoding.readVarUint(decoder),
    state: JSON.parse(decoding.readVarString(decoder))
  }))
}
