// Owns the line of tools above the table.
import type { ReactNode } from 'react'
import { CARDS } from '../table/table'
import { COLUMNS, type Field, type Order } from '../table/task'
import { useMatch } from '../ui/match'
import { ActivityIcon, PlusIcon, RedoIcon, SearchIcon, StackIcon, UndoIcon } from '../ui/icons'
import type { History } from './history'

export interface ToolsProps {
  isReadOnly: boolean
  count: number
  doneCount: number
  wanted: string
  look: (wanted: string) => void
  order: Order | undefined
  setOrder: (order: Order | undefined) => void
  history: History
  add: () => void
  fill: () => void
  isActivityOpen: boolean
  version: number
  toggleActivity: () => void
  children: ReactNode
}

export function Tools(props: ToolsProps): ReactNode {
  const { history, count, doneCount, isReadOnly } = props
  const isCards = useMatch(CARDS)
  return (
    <div className="tools" role="group" aria-label="Table">
      {!isReadOnly && (
        <button
          type="button"
          className="button primary add"
          onClick={props.add}
          title="New task (Ctrl + Enter)"
        >
          <PlusIcon />
          <span>New task</span>
        </button>
      )}
      <label className="search">
        <SearchIcon />
        <input
          type="search"
          placeholder="Search"
          aria-label="Search tasks"
          value={props.wanted}
          onChange={(event) => props.look(event.target.value)}
        />
      </label>
      {isCards && <SortChoice {...props} />}
      <p className="count" aria-live="polite">
        <b>{count.toLocaleString()}</b> {count === 1 ? 'task' : 'tasks'}
        <span>, {doneCount.toLocaleString()} done</span>
      </p>
      <span className="gap" />
      {props.children}
      {!isReadOnly && (
        <>
          <button
            type="button"
            className="quiet"
            disabled={!history.canUndo}
            onClick={history.undo}
            aria-label="Undo"
            title="Undo (Ctrl + Z)"
          >
            <UndoIcon />
          </button>
          <button
            type="button"
            className="quiet"
            disabled={!history.canRedo}
            onClick={history.redo}
            aria-label="Redo"
            title="Redo (Ctrl + Shift + Z)"
          >
            <RedoIcon />
          </button>
          <button
            type="button"
            className="button many"
            onClick={props.fill}
            title="See how it does with many rows"
          >
            <StackIcon />
            <span>Add 1,000 rows</span>
          </button>
        </>
      )}
      <button
        type="button"
        className="button log"
        aria-pressed={props.isActivityOpen}
        onClick={props.toggleActivity}
      >
        <ActivityIcon />
        <span>Activity</span>
        {props.version > 0 && <b className="version">v{props.version}</b>}
      </button>
    </div>
  )
}

/** Cards have no headers to press. */
function SortChoice({ order, setOrder }: Pick<ToolsProps, 'order' | 'setOrder'>): ReactNode {
  return (
    <select
      className="sort"
      aria-label="Sort by"
      value={order ? `${order.field} ${order.isDown ? 'down' : 'up'}` : ''}
      onChange={({ target: { value } }) => {
        const [field, way] = value.split(' ')
        setOrder(field ? { field: field as Field, isDown: way === 'down' } : undefined)
      }}
    >
      <option value="">By age</option>
      {COLUMNS.filter(({ kind }) => kind !== 'notes').flatMap(({ field, label }) => [
        <option key={`${field} up`} value={`${field} up`}>
          {label} ↑
        </option>,
        <option key={`${field} down`} value={`${field} down`}>
          {label} ↓
        </option>
      ])}
    </select>
  )
}
