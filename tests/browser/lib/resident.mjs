// Owns a browser of its own process, whose profile is on disk: it can be killed, and come back.
import { chromium } from 'playwright-core'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { poll } from '../../interop/lib/wait.mjs'
import { insist, LAUNCH } from './chromium.mjs'

/** Starts Chromium over a folder and attaches to it. */
export function startBrowser (folder) {
  return insist(async () => {
    const started = new Process(LAUNCH, folder)
    try {
      const browser = await chromium.connectOverCDP(await started.listening())
      return { browser, context: browser.contexts()[0], kill: () => started.kill() }
    } catch (error) {
      await started.kill()
      error.message += `\n${started.said}`
      throw error
    }
  })
}

class Process {
  constructor ({ executablePath, args }, folder) {
    this.port = join(folder, 'DevToolsActivePort')
    rmSync(this.port, { force: true })
    const all = ['--headless', '--remote-debugging-port=0', `--user-data-dir=${folder}`, ...args]
    // A group of its own: a browser is many processes, and a crash takes them all.
    this.child = spawn(executablePath, all, { stdio: ['ignore', 'ignore', 'pipe'], detached: true })
    this.gone = once(this.child, 'exit')
    this.said = ''
    this.child.stderr.setEncoding('utf8').on('data', (text) => { this.said = (this.said + text).slice(-4096) })
    this.last = () => { if (this.isRunning) this.child.kill('SIGKILL') }
    process.once('exit', this.last)
  }

  get isRunning () { return this.child.exitCode === null && this.child.signalCode === null }

  /** Where it listens, once it does. */
  listening () {
    return poll('the browser to listen', () => {
      if (!this.isRunning) throw new Error(`the browser ended: ${this.child.exitCode ?? this.child.signalCode}`)
      const text = existsSync(this.port) ? readFileSync(this.port, 'utf8') : ''
      const [number, path] = text.split('\n')
      return { ok: Boolean(path), value: `ws://127.0.0.1:${number}${path}` }
    })
  }

  async kill () {
    process.off('exit', this.last)
    if (this.isRunning) process.kill(-this.child.pid, 'SIGKILL')
    await this.gone
  }
}
