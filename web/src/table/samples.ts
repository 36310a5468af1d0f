// Owns what a fresh table begins with, and the thousand rows that one may ask for.
import type { Records, Room } from '@roundtable/client'
import { newTask, STATUSES, TASKS, type Task } from './task'

const DAY_MS = 86_400_000

function dayAfter(days: number): string {
  const day = new Date(Date.now() + days * DAY_MS)
  const two = (number: number): string => String(number).padStart(2, '0')
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`
}

interface Sample extends Omit<Task, 'notes' | 'due'> {
  inDays: number
  notes?: string
}

const FIRST: readonly Sample[] = [
  {
    title: 'Open this table in a second window',
    status: 'Doing',
    estimate: 0.5,
    inDays: 0,
    notes:
      'Use the button above, or send the link to somebody.\n\nWrite in these notes from both ' +
      'windows at the same time: you see each other’s carets, and nobody’s words get lost.'
  },
  { title: 'Change a cell, watch it change there', status: 'Next', estimate: 0.5, inDays: 0 },
  {
    title: 'Switch the network off and go on working',
    status: 'Next',
    estimate: 1,
    inDays: 1,
    notes:
      'The switch is in the bar at the top. Edits made without a network are kept on this ' +
      'device and merged later.'
  },
  {
    title: 'Change one cell in both windows while one is offline',
    status: 'Next',
    estimate: 1,
    inDays: 1,
    notes: 'When the network is back, you are asked which of the two values counts.'
  },
  {
    title: 'Choose a venue for the launch',
    status: 'Review',
    owner: 'Ada',
    estimate: 2,
    inDays: 6,
    notes: 'Shortlist: the old print shop, the boat house.'
  },
  { title: 'Write the invitation', status: 'Doing', owner: 'Grace', estimate: 1.5, inDays: 8 },
  {
    title: 'Ask the caterer about vegetarian menus',
    status: 'Blocked',
    owner: 'Linus',
    estimate: 0.5,
    inDays: 9,
    notes: 'Waiting for a call back.'
  },
  { title: 'Test the projector', status: 'Idea', estimate: 0.25, inDays: 13 },
  { title: 'Print name tags', status: 'Idea', owner: 'Ada', estimate: 0.5, inDays: 14 }
]

/** The first rows of a table that nobody has been at. */
export function layTable(room: Room): void {
  const tasks = room.records<Task>(TASKS)
  if (tasks.size > 0) return
  // With an origin, so that it is nobody's deed that could be undone.
  room.doc.transact(() => {
    for (const { inDays, notes, ...fields } of FIRST) {
      tasks.create(newTask({ ...fields, due: dayAfter(inDays) }, notes))
    }
  }, 'a fresh table')
}

const VERBS = [
  'Draft',
  'Review',
  'Ship',
  'Measure',
  'Rehearse',
  'Translate',
  'Fix',
  'Design',
  'Order',
  'Photograph'
]
const THINGS = [
  'the welcome page',
  'the release notes',
  'the seating plan',
  'the price list',
  'the opening talk',
  'the stage lights',
  'the press kit',
  'the sign at the door',
  'the coffee corner',
  'the live demo',
  'the survey'
]
const OWNERS = ['Ada', 'Grace', 'Linus', 'Barbara', 'Edsger', 'Radia']

/** Many rows at once, in one step. */
export function addMany(tasks: Records<Task>, count: number): void {
  const at = <T>(choices: readonly T[], number: number): T => choices[number % choices.length] as T
  const first = tasks.size
  tasks.batch(() => {
    for (let number = 0; number < count; number++) {
      const title = `${at(VERBS, number * 7)} ${at(THINGS, number * 3)} (${first + number + 1})`
      tasks.create(
        newTask({
          title,
          status: at(STATUSES, number * 3 + Math.floor(number / 5)),
          owner: at(OWNERS, number * 5 + Math.floor(number / 6)),
          estimate: ((number * 3) % 16) / 2 + 0.5,
          due: dayAfter((number * 5) % 60),
          done: number % 4 === 0
        })
      )
    }
  })
}
