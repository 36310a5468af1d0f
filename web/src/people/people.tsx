// Owns who is here: this person, who can be renamed and painted, and everybody else.
import { useOthers } from '@roundtable/client/react'
import type { Peer, Room } from '@roundtable/client'
import type { ReactNode } from 'react'
import { columnOf, TASKS, type Task } from '../table/task'
import { nameOf } from '../table/cursors'
import { Popover } from '../ui/popover'
import { COLORS } from '../visit/profile'
import { useLook, useVisit } from '../visit/visit'
import { Avatar } from './avatar'

const SHOWN_MAX = 4

interface PeopleProps {
  room: Room
  /** Goes to the cell where somebody is. */
  visit: (peer: Peer) => void
}

export function People({ room, visit }: PeopleProps): ReactNode {
  const others = useOthers(room)
  const more = others.length - SHOWN_MAX
  return (
    <div className="people" role="group" aria-label="Who is here">
      <ul>
        {others.slice(0, SHOWN_MAX).map((peer) => (
          <li key={peer.clientId}>
            <button
              type="button"
              className="face"
              title={`${nameOf(peer)}: ${whereabouts(room, peer)}`}
              aria-label={`Go to ${nameOf(peer)}, ${whereabouts(room, peer)}`}
              onClick={() => visit(peer)}
            >
              <Avatar name={nameOf(peer)} color={peer.user.color} />
            </button>
          </li>
        ))}
        {more > 0 && (
          <li className="more" title={others.slice(SHOWN_MAX).map(nameOf).join(', ')}>
            +{more}
          </li>
        )}
      </ul>
      <Me room={room} />
    </div>
  )
}

function whereabouts(room: Room, { state: { cursor, typing } }: Peer): string {
  const title = cursor?.recordId && room.records<Task>(TASKS).get(cursor.recordId)?.title
  const column = columnOf(cursor?.fieldId ?? '')?.label
  if (!title || !column) return 'looking around'
  return `${typing ? 'editing' : 'at'} ${column.toLowerCase()} of “${title}”`
}

function Me({ room }: { room: Room }): ReactNode {
  const { address } = useVisit()
  const look = useLook()
  const { user } = room.presence.me
  const isGuest = address.token === undefined
  const { name, color } = isGuest ? look : { name: user.name ?? user.id, color: user.color }
  const face = (
    <>
      <Avatar name={name} color={color} />
      <span className="name">{name}</span>
    </>
  )
  return (
    <Popover label={`You are ${name}`} className="face me" face={face}>
      {(close) =>
        isGuest ? (
          <Looks close={close} />
        ) : (
          <p className="hint">
            You are <b>{name}</b>: your token says so.
          </p>
        )
      }
    </Popover>
  )
}

function Looks({ close }: { close: () => void }): ReactNode {
  const { profile } = useVisit()
  const { name, color } = useLook()
  return (
    <form
      className="looks"
      onSubmit={(event) => {
        event.preventDefault()
        close()
      }}
    >
      <label>
        Your name
        <input
          autoFocus
          defaultValue={name}
          maxLength={40}
          autoComplete="off"
          onFocus={(event) => event.target.select()}
          onChange={(event) => profile.change({ name: event.target.value })}
        />
      </label>
      <div className="paints" role="radiogroup" aria-label="Your colour">
        {COLORS.map((paint) => (
          <button
            key={paint}
            type="button"
            role="radio"
            aria-checked={paint === color}
            aria-label={paint}
            style={{ background: paint }}
            onClick={() => profile.change({ color: paint })}
          />
        ))}
      </div>
      <button type="submit" className="button primary">
        Done
      </button>
    </form>
  )
}
