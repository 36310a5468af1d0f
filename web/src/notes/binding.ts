// Owns one text area and one shared text: what is typed goes into the text, what others write comes
// into the area, and the caret stays where it was among the words.
import * as Y from 'yjs'

/** What was typed: at a place, so many characters gone, and these in their stead. */
export interface Splice {
  at: number
  removed: number
  added: string
}

/** The least that makes `after` of `before`; `caret` says where somebody was typing in `after`. */
export function spliceOf(before: string, after: string, caret: number): Splice {
  const most = Math.min(before.length, after.length)
  // What is behind the caret was not typed, so it is compared first: of equal letters the one at
  // the caret is the new one.
  const behind = Math.min(most, after.length - caret)
  let end = 0
  while (end < behind && before[before.length - 1 - end] === after[after.length - 1 - end]) end++
  let at = 0
  while (at < most - end && before[at] === after[at]) at++
  while (end < most - at && before[before.length - 1 - end] === after[after.length - 1 - end]) end++
  return { at, removed: before.length - end - at, added: after.slice(at, after.length - end) }
}

type Delta = Y.YTextEvent['delta']

/** Where a place is after others have written. */
export function moved(place: number, delta: Delta): number {
  let at = 0
  let to = place
  for (const { retain = 0, insert, delete: removed = 0 } of delta) {
    if (at > to) break
    at += retain
    if (typeof insert === 'string') {
      if (at < to) to += insert.length
      at += insert.length
    } else if (removed > 0 && at < to) to -= Math.min(removed, to - at)
  }
  return to
}

/** Binds them until the returned function is called. */
export function bind(area: HTMLTextAreaElement, text: Y.Text): () => void {
  /** The words in the area as of the last time that both agreed. */
  let shown = text.toJSON()
  /** What others wrote while a word is being composed: the area must not be touched then. */
  let missed: Delta[] | undefined
  area.value = shown

  const typed = (): void => {
    const { at, removed, added } = spliceOf(shown, area.value, area.selectionEnd)
    shown = area.value
    if (removed === 0 && added === '') return
    text.doc?.transact(() => {
      if (removed > 0) text.delete(at, removed)
      if (added) text.insert(at, added)
    })
  }
  const composed = (): void => {
    const since = missed ?? []
    missed = undefined
    const { at, removed, added } = spliceOf(shown, area.value, area.selectionEnd)
    const start = since.reduce(moved, at)
    const end = since.reduce(moved, at + removed)
    text.doc?.transact(() => {
      if (end > start) text.delete(start, end - start)
      if (added) text.insert(start, added)
    })
    show(start + added.length, start + added.length)
  }
  const show = (from: number, to: number): void => {
    shown = text.toJSON()
    const { scrollTop, selectionDirection } = area
    area.value = shown
    if (document.activeElement === area) area.setSelectionRange(from, to, selectionDirection)
    area.scrollTop = scrollTop
  }
  const onInput = (): void => {
    if (!missed) typed()
  }
  const onStart = (): void => {
    missed = []
  }
  const onText = (event: Y.YTextEvent): void => {
    if (missed) {
      if (!event.transaction.local) missed.push(event.delta)
    } else if (text.toJSON() !== area.value) {
      const { delta } = event
      show(moved(area.selectionStart, delta), moved(area.selectionEnd, delta))
    }
  }
  area.addEventListener('input', onInput)
  area.addEventListener('compositionstart', onStart)
  area.addEventListener('compositionend', composed)
  text.observe(onText)
  return () => {
    area.removeEventListener('input', onInput)
    area.removeEventListener('compositionstart', onStart)
    area.removeEventListener('compositionend', composed)
    text.unobserve(onText)
  }
}
