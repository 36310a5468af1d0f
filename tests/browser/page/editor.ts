// Owns an editor as an application has it: TipTap on a Hocuspocus provider, with the carets of others.
import { HocuspocusProvider } from '@hocuspocus/provider'
import { Editor } from '@tiptap/core'
import { Collaboration } from '@tiptap/extension-collaboration'
import { CollaborationCaret } from '@tiptap/extension-collaboration-caret'
import StarterKit from '@tiptap/starter-kit'
import { Doc } from 'yjs'

const asked = new URLSearchParams(location.search)
const user = { name: asked.get('user') ?? 'guest', color: asked.get('color') ?? '#0b7285' }
const document_ = new Doc()
const provider = new HocuspocusProvider({
  url: asked.get('url') ?? '',
  name: asked.get('room') ?? 'page:1',
  token: asked.get('token') ?? '',
  document: document_
})
const place = document.createElement('main')
document.body.append(place)
const editor = new Editor({
  element: place,
  extensions: [
    StarterKit.configure({ undoRedo: false }),
    Collaboration.configure({ document: document_, field: 'content' }),
    CollaborationCaret.configure({ provider, user })
  ]
})
Object.assign(window, { provider, editor })
