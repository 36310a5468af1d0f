// Owns a short word at the foot of the page, with at most one thing to do about it.
import { createContext, useCallback, useContext, useEffect, useState, type ReactNode } from 'react'

interface Word {
  text: string
  action?: { label: string; run: () => void }
}

type Say = (word: Word) => void

const SHOWN_MS = 6_000
const SayContext = createContext<Say>(() => {})

export const useSay = (): Say => useContext(SayContext)

export function Toasts({ children }: { children: ReactNode }): ReactNode {
  const [word, setWord] = useState<Word>()
  const say = useCallback((next: Word) => setWord(next), [])
  useEffect(() => {
    if (!word) return undefined
    const timer = setTimeout(() => setWord(undefined), SHOWN_MS)
    return () => clearTimeout(timer)
  }, [word])
  return (
    <SayContext value={say}>
      {children}
      <div className="toasts" role="status">
        {word && (
          <p className="toast">
            <span>{word.text}</span>
            {word.action && (
              <button
                type="button"
                onClick={() => {
                  word.action?.run()
                  setWord(undefined)
                }}
              >
                {word.action.label}
              </button>
            )}
          </p>
        )}
      </div>
    </SayContext>
  )
}
