// Owns telling listeners: typed names, one value each, and nobody's exception stops the next.

/** Ends what it was handed out for; calling it again does nothing. */
export type Unsubscribe = () => void

export class Emitter<Events extends object> {
  #listeners = new Map<keyof Events, Set<(event: never) => void>>()

  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): Unsubscribe {
    let all = this.#listeners.get(name)
    if (!all) this.#listeners.set(name, (all = new Set()))
    // Wrapped, so that a function which listens twice is told twice and leaves once.
    const own = (event: Events[Name]): void => listener(event)
    all.add(own)
    return () => { all.delete(own) }
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of [...this.#listeners.get(name) ?? []]) {
      try {
        (listener as (event: Events[Name]) => void)(event)
      } catch (error) {
        report(error)
      }
    }
  }

  /** How many listen to a name. */
  count(name: keyof Events): number {
    return this.#listeners.get(name)?.size ?? 0
  }

  clear(): void {
    this.#listeners.clear()
  }
}

/** An application's mistake is shown where its others are, and is not ours to swallow. */
export function report(error: unknown): void {
  queueMicrotask(() => { throw error })
}
