// Owns the page as a whole: the bar, the tools, the table, and what is beside it.
import { useRoom, useStatus } from '@roundtable/client/react'
import { useCallback, useEffect, useState, type ReactNode } from 'react'
import { useAcquaintances } from '../activity/acquaintances'
import { Activity } from '../activity/activity'
import { authorIn, useLog } from '../activity/log'
import { Conflicts } from '../conflicts/conflicts'
import { Notes } from '../notes/notes'
import { PaletteProvider } from '../people/palette'
import { addMany, layTable } from '../table/samples'
import { Table } from '../table/table'
import { useIntroduction, useIsOnline, useVisit } from '../visit/visit'
import { Admission } from './admission'
import { Bar } from './bar'
import { useRows } from './rows'
import { Tools } from './tools'

type Beside = { panel: 'activity' } | { panel: 'notes'; id: string; asked: number } | undefined

/** Where there is room for a panel beside the table. */
const WIDE = '(min-width: 1100px)'

export function Desk(): ReactNode {
  const { address } = useVisit()
  const room = useRoom(address.room)
  useStatus(room)
  useIntroduction(room)
  const isOnline = useIsOnline()
  const table = useRows(room)
  const { tasks } = table
  const [beside, setBeside] = useState<Beside>(() =>
    matchMedia(WIDE).matches ? { panel: 'activity' } : undefined
  )
  const log = useLog(room)
  const acquaintance = useAcquaintances(room)

  useEffect(() => {
    document.title = `${room.name} – Roundtable`
    if (!address.isFresh) return
    void room.ready.then(() => layTable(room))
  }, [room, address.isFresh])

  const openNotes = useCallback((id: string) => {
    setBeside((last) => ({
      panel: 'notes',
      id,
      asked: last?.panel === 'notes' ? last.asked + 1 : 0
    }))
  }, [])
  const isActivityOpen = beside?.panel === 'activity'
  const close = (): void => setBeside(undefined)
  return (
    <PaletteProvider room={room}>
      <div className="desk" data-beside={beside?.panel} data-online={isOnline}>
        <Bar room={room} visit={table.visit} />
        <main>
          <Tools
            {...table}
            isReadOnly={room.isReadOnly}
            fill={() => addMany(tasks, 1000)}
            isActivityOpen={isActivityOpen}
            version={log.version}
            toggleActivity={() => setBeside(isActivityOpen ? undefined : { panel: 'activity' })}
          >
            <Conflicts
              room={room}
              tasks={tasks}
              authorOf={(id, field) => authorIn(log, acquaintance, id, field)}
            />
          </Tools>
          <Table {...table} room={room} openNotes={openNotes} />
        </main>
        {beside && (
          <aside className="beside">
            <button
              type="button"
              className="grip"
              aria-label="Close"
              tabIndex={-1}
              onClick={close}
            />
            {beside.panel === 'activity' ? (
              <Activity {...{ tasks, log, acquaintance, close }} show={table.show} />
            ) : (
              <Notes room={room} id={beside.id} asked={beside.asked} close={close} />
            )}
          </aside>
        )}
        <Admission room={room} />
      </div>
    </PaletteProvider>
  )
}
