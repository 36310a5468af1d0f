// Owns waiting: on events, with a generous bound, never for a length of time.

/** The bound of every wait that has no reason for another one. It is never what a test asserts. */
export const BOUND_MS = 30_000

/**
 * Waits until `look()` is true (or returns something truthy, which is handed back). It is asked now and after each of
 * the events in `on`, a list of `[emitter, eventName]`.
 */
export function until (what, look, { on = [], withinMs = BOUND_MS, seen = () => undefined } = {}) {
  return new Promise((resolve, reject) => {
    let done = false
    const finish = (act) => {
      if (done) return
      done = true
      clearTimeout(bound)
      for (const [emitter, event] of on) emitter.off(event, ask)
      act()
    }
    const ask = () => {
      if (done) return
      try {
        const found = look()
        if (found) finish(() => resolve(found))
      } catch (error) {
        finish(() => reject(error))
      }
    }
    const bound = setTimeout(() => finish(() => {
      reject(new Error(`expected: ${what}\nseen after ${withinMs} ms: ${show(seen())}`))
    }), withinMs)
    for (const [emitter, event] of on) emitter.on(event, ask)
    ask()
  })
}

/** Bounds any promise, and says what was waited for. */
export function within (what, promise, { withinMs = BOUND_MS, seen = () => undefined } = {}) {
  let bound
  const late = new Promise((_resolve, reject) => {
    bound = setTimeout(
      () => reject(new Error(`expected: ${what}\nseen after ${withinMs} ms: ${show(seen())}`)),
      withinMs
    )
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(bound))
}

/** Asks again and again where the other side has no event to offer: a port that opens, a counter behind HTTP. */
export async function poll (what, ask, { everyMs = 40, withinMs = BOUND_MS } = {}) {
  const end = Date.now() + withinMs
  let last
  for (;;) {
    last = await ask()
    if (last?.ok) return last.value
    if (Date.now() > end) throw new Error(`expected: ${what}\nseen after ${withinMs} ms: ${show(last)}`)
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}

/** Lets sockets be read before the caller goes on. */
export const breathe = () => new Promise((resolve) => setImmediate(resolve))

/** Anything, short enough for a failure message. */
export function show (value) {
  let text
  try {
    text = typeof value === 'string' ? value : JSON.stringify(value, jsonable)
  } catch {
    text = String(value)
  }
  text = text ?? String(value)
  return text.length > 2000 ? `${text.slice(0, 2000)}… (${text.length} characters)` : text
}

function jsonable (_key, value) {
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Map) return Object.fromEntries(value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  return value
}

/**
 * Lets time pass. Only for what is about time itself: that nothing ends a quiet connection.
 * `tests/tidy.rs` knows who may.
 */
export const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
