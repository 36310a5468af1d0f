// Owns a browser of its own process, whose profile is on disk: it can be killed, and come back.
import { chromium } from 'playwright-core'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { poll } from '../../interop/lib/wait.mjs'

/** Starts Chromium over a folder and attaches to it. */
export async function startBrowser ({ executablePath, args }, folder) {
  const port = join(folder, 'DevToolsActivePort')
  rmSync(port, { force: true })
  const all = ['--headless', '--remote-debugging-port=0', `--user-data-dir=${folder}`, ...args]
  // A group of its own: a browser is many processes, and a crash takes them all.
  const child = spawn(executablePath, all, { stdio: 'ignore', detached: true })
  const gone = once(child, 'exit')
  const last = () => { if (child.exitCode === null) child.kill('SIGKILL') }
  process.once('exit', last)
  const kill = async () => {
    process.off('exit', last)
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGKILL')
    await gone
  }
  try {
    const endpoint = await poll('the browser to listen', () => {
      const text = existsSync(port) ? readFileSync(port, 'utf8') : ''
      const [number, path] = text.split('\n')
      return { ok: Boolean(path), value: `ws://127.0.0.1:${number}${path}` }
    })
    const browser = await chromium.connectOverCDP(endpoint)
    return { browser, context: browser.contexts()[0], kill }
  } catch (error) {
    await kill()
    throw error
  }
}
