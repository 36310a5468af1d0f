// Owns which rows this window shows, in which order, where in them it is, and how they come and go.
import { useRecords } from '@roundtable/client/react'
import type { Peer, Records, Room } from '@roundtable/client'
import { useMemo, useState } from 'react'
import type { Spot } from '../table/spot'
import {
  columnOf,
  matches,
  newTask,
  sorted,
  TASKS,
  type Order,
  type Task,
  type TaskRow
} from '../table/task'
import { useSay } from '../ui/toast'
import { useHistory, type History } from './history'

export interface Rows {
  tasks: Records<Task>
  rows: readonly TaskRow[]
  /** Of all, whatever is looked for. */
  count: number
  doneCount: number
  wanted: string
  look: (wanted: string) => void
  order: Order | undefined
  setOrder: (order: Order | undefined) => void
  spot: Spot | undefined
  setSpot: (spot: Spot | undefined) => void
  /** The row that was just added here: its title is asked for. */
  fresh: string | undefined
  history: History
  add: () => void
  remove: (id: string) => void
  /** Goes to a cell. */
  show: (id: string, field?: string) => void
  /** Goes where somebody is. */
  visit: (peer: Peer) => void
}

export function useRows(room: Room): Rows {
  const tasks = room.records<Task>(TASKS)
  const { records } = useRecords<Task>(room, TASKS)
  const [wanted, look] = useState('')
  const [order, setOrder] = useState<Order>()
  const [spot, setSpot] = useState<Spot>()
  const [fresh, setFresh] = useState<string>()
  const history = useHistory(room)
  const say = useSay()
  const rows = useMemo(
    () => sorted(wanted ? records.filter((row) => matches(row, wanted)) : records, order),
    [records, wanted, order]
  )
  const show = (id: string, field = 'title'): void => {
    const column = columnOf(field)
    if (!column || !tasks.get(id)) return
    if (wanted) look('')
    setSpot({ id, field: column.field })
  }
  return {
    tasks,
    rows,
    wanted,
    look,
    order,
    setOrder,
    spot,
    setSpot,
    fresh,
    history,
    show,
    count: records.length,
    doneCount: records.reduce((count, { done }) => count + Number(done === true), 0),
    add: () => {
      // Where it can be seen: at the end of all.
      look('')
      setOrder(undefined)
      const id = tasks.create(newTask())
      setSpot({ id, field: 'title' })
      setFresh(id)
    },
    remove: (id) => {
      const title = tasks.get(id)?.title
      if (!tasks.remove(id)) return
      const action = { label: 'Undo', run: history.undo }
      say({ text: `“${title || 'Task'}” was deleted.`, action })
    },
    visit: ({ state: { cursor } }) => {
      if (cursor?.recordId) show(cursor.recordId, cursor.fieldId)
    }
  }
}
