import { describe, expect, test } from 'vitest'
import {
  ATTEMPTS_BEFORE_POLLING, INITIAL, step, type Closing, type Command, type Event, type Phase,
  type State
} from '../src/connection/machine.js'

const AGAIN: Closing = { code: 1006, reason: '', kind: 'again' }
const PACED: Closing = { code: 4503, reason: 'retry after 700 ms', kind: 'paced', afterMs: 700 }
const FATAL: Closing = { code: 4400, reason: 'malformed', kind: 'fatal' }

const EVENTS: Record<string, Event> = {
  'start online': { type: 'start', online: true },
  'start offline': { type: 'start', online: false },
  stop: { type: 'stop' },
  opened: { type: 'opened' },
  closed: { type: 'closed', closing: AGAIN },
  'closed paced': { type: 'closed', closing: PACED },
  'closed fatal': { type: 'closed', closing: FATAL },
  due: { type: 'due' },
  online: { type: 'online' },
  offline: { type: 'offline' },
  wake: { type: 'wake' },
  'polled well': { type: 'polled', answered: true },
  'polled ill': { type: 'polled', answered: false },
  renewed: { type: 'renewed' }
}

const PHASES: Phase[] = [
  'idle', 'connecting', 'connected', 'waiting', 'polling', 'probing', 'offline', 'failed'
]

/** What each pair leads to; a pair that is not here changes nothing. */
const EXPECTED: Record<Phase, Record<string, string>> = {
  idle: {
    'start online': 'connecting: open',
    'start offline': 'offline:'
  },
  connecting: {
    stop: 'idle: close',
    opened: 'connected:',
    closed: 'waiting: wait 1',
    'closed paced': 'waiting: wait 700 ms',
    'closed fatal': 'failed: tell failed',
    offline: 'offline: close'
  },
  connected: {
    stop: 'idle: close',
    closed: 'waiting: tell lost, wait 0',
    'closed paced': 'waiting: tell lost, wait 700 ms',
    'closed fatal': 'failed: tell lost, tell failed',
    offline: 'offline: close, tell lost'
  },
  waiting: {
    stop: 'idle: unwait',
    due: 'connecting: open',
    online: 'connecting: unwait, open',
    wake: 'connecting: unwait, open',
    offline: 'offline: unwait'
  },
  polling: {
    stop: 'idle: unwait, unpoll',
    due: 'probing: open',
    online: 'probing: unwait, open',
    wake: 'probing: unwait, open',
    offline: 'offline: unwait, unpoll',
    'polled well': 'polling:',
    'polled ill': 'polling: (unreachable)'
  },
  probing: {
    stop: 'idle: close, unpoll',
    opened: 'connected: unpoll',
    closed: 'polling: wait 1',
    'closed paced': 'polling: wait 700 ms',
    'closed fatal': 'failed: unpoll, tell failed',
    offline: 'offline: close, unpoll',
    'polled well': 'probing:',
    'polled ill': 'probing: (unreachable)'
  },
  offline: {
    stop: 'idle:',
    online: 'connecting: open'
  },
  failed: {
    stop: 'idle:',
    renewed: 'connecting: open'
  }
}

function words({ state, commands }: { state: State, commands: Command[] }): string {
  const list = commands.map((command) => {
    if (command.do === 'wait') {
      return command.afterMs === undefined ? `wait ${command.attempt}` : `wait ${command.afterMs} ms`
    }
    return command.do === 'tell' ? `tell ${command.what}` : command.do
  }).join(', ')
  return `${state.phase}: ${list}${state.reachable ? '' : '(unreachable)'}`.trim()
}

describe('every state and every event', () => {
  for (const phase of PHASES) {
    for (const [name, event] of Object.entries(EVENTS)) {
      test(`${phase}, ${name}`, () => {
        const before: State = { ...INITIAL, phase }
        expect(words(step(before, event))).toBe(EXPECTED[phase][name] ?? `${phase}:`)
      })
    }
  }
})

/** A life: events in turn, and all commands it led to. */
function live(events: Event[], from: State = INITIAL): { state: State, commands: Command[] } {
  const commands: Command[] = []
  const state = events.reduce((before, event) => {
    const next = step(before, event)
    commands.push(...next.commands)
    return next.state
  }, from)
  return { state, commands }
}

const START: Event = { type: 'start', online: true }
const CLOSED: Event = { type: 'closed', closing: AGAIN }
const DUE: Event = { type: 'due' }
const OPENED: Event = { type: 'opened' }

test('HTTP stands in after the third failed attempt, not before', () => {
  const attempts: Event[] = []
  for (let failed = 1; failed <= ATTEMPTS_BEFORE_POLLING; failed++) {
    attempts.push(failed === 1 ? START : DUE, CLOSED)
    const { state } = live(attempts)
    expect(state.phase).toBe(failed < ATTEMPTS_BEFORE_POLLING ? 'waiting' : 'polling')
    expect(state.attempts).toBe(failed)
  }
})

test('waits grow with the attempts, also behind HTTP, until a socket is open', () => {
  const life = [START, CLOSED, DUE, CLOSED, DUE, CLOSED, DUE, CLOSED, DUE, OPENED, CLOSED]
  const { commands, state } = live(life)
  const waits = commands.flatMap((command) => command.do === 'wait' ? [command.attempt] : [])
  expect(waits).toEqual([1, 2, 3, 4, 0])
  expect(state).toMatchObject({ phase: 'waiting', attempts: 0, lost: true })
})

test('a connection that was lost is restored once, the first is none', () => {
  const { commands } = live([START, OPENED, CLOSED, DUE, CLOSED, DUE, OPENED])
  expect(commands.flatMap((command) => command.do === 'tell' ? [command.what] : []))
    .toEqual(['lost', 'restored'])
})

test('a network that was away begins the attempts anew', () => {
  const { state } = live([
    START, CLOSED, DUE, CLOSED, { type: 'offline' }, { type: 'online' }, CLOSED
  ])
  expect(state).toMatchObject({ phase: 'waiting', attempts: 1 })
})

test('polling that answers again is reachable again', () => {
  const polling: State = { ...INITIAL, phase: 'polling', reachable: false }
  expect(live([{ type: 'polled', answered: true }], polling).state.reachable).toBe(true)
})

test('a step leaves the state it was given as it was', () => {
  const before = Object.freeze({ ...INITIAL, phase: 'connected' as const })
  step(before, CLOSED)
  expect(before).toEqual({ ...INITIAL, phase: 'connected' })
})
