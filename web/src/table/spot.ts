// Owns the spot in the table where this person is: a cell, and whether it is being edited.
import type { Field } from './task'

export interface Spot {
  id: string
  field: Field
}

export interface Editing extends Spot {
  /** What was typed to begin with; the cell's value if nothing was. */
  typed?: string
}

export const isSame = (a: Spot | undefined, b: Spot | undefined): boolean =>
  a?.id === b?.id && a?.field === b?.field
