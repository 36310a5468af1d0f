// Owns the long text of one task, edited together.
import { useOthers, useRecord } from '@roundtable/client/react'
import type { Room } from '@roundtable/client'
import { type RefObject, useEffect, useLayoutEffect, useRef, useState, type ReactNode } from 'react'
import * as Y from 'yjs'
import { TASKS, wordsOf, type Task } from '../table/task'
import { CloseIcon } from '../ui/icons'
import { bind } from './binding'
import { Carets, keepInside } from './carets'
import { caretsIn, tell } from './selection'

export interface NotesProps {
  room: Room
  id: string
  /** Counts up whenever somebody asks for the caret to be here. */
  asked: number
  close: () => void
}

export function Notes({ room, id, asked, close }: NotesProps): ReactNode {
  const task = useRecord<Task>(room, TASKS, id)
  const text = task && textOf(room, id)
  const others = useOthers(room)
  const carets = text ? caretsIn(text, id, others) : []
  const area = useRef<HTMLTextAreaElement>(null)
  const behind = useRef<HTMLDivElement>(null)
  const words = wordsOf('notes', task?.notes)

  useEffect(() => (text && area.current ? bind(area.current, text) : undefined), [text])
  useEffect(() => {
    area.current?.focus({ preventScroll: true })
  }, [asked, id])
  useSelection(room, id, text, area)
  const follow = (): void => {
    if (behind.current && area.current) behind.current.scrollTop = area.current.scrollTop
  }
  useLayoutEffect(() => {
    follow()
    if (behind.current) keepInside(behind.current)
  })

  return (
    <section className="notes" aria-label="Notes">
      <header>
        <div>
          <p className="eyebrow">Notes</p>
          <h2>{task?.title || 'Task without a name'}</h2>
        </div>
        <button type="button" className="quiet" aria-label="Close notes" onClick={close}>
          <CloseIcon />
        </button>
      </header>
      {text ? (
        <div className="paper">
          <div ref={behind} className="behind" aria-hidden>
            <Carets words={words} carets={carets} />
          </div>
          <textarea
            ref={area}
            aria-label={`Notes of ${task.title || 'task'}`}
            placeholder="Write here, together."
            readOnly={room.isReadOnly}
            spellCheck={false}
            onScroll={follow}
            onKeyDown={(event) => {
              if (event.key === 'Escape') close()
            }}
          />
        </div>
      ) : (
        <NoText room={room} id={id} isGone={task === undefined} />
      )}
      <p className="hint">
        {carets.length > 0
          ? `Here, too: ${carets.map(({ name }) => name).join(', ')}`
          : 'Everybody’s words are merged, letter by letter.'}
      </p>
    </section>
  )
}

function textOf(room: Room, id: string): Y.Text | undefined {
  const record: unknown = room.doc.getMap(TASKS).get(id)
  const notes: unknown = record instanceof Y.Map ? record.get('notes') : undefined
  return notes instanceof Y.Text ? notes : undefined
}

/** A row of somebody's script has plain words for notes, or none. */
function NoText({ room, id, isGone }: { room: Room; id: string; isGone: boolean }): ReactNode {
  const tasks = room.records<Task>(TASKS)
  if (isGone) return <p className="nothing">This task was deleted.</p>
  const begin = (): void => {
    tasks.update(id, { notes: new Y.Text(wordsOf('notes', tasks.get(id)?.notes)) })
  }
  return (
    <p className="nothing">
      <button type="button" className="button" onClick={begin}>
        Begin notes
      </button>
    </p>
  )
}

/** Tells others where the caret is, while it is in the text. */
function useSelection(
  room: Room,
  id: string,
  text: Y.Text | undefined,
  area: RefObject<HTMLTextAreaElement | null>
): void {
  const [isIn, setIsIn] = useState(false)
  useEffect(() => {
    const element = area.current
    if (!element || !text) return undefined
    const look = (): void => {
      const isHere = document.activeElement === element
      setIsIn(isHere)
      if (!isHere) return
      const { selectionStart, selectionEnd, selectionDirection } = element
      const isBack = selectionDirection === 'backward'
      const [anchor, head] = isBack
        ? [selectionEnd, selectionStart]
        : [selectionStart, selectionEnd]
      room.presence.update({
        selection: tell(text, id, anchor, head),
        cursor: { recordId: id, fieldId: 'notes' }
      })
    }
    const events = ['selectionchange', 'focusin', 'focusout'] as const
    for (const event of events) document.addEventListener(event, look)
    element.addEventListener('input', look)
    look()
    return () => {
      for (const event of events) document.removeEventListener(event, look)
      element.removeEventListener('input', look)
    }
  }, [room, id, text, area])
  useEffect(() => (isIn ? () => room.presence.select(null) : undefined), [isIn, room, id])
}
