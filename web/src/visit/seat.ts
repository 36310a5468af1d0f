// Owns which seat of this browser a window has. Each window is somebody at the table, with a name
// and a store of its own; a window that closed leaves both to the next that takes its seat.

const LAST = 'roundtable:seat'

/** The seat that this window had before it was read anew, or the first that nobody holds. */
export async function takeSeat(): Promise<number> {
  const last = Number(sessionStorage.getItem(LAST))
  const seat = await firstFree(last > 0 ? [last] : [])
  sessionStorage.setItem(LAST, String(seat))
  return seat
}

async function firstFree(preferred: number[]): Promise<number> {
  // Locks are there in secure contexts only. Elsewhere a window keeps a number for itself.
  if (!navigator.locks) return preferred[0] ?? 1000 + Math.floor(Math.random() * 1e6)
  for (const seat of preferred) if (await hold(seat)) return seat
  for (let seat = 1; ; seat++) if (await hold(seat)) return seat
}

/** Holds a seat for as long as the window is open, if nobody else does. */
function hold(seat: number): Promise<boolean> {
  return new Promise((resolve) => {
    void navigator.locks.request(`roundtable:seat:${seat}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null)
      return lock === null ? undefined : new Promise(() => {})
    })
  })
}
