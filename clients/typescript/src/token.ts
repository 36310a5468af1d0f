// Owns the token: fetched when it is needed, kept while it is good, renewed before it ends.

/** A token, or who can make one: asked again before the last one ends and when it was refused. */
export type TokenOption = string | (() => string | Promise<string>) | undefined

export interface Claims {
  sub?: string
  name?: string
  color?: string
  avatar?: string
  exp?: number
}

/** A token is renewed when so much of its time is left, or a fifth of it if that is less. */
const AHEAD_MS = 30_000
/** The longest time that a timer can count. */
const TIMER_MS_MAX = 2 ** 31 - 1
/** After a token could not be fetched. */
const RETRY_MS = 10_000

export class TokenSource {
  #option: TokenOption
  #current: string | undefined
  #fetching: Promise<string> | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #renewed: (token: string) => void

  constructor(option: TokenOption, renewed: (token: string) => void) {
    this.#option = option
    this.#renewed = renewed
    if (typeof option === 'string') this.#current = option
  }

  /** Whether another can be had when this one has ended. */
  get isRenewable(): boolean { return typeof this.#option === 'function' }

  /** The last token, if one was ever had. */
  get current(): string { return this.#current ?? '' }

  get claims(): Claims { return claimsOf(this.current) }

  /** A token that has not expired, as far as this clock knows. */
  async get(): Promise<string> {
    const { exp } = this.claims
    const isGood = this.#current !== undefined && (exp === undefined || exp * 1000 > Date.now())
    return isGood || !this.isRenewable ? this.current : this.renew()
  }

  /** Fetches a new one; whoever asks meanwhile gets the same. */
  renew(): Promise<string> {
    const option = this.#option
    if (typeof option !== 'function') return Promise.resolve(this.current)
    if (this.#fetching) return this.#fetching
    // What is told after `set` is of whoever was there before: it counts for nothing.
    const isOver = (): boolean => this.#fetching !== fetching
    const fetching: Promise<string> = Promise.resolve().then(option).then((token) => {
      if (isOver()) return this.get()
      const isNew = token !== this.#current
      this.#current = token
      this.#schedule()
      if (isNew) this.#renewed(token)
      return token
    }, (error: unknown) => {
      if (isOver()) return this.get()
      throw error
    }).finally(() => { if (!isOver()) this.#fetching = undefined })
    return (this.#fetching = fetching)
  }

  /** Replaces what the application gave. */
  set(option: TokenOption): void {
    this.#option = option
    this.#current = typeof option === 'string' ? option : undefined
    this.#fetching = undefined
    clearTimeout(this.#timer)
    if (typeof option === 'string') this.#renewed(option)
    else void this.renew().catch(() => {})
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    const { exp } = this.claims
    if (exp === undefined) return
    const leftMs = exp * 1000 - Date.now()
    this.#renewIn(Math.max(leftMs - Math.min(AHEAD_MS, leftMs / 5), 1_000))
  }

  #renewIn(ms: number): void {
    this.#timer = setTimeout(() => {
      this.renew().catch(() => this.#renewIn(RETRY_MS))
    }, Math.min(ms, TIMER_MS_MAX))
  }
}

/** What a token says, unchecked: for names and times, never for access. */
export function claimsOf(token: string): Claims {
  try {
    const part = token.split('.')[1] ?? ''
    const bytes = Uint8Array.from(
      atob(part.replaceAll('-', '+').replaceAll('_', '/')),
      (character) => character.charCodeAt(0)
    )
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes))
    const isObject = typeof claims === 'object' && claims !== null && !Array.isArray(claims)
    return isObject ? claims : {}
  } catch {
    return {}
  }
}
