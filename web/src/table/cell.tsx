// Owns one cell as it is shown: its value, who else is there, and where a click leads.
import type { CSSProperties, ReactNode } from 'react'
import { Avatar } from '../people/avatar'
import { CheckIcon, NotesIcon } from '../ui/icons'
import type { Cursor } from './cursors'
import { dateWords, wordsOf, type Column, type TaskRow } from './task'

export function Value({
  row,
  column: { field, kind }
}: {
  row: TaskRow
  column: Column
}): ReactNode {
  const value = row[field]
  const words = wordsOf(field, value)
  switch (kind) {
    case 'check':
      return (
        <span className="check" data-on={value === true}>
          {value === true && <CheckIcon />}
        </span>
      )
    case 'choice':
      if (words === '') return null
      if (field === 'status')
        return (
          <span className="pill" data-status={words}>
            {words}
          </span>
        )
      return (
        <span className="owner">
          <Avatar name={words} size="small" />
          <span>{words}</span>
        </span>
      )
    case 'date':
      return (
        <span className="due" data-late={isLate(row)}>
          {typeof value === 'string' ? dateWords(value) : words}
        </span>
      )
    case 'notes':
      return (
        <span className="excerpt">
          {words !== '' && <NotesIcon />}
          <span>{words.replace(/\s+/g, ' ').slice(0, 80)}</span>
        </span>
      )
    case 'number':
    case 'text':
      return <span className="words">{words}</span>
  }
}

function isLate({ due, done }: TaskRow): boolean {
  return done !== true && typeof due === 'string' && due < new Date().toISOString().slice(0, 10)
}

/** The outline and the names of others in a cell. */
export function Company({ here }: { here: readonly Cursor[] }): ReactNode {
  const [first] = here
  if (!first) return null
  return (
    <span className="company" style={{ '--who': first.color } as CSSProperties} aria-hidden>
      <span className="names">
        {here.map(({ clientId, name, color, isTyping }) => (
          <span key={clientId} style={{ background: color }}>
            {name}
            {isTyping && <i className="dots" />}
          </span>
        ))}
      </span>
    </span>
  )
}

/** What a screen reader is told of a cell besides its value. */
export function labelOf(
  row: TaskRow,
  { field, label, kind }: Column,
  here: readonly Cursor[]
): string {
  const words =
    kind === 'check'
      ? row[field] === true
        ? 'yes'
        : 'no'
      : wordsOf(field, row[field]).slice(0, 200)
  const company = here.map(({ name, isTyping }) => `${name} is ${isTyping ? 'editing' : 'here'}`)
  return [`${label}: ${words || 'empty'}`, ...company].join('. ')
}
