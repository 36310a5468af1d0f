import { describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { Outbox, type Entry } from '../src/outbox.js'
import { Session, type SessionHost } from '../src/session.js'
import { statusOf, worstOf } from '../src/status.js'
import * as hocuspocus from '../src/wire/hocuspocus.js'

const NO = { code: 'forbidden', message: 'no' }

const entry = (id: string, recordId: string, fields?: string[], at = Number(id)): Entry => ({
  id, room: 'r', at, update: new Uint8Array([0, 0]),
  touched: [{ collection: 'tasks', recordId, ...(fields ? { fields } : {}) }]
})

describe('the outbox', () => {
  test('counts what waits, is under way, was refused, and since when', () => {
    const outbox = new Outbox()
    expect(outbox.summary()).toEqual({ pending: 0, syncing: 0, failed: 0, total: 0 })
    outbox.add([entry('1', 'a'), entry('2', 'b'), entry('3', 'c')])
    outbox.sent(['1', '2'])
    outbox.fail(['2'], NO)
    expect(outbox.summary()).toEqual({ pending: 1, syncing: 1, failed: 1, total: 3, oldestAt: 1 })
    expect(['a', 'b', 'c', 'd'].map((id) => outbox.stateOf('tasks', id)))
      .toEqual(['syncing', 'failed', 'pending', 'saved'])
    expect(outbox.settle(['1', 'unknown'])).toEqual(['1'])
    expect(outbox.summary()).toMatchObject({ total: 2, oldestAt: 2 })
    outbox.sent(['2'])
    expect(outbox.stateOf('tasks', 'b')).toBe('syncing')
    outbox.unsent(['2'])
    expect(outbox.summary()).toMatchObject({ pending: 2, syncing: 0, failed: 0 })
    outbox.settle(['2', '3'])
    expect(outbox.summary()).toEqual({ pending: 0, syncing: 0, failed: 0, total: 0 })
  })

  test('a record is saved when the last of its changes is', () => {
    const outbox = new Outbox()
    outbox.add([entry('1', 'a'), entry('2', 'a')])
    outbox.sent(['1', '2'])
    outbox.settle(['1'])
    expect(outbox.stateOf('tasks', 'a')).toBe('syncing')
    outbox.settle(['2'])
    expect(outbox.stateOf('tasks', 'a')).toBe('saved')
  })

  test('an entry counts once, whoever tells of it', () => {
    const outbox = new Outbox()
    outbox.add([entry('1', 'a')])
    outbox.add([entry('1', 'a')])
    expect(outbox.summary().total).toBe(1)
  })

  test('knows which fields wait', () => {
    const outbox = new Outbox()
    outbox.add([entry('1', 'a', ['title']), entry('2', 'b')])
    expect(outbox.touches('tasks', 'a')).toBe(true)
    expect(outbox.touches('tasks', 'a', 'title')).toBe(true)
    expect(outbox.touches('tasks', 'a', 'done')).toBe(false)
    expect(outbox.touches('tasks', 'b', 'done')).toBe(true)
    expect(outbox.touches('tasks', 'c')).toBe(false)
  })

  test('keeps a refusal through a disconnection, and offers nothing refused', () => {
    const outbox = new Outbox()
    outbox.add([entry('1', 'a'), entry('2', 'b')])
    outbox.fail(['1'], NO)
    outbox.unsent(['1', '2'])
    expect(outbox.waiting().map(({ id }) => id)).toEqual(['2'])
    expect(outbox.stateOf('tasks', 'a')).toBe('failed')
  })

  test('offers again what was refused, when it is asked to', () => {
    const outbox = new Outbox()
    outbox.add([entry('1', 'a'), entry('2', 'b'), entry('3', 'c')])
    outbox.fail(['1'], NO)
    outbox.sent(['2'])
    outbox.retry()
    expect(outbox.waiting().map(({ id }) => id)).toEqual(['1', '3'])
    expect(outbox.summary()).toEqual({ pending: 2, syncing: 1, failed: 0, total: 3, oldestAt: 1 })
  })

  test('tells of changes, with the same summary until there is one', () => {
    const outbox = new Outbox()
    const told: number[] = []
    outbox.events.on('change', ({ total }) => told.push(total))
    outbox.add([entry('1', 'a')])
    outbox.settle(['unknown'])
    expect(outbox.summary()).toBe(outbox.summary())
    outbox.settle(['1'])
    expect(told).toEqual([1, 0])
  })
})

describe('a session', () => {
  function open(): {
    session: Session, outbox: Outbox, doc: Y.Doc, sent: Uint8Array[], told: string[],
    edit: (value: string) => Entry
  } {
    const doc = new Y.Doc()
    const outbox = new Outbox()
    const sent: Uint8Array[] = []
    const told: string[] = []
    const host: SessionHost = {
      doc, outbox,
      send: (frame) => sent.push(frame),
      receive: (update) => Y.applyUpdate(doc, update, 'server'),
      receiveAwareness: () => told.push('awareness'),
      awareness: () => undefined,
      token: () => 'tok',
      settled: (ids) => { outbox.settle(ids); told.push(`settled ${ids.join(' ')}`) },
      refused: (ids) => { outbox.fail(ids, NO); told.push(`refused ${ids.join(' ')}`) },
      denied: (reason) => told.push(`denied ${reason}`),
      closed: (reason) => told.push(`closed ${reason}`),
      roundTrip: () => {},
      changed: () => {}
    }
    const session = new Session('r', host)
    let made = 0
    const edit = (value: string): Entry => {
      let update: Uint8Array = new Uint8Array()
      doc.once('update', (bytes: Uint8Array) => { update = bytes })
      doc.getText('t').insert(0, value)
      const added = { ...entry(String(++made), 'a'), update }
      outbox.add([added])
      session.submit([added])
      return added
    }
    return { session, outbox, doc, sent, told, edit }
  }

  const sync = (kind: 'stateVector' | 'answer', doc = new Y.Doc()): hocuspocus.Message =>
    kind === 'stateVector'
      ? { type: kind, stateVector: Y.encodeStateVector(doc) }
      : { type: kind, update: Y.encodeStateAsUpdate(doc) }
  const status = (isApplied: boolean): hocuspocus.Message => ({ type: 'status', isApplied })

  test('begins with the token and what it has', () => {
    const { session, sent, doc } = open()
    session.open()
    expect(sent).toEqual([
      hocuspocus.auth('r', 'tok'), hocuspocus.greeting('r', Y.encodeStateVector(doc))
    ])
  })

  test('what was edited before the server said what it has is part of the answer', () => {
    const { session, sent, outbox, told, edit, doc } = open()
    session.open()
    edit('a')
    edit('b')
    expect(sent.length).toBe(2)
    session.take(sync('stateVector'))
    expect(sent[2]).toEqual(hocuspocus.answer('r', Y.encodeStateAsUpdate(doc)))
    expect(outbox.summary()).toMatchObject({ syncing: 2, pending: 0 })
    session.take(status(true))
    expect(told).toEqual(['settled 1 2'])
  })

  test('each confirmation is for the oldest that has none', () => {
    const { session, sent, told, edit } = open()
    session.open()
    session.take(sync('stateVector'))
    const a = edit('a')
    edit('b')
    expect(sent[3]).toEqual(hocuspocus.update('r', a.update))
    session.take(status(true))
    session.take(status(true))
    session.take(status(false))
    expect(told).toEqual(['settled ', 'settled 1', 'refused 2'])
  })

  test('is in step when both have said what they have', () => {
    const { session } = open()
    session.open()
    expect(session.isSynced).toBe(false)
    session.take(sync('answer'))
    expect(session.isSynced).toBe(false)
    session.take(sync('stateVector'))
    expect(session.isSynced).toBe(true)
    session.close()
    expect(session.isSynced).toBe(false)
  })

  test('what was under way when the wire closed goes out with the next conversation', () => {
    const { session, outbox, told, edit } = open()
    session.open()
    session.take(sync('stateVector'))
    edit('a')
    session.close()
    expect(outbox.summary()).toMatchObject({ pending: 1, syncing: 0 })
    session.open()
    session.take(sync('stateVector'))
    session.take(status(true))
    expect(told).toEqual(['settled 1'])
  })

  test('who asks in between counts anew: what was under way is in the answer', () => {
    const { session, outbox, sent, told, edit, doc } = open()
    session.open()
    session.take(sync('stateVector'))
    session.take(sync('answer'))
    session.take(status(true))
    edit('a')
    session.greet()
    expect(session.isSynced).toBe(true)
    edit('b')
    // On its way when the server heard the question; it says no more of `a` after that.
    session.take(status(true))
    expect(outbox.summary()).toMatchObject({ pending: 2, syncing: 0 })
    session.take(sync('stateVector'))
    expect(sent.at(-1)).toEqual(hocuspocus.answer('r', Y.encodeStateAsUpdate(doc)))
    edit('c')
    session.take(status(true))
    session.take(status(true))
    expect(told).toEqual(['settled ', 'settled 1 2', 'settled 3'])
  })

  test('what the server asks for by itself is answered, and confirmed by what it waited for', () => {
    const { session, sent, told, edit, doc } = open()
    session.open()
    session.take(sync('stateVector'))
    session.take(status(true))
    edit('a')
    session.take(sync('stateVector'))
    expect(sent.at(-1)).toEqual(hocuspocus.answer('r', Y.encodeStateAsUpdate(doc)))
    edit('b')
    session.take(status(true))
    session.take(status(true))
    expect(told).toEqual(['settled ', 'settled 1', 'settled 2'])
  })

  test('a confirmation without a question is nothing', () => {
    const { session, told } = open()
    session.open()
    session.take(status(true))
    expect(told).toEqual([])
  })

  test('gives its token again when it is asked, and hears why it must go', () => {
    const { session, sent, told } = open()
    session.open()
    session.take({ type: 'tokenWanted' })
    expect(sent[2]).toEqual(hocuspocus.auth('r', 'tok'))
    session.take({ type: 'denied', reason: 'no' })
    session.take({ type: 'closed', reason: 'room_deleted' })
    expect(told).toEqual(['denied no', 'closed room_deleted'])
    expect(session.isOpen).toBe(false)
  })

  describe('with more than a frame should hold', () => {
    const large = (session: ReturnType<typeof open>): void => {
      for (const letter of 'abc') session.edit(letter.repeat(600_000))
    }
    /** The update in each frame, as a server's document takes them. */
    const taken = (frames: Uint8Array[]): Y.Doc => {
      const doc = new Y.Doc()
      for (const frame of frames) {
        const incoming = hocuspocus.read(frame)
        if (incoming.type !== 'message' || !('update' in incoming.message)) continue
        Y.applyUpdate(doc, incoming.message.update)
        expect(doc.store.pendingStructs).toBe(null)
      }
      return doc
    }

    test('what waited goes out in several, each confirmed for itself', () => {
      const all = open()
      large(all)
      all.session.open()
      all.session.take(sync('stateVector'))
      const frames = all.sent.slice(2)
      expect(frames.map(({ length }) => Math.round(length / 600_000))).toEqual([1, 1, 1])
      expect(taken(frames).getText('t').toJSON()).toBe(all.doc.getText('t').toJSON())
      for (const isApplied of [true, false, true]) all.session.take(status(isApplied))
      expect(all.told).toEqual(['settled 1', 'refused 2', 'settled 3'])
    })

    test('leftovers do, too', () => {
      const all = open()
      all.session.open()
      all.session.take(sync('stateVector'))
      large(all)
      all.outbox.unsent(['1', '2', '3'])
      all.session.submit(all.outbox.waiting())
      expect(all.sent.slice(-3).map(({ length }) => length)).toEqual(
        all.outbox.all().map(({ update }) => hocuspocus.update('r', update).length))
    })

    test('a server that lost what came before is given it in one answer with the rest', () => {
      const all = open()
      all.doc.getText('t').insert(0, 'before')
      large(all)
      all.session.open()
      all.session.take(sync('stateVector'))
      expect(all.sent.length).toBe(3)
      expect(taken(all.sent.slice(2)).getText('t').toJSON()).toBe(all.doc.getText('t').toJSON())
    })
  })

  test('leftovers travel together', () => {
    const { session, sent, outbox, edit, doc } = open()
    edit('a')
    edit('b')
    session.open()
    session.take(sync('stateVector', doc))
    outbox.unsent(['1', '2'])
    session.submit(outbox.waiting())
    const both = Y.mergeUpdates(outbox.all().map(({ update }) => update))
    expect(sent.at(-1)).toEqual(hocuspocus.update('r', both))
  })
})

describe('the status', () => {
  const good = { isSynced: true, unsaved: 0, hasFailed: false }
  const at = (phase: Parameters<typeof statusOf>[0]['connection']['phase'], reachable = true) =>
    ({ connection: { phase, reachable, attempts: 0 } })

  test('is one word for where everything stands', () => {
    expect(statusOf({ ...good, ...at('idle') })).toBe('connecting')
    expect(statusOf({ ...good, ...at('connecting') })).toBe('connecting')
    expect(statusOf({ ...good, ...at('waiting') })).toBe('connecting')
    expect(statusOf({ ...good, ...at('connected'), isSynced: false })).toBe('connected')
    expect(statusOf({ ...good, ...at('connected'), unsaved: 1 })).toBe('syncing')
    expect(statusOf({ ...good, ...at('connected') })).toBe('saved')
    expect(statusOf({ ...good, ...at('polling') })).toBe('polling')
    expect(statusOf({ ...good, ...at('probing') })).toBe('polling')
    expect(statusOf({ ...good, ...at('polling', false) })).toBe('offline')
    expect(statusOf({ ...good, ...at('offline') })).toBe('offline')
    expect(statusOf({ ...good, ...at('failed') })).toBe('error')
    expect(statusOf({ ...good, ...at('connected'), hasFailed: true })).toBe('error')
  })

  test('of several rooms is that of the one that needs most attention', () => {
    expect(worstOf(['saved', 'syncing', 'saved'], 'connecting')).toBe('syncing')
    expect(worstOf(['saved', 'error', 'offline'], 'connecting')).toBe('error')
    expect(worstOf([], 'connecting')).toBe('connecting')
  })
})
