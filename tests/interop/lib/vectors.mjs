// Owns the way to the data set, which stays outside the repository: ROUNDTABLE_DATA, or ../shared/data beside it.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

const REPOSITORY = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')
const FOLDER = resolve(REPOSITORY, process.env.ROUNDTABLE_DATA || '../shared/data')

/** The folder, or null in a clone without it. A folder that is named but not there is a mistake. */
export function dataFolder () {
  if (existsSync(FOLDER)) return FOLDER
  if (process.env.ROUNDTABLE_DATA) throw new Error(`ROUNDTABLE_DATA names ${FOLDER}, which is not there`)
  return null
}

export const bytesOf = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'))

const unzip = (name) => gunzipSync(readFileSync(join(dataFolder(), name)))
const parse = (name) => JSON.parse(readFileSync(join(dataFolder(), name), 'utf8'))

/** The 319 malformed frames and the update that the room holds before each. */
export function malformedFrames () {
  const vectors = parse('vectors/protocol.json')
  return {
    base: bytesOf(vectors.malformed_base_update_hex),
    frames: vectors.malformed.map(({ what, hex }) => ({ what, bytes: bytesOf(hex) }))
  }
}

/** One recorded workload: `{ name, kind, root, updates, agents, order, final }`. */
export function recorded (name) {
  const about = parse(`${name}.json`)
  const all = split(unzip(`${name}.updates.bin.gz`))
  const agents = about.agents.map(({ first, updates }) => all.slice(first, first + updates))
  const order = about.causal_file ? JSON.parse(unzip(about.causal_file)).order : null
  return { name, kind: about.kind, root: about.root.name, isText: about.root.type === 'Y.Text', agents, order, final: about.final }
}

function split (bytes) {
  const list = []
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32LE(at)
    list.push(new Uint8Array(bytes.buffer, bytes.byteOffset + at + 4, length))
    at += 4 + length
  }
  return list
}
