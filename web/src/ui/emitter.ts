// Owns telling listeners that something is different now.

export class Emitter {
  #listeners = new Set<() => void>()

  /** An arrow, so that it can be handed to `useSyncExternalStore` as it is. */
  readonly on = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  emit(): void {
    for (const listener of this.#listeners) listener()
  }
}
