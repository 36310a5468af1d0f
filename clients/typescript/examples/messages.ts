import { Roundtable } from '@roundtable/client'

const url = process.env.ROUNDTABLE_URL ?? 'http://127.0.0.1:8080'
const ada = new Roundtable({ url, user: 'ada' })
const bob = new Roundtable({ url, user: 'bob' })

// To everybody who is in the room now. Kept by nobody, so it is said until it was heard.
const heard = new Promise<void>((resolve) => {
  bob.room('messages').messages.on('wave', ({ payload }) => {
    console.log(payload)
    resolve()
  })
})
const room = ada.room('messages')
const waving = setInterval(() => void room.messages.send('wave', { hand: 'left' }), 100)
await heard
process.exit(clearInterval(waving) ?? 0)

// { hand: 'left' }
