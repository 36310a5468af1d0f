// Owns where the browser is: named in ROUNDTABLE_CHROMIUM, on the PATH, or the one that Playwright installed. As a
// program, prints it, or says that there is none.
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

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const found = findChromium()
  if (found) console.log(found)
  else process.exitCode = 1
}
