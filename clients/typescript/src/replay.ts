// Owns one listener's way from a position in the log to now: what it missed by HTTP, page by page,
// and then what comes, each version once.
import type { Unsubscribe } from './emitter.js'
import type { FeedListener, ServerChanges } from './feed.js'
import { requestJson, segment, type Requester } from './http/request.js'
import type { Changes } from './http/types.js'

/** A place in a room's log: what comes after it is told. */
export interface LogPosition {
  version: number
  /** Of which history; without it, of whichever there is. */
  epoch?: string
}

const RETRY_MS = 5_000

/** Follows from a position on; `follow` brings what comes from now on. */
export function replay(
  http: Requester, room: string, since: LogPosition, listener: (changes: ServerChanges) => void,
  follow: (listener: FeedListener) => Unsubscribe
): Unsubscribe {
  let position = { ...since }
  let waiting: ServerChanges[] | undefined = []
  let timer: ReturnType<typeof setTimeout> | undefined
  const abort = new AbortController()

  const tell = (changes: ServerChanges): void => {
    if (abort.signal.aborted) return
    const isOther = position.epoch !== undefined && position.epoch !== changes.epoch
    if (!isOther && changes.missed === undefined && changes.version <= position.version) return
    // What a page and the live connection both had is told once.
    const events = changes.events.filter(({ version }) => isOther || version > position.version)
    position = { epoch: changes.epoch, version: changes.version }
    if (events.length > 0 || changes.missed !== undefined) listener({ ...changes, events })
  }

  const catchUp = async (): Promise<void> => {
    for (let hasMore = true; hasMore && !abort.signal.aborted;) {
      const { version, epoch } = position
      const query = { since: version, ...(epoch ? { epoch } : {}) }
      const path = `/rooms/${segment(room)}/changes`
      const page = await requestJson<Changes>(http, path, { query, signal: abort.signal })
      const { events, recovery, reason } = page
      const missed = recovery === 'snapshot' ? { missed: String(reason) } : {}
      tell({ room, epoch: page.epoch, version: page.version, events, ...missed })
      hasMore = page.hasMore
    }
    for (const changes of waiting ?? []) tell(changes)
    waiting = undefined
  }

  const attempt = (): void => {
    catchUp().catch(() => {
      if (!abort.signal.aborted) timer = setTimeout(attempt, RETRY_MS)
    })
  }
  const unlisten = follow({
    changes: (changes) => {
      if (waiting) waiting.push(changes)
      else tell(changes)
    },
    // From there on nothing is missed any more, so that what was before can be asked for.
    following: () => { if (!abort.signal.aborted && waiting) attempt() }
  })
  return () => {
    abort.abort()
    clearTimeout(timer)
    unlisten()
  }
}
