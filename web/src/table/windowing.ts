// Owns which rows are in the document: those that can be seen, and a few around them.
import { useLayoutEffect, useState, type RefObject } from 'react'

export interface Span {
  first: number
  /** One after the last. */
  end: number
}

/** Rows beyond each edge, so that a quick flick finds something there. */
const BEYOND = 8
/** The span moves in steps of so many rows, so that most scrolling renders nothing. */
const STEP = 4

/** The rows of a scrolling box that are to be in the document. */
export function useSpan(
  box: RefObject<HTMLElement | null>,
  count: number,
  rowHeight: number
): Span {
  const [span, setSpan] = useState<Span>({ first: 0, end: 32 })
  useLayoutEffect(() => {
    const element = box.current
    if (!element) return undefined
    const look = (): void => {
      const next = spanOf(element.scrollTop, element.clientHeight, rowHeight)
      setSpan((last) => (last.first === next.first && last.end === next.end ? last : next))
    }
    look()
    const watch = new ResizeObserver(look)
    watch.observe(element)
    element.addEventListener('scroll', look, { passive: true })
    return () => {
      watch.disconnect()
      element.removeEventListener('scroll', look)
    }
  }, [box, rowHeight])
  return { first: Math.min(span.first, Math.max(0, count - 1)), end: Math.min(span.end, count) }
}

function spanOf(top: number, height: number, rowHeight: number): Span {
  const step = rowHeight * STEP
  const first = Math.floor(top / step) * STEP - BEYOND
  const end = Math.ceil((top + height) / step) * STEP + BEYOND
  return { first: Math.max(0, first), end }
}
