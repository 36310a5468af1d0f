// Owns where the browser is and how it is started: named in ROUNDTABLE_CHROMIUM, on the PATH, or the one that Playwright
// installed. As a program, prints where it is, or says that there is none.
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** The browser's program, or `undefined`. */
export function findChromium () {
  if (process.env.ROUNDTABLE_CHROMIUM) return process.env.ROUNDTABLE_CHROMIUM
  const folders = (process.env.PATH ?? '').split(delimiter)
  const found = NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path))
  return found ?? [chromium.executablePath()].find((path) => existsSync(path))
}

export const LAUNCH = {
  executablePath: findChromium(),
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'
  ]
}

/** A browser with nothing in it. */
export const launch = () => insist(() => chromium.launch(LAUNCH))

/** A browser that ends or hangs before it listens is none that is tested: it is started up to three times. */
export async function insist (start) {
  const failures = []
  while (failures.length < 3) {
    try {
      return await start()
    } catch (error) {
      failures.push(error.message)
    }
  }
  throw new Error(`the browser did not start:\n${failures.join('\n')}`)
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const found = findChromium()
  if (found) console.log(found)
  else process.exitCode = 1
}
