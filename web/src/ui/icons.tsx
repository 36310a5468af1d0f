// Owns the drawings on buttons: strokes in the colour of the text around them.
import type { ReactNode } from 'react'

function Icon({ children, size = 16 }: { children: ReactNode; size?: number }): ReactNode {
  return (
    <svg
      className="icon"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="2"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden
      focusable="false"
    >
      {children}
    </svg>
  )
}

export const CheckIcon = (): ReactNode => (
  <Icon size={14}>
    <path d="M5 12.5 10 17.5 19.5 7" strokeWidth="3" />
  </Icon>
)
export const PlusIcon = (): ReactNode => (
  <Icon>
    <path d="M12 5v14M5 12h14" />
  </Icon>
)
export const CloseIcon = (): ReactNode => (
  <Icon>
    <path d="M6 6l12 12M18 6 6 18" />
  </Icon>
)
export const NotesIcon = (): ReactNode => (
  <Icon size={14}>
    <path d="M5 6h14M5 11h14M5 16h8" />
  </Icon>
)
export const BinIcon = (): ReactNode => (
  <Icon>
    <path d="M4 7h16M10 11v6M14 11v6M6 7l1 12a1.5 1.5 0 0 0 1.5 1.4h7A1.5 1.5 0 0 0 17 19l1-12M9 7V4.5A.5.5 0 0 1 9.5 4h5a.5.5 0 0 1 .5.5V7" />
  </Icon>
)
export const LinkIcon = (): ReactNode => (
  <Icon>
    <path d="M10 14a4.5 4.5 0 0 0 6.4 0l3-3A4.5 4.5 0 0 0 13 4.6l-1 1M14 10a4.5 4.5 0 0 0-6.4 0l-3 3A4.5 4.5 0 0 0 11 19.4l1-1" />
  </Icon>
)
export const WindowIcon = (): ReactNode => (
  <Icon>
    <path d="M13 5h6v6M19 5l-8 8M10 6H6a1 1 0 0 0-1 1v11a1 1 0 0 0 1 1h11a1 1 0 0 0 1-1v-4" />
  </Icon>
)
export const ActivityIcon = (): ReactNode => (
  <Icon>
    <path d="M3 12h4l3-8 4 16 3-8h4" />
  </Icon>
)
export const SearchIcon = (): ReactNode => (
  <Icon>
    <circle cx="11" cy="11" r="6.5" />
    <path d="m20 20-4.3-4.3" />
  </Icon>
)
export const UndoIcon = (): ReactNode => (
  <Icon>
    <path d="M8 5 4 9l4 4M4 9h10a6 6 0 0 1 0 12h-3" />
  </Icon>
)
export const RedoIcon = (): ReactNode => (
  <Icon>
    <path d="m16 5 4 4-4 4M20 9H10a6 6 0 0 0 0 12h3" />
  </Icon>
)
export const StackIcon = (): ReactNode => (
  <Icon>
    <path d="m12 4 8 4-8 4-8-4zM4 12l8 4 8-4M4 16l8 4 8-4" />
  </Icon>
)
export const SunIcon = (): ReactNode => (
  <Icon>
    <circle cx="12" cy="12" r="4" />
    <path d="M12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1 1M17.4 17.4l1 1M5.6 18.4l1-1M17.4 6.6l1-1" />
  </Icon>
)
export const MoonIcon = (): ReactNode => (
  <Icon>
    <path d="M20 14.5A8.2 8.2 0 0 1 9.5 4 8.2 8.2 0 1 0 20 14.5z" />
  </Icon>
)
export const HalfIcon = (): ReactNode => (
  <Icon>
    <circle cx="12" cy="12" r="8" />
    <path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor" />
  </Icon>
)

export function SortIcon({ isDown }: { isDown: boolean }): ReactNode {
  return (
    <Icon size={12}>
      {isDown ? <path d="M12 5v14M6 13l6 6 6-6" /> : <path d="M12 19V5M6 11l6-6 6 6" />}
    </Icon>
  )
}

export function Logo(): ReactNode {
  return (
    <svg className="logo" width="26" height="26" viewBox="0 0 32 32" aria-hidden>
      <circle cx="16" cy="16" r="8" fill="var(--brand)" />
      <circle cx="16" cy="3.6" r="3" fill="#e4572e" />
      <circle cx="27.8" cy="12.2" r="3" fill="#2d7dd2" />
      <circle cx="23.3" cy="26" r="3" fill="#8f5bd4" />
      <circle cx="8.7" cy="26" r="3" fill="#e0a100" />
      <circle cx="4.2" cy="12.2" r="3" fill="#d6457f" />
    </svg>
  )
}
