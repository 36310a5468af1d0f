// Owns the activity list: who changed what, from what to what, and which version that made.
import type { Records } from '@roundtable/client'
import { memo, useEffect, useState, type ReactNode } from 'react'
import { Avatar } from '../people/avatar'
import { columnOf, TASKS, wordsOf, type Task } from '../table/task'
import { CloseIcon } from '../ui/icons'
import type { Acquaintance } from './acquaintances'
import type { Change, Line } from './lines'
import type { Log } from './log'

interface ActivityProps {
  tasks: Records<Task>
  log: Log
  acquaintance: (userId: string) => Acquaintance
  close: () => void
  /** Goes to a row. */
  show: (id: string, field?: string) => void
}

export function Activity({ tasks, log, acquaintance, close, show }: ActivityProps): ReactNode {
  const now = useNow()
  const lines = log.lines.filter(({ collection }) => collection === TASKS)
  return (
    <section className="activity" aria-label="Activity">
      <header>
        <div>
          <p className="eyebrow">Activity</p>
          <h2>
            {log.version === 0 ? (
              'Nothing yet'
            ) : (
              <>
                Version <b className="version">{log.version}</b>
              </>
            )}
          </h2>
        </div>
        <button type="button" className="quiet" aria-label="Close activity" onClick={close}>
          <CloseIcon />
        </button>
      </header>
      <ol aria-live="polite" aria-relevant="additions">
        {lines.map((line) => (
          <Entry
            key={line.key}
            line={line}
            who={acquaintance(line.userId)}
            title={titleOf(line, tasks)}
            ago={agoOf(line.at, now)}
            show={show}
          />
        ))}
      </ol>
      {lines.length === 0 && (
        <p className="nothing">Every change gets a version, and is listed here as it happens.</p>
      )}
    </section>
  )
}

interface EntryProps {
  line: Line
  who: Acquaintance
  title: string
  ago: string
  show: ActivityProps['show']
}

const Entry = memo(
  function Entry({ line, who, title, ago, show }: EntryProps): ReactNode {
    const { recordId, changes } = line
    const isMany = line.count > 1
    const what = isMany ? (
      <b>{line.count.toLocaleString()} tasks</b>
    ) : (
      <Title title={title} show={() => recordId && show(recordId, changes[0]?.field)} />
    )
    return (
      <li data-type={line.type}>
        <Avatar name={who.name} color={who.color} size="small" />
        <div>
          <p>
            <b>{who.isMe ? 'You' : who.name}</b> {VERBS[line.type]} {what}
          </p>
          {line.type === 'update' &&
            changes.map((change) => <Difference key={change.field} change={change} />)}
        </div>
        <p className="when">
          <span className="version">{versionsOf(line)}</span>
          {ago}
        </p>
      </li>
    )
  },
  (a, b) =>
    a.line === b.line &&
    a.title === b.title &&
    a.ago === b.ago &&
    a.who.name === b.who.name &&
    a.who.color === b.who.color &&
    a.who.isMe === b.who.isMe
)

/** A link rather than a button: its words wrap like those around them. */
function Title({ title, show }: { title: string; show: () => void }): ReactNode {
  return (
    <a
      href={location.hash}
      className="link"
      onClick={(event) => {
        event.preventDefault()
        show()
      }}
    >
      {title}
    </a>
  )
}

const VERBS: Record<Line['type'], string> = {
  create: 'added',
  update: 'changed',
  delete: 'deleted',
  document: 'changed'
}

function versionsOf({ from, to }: Line): string {
  return from === to ? `v${from}` : `v${from}–${to}`
}

function Difference({ change: { field, before, after } }: { change: Change }): ReactNode {
  const label = columnOf(field)?.label ?? field
  if (field === 'notes')
    return (
      <p className="difference">
        <span>{label}</span> <ins>{tail(wordsOf(field, after))}</ins>
      </p>
    )
  return (
    <p className="difference">
      <span>{label}</span> <del>{brief(wordsOf(field, before))}</del>
      <i aria-label="to">→</i>
      <ins>{brief(wordsOf(field, after))}</ins>
    </p>
  )
}

const WORDS_MAX = 60
const brief = (words: string): string =>
  words.length > WORDS_MAX ? `${words.slice(0, WORDS_MAX)}…` : words || 'empty'
const tail = (words: string): string =>
  words.length > WORDS_MAX ? `…${words.slice(-WORDS_MAX)}` : words || 'empty'

function titleOf({ recordId = '', type, changes }: Line, tasks: Records<Task>): string {
  const said = changes.find(({ field }) => field === 'title')
  const value = tasks.get(recordId)?.title || (type === 'delete' ? said?.before : said?.after)
  return wordsOf('title', value) || 'a task'
}

/** The time, as often as words about it change. */
function useNow(): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 15_000)
    return () => clearInterval(timer)
  }, [])
  return now
}

function agoOf(at: number, now: number): string {
  const seconds = Math.max(0, (now - at) / 1000)
  if (seconds < 45) return 'now'
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min`
  const when = new Date(at)
  const isToday = when.toDateString() === new Date(now).toDateString()
  return isToday
    ? when.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' })
    : when.toLocaleDateString(undefined, { month: 'short', day: 'numeric' })
}
