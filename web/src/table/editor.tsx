// Owns changing the value of one cell: a field to type into, or a list to choose from.
import { useEffect, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import { Picker, type Choice } from '../ui/picker'
import { parse, wordsOf, type Column, type Task, type TaskRow } from './task'

/** Where to go on after a value was given. */
export type Onward = 'stay' | 'down' | 'up' | 'right' | 'left'

export interface EditorProps {
  row: TaskRow
  column: Column
  typed?: string | undefined
  choices: readonly Choice[]
  /** `undefined` empties the cell. */
  save: (value: Task[keyof Task] | undefined, onward: Onward) => void
  cancel: () => void
}

export function Editor(props: EditorProps): ReactNode {
  return props.column.kind === 'choice' ? <ChoiceEditor {...props} /> : <TextEditor {...props} />
}

function onwardOf(event: KeyboardEvent): Onward | undefined {
  if (event.nativeEvent.isComposing) return undefined
  if (event.key === 'Enter') return event.shiftKey ? 'up' : 'down'
  if (event.key === 'Tab') return event.shiftKey ? 'left' : 'right'
  return undefined
}

/** What was chosen is looked at before one goes on, unless with Tab. */
function onwardBy(event: KeyboardEvent | undefined): Onward {
  return (event?.key === 'Tab' && onwardOf(event)) || 'stay'
}

function ChoiceEditor({ row, column, typed, choices, save, cancel }: EditorProps): ReactNode {
  const { field, label } = column
  return (
    <Picker
      label={label}
      value={wordsOf(field, row[field])}
      typed={typed}
      choices={choices}
      isOpenEnded={field === 'owner'}
      choose={(value, event) => save(value || undefined, onwardBy(event))}
      cancel={cancel}
    />
  )
}

function TextEditor({ row, column, typed, save, cancel }: EditorProps): ReactNode {
  const { field, kind, label } = column
  const value = row[field]
  const first = useRef(value)
  const [draft, setDraft] = useState(
    typed ?? (typeof value === 'string' ? value : wordsToType(value))
  )
  const isOver = useRef(false)
  const input = useRef<HTMLInputElement>(null)
  const parsed = parse(field, draft)

  useEffect(() => {
    input.current?.focus()
    if (typed === undefined && kind !== 'date') input.current?.select()
    if (kind === 'date') showPicker(input.current)
  }, [typed, kind])

  const end = (onward: Onward): void => {
    if (isOver.current || parsed === null) return
    isOver.current = true
    // What was not changed here is not written: it would win over what others wrote meanwhile.
    if (parsed === first.current || (parsed === undefined && !first.current))
      save(row[field], onward)
    else save(parsed, onward)
  }
  const keyed = (event: KeyboardEvent): void => {
    const onward = onwardOf(event)
    if (onward) {
      event.preventDefault()
      end(onward)
    } else if (event.key === 'Escape') {
      isOver.current = true
      cancel()
    }
    event.stopPropagation()
  }
  const isOther = value !== first.current && value !== parsed
  return (
    <>
      <input
        ref={input}
        className="editor"
        aria-label={label}
        aria-invalid={parsed === null}
        type={kind === 'date' ? 'date' : 'text'}
        inputMode={kind === 'number' ? 'decimal' : undefined}
        value={draft}
        maxLength={kind === 'date' ? undefined : 500}
        autoComplete="off"
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={keyed}
        onBlur={() => (parsed === null ? cancel() : end('stay'))}
      />
      {isOther && (
        <span className="meanwhile" role="status">
          Meanwhile: {wordsOf(field, value) || 'emptied'}
        </span>
      )}
      {parsed === null && (
        <span className="meanwhile" role="alert">
          A number, please
        </span>
      )}
    </>
  )
}

function wordsToType(value: unknown): string {
  return typeof value === 'number' ? String(value) : ''
}

/** The browser opens its calendar only for somebody who did something. */
function showPicker(input: HTMLInputElement | null): void {
  try {
    input?.showPicker?.()
  } catch {
    // The field itself is enough.
  }
}
