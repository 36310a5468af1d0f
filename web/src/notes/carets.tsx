// Owns the carets of others: drawn on a copy of the words that lies behind the text area.
import type { CSSProperties, ReactNode } from 'react'
import type { Caret } from './selection'

export function Carets({ words, carets }: { words: string; carets: readonly Caret[] }): ReactNode {
  if (carets.length === 0) return null
  return (
    <>
      {pieces(words, carets)}
      {'\u200b'}
    </>
  )
}

/** A name at the right edge hangs to the left of its caret. */
export function keepInside(paper: HTMLElement): void {
  const edge = paper.getBoundingClientRect().right - 10
  for (const tag of paper.querySelectorAll<HTMLElement>('.caret b')) {
    tag.style.transform = ''
    const over = tag.getBoundingClientRect().right - edge
    if (over > 0) tag.style.transform = `translateX(${-over}px)`
  }
}

/** The words, cut wherever a selection begins or ends. */
function pieces(words: string, carets: readonly Caret[]): ReactNode[] {
  const cuts = [...new Set([0, words.length, ...carets.flatMap(({ from, to }) => [from, to])])]
    .filter((cut) => cut <= words.length)
    .sort((a, b) => a - b)
  return cuts.flatMap((cut, index) => {
    const end = cuts[index + 1] ?? cut
    const selecting = carets.find(({ from, to }) => from <= cut && to > cut)
    const here = carets.filter(({ head }) => head === cut)
    return [
      ...here.map(({ clientId, name, color }) => (
        <i key={`${clientId}|`} className="caret" style={{ '--who': color } as CSSProperties}>
          <b>{name}</b>
        </i>
      )),
      <span
        key={cut}
        className={selecting && 'selected'}
        style={selecting && ({ '--who': selecting.color } as CSSProperties)}
      >
        {words.slice(cut, end)}
      </span>
    ]
  })
}
