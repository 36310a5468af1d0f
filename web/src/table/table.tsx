// Owns the table: which rows are shown, where this person is in it, and what keys and clicks do.
import { useOthers } from '@roundtable/client/react'
import type { Records, Room } from '@roundtable/client'
import {
  type RefObject,
  useCallback,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type ReactNode
} from 'react'
import { useMatch } from '../ui/match'
import { useChoices } from './choices'
import { useCursors } from './cursors'
import { useFlashes } from './flashes'
import { useRowActions } from './actions'
import { Header, nextOrder } from './header'
import { deedOf } from './keys'
import { Row } from './row'
import type { Editing, Spot } from './spot'
import type { Order, Task, TaskRow } from './task'
import { useTelling } from './telling'
import { useSpan } from './windowing'
import { PlusIcon } from '../ui/icons'
import { Pointers, usePointer } from '../people/pointers'

const ROW_HEIGHT = 44
const CARD_HEIGHT = 80
export const CARDS = '(max-width: 639px)'

export interface TableProps {
  room: Room
  tasks: Records<Task>
  rows: readonly TaskRow[]
  order: Order | undefined
  setOrder: (order: Order | undefined) => void
  spot: Spot | undefined
  /** The row that was just added here. */
  fresh: string | undefined
  setSpot: (spot: Spot | undefined) => void
  openNotes: (id: string) => void
  remove: (id: string) => void
  add: () => void
}

export function Table(props: TableProps): ReactNode {
  const { room, rows, order, setOrder, spot } = props
  const box = useRef<HTMLDivElement>(null)
  const isCards = useMatch(CARDS)
  const rowHeight = isCards ? CARD_HEIGHT : ROW_HEIGHT
  const span = useSpan(box, rows.length, rowHeight)
  const [editing, setEditing] = useState<Editing>()
  const others = useOthers(room)
  const here = useCursors(others)
  const choices = useChoices(rows, others, room)
  const actions = useRowActions({ ...props, setEditing, box })
  const spotAt = useMemo(() => rows.findIndex(({ id }) => id === spot?.id), [rows, spot?.id])
  useFlashes(room, box)
  usePointer(room, box)
  useTelling(room, box, spot, editing !== undefined)
  useNearestSpot(props, spotAt)
  useLayoutEffect(() => {
    if (props.fresh !== undefined) setEditing({ id: props.fresh, field: 'title' })
  }, [props.fresh])
  useFocus({ box, spot, spotAt, isEditing: editing !== undefined })

  const keyed = useCallback(
    (event: KeyboardEvent): void => {
      const cell = (event.target as Element).closest('[data-cell]')
      if (!spot || !cell || event.target !== cell) return
      const page = Math.max(1, Math.floor((box.current?.clientHeight ?? 0) / rowHeight) - 2)
      const deed = deedOf(event, spot, rows, page)
      if (!deed) return
      event.preventDefault()
      actions.perform(deed, spot)
    },
    [spot, rows, rowHeight, actions]
  )

  const shown = rows
    .slice(span.first, span.end)
    .map((row, index) => ({ row, at: span.first + index }))
  // The row that has the focus stays in the document, wherever one scrolls.
  const held = rows[spotAt]
  if (held && (spotAt < span.first || spotAt >= span.end)) shown.push({ row: held, at: spotAt })
  return (
    <div ref={box} className="scroller" data-cards={isCards}>
      <div
        role="grid"
        aria-label="Tasks"
        aria-rowcount={rows.length + 1}
        aria-colcount={8}
        className="grid"
        onKeyDown={keyed}
      >
        <Header order={order} sort={(field) => setOrder(nextOrder(order, field))} />
        <div role="rowgroup" className="rows" style={{ height: rows.length * rowHeight }}>
          {shown.map(({ row, at }) => (
            <Row
              key={row.id}
              room={room}
              row={row}
              at={at}
              top={at * rowHeight}
              here={here(row.id)}
              spot={spot?.id === row.id ? spot.field : undefined}
              editing={editing?.id === row.id ? editing : undefined}
              choices={choices}
              actions={actions.ofRows}
            />
          ))}
          <Pointers room={room} rows={rows} rowHeight={rowHeight} />
        </div>
        {rows.length === 0 && (
          <p className="nothing">Nothing here yet. Add a task, or look for something else.</p>
        )}
      </div>
      {!room.isReadOnly && (
        <button type="button" className="append" tabIndex={-1} onClick={() => props.add()}>
          <PlusIcon />
          New task
        </button>
      )}
    </div>
  )
}

/** When the row that one is in goes away, the one in its place is taken; at first, the first. */
function useNearestSpot({ rows, spot, setSpot }: TableProps, spotAt: number): void {
  const last = useRef(0)
  useLayoutEffect(() => {
    if (spotAt >= 0) {
      last.current = spotAt
      return
    }
    const row = rows[Math.min(last.current, rows.length - 1)]
    if (row) setSpot({ id: row.id, field: spot?.field ?? 'title' })
    else if (spot) setSpot(undefined)
  }, [rows, spot, spotAt, setSpot])
}

interface FocusProps {
  box: RefObject<HTMLDivElement | null>
  spot: Spot | undefined
  spotAt: number
  isEditing: boolean
}

/** Brings the cell that one is in into sight, and gives it the focus if the table has it. */
function useFocus({ box, spot, spotAt, isEditing }: FocusProps): void {
  const seen = useRef<Spot>(undefined)
  useLayoutEffect(() => {
    const element = box.current
    if (!element || !spot || spotAt < 0) return
    const isMove = seen.current !== undefined && seen.current !== spot
    seen.current = spot
    const cell = element.querySelector<HTMLElement>(
      `[data-cell="${CSS.escape(`${spot.id}:${spot.field}`)}"]`
    )
    if (isMove) cell?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
    // A page that was just opened leaves the focus where it is, and so does a press elsewhere.
    const active = document.activeElement
    const isInCell = active?.closest('[data-cell]') != null
    const isLost = isMove && active === document.body
    if (!isEditing && (isInCell || isLost)) cell?.focus({ preventScroll: true })
  }, [box, spot, spotAt, isEditing])
}
