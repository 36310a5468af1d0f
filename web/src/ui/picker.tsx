// Owns choosing one of a few words from a list under a cell, by mouse, finger or keys.
import {
  type RefObject,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
  type KeyboardEvent,
  type ReactNode
} from 'react'
import { createPortal } from 'react-dom'

export interface Choice {
  value: string
  /** How it looks in the list; its value if nothing is given. */
  face?: ReactNode
}

interface PickerProps {
  label: string
  value: string
  /** What was typed to open the list. */
  typed?: string | undefined
  choices: readonly Choice[]
  /** Words that are not in the list may be typed. */
  isOpenEnded?: boolean
  choose: (value: string, event?: KeyboardEvent) => void
  cancel: () => void
}

export function Picker({
  label,
  value,
  typed,
  choices,
  isOpenEnded,
  choose,
  cancel
}: PickerProps): ReactNode {
  const [words, setWords] = useState(typed ?? '')
  const shown = shownFor(words, choices, isOpenEnded === true)
  const [at, setAt] = useState(() =>
    Math.max(
      0,
      shown.findIndex((choice) => choice.value === value)
    )
  )
  const listId = useId()
  const { anchor, list } = usePlace()
  const input = useRef<HTMLInputElement>(null)
  const isOver = useRef(false)

  useEffect(() => {
    input.current?.focus({ preventScroll: true })
  }, [])

  const take = (choice: string, event?: KeyboardEvent): void => {
    if (isOver.current) return
    isOver.current = true
    choose(choice, event)
  }
  const leave = (): void => {
    if (isOver.current) return
    isOver.current = true
    cancel()
  }
  const keyed = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    const chosen = shown[at]?.value
    if (step !== 0) setAt((at + step + shown.length) % Math.max(1, shown.length))
    else if (event.key === 'Escape') leave()
    else if ((event.key === 'Enter' || event.key === 'Tab') && chosen !== undefined)
      take(chosen, event)
    else if (event.key === 'Tab') leave()
    else return event.stopPropagation()
    event.preventDefault()
    event.stopPropagation()
  }
  return (
    <span ref={anchor} className="picking">
      <input
        ref={input}
        className="editor"
        role="combobox"
        aria-label={label}
        aria-expanded
        aria-controls={listId}
        aria-activedescendant={`${listId}-${at}`}
        value={words}
        placeholder={value || 'Choose…'}
        maxLength={60}
        autoComplete="off"
        onChange={(event) => {
          setWords(event.target.value)
          setAt(0)
        }}
        onKeyDown={keyed}
        onBlur={leave}
      />
      {createPortal(
        <ul ref={list} id={listId} className="choices" role="listbox" aria-label={label}>
          {shown.map((choice, index) => (
            <li
              key={choice.value}
              id={`${listId}-${index}`}
              role="option"
              aria-selected={index === at}
              data-chosen={choice.value === value}
              onPointerMove={() => setAt(index)}
              // The field keeps its focus until the choice was made.
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => take(choice.value)}
            >
              {choice.face ?? choice.value}
            </li>
          ))}
        </ul>,
        document.body
      )}
    </span>
  )
}

function shownFor(
  words: string,
  choices: readonly Choice[],
  isOpenEnded: boolean
): readonly Choice[] {
  const wanted = words.trim().toLocaleLowerCase()
  if (wanted === '') return choices
  const found = choices.filter(({ value }) => value && value.toLocaleLowerCase().includes(wanted))
  const isKnown = found.some(({ value }) => value.toLocaleLowerCase() === wanted)
  if (!isOpenEnded || isKnown) return found
  return [...found, { value: words.trim(), face: <>Use “{words.trim()}”</> }]
}

/** Puts the list under its cell, or above it where there is more room. */
function usePlace(): {
  anchor: RefObject<HTMLSpanElement | null>
  list: RefObject<HTMLUListElement | null>
} {
  const anchor = useRef<HTMLSpanElement>(null)
  const list = useRef<HTMLUListElement>(null)
  useLayoutEffect(() => {
    const place = (): void => {
      const cell = anchor.current?.parentElement?.getBoundingClientRect()
      const element = list.current
      if (!cell || !element) return
      const { height, width } = element.getBoundingClientRect()
      const isAbove = cell.bottom + height + 8 > innerHeight && cell.top > height
      element.style.top = `${isAbove ? cell.top - height - 4 : cell.bottom + 4}px`
      element.style.left = `${Math.max(8, Math.min(cell.left, innerWidth - width - 8))}px`
      element.style.minWidth = `${Math.min(cell.width, 320)}px`
    }
    place()
    addEventListener('scroll', place, true)
    addEventListener('resize', place)
    return () => {
      removeEventListener('scroll', place, true)
      removeEventListener('resize', place)
    }
  })
  return { anchor, list }
}
