// Owns what a row is: its fields, its columns, how values are read and shown.
import * as Y from 'yjs'
import type { Snapshot } from '@roundtable/client'

export const TASKS = 'tasks'

/** Whoever else writes into the collection may leave out, or get wrong, any of it. */
export interface Task {
  title?: string
  status?: string
  owner?: string
  estimate?: number
  due?: string
  done?: boolean
  /** A text that several people write at the same time. */
  notes?: Y.Text | string
}

export type TaskRow = Snapshot<Task>
export type Field = keyof Task

export interface Column {
  field: Field
  label: string
  kind: 'check' | 'text' | 'choice' | 'number' | 'date' | 'notes'
}

export const COLUMNS: readonly Column[] = [
  { field: 'done', label: 'Done', kind: 'check' },
  { field: 'title', label: 'Task', kind: 'text' },
  { field: 'status', label: 'Status', kind: 'choice' },
  { field: 'owner', label: 'Owner', kind: 'choice' },
  { field: 'estimate', label: 'Days', kind: 'number' },
  { field: 'due', label: 'Due', kind: 'date' },
  { field: 'notes', label: 'Notes', kind: 'notes' }
]

export const STATUSES = ['Idea', 'Next', 'Doing', 'Review', 'Blocked'] as const

export function columnOf(field: string): Column | undefined {
  return COLUMNS.find((column) => column.field === field)
}

// Made once: every cell that scrolls into sight asks.
const NUMBERS = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 })
const DAYS = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' })
const DAYS_OF_YEARS = new Intl.DateTimeFormat(undefined, {
  month: 'short',
  day: 'numeric',
  year: 'numeric'
})

/** A value as words: for cells, for the activity list, for the conflict dialog. */
export function wordsOf(field: string, value: unknown): string {
  if (value === undefined || value === null || value === '') return ''
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value === 'number') return NUMBERS.format(value)
  if (typeof value === 'string') return field === 'due' ? dateWords(value) : value
  return JSON.stringify(value)
}

const DATE = /^\d{4}-\d{2}-\d{2}$/

export function dateWords(date: string): string {
  if (!DATE.test(date)) return date
  const day = new Date(`${date}T12:00:00`)
  if (Number.isNaN(day.getTime())) return date
  const isThisYear = day.getFullYear() === new Date().getFullYear()
  return (isThisYear ? DAYS : DAYS_OF_YEARS).format(day)
}

/** What was typed, as a value of the field; `undefined` for nothing, `null` for what is none. */
export function parse(field: Field, typed: string): Task[Field] | null | undefined {
  const text = typed.trim()
  if (text === '') return undefined
  if (field !== 'estimate') return text
  const number = Number(text.replace(',', '.'))
  return Number.isFinite(number) ? number : null
}

export function newTask(fields: Omit<Task, 'notes'> = {}, notes = ''): Task {
  return { title: '', status: 'Next', done: false, ...fields, notes: new Y.Text(notes) }
}

export interface Order {
  field: Field
  isDown: boolean
}

/** Rows in an order; those without a value come last, and what is equal stays by age. */
export function sorted(rows: readonly TaskRow[], order: Order | undefined): readonly TaskRow[] {
  if (!order) return rows
  const { field, isDown } = order
  const sign = isDown ? -1 : 1
  return [...rows].sort((a, b) => {
    const [x, y] = [rank(field, a[field]), rank(field, b[field])]
    if (x === undefined || y === undefined) return Number(x === undefined) - Number(y === undefined)
    if (typeof x === 'string' && typeof y === 'string') return sign * compareWords(x, y)
    return sign * (Number(x) - Number(y))
  })
}

const compareWords = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' }).compare

function rank(field: Field, value: unknown): string | number | undefined {
  if (field === 'done') return value === true ? 1 : 0
  if (value === undefined || value === null || value === '') return undefined
  if (field === 'status') {
    const at = (STATUSES as readonly unknown[]).indexOf(value)
    return at < 0 ? STATUSES.length : at
  }
  return typeof value === 'number' ? value : String(value)
}

/** Whether a row has the words that are looked for, anywhere. */
export function matches(row: TaskRow, wanted: string): boolean {
  const words = wanted.toLocaleLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return true
  const text = COLUMNS.filter(({ kind }) => kind !== 'check')
    .map(({ field }) => wordsOf(field, row[field]))
    .join('\n')
    .toLocaleLowerCase()
  return words.every((word) => text.includes(word))
}
