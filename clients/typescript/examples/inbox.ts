import { Roundtable } from '@roundtable/client'

const url = process.env.ROUNDTABLE_URL ?? 'http://127.0.0.1:8080'
const client = new Roundtable({ url, token: process.env.ROUNDTABLE_TOKEN ?? '' })
client.room('inbox')

// To a user, wherever they are; kept for five minutes for who is not there.
const heard = new Promise<void>((resolve) => {
  client.inbox.on('reminder', ({ payload, userId }) => {
    console.log(payload, 'from', userId)
    resolve()
  })
})
await client.inbox.send({ user: 'ada' }, 'reminder', { text: 'stand-up at ten' })
await heard
client.close()

// { text: 'stand-up at ten' } from ada
