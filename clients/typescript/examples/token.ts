import { Roundtable } from '@roundtable/client'

// A function is asked when the first room is opened, before a token ends, and when one was refused.
// `user` names this device's data before there is a token, so that it opens without a network.
const client = new Roundtable({
  url: process.env.ROUNDTABLE_URL ?? 'http://127.0.0.1:8080',
  user: 'ada',
  token: async () => {
    console.log('asked')
    return process.env.ROUNDTABLE_TOKEN ?? '' // fetch('/api/token').then((reply) => reply.text())
  }
})
const room = client.room('token')
await room.saved()
console.log(room.presence.me.user.name)
client.setToken(process.env.ROUNDTABLE_TOKEN ?? '') // another one, on the open connection
client.close()

// asked
// Ada
