// Owns following the room's log: where it stands, and its last lines.
import type { Room } from '@roundtable/client'
import { RoundtableHttp } from '@roundtable/client/http'
import { useEffect, useState } from 'react'
import { useVisit } from '../visit/visit'
import type { Acquaintance } from './acquaintances'
import { after, type Line } from './lines'

export interface Log {
  version: number
  lines: readonly Line[]
  /** Why earlier events cannot be told. */
  missed?: string
}

/** Of what was before, so many versions are listed. */
const BACK = 60
const RETRY_MS = 3_000

export function useLog(room: Room): Log {
  const {
    address: { token },
    network
  } = useVisit()
  const [log, setLog] = useState<Log>({ version: 0, lines: [] })
  useEffect(() => {
    const http = new RoundtableHttp({
      url: location.origin,
      fetch: network.fetch,
      ...(token ? { token } : {})
    })
    let unlisten = (): void => {}
    let timer: ReturnType<typeof setTimeout> | undefined
    let isOver = false
    const begin = async (): Promise<void> => {
      const { version, oldestVersion } = await http.room(room.name).info()
      if (isOver) return
      const since = Math.max(0, oldestVersion - 1, version - BACK)
      setLog({ version, lines: [] })
      unlisten = room.follow({ version: since }, (changes) =>
        setLog((log) => ({
          version: Math.max(log.version, changes.version),
          lines: after(log.lines, changes),
          ...(changes.missed === undefined ? {} : { missed: changes.missed })
        }))
      )
    }
    const attempt = (): void => {
      begin().catch(() => {
        if (!isOver) timer = setTimeout(attempt, RETRY_MS)
      })
    }
    attempt()
    return () => {
      isOver = true
      clearTimeout(timer)
      unlisten()
    }
  }, [room, network, token])
  return log
}

/** Who else last changed a field, or deleted a record, as far as the log has told. */
export function authorIn(
  log: Log,
  acquaintance: (userId: string) => Acquaintance,
  recordId: string,
  field?: string
): string | undefined {
  const isIt = (line: Line): boolean =>
    field === undefined
      ? line.type === 'delete'
      : line.changes.some((change) => change.field === field)
  const line = log.lines.find(
    (line) => line.recordId === recordId && isIt(line) && !acquaintance(line.userId).isMe
  )
  return line && acquaintance(line.userId).name
}
