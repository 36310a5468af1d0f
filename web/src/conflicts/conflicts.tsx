// Owns deciding: two people changed the same thing without having seen each other's change.
import { useConflicts } from '@roundtable/client/react'
import type { Conflict, Records, Room } from '@roundtable/client'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { columnOf, TASKS, wordsOf, type Task } from '../table/task'

interface ConflictsProps {
  room: Room
  tasks: Records<Task>
  /** Who else changed it, as far as the log has told. */
  authorOf: (recordId: string, field?: string) => string | undefined
}

/** Asks about one after the other; what is put off stays behind a button. */
export function Conflicts({ room, tasks, authorOf }: ConflictsProps): ReactNode {
  const conflicts = useConflicts(room).filter(({ collection }) => collection === TASKS)
  const [later, setLater] = useState<ReadonlySet<string>>(new Set())
  const asked = conflicts.find(({ id }) => !later.has(id))
  if (conflicts.length === 0) return null
  return (
    <>
      <button type="button" className="button warning" onClick={() => setLater(new Set())}>
        {conflicts.length === 1 ? '1 conflict' : `${conflicts.length} conflicts`}
      </button>
      {asked && (
        <Question
          key={asked.id}
          conflict={asked}
          tasks={tasks}
          author={authorOf(asked.recordId, asked.field) ?? 'somebody else'}
          left={conflicts.length}
          putOff={() => setLater(new Set([...later, ...conflicts.map(({ id }) => id)]))}
        />
      )}
    </>
  )
}

interface QuestionProps {
  conflict: Conflict
  tasks: Records<Task>
  author: string
  left: number
  putOff: () => void
}

function Question({ conflict, tasks, author, left, putOff }: QuestionProps): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null)
  const [failure, setFailure] = useState('')
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  const { field, recordId, source } = conflict
  const decide = (decision: Promise<void>): void => {
    decision.catch((error: unknown) =>
      setFailure(error instanceof Error ? error.message : String(error))
    )
  }
  const title = tasks.get(recordId)?.title || (conflict.mine as Task | undefined)?.title || 'a task'
  return (
    <dialog
      ref={dialog}
      className="dialog conflict"
      aria-labelledby="conflict-title"
      data-conflict={`${recordId}:${field ?? ''}`}
      data-source={source}
      onCancel={(event) => {
        event.preventDefault()
        putOff()
      }}
    >
      <p className="eyebrow">{left === 1 ? 'Conflict' : `Conflict, ${left - 1} more after this`}</p>
      <h2 id="conflict-title">
        {field === undefined ? 'Deleted there, changed here' : 'Both of you changed this'}
      </h2>
      <p className="hint">
        {field === undefined ? (
          <>
            While you were away, {author} deleted “{title}”.
          </>
        ) : (
          <>
            While you were away, {author} changed{' '}
            {field === 'title' ? (
              'the same title'
            ) : (
              <>
                <b>{columnOf(field)?.label ?? field}</b> of “{title}”
              </>
            )}
            , too. Which one counts?
          </>
        )}
      </p>
      {field === undefined ? (
        <Removed conflict={conflict} decide={decide} />
      ) : (
        <Values field={field} conflict={conflict} decide={decide} />
      )}
      {failure && (
        <p className="failure" role="alert">
          That did not work: {failure}
        </p>
      )}
      <p className="end">
        <button type="button" className="button quiet-text" onClick={putOff}>
          Decide later
        </button>
      </p>
    </dialog>
  )
}

interface DecisionProps {
  conflict: Conflict
  decide: (decision: Promise<void>) => void
}

function Removed({ conflict, decide }: DecisionProps): ReactNode {
  return (
    <div className="sides">
      <button
        type="button"
        className="side"
        data-keep="mine"
        onClick={() => decide(conflict.keepMine())}
      >
        <small>Mine</small>
        <b>Bring it back</b>
      </button>
      <button
        type="button"
        className="side"
        data-keep="theirs"
        onClick={() => decide(conflict.keepTheirs())}
      >
        <small>Theirs</small>
        <b>Leave it deleted</b>
      </button>
    </div>
  )
}

function Values({ field, conflict, decide }: DecisionProps & { field: string }): ReactNode {
  const { mine, theirs } = conflict
  const [merged, setMerged] = useState(
    [theirs, mine]
      .map((value) => wordsOf(field, value))
      .filter(Boolean)
      .join(' / ')
  )
  const isStanding = (value: unknown): boolean =>
    wordsOf(field, conflict.current) === wordsOf(field, value)
  return (
    <>
      <div className="sides">
        <button
          type="button"
          className="side"
          data-keep="mine"
          onClick={() => decide(conflict.keepMine())}
        >
          <small>Keep mine{isStanding(mine) && ' (stands now)'}</small>
          <b>{wordsOf(field, mine) || 'empty'}</b>
        </button>
        <button
          type="button"
          className="side"
          data-keep="theirs"
          onClick={() => decide(conflict.keepTheirs())}
        >
          <small>Keep theirs{isStanding(theirs) && ' (stands now)'}</small>
          <b>{wordsOf(field, theirs) || 'empty'}</b>
        </button>
      </div>
      {columnOf(field)?.kind === 'text' && (
        <form
          className="merging"
          onSubmit={(event) => {
            event.preventDefault()
            decide(conflict.merge(merged))
          }}
        >
          <label>
            Or both, in words of yours
            <input
              value={merged}
              maxLength={500}
              onChange={(event) => setMerged(event.target.value)}
            />
          </label>
          <button type="submit" className="button primary" data-keep="merged">
            Merge
          </button>
        </form>
      )}
    </>
  )
}
