// Owns the colour of somebody whose token has none and whom the server has not painted yet.

const HUES = [4, 28, 48, 88, 140, 168, 196, 214, 244, 270, 300, 332]

/** The same colour for the same id, everywhere; dark enough for white text. */
export function colorOf(id: string): string {
  let hash = 2166136261
  for (let at = 0; at < id.length; at++) hash = Math.imul(hash ^ id.charCodeAt(at), 16777619)
  return `hsl(${HUES[(hash >>> 0) % HUES.length]}, 70%, 40%)`
}
