// @vitest-environment happy-dom
import { act, cleanup, fireEvent, render, screen, waitFor } from '@testing-library/react'
import { StrictMode, useState, type ReactNode } from 'react'
import { afterEach, describe, expect, test } from 'vitest'
import { App } from '../examples/react.js'
import type { Roundtable } from '../src/index.js'
import {
  adviceOf, lightOf, RoundtableProvider, SyncIndicator, useClient, useRecord, useRoom,
  useStatus, useText
} from '../src/react/index.js'
import { TestServer } from '../src/testing/index.js'

const open: Roundtable[] = []
afterEach(() => {
  cleanup()
  for (const client of open.splice(0)) client.close()
})

function client(server: TestServer, user = 'ada'): Roundtable {
  const made = server.client({ user })
  open.push(made)
  return made
}

const NOTHING = { pending: 0, syncing: 0, failed: 0, total: 0 }

describe('the example', () => {
  test('shows records, texts, people and the light, and follows them', async () => {
    const server = new TestServer()
    const ada = client(server)
    const bob = client(server, 'bob').room('project:42')
    render(<App client={ada} />)
    await screen.findByText('All changes saved')

    fireEvent.click(screen.getByText('Add'))
    const item = await screen.findByText('New task')
    await waitFor(() => expect(item.dataset.state).toBe('saved'))
    await waitFor(() => expect(bob.records('tasks').size).toBe(1))
    await act(async () => {
      bob.records('tasks').update(bob.records('tasks').list()[0]!.id, { title: 'Theirs' })
      bob.presence.update({ viewId: 'project' })
      await bob.saved()
    })
    await screen.findByText('Theirs')
    await screen.findByText(/bob 1 changed/)

    const box = screen.getByRole('textbox') as HTMLTextAreaElement
    fireEvent.change(box, { target: { value: 'Hello' } })
    await waitFor(() => expect(bob.text('notes').toJSON()).toBe('Hello'))
    await act(async () => { bob.text('notes').insert(5, ' world') })
    await waitFor(() => expect(box.value).toBe('Hello world'))
    fireEvent.change(box, { target: { value: 'Hello big world' } })
    await waitFor(() => expect(bob.text('notes').toDelta()).toEqual([{ insert: 'Hello big world' }]))

    act(() => server.goOffline())
    await screen.findByText(/Offline|Connecting/)
    fireEvent.click(screen.getByText('Add'))
    await screen.findByText(/1 change .*kept on this device/)
    act(() => server.goOnline())
    await screen.findByText('All changes saved')
  })

  test('runs twice without harm, as React does in development', async () => {
    const server = new TestServer()
    const ada = client(server)
    const { unmount } = render(<StrictMode><App client={ada} /></StrictMode>)
    fireEvent.click(screen.getByText('Add'))
    await waitFor(() => expect(Object.keys(server.records('project:42', 'tasks')).length).toBe(1))
    expect(ada.rooms.length).toBe(1)
    unmount()
    await waitFor(() => expect(ada.rooms.length).toBe(0))
  })
})

describe('rooms and renders', () => {
  test('a room is closed after its last component, and opened with the next', async () => {
    const server = new TestServer()
    const ada = client(server)
    function Name({ name }: { name: string }): ReactNode { return <p>{useRoom(name).name}</p> }
    function Two(): ReactNode {
      const [names, setNames] = useState(['a', 'a', 'b'])
      return (
        <>
          {names.map((name, at) => <Name key={at} name={name} />)}
          <button onClick={() => setNames((before) => before.slice(1))}>fewer</button>
        </>
      )
    }
    render(<RoundtableProvider client={ada}><Two /></RoundtableProvider>)
    expect(ada.rooms.map(({ name }) => name).sort()).toEqual(['a', 'b'])
    fireEvent.click(screen.getByText('fewer'))
    fireEvent.click(screen.getByText('fewer'))
    await waitFor(() => expect(ada.rooms.map(({ name }) => name)).toEqual(['b']))
    fireEvent.click(screen.getByText('fewer'))
    await waitFor(() => expect(ada.rooms).toEqual([]))
  })

  test('a component renders again for its own record only', async () => {
    const server = new TestServer()
    const ada = client(server)
    const renders: Record<string, number> = {}
    function Item({ id }: { id: string }): ReactNode {
      const room = useRoom('r')
      renders[id] = (renders[id] ?? 0) + 1
      return <p>{String(useRecord(room, 'tasks', id)?.title)}</p>
    }
    ada.room('r').records('tasks').create({ title: 'a' }, 'a')
    ada.room('r').records('tasks').create({ title: 'b' }, 'b')
    render(<RoundtableProvider client={ada}><Item id="a" /><Item id="b" /></RoundtableProvider>)
    const before = { ...renders }
    act(() => ada.room('r').records('tasks').update('a', { title: 'other' }))
    await screen.findByText('other')
    expect(renders).toEqual({ a: before.a! + 1, b: before.b })
  })

  test('a provider makes a client from its options, and ends it', async () => {
    const server = new TestServer()
    const seen: Roundtable[] = []
    function Client(): ReactNode {
      seen.push(useClient())
      return <p>{useStatus()}</p>
    }
    const { unmount } = render(
      <RoundtableProvider url="http://test.invalid" persist={false} shareConnection={false}>
        <Client />
      </RoundtableProvider>
    )
    screen.getByText('connecting')
    unmount()
    await waitFor(() => expect(() => seen[0]!.room('r')).toThrow(/closed/))
    void server
  })

  test('without a provider a hook says what is missing', () => {
    function Lost(): ReactNode { return <p>{useRoom('r').name}</p> }
    const log = console.error
    console.error = () => {}
    expect(() => render(<Lost />)).toThrow(/no <RoundtableProvider>/)
    console.error = log
  })

  test('a text that is written in a plain field keeps what others write elsewhere', async () => {
    const server = new TestServer()
    const ada = client(server)
    const room = ada.room('r')
    let set: (value: string) => void = () => {}
    function Text(): ReactNode {
      const text = useText(useRoom('r'), 'notes')
      set = text.set
      return <p>{text.value}</p>
    }
    render(<RoundtableProvider client={ada}><Text /></RoundtableProvider>)
    act(() => set('one two three'))
    const lengths: number[] = []
    room.text('notes').observe(({ changes: { delta } }) => {
      lengths.push(delta.reduce((sum, { insert, delete: gone }) => sum + (insert?.length ?? 0) + (gone ?? 0), 0))
    })
    act(() => set('one 2 three'))
    screen.getByText('one 2 three')
    expect(lengths).toEqual([4])
  })
})

describe('the light', () => {
  test('is green when all is safe at the server, red when somebody has to act', () => {
    expect(lightOf('saved', NOTHING)).toBe('green')
    expect(lightOf('polling', NOTHING)).toBe('green')
    expect(lightOf('polling', { ...NOTHING, total: 1 })).toBe('yellow')
    for (const status of ['connecting', 'connected', 'syncing', 'offline'] as const) {
      expect(lightOf(status, NOTHING)).toBe('yellow')
    }
    expect(lightOf('error', NOTHING)).toBe('red')
  })

  test('says what to do', () => {
    expect(adviceOf('offline', { ...NOTHING, total: 2 }, '')).toMatch(/2 changes kept on this device/)
    expect(adviceOf('error', NOTHING, 'no grant')).toMatch(/Not saved: no grant\. Try again/)
    expect(adviceOf('syncing', { ...NOTHING, total: 1 }, '')).toBe('Saving 1 change…')
  })

  test('red has a button, which tries again', async () => {
    const server = new TestServer()
    server.readOnly('rob')
    const rob = client(server, 'rob')
    function Light(): ReactNode { return <SyncIndicator room={useRoom('r')} labels={{ retry: 'Encore' }} /> }
    render(<RoundtableProvider client={rob}><Light /></RoundtableProvider>)
    await screen.findByText('All changes saved')
    act(() => { rob.room('r').records('tasks').create({ title: 'x' }) })
    const button = await screen.findByText('Encore')
    server.readOnly('rob', false)
    fireEvent.click(button)
    await screen.findByText('All changes saved')
    expect(Object.values(server.records('r', 'tasks'))).toEqual([{ title: 'x' }])
  })
})
