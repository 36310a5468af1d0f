// Owns a small panel that hangs from a button: it closes with Escape, and with a press elsewhere.
import { useEffect, useRef, useState, type ReactNode } from 'react'

interface PopoverProps {
  label: string
  className?: string
  face: ReactNode
  children: (close: () => void) => ReactNode
}

export function Popover({ label, className, face, children }: PopoverProps): ReactNode {
  const [isOpen, setIsOpen] = useState(false)
  const box = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (!isOpen) return undefined
    const pressed = (event: PointerEvent): void => {
      if (!box.current?.contains(event.target as Node)) setIsOpen(false)
    }
    addEventListener('pointerdown', pressed)
    return () => removeEventListener('pointerdown', pressed)
  }, [isOpen])
  const close = (): void => {
    setIsOpen(false)
    button.current?.focus()
  }
  return (
    <div
      ref={box}
      className="popover"
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !isOpen) return
        event.stopPropagation()
        close()
      }}
    >
      <button
        ref={button}
        type="button"
        className={className}
        aria-label={label}
        title={label}
        aria-expanded={isOpen}
        onClick={() => setIsOpen(!isOpen)}
      >
        {face}
      </button>
      {isOpen && (
        <div className="hanging" role="dialog" aria-label={label}>
          {children(close)}
        </div>
      )}
    </div>
  )
}
