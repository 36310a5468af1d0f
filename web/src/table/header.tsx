// Owns the names of the columns, and sorting by them.
import type { ReactNode } from 'react'
import { SortIcon } from '../ui/icons'
import { COLUMNS, type Field, type Order } from './task'

export interface HeaderProps {
  order: Order | undefined
  sort: (field: Field) => void
}

export function Header({ order, sort }: HeaderProps): ReactNode {
  return (
    <div role="row" aria-rowindex={1} className="header row">
      {COLUMNS.map(({ field, label, kind }, index) => {
        const isSorted = order?.field === field
        return (
          <div
            key={field}
            role="columnheader"
            aria-colindex={index + 1}
            aria-sort={isSorted ? (order.isDown ? 'descending' : 'ascending') : 'none'}
            className="cell"
            data-kind={kind}
            data-field={field}
          >
            <button
              type="button"
              onClick={() => sort(field)}
              data-sorted={isSorted}
              title={`Sort by ${label.toLowerCase()}`}
            >
              <span>{label}</span>
              <SortIcon isDown={isSorted && order.isDown} />
            </button>
          </div>
        )
      })}
      <div role="columnheader" aria-label="Actions" className="row-end" />
    </div>
  )
}

/** The next order after a press: up, down, and as it was. */
export function nextOrder(order: Order | undefined, field: Field): Order | undefined {
  if (order?.field !== field) return { field, isDown: false }
  return order.isDown ? undefined : { field, isDown: true }
}
