// Owns one row. It renders again when its own record, company or spot changes, and else never.
import { useRecordState } from '@roundtable/client/react'
import type { Room } from '@roundtable/client'
import { memo, useRef, type MouseEvent, type ReactNode } from 'react'
import { BinIcon } from '../ui/icons'
import type { Choice } from '../ui/picker'
import { Company, labelOf, Value } from './cell'
import type { Cursor } from './cursors'
import { Editor, type Onward } from './editor'
import type { Editing, Spot } from './spot'
import { COLUMNS, TASKS, type Column, type Field, type Task, type TaskRow } from './task'

/** What rows ask of the table; the same object for its whole life. */
export interface TableActions {
  /** `isAgain` when the cell had the focus before. */
  press: (spot: Spot, isTouch: boolean, isAgain: boolean) => void
  edit: (spot: Spot) => void
  save: (spot: Spot, value: Task[Field] | undefined, onward: Onward) => void
  cancel: () => void
  remove: (id: string) => void
}

export interface RowProps {
  room: Room
  row: TaskRow
  /** Which row of all it is, from 0. */
  at: number
  top: number
  here: readonly Cursor[]
  /** The cell of this row that this person is in. */
  spot: Field | undefined
  editing: Editing | undefined
  choices: (field: Field) => readonly Choice[]
  actions: TableActions
}

export const Row = memo(function Row(props: RowProps): ReactNode {
  const { room, row, at, top, here, spot, editing, actions } = props
  const state = useRecordState(room, TASKS, row.id)
  return (
    <div
      role="row"
      aria-rowindex={at + 2}
      className="row"
      data-row={row.id}
      data-state={state}
      data-done={row.done === true}
      data-active={spot !== undefined}
      data-editing={editing && ''}
      data-company={here.length > 0 ? '' : undefined}
      style={{ transform: `translateY(${top}px)` }}
    >
      {COLUMNS.map((column, index) => (
        <Cell key={column.field} {...props} column={column} index={index} />
      ))}
      <span className="row-end" role="gridcell">
        <button
          type="button"
          className="quiet"
          tabIndex={-1}
          aria-label={`Delete ${row.title || 'task'}`}
          title="Delete (Ctrl + Delete)"
          onClick={() => actions.remove(row.id)}
        >
          <BinIcon />
        </button>
      </span>
      {state !== 'saved' && <span className="unsaved" title="Not at the server yet" />}
    </div>
  )
})

type CellProps = RowProps & { column: Column; index: number }

function Cell({ row, column, index, here, spot, editing, choices, actions }: CellProps): ReactNode {
  const { field, kind } = column
  const own: Spot = { id: row.id, field }
  const isActive = spot === field
  const hadFocus = useRef(false)
  const isEditing = isActive && editing !== undefined && kind !== 'check' && kind !== 'notes'
  const company = here.filter((cursor) => cursor.field === field)
  return (
    <div
      role="gridcell"
      aria-colindex={index + 1}
      aria-label={isEditing ? undefined : labelOf(row, column, company)}
      aria-selected={isActive}
      aria-checked={kind === 'check' ? row.done === true : undefined}
      tabIndex={isActive && !isEditing ? 0 : -1}
      className="cell"
      data-kind={kind}
      data-field={field}
      data-cell={`${row.id}:${field}`}
      data-editing={isEditing ? '' : undefined}
      data-empty={!isEditing && !row[field] ? '' : undefined}
      data-here={company.map(({ name }) => name).join(', ') || undefined}
      onMouseDown={({ currentTarget }) => {
        hadFocus.current = currentTarget === document.activeElement
      }}
      onClick={(event) => {
        if (!isEditing) actions.press(own, isTouch(event), hadFocus.current)
      }}
      onDoubleClick={() => {
        if (!isEditing) actions.edit(own)
      }}
    >
      {isEditing ? (
        <Editor
          row={row}
          column={column}
          typed={editing.typed}
          choices={choices(field)}
          save={(value, onward) => actions.save(own, value, onward)}
          cancel={actions.cancel}
        />
      ) : (
        <Value row={row} column={column} />
      )}
      <Company here={company} />
    </div>
  )
}

function isTouch({ nativeEvent }: MouseEvent): boolean {
  return nativeEvent instanceof PointerEvent && nativeEvent.pointerType === 'touch'
}
