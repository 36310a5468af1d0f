// Owns taking back what this person did, and nobody else's work with it.
import type { Room } from '@roundtable/client'
import { useEffect, useMemo, useState } from 'react'
import * as Y from 'yjs'
import { TASKS } from '../table/task'

export interface History {
  canUndo: boolean
  canRedo: boolean
  undo: () => void
  redo: () => void
}

/** Typing is one step while its letters follow each other so closely. */
const TOGETHER_MS = 400

const EVENTS = ['stack-item-added', 'stack-item-popped', 'stack-cleared'] as const

export function useHistory(room: Room): History {
  const manager = useMemo(
    () => new Y.UndoManager(room.doc.getMap(TASKS), { captureTimeout: TOGETHER_MS }),
    [room]
  )
  const [, setSteps] = useState('')
  useEffect(() => {
    const look = (): void => setSteps(`${manager.undoStack.length} ${manager.redoStack.length}`)
    const apart = (transaction: Y.Transaction): void => keepApart(manager, transaction)
    const keyed = (event: KeyboardEvent): void => followKeys(manager, event)
    for (const event of EVENTS) manager.on(event, look)
    room.doc.on('beforeObserverCalls', apart)
    room.doc.on('afterTransaction', apart)
    addEventListener('keydown', keyed)
    return () => {
      for (const event of EVENTS) manager.off(event, look)
      room.doc.off('beforeObserverCalls', apart)
      room.doc.off('afterTransaction', apart)
      removeEventListener('keydown', keyed)
    }
  }, [manager, room])
  return {
    canUndo: manager.canUndo(),
    canRedo: manager.canRedo(),
    undo: () => {
      manager.undo()
    },
    redo: () => {
      manager.redo()
    }
  }
}

/** What is no typing is a step for itself, however soon it follows: asked before and after it. */
function keepApart(manager: Y.UndoManager, { changed }: Y.Transaction): void {
  const isTyping = [...changed.keys()].every((type) => (type as unknown) instanceof Y.Text)
  if (!isTyping) manager.stopCapturing()
}

function followKeys(manager: Y.UndoManager, event: KeyboardEvent): void {
  const isCommand = (event.ctrlKey || event.metaKey) && !event.altKey
  const key = event.key.toLowerCase()
  // A field has a history of its own while it is typed into; notes are part of this one.
  if (!isCommand || event.target instanceof HTMLInputElement) return
  if (key !== 'z' && key !== 'y') return
  event.preventDefault()
  if (key === 'y' || event.shiftKey) manager.redo()
  else manager.undo()
}
