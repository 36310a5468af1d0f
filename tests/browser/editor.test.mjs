// TipTap in a real browser, on the provider that it comes with: two pages write one text at once.
import assert from 'node:assert/strict'
import { build } from 'esbuild'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Server } from '../interop/lib/server.mjs'
import { openStore } from '../interop/lib/store.mjs'
import { writer } from '../interop/lib/token.mjs'
import { poll } from '../interop/lib/wait.mjs'
import { launch } from './lib/chromium.mjs'

const PAGE = fileURLToPath(new URL('page/editor.ts', import.meta.url))
const HTML = '<!doctype html><meta charset="utf-8"><title>editor</title><style>' +
  '.ProseMirror{border:1px solid #bbb;min-height:8em;padding:1em;font:16px sans-serif}' +
  '.collaboration-carets__caret{pointer-events:none;border-left:2px solid;margin-left:-1px;position:relative}' +
  '.collaboration-carets__label{position:absolute;top:-1.4em;font-size:12px;color:#fff;padding:0 4px;white-space:nowrap}' +
  '</style><body><script src="/editor.js" defer></script>'

/** The page on its own origin, the server, and a browser. */
async function stage (t) {
  const { outputFiles: [script] } = await build({ entryPoints: [PAGE], bundle: true, write: false, format: 'iife' })
  const pages = createServer((request, response) => {
    const [type, body] = request.url.startsWith('/editor.js') ? ['text/javascript', script.contents] : ['text/html', HTML]
    response.writeHead(200, { 'content-type': type }).end(body)
  })
  pages.listen(0, '127.0.0.1')
  await once(pages, 'listening')
  const store = await openStore('sqlite')
  const server = await Server.start({ store, args: ['--allowed-origins', '*'] })
  const browser = await launch()
  t.after(async () => {
    await browser.close()
    pages.close()
    await server.stop().catch(() => server.kill())
    await store.drop()
  })
  const open = async (user, color) => {
    const page = await (await browser.newContext()).newPage()
    const settings = { url: server.http.replace('http', 'ws') + '/hocuspocus', user, color, token: writer(user) }
    await page.goto(`http://127.0.0.1:${pages.address().port}/?${new URLSearchParams(settings)}`)
    await page.waitForFunction(() => window.provider?.isSynced)
    return page
  }
  return { server, open }
}

const shows = (page, expected) => poll('the text to be whole', async () => {
  const value = await page.evaluate(() => window.editor.getText().replaceAll('\u00a0', ' '))
  return { ok: value === expected, about: value }
})
const saved = (page) => page.waitForFunction(() => !window.provider.hasUnsyncedChanges)

test('HP25 two people type into one TipTap page at once, and see each other', async (t) => {
  const { server, open } = await stage(t)
  const [ada, bob] = await Promise.all([open('ada', '#0b7285'), open('bob', '#a61e4d')])
  await ada.evaluate(() => window.editor.commands.setContent('<p>first:</p><p>second:</p>'))
  await bob.waitForFunction(() => window.editor.getText().includes('second'))
  const write = async (page, paragraph, words) => {
    // A click is lost when another's change is drawn before the editor has read where it went.
    await poll('the caret to be at the end of the paragraph', async () => {
      await page.locator('.ProseMirror p').nth(paragraph).click()
      await page.keyboard.press('End')
      return { ok: await page.evaluate((paragraph) => {
        const { $head } = window.editor.state.selection
        return $head.index(0) === paragraph && $head.pos === $head.end()
      }, paragraph) }
    })
    for (const word of words) await page.keyboard.type(`${word} `)
  }
  const words = (of) => Array.from({ length: 20 }, (_, i) => `${of}${i}`)
  await Promise.all([write(ada, 0, words('a')), write(bob, 1, words('b'))])
  await Promise.all([saved(ada), saved(bob)])
  const expected = `first:${words('a').join(' ')} \n\nsecond:${words('b').join(' ')} `
  await Promise.all([shows(ada, expected), shows(bob, expected)])
  await ada.locator('.collaboration-carets__label', { hasText: 'bob' }).waitFor()
  await bob.locator('.collaboration-carets__label', { hasText: 'ada' }).waitFor()
  if (process.env.ROUNDTABLE_TEST_SHOTS) await ada.screenshot({ path: join(process.env.ROUNDTABLE_TEST_SHOTS, 'editor.png') })

  // What both were told is saved survives the worst, and both go on.
  await server.kill()
  await server.restart()
  await Promise.all([ada, bob].map((page) => page.waitForFunction(() => window.provider.isSynced)))
  await write(bob, 0, ['again'])
  await ada.waitForFunction(() => window.editor.getText().includes('again'))
  await saved(bob)
  const late = await open('cleo', '#5f3dc4')
  await shows(late, expected.replace('\n', 'again \n'))
})
