// Owns light and dark: as the system has it, unless somebody chose.

export type Theme = 'system' | 'light' | 'dark'

const KEY = 'roundtable:theme'
const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' }

export function keptTheme(): Theme {
  const kept = localStorage.getItem(KEY)
  return kept === 'light' || kept === 'dark' ? kept : 'system'
}

export function applyTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

/** The next of the three, applied and kept. */
export function nextTheme(theme: Theme): Theme {
  const next = NEXT[theme]
  localStorage.setItem(KEY, next)
  applyTheme(next)
  return next
}
