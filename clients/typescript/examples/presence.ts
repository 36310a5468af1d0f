import { Roundtable } from '@roundtable/client'

const url = process.env.ROUNDTABLE_URL ?? 'http://127.0.0.1:8080'
const ada = new Roundtable({ url, user: 'ada' }).room('presence')
const bob = new Roundtable({ url, user: 'bob' }).room('presence')

const seen = new Promise<void>((resolve) => {
  bob.presence.on('joined', ({ state }) => console.log('joined', state))
  bob.presence.on('updated', ({ state }) => console.log('updated', state))
  bob.presence.on('left', () => {
    console.log('left; here:', bob.presence.others.length)
    resolve()
  })
})

ada.presence.update({ viewId: 'table' })
await told(1)
ada.presence.cursor({ recordId: 'milk', fieldId: 'title' })
await told(2)
ada.presence.leave()
await seen
process.exit()

/** Waits until Bob has heard of so many changes; who is here before he listens is one. */
function told(count: number): Promise<void> {
  return new Promise((resolve) => {
    let heard = count === 1 ? bob.presence.others.length : 1
    const unlisten = bob.presence.subscribe(() => {
      if (++heard < count) return
      unlisten()
      resolve()
    })
  })
}

// joined { viewId: 'table' }
// updated { cursor: { fieldId: 'title', recordId: 'milk' }, viewId: 'table' }
// left; here: 0
