// Owns asking for a token, where the server lets nobody in without one.
import { useStatus } from '@roundtable/client/react'
import type { Room } from '@roundtable/client'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { forgetToken, keepToken } from '../visit/address'
import { useVisit } from '../visit/visit'

const ABOUT_ACCESS = new Set(['unauthenticated', 'forbidden'])

export function Admission({ room }: { room: Room }): ReactNode {
  const status = useStatus(room)
  const code = status === 'error' ? room.error?.code : undefined
  return code !== undefined && ABOUT_ACCESS.has(code) ? <Question room={room} /> : null
}

function Question({ room }: { room: Room }): ReactNode {
  const { address } = useVisit()
  const dialog = useRef<HTMLDialogElement>(null)
  const [token, setToken] = useState('')
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  const enter = (): void => {
    // Another token may be another user, whose rooms are other rooms: all begins anew.
    if (token.trim()) keepToken(token.trim())
    else forgetToken()
    location.reload()
  }
  return (
    <dialog
      ref={dialog}
      className="dialog admission"
      aria-labelledby="admission-title"
      onCancel={(event) => event.preventDefault()}
    >
      <p className="eyebrow">{room.name}</p>
      <h2 id="admission-title">
        {address.token ? 'This token does not open the room' : 'This table needs a token'}
      </h2>
      {room.error?.message && address.token && <p className="failure">{room.error.message}</p>}
      <p className="hint">
        Whoever runs the server makes one, and it goes in here or behind the link as{' '}
        <code>&amp;token=…</code>
      </p>
      <pre>roundtable token --sub ada --name Ada --room '{room.name}=write'</pre>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          enter()
        }}
      >
        <label>
          Token
          <textarea
            rows={4}
            autoFocus
            spellCheck={false}
            value={token}
            onChange={(event) => setToken(event.target.value)}
          />
        </label>
        <p className="end">
          <button type="submit" className="button primary">
            Sit down
          </button>
        </p>
      </form>
    </dialog>
  )
}
