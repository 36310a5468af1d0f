// Owns `POST /rooms/{room}/sync`: a Yjs exchange without a socket.
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { request, segment, type Requester } from './request.js'

export interface Exchange {
  /** What the client lacked. */
  update: Uint8Array
  /** What the server has now. */
  stateVector: Uint8Array
  epoch: string
  version: number
}

/** Gives an update and takes what is lacking; answered once the update is durable. */
export async function exchange(
  to: Requester, room: string, stateVector: Uint8Array, update: Uint8Array, signal?: AbortSignal
): Promise<Exchange> {
  const body = encoding.createEncoder()
  encoding.writeVarUint8Array(body, stateVector)
  encoding.writeVarUint8Array(body, update)
  const reply = await request(to, `/rooms/${segment(room)}/sync`, {
    method: 'POST', bytes: encoding.toUint8Array(body), signal
  })
  const from = decoding.createDecoder(new Uint8Array(await reply.arrayBuffer()))
  return {
    update: decoding.readVarUint8Array(from).slice(),
    stateVector: decoding.readVarUint8Array(from).slice(),
    epoch: reply.headers.get('roundtable-epoch') ?? '',
    version: Number(reply.headers.get('roundtable-version') ?? 0)
  }
}
