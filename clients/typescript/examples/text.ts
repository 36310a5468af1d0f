import { Roundtable } from '@roundtable/client'

const url = process.env.ROUNDTABLE_URL ?? 'http://127.0.0.1:8080'
const ada = new Roundtable({ url, user: 'ada' }).room('text')
const bob = new Roundtable({ url, user: 'bob' }).room('text')

// A Y.Text: give it to an editor's binding (y-prosemirror, y-codemirror.next ...), or use it as it is.
const notes = ada.text('notes')
notes.insert(0, 'Hello')
await ada.saved()

const theirs = bob.text('notes')
while (theirs.toJSON() !== 'Hello') {
  await new Promise((resolve) => bob.doc.once('update', resolve))
}
theirs.insert(theirs.length, ', world')
await bob.saved()
console.log(theirs.toJSON())
process.exit()

// Hello, world
