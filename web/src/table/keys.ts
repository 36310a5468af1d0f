// Owns what the keys do in the table while no cell is being edited.
import type { KeyboardEvent } from 'react'
import { COLUMNS, columnOf, type TaskRow } from './task'
import type { Spot } from './spot'

export type Deed =
  | { do: 'go'; to: Spot }
  | { do: 'edit'; typed?: string }
  | { do: 'toggle' }
  | { do: 'clear' }
  | { do: 'remove' }
  | { do: 'add' }

const MOVES: Record<string, [rows: number, columns: number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1]
}

/** What a key means at a spot, if anything. `page` is how many rows are seen at once. */
export function deedOf(
  event: KeyboardEvent,
  spot: Spot,
  rows: readonly TaskRow[],
  page: number
): Deed | undefined {
  const { key } = event
  const isCommand = event.ctrlKey || event.metaKey
  if (event.altKey || event.nativeEvent.isComposing) return undefined
  if (isCommand && key === 'Enter') return { do: 'add' }
  if (isCommand && (key === 'Delete' || key === 'Backspace')) return { do: 'remove' }
  const to = moved(key, isCommand, spot, rows, page)
  if (to) return { do: 'go', to }
  if (isCommand) return undefined
  const isCheck = columnOf(spot.field)?.kind === 'check'
  if (key === 'Enter' || key === 'F2') return isCheck ? { do: 'toggle' } : { do: 'edit' }
  if (key === ' ' && isCheck) return { do: 'toggle' }
  if (key === 'Delete' || key === 'Backspace') return { do: 'clear' }
  if (key.length === 1 && !isCheck) return { do: 'edit', typed: key }
  return undefined
}

function moved(
  key: string,
  isCommand: boolean,
  spot: Spot,
  rows: readonly TaskRow[],
  page: number
): Spot | undefined {
  const from = rows.findIndex(({ id }) => id === spot.id)
  const last = COLUMNS.length - 1
  const at = COLUMNS.findIndex(({ field }) => field === spot.field)
  const [down, right] = MOVES[key] ?? [0, 0]
  switch (key) {
    case 'ArrowUp':
    case 'ArrowDown':
    case 'ArrowLeft':
    case 'ArrowRight':
      if (isCommand && down !== 0) return spotAt(rows, down < 0 ? 0 : rows.length - 1, at)
      return spotAt(rows, from + down, at + right)
    case 'Home':
      return spotAt(rows, isCommand ? 0 : from, 0)
    case 'End':
      return spotAt(rows, isCommand ? rows.length - 1 : from, last)
    case 'PageUp':
      return spotAt(rows, from - page, at)
    case 'PageDown':
      return spotAt(rows, from + page, at)
    default:
      return undefined
  }
}

/** The spot at a place, or the nearest that there is. */
export function spotAt(rows: readonly TaskRow[], row: number, column: number): Spot | undefined {
  const id = rows[Math.max(0, Math.min(rows.length - 1, row))]?.id
  const field = COLUMNS[Math.max(0, Math.min(COLUMNS.length - 1, column))]?.field
  return id !== undefined && field !== undefined ? { id, field } : undefined
}
