// Owns the life of the connection as a table: in a state, on an event, what comes next and what is
// to be done. It has no clock, no dice and no socket; `connection.ts` performs the commands.

/** Where the connection is. */
export type Phase =
  /** Nobody wants it. */
  | 'idle'
  /** A socket is being opened. */
  | 'connecting'
  /** A socket is open and has been heard. */
  | 'connected'
  /** Between two attempts. */
  | 'waiting'
  /** Between two attempts, with HTTP in the socket's place. */
  | 'polling'
  /** A socket is being opened while HTTP stands in for it. */
  | 'probing'
  /** The machine has no network, or says so. */
  | 'offline'
  /** The server said not to come back like this. */
  | 'failed'

/** Why a socket closed, and what follows from that. */
export interface Closing {
  code: number
  reason: string
  /** `again`: with backoff. `paced`: when the server said. `fatal`: not like this. */
  kind: 'again' | 'paced' | 'fatal'
  afterMs?: number
}

export interface State {
  phase: Phase
  /** Attempts that failed since a socket was last open. */
  attempts: number
  /** Whether the last poll was answered; means nothing outside `polling` and `probing`. */
  reachable: boolean
  /** Whether a connection was lost that has not been restored. */
  lost: boolean
  /** Why the last socket closed. */
  closing?: Closing
}

export type Event =
  | { type: 'start', online: boolean }
  | { type: 'stop' }
  | { type: 'opened' }
  | { type: 'closed', closing: Closing }
  /** The time between two attempts is over. */
  | { type: 'due' }
  | { type: 'online' }
  | { type: 'offline' }
  /** The page is looked at again, or the application asks for an attempt now. */
  | { type: 'wake' }
  | { type: 'polled', answered: boolean }
  /** There is a new token, or a new reason to try what failed. */
  | { type: 'renewed' }

export type Command =
  | { do: 'open' }
  | { do: 'close' }
  /** Start the time until `due`: backoff of that many failed attempts, or what the server said. */
  | { do: 'wait', attempt: number, afterMs?: number }
  | { do: 'unwait' }
  | { do: 'poll' }
  | { do: 'unpoll' }
  | { do: 'tell', what: 'lost' | 'restored' | 'failed' }

export interface Step {
  state: State
  commands: Command[]
}

/** Failed attempts after which HTTP stands in for the socket. */
export const ATTEMPTS_BEFORE_POLLING = 3

export const INITIAL: State = { phase: 'idle', attempts: 0, reachable: true, lost: false }

type EventOf<Type extends Event['type']> = Extract<Event, { type: Type }>
type Row = { [Type in Event['type']]: (state: State, event: EventOf<Type>) => Step }

const OPEN: Command = { do: 'open' }
const CLOSE: Command = { do: 'close' }
const POLL: Command = { do: 'poll' }
const UNPOLL: Command = { do: 'unpoll' }
const UNWAIT: Command = { do: 'unwait' }
const LOST: Command = { do: 'tell', what: 'lost' }
const RESTORED: Command = { do: 'tell', what: 'restored' }
const FAILED: Command = { do: 'tell', what: 'failed' }

const to = (state: State, phase: Phase, commands: Command[], more: Partial<State> = {}): Step =>
  ({ state: { ...state, phase, ...more }, commands })

/** The event means nothing here. */
const stay = (state: State): Step => ({ state, commands: [] })

const stop = (...commands: Command[]) => (): Step => ({ state: INITIAL, commands })

const opened = (state: State, before: Command[]): Step => {
  const commands = state.lost ? [...before, RESTORED] : before
  return to(state, 'connected', commands, { attempts: 0, reachable: true, lost: false })
}

const fatal = (state: State, closing: Closing, before: Command[]): Step =>
  to(state, 'failed', [...before, FAILED], { closing })

/** An attempt failed before the socket was open. */
const attemptFailed = (state: State, closing: Closing): Step => {
  if (closing.kind === 'fatal') return fatal(state, closing, [])
  const attempts = state.attempts + 1
  const wait = pause(attempts, closing)
  if (attempts < ATTEMPTS_BEFORE_POLLING) return to(state, 'waiting', [wait], { attempts, closing })
  return to(state, 'polling', [wait, POLL], { attempts, closing, reachable: true })
}

const probeFailed = (state: State, closing: Closing): Step => {
  if (closing.kind === 'fatal') return fatal(state, closing, [UNPOLL])
  const attempts = state.attempts + 1
  return to(state, 'polling', [pause(attempts, closing)], { attempts, closing })
}

/** A socket that was open is gone. */
const connectionLost = (state: State, closing: Closing): Step => {
  if (closing.kind === 'fatal') return fatal(state, closing, [LOST])
  const more = { attempts: 0, lost: true, closing }
  return to(state, 'waiting', [LOST, pause(0, closing)], more)
}

const pause = (attempt: number, closing: Closing): Command =>
  closing.afterMs === undefined
    ? { do: 'wait', attempt }
    : { do: 'wait', attempt, afterMs: closing.afterMs }

const polled = (state: State, event: EventOf<'polled'>): Step =>
  to(state, state.phase, [], { reachable: event.answered })

/** Every state and every event; what is not done is written down as `stay`. */
const TABLE: Record<Phase, Row> = {
  idle: {
    start: (state, event) =>
      event.online ? to(state, 'connecting', [OPEN]) : to(state, 'offline', []),
    stop: stay,
    opened: stay,
    closed: stay,
    due: stay,
    online: stay,
    offline: stay,
    wake: stay,
    polled: stay,
    renewed: stay
  },
  connecting: {
    start: stay,
    stop: stop(CLOSE),
    opened: (state) => opened(state, []),
    closed: (state, event) => attemptFailed(state, event.closing),
    due: stay,
    online: stay,
    offline: (state) => to(state, 'offline', [CLOSE]),
    wake: stay,
    polled: stay,
    renewed: stay
  },
  connected: {
    start: stay,
    stop: stop(CLOSE),
    opened: stay,
    closed: (state, event) => connectionLost(state, event.closing),
    due: stay,
    online: stay,
    offline: (state) => to(state, 'offline', [CLOSE, LOST], { attempts: 0, lost: true }),
    wake: stay,
    polled: stay,
    renewed: stay
  },
  waiting: {
    start: stay,
    stop: stop(UNWAIT),
    opened: stay,
    closed: stay,
    due: (state) => to(state, 'connecting', [OPEN]),
    online: (state) => to(state, 'connecting', [UNWAIT, OPEN]),
    offline: (state) => to(state, 'offline', [UNWAIT]),
    wake: (state) => to(state, 'connecting', [UNWAIT, OPEN]),
    polled: stay,
    renewed: stay
  },
  polling: {
    start: stay,
    stop: stop(UNWAIT, UNPOLL),
    opened: stay,
    closed: stay,
    due: (state) => to(state, 'probing', [OPEN]),
    online: (state) => to(state, 'probing', [UNWAIT, OPEN]),
    offline: (state) => to(state, 'offline', [UNWAIT, UNPOLL]),
    wake: (state) => to(state, 'probing', [UNWAIT, OPEN]),
    polled,
    renewed: stay
  },
  probing: {
    start: stay,
    stop: stop(CLOSE, UNPOLL),
    opened: (state) => opened(state, [UNPOLL]),
    closed: (state, event) => probeFailed(state, event.closing),
    due: stay,
    online: stay,
    offline: (state) => to(state, 'offline', [CLOSE, UNPOLL]),
    wake: stay,
    polled,
    renewed: stay
  },
  offline: {
    start: stay,
    stop: stop(),
    opened: stay,
    closed: stay,
    due: stay,
    online: (state) => to(state, 'connecting', [OPEN], { attempts: 0 }),
    offline: stay,
    wake: stay,
    polled: stay,
    renewed: stay
  },
  failed: {
    start: stay,
    stop: stop(),
    opened: stay,
    closed: stay,
    due: stay,
    online: stay,
    offline: stay,
    wake: stay,
    polled: stay,
    renewed: (state) => to(state, 'connecting', [OPEN], { attempts: 0 })
  }
}

/** The next state, and what is to be done on the way. */
export function step(state: State, event: Event): Step {
  const row = TABLE[state.phase] as Record<Event['type'], (state: State, event: Event) => Step>
  return row[event.type](state, event)
}
