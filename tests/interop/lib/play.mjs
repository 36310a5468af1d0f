// Owns how a recorded history goes through real sockets: one per agent, updates as they were recorded, in an order that
// a seed chooses among those that causality allows.
import * as decoding from 'lib0/decoding'
import { update } from './frames.mjs'
import { dice } from './random.mjs'
import { Raw } from './raw.mjs'
import { breathe, until, within } from './wait.mjs'

/** How much may wait in a socket before its agent waits too. */
const BUFFERED_BYTES_MAX = 2 << 20

/**
 * Without anything to send for so long, the sockets ask the server whether it has everything that was sent: an update
 * that changes nothing, as when two agents delete the same, is told to nobody.
 */
const STALLED_MS = 200

/** Sends a whole workload. Resolves when the server has handled every update: `{ updates, ms, resyncs }`. */
export async function play (workload, { base, room, token, seed }) {
  const began = performance.now()
  const raws = []
  for (let a = 0; a < workload.agents.length; a++) raws.push(await Raw.open({ base, room, token: token(a) }))
  try {
    const resyncs = workload.agents.length === 1
      ? await playAlone(workload.agents[0], raws[0])
      : await new Ensemble(workload, raws, seed).play()
    await within('every socket to be handled', Promise.all(raws.map(settled)), { withinMs: 300_000 })
    const updates = workload.agents.reduce((sum, stream) => sum + stream.length, 0)
    return { updates, ms: performance.now() - began, resyncs }
  } finally {
    for (const raw of raws) raw.destroy()
  }
}

async function settled (raw) {
  const closed = await raw.handled({ withinMs: 300_000 })
  if (closed) throw new Error(`expected: an open socket\nseen: ${JSON.stringify(closed)}`)
}

async function playAlone (stream, raw) {
  raw.isQuiet = true
  for (let at = 0; at < stream.length; at += 512) {
    await sendAll(raw, stream.slice(at, at + 512))
    if (raw.closed) throw new Error(`closed after ${at} updates: ${JSON.stringify(raw.closed)}`)
  }
  return 0
}

/** Sends frames in one write, and waits while too much is on its way. */
async function sendAll (raw, updates) {
  const tcp = raw.socket._socket
  tcp?.cork()
  for (const bytes of updates.slice(0, -1)) raw.send(update(bytes))
  const last = new Promise((resolve) => raw.socket.send(update(updates.at(-1)), resolve))
  tcp?.uncork()
  if (raw.socket.bufferedAmount > BUFFERED_BYTES_MAX) await last
  else await breathe()
}

class Ensemble {
  constructor (workload, raws, seed) {
    this.raws = raws
    this.random = dice(`${seed} ${workload.name}`)
    this.streams = workload.agents
    this.needs = needsOf(workload)
    this.sent = this.streams.map(() => 0)
    /** heard[me][other]: how many of the other's updates came in over my socket. */
    this.heard = this.streams.map(() => this.streams.map(() => 0))
    this.resyncs = 0
    this.places = new Map()
    this.streams.forEach((stream, a) => stream.forEach((bytes, i) => {
      const key = keyOf(bytes)
      if (!this.places.has(key)) this.places.set(key, [])
      this.places.get(key).push([a, i])
    }))
    raws.forEach((raw, me) => {
      raw.isQuiet = true
      raw.on('bytes', (data) => this.#hear(me, data))
    })
  }

  async play () {
    for (;;) {
      const open = this.streams.map((_, a) => a).filter((a) => this.sent[a] < this.streams[a].length)
      if (open.length === 0) return this.resyncs
      const ready = open.filter((a) => this.#mayGo(a, this.sent[a]))
      if (ready.length === 0) await this.#news(open)
      else await this.#burst(this.random.pick(ready))
    }
  }

  async #burst (me) {
    const most = this.random.chance(0.2) ? 400 : this.random.int(1, 40)
    const from = this.sent[me]
    let to = from
    while (to - from < most && to < this.streams[me].length && this.#mayGo(me, to)) to++
    this.sent[me] = to
    await sendAll(this.raws[me], this.streams[me].slice(from, to))
  }

  #mayGo (me, index) {
    const needs = this.needs[me][index]
    return needs === undefined || needs.every(([a, count]) => this.heard[me][a] >= count)
  }

  #hear (me, data) {
    if (data[0] !== 0 || (data[1] !== 2 && data[1] !== 1)) return
    const decoder = decoding.createDecoder(new Uint8Array(data.buffer, data.byteOffset + 2, data.length - 2))
    const places = this.places.get(keyOf(decoding.readVarUint8Array(decoder))) ?? []
    const heard = this.heard[me]
    for (const [a, i] of places) {
      // Two agents that delete the same thing send the same bytes: those count for whoever's turn it is.
      if (places.length === 1 ? i >= heard[a] : i === heard[a]) heard[a] = i + 1
    }
  }

  async #news (open) {
    const on = this.raws.flatMap((raw) => [[raw, 'bytes'], [raw, 'closed']])
    const look = () => this.raws.some((raw) => raw.closed) || open.some((a) => this.#mayGo(a, this.sent[a]))
    await until('an update that an agent waits for', look, { on, withinMs: STALLED_MS }).catch(async () => {
      // What was merged on its way to a slow reader is not recognised: ask, and know from the answer.
      this.resyncs++
      const sent = [...this.sent]
      await Promise.all(this.raws.map((raw) => settled(raw)))
      for (const heard of this.heard) sent.forEach((count, a) => { heard[a] = Math.max(heard[a], count) })
    })
    const closed = this.raws.find((raw) => raw.closed)
    if (closed) throw new Error(`expected: open sockets\nseen: ${JSON.stringify(closed.closed)}`)
  }
}

const keyOf = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')

/** needs[agent][index]: what that update waits for, as far as it was not waited for before. */
function needsOf ({ agents, order }) {
  const needs = agents.map(() => [])
  for (const [agent, index, deps] of order) if (deps.length) needs[agent][index] = deps
  return needs
}
