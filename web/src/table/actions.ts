// Owns what is done in the table: going somewhere, editing, saving, removing.
import { type RefObject, useMemo, useRef } from 'react'
import type { Deed } from './keys'
import { spotAt } from './keys'
import type { Onward } from './editor'
import type { TableActions } from './row'
import type { Editing, Spot } from './spot'
import { COLUMNS, columnOf, type Field, type Task } from './task'
import type { TableProps } from './table'

interface Scene extends TableProps {
  setEditing: (editing: Editing | undefined) => void
  box: RefObject<HTMLElement | null>
}

export interface AllActions {
  ofRows: TableActions
  perform: (deed: Deed, spot: Spot) => void
}

/** The same object for the table's life; it reads what there is when it is asked. */
export function useRowActions(scene: Scene): AllActions {
  const last = useRef(scene)
  last.current = scene
  return useMemo(() => actionsOn(() => last.current), [])
}

function actionsOn(now: () => Scene): AllActions {
  const go = (spot: Spot): void => {
    now().setEditing(undefined)
    now().setSpot(spot)
  }
  const toggle = ({ id }: Spot): void => {
    const { tasks } = now()
    tasks.update(id, { done: tasks.get(id)?.done !== true })
  }
  const edit = (spot: Spot, typed?: string): void => {
    const { room, openNotes, setSpot, setEditing } = now()
    if (room.isReadOnly) return
    setSpot(spot)
    switch (columnOf(spot.field)?.kind) {
      case 'check':
        return toggle(spot)
      case 'notes':
        return openNotes(spot.id)
      default:
        setEditing({ ...spot, ...(typed === undefined ? {} : { typed }) })
    }
  }
  const press = (spot: Spot, isTouch: boolean, isAgain: boolean): void => {
    const { room } = now()
    const kind = columnOf(spot.field)?.kind
    go(spot)
    if (room.isReadOnly) return
    // A box is ticked and a list opened by one press; words are edited by a second one.
    if (kind === 'check') toggle(spot)
    else if (kind === 'notes' || isTouch || isAgain) edit(spot)
  }
  const save = (spot: Spot, value: Task[Field] | undefined, onward: Onward): void => {
    const { tasks, setEditing, box, rows } = now()
    setEditing(undefined)
    if (tasks.get(spot.id)) tasks.update(spot.id, { [spot.field]: value })
    const next = nextSpot(spot, onward, rows)
    if (next) now().setSpot(next)
    focusLater(box, next ?? spot)
  }
  const clear = ({ id, field }: Spot): void => {
    const kind = columnOf(field)?.kind
    if (kind === 'notes') return
    now().tasks.update(id, { [field]: kind === 'check' ? false : undefined })
  }
  const perform = (deed: Deed, spot: Spot): void => {
    if (deed.do !== 'go' && now().room.isReadOnly) return
    switch (deed.do) {
      case 'go':
        return go(deed.to)
      case 'edit':
        return edit(spot, deed.typed)
      case 'toggle':
        return toggle(spot)
      case 'clear':
        return clear(spot)
      case 'remove':
        return now().remove(spot.id)
      case 'add':
        return now().add()
    }
  }
  const cancel = (): void => {
    const { setEditing, spot, box } = now()
    setEditing(undefined)
    if (spot) focusLater(box, spot)
  }
  return { perform, ofRows: { press, edit, save, cancel, remove: (id) => now().remove(id) } }
}

/** The cell has the focus when its editor has gone, unless a press elsewhere has taken it away. */
function focusLater(box: RefObject<HTMLElement | null>, spot: Spot): void {
  requestAnimationFrame(() => {
    const active = document.activeElement
    const isFree = active === document.body || active?.closest('[data-cell]')
    const name = CSS.escape(`${spot.id}:${spot.field}`)
    const cell = box.current?.querySelector<HTMLElement>(`[data-cell="${name}"]`)
    if (isFree && !cell?.contains(active)) cell?.focus({ preventScroll: true })
  })
}

function nextSpot(spot: Spot, onward: Onward, rows: TableProps['rows']): Spot | undefined {
  const row = rows.findIndex(({ id }) => id === spot.id)
  const column = COLUMNS.findIndex(({ field }) => field === spot.field)
  switch (onward) {
    case 'stay':
      return undefined
    case 'down':
      return spotAt(rows, row + 1, column)
    case 'up':
      return spotAt(rows, row - 1, column)
    case 'right':
      return column + 1 < COLUMNS.length ? spotAt(rows, row, column + 1) : spotAt(rows, row + 1, 0)
    case 'left':
      return column > 0 ? spotAt(rows, row, column - 1) : spotAt(rows, row - 1, COLUMNS.length - 1)
  }
}
