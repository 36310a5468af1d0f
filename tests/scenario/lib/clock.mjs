// Owns a server's wall clock: a library that is loaded before libc and adds what a file says.
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SOURCE = join(dirname(fileURLToPath(import.meta.url)), 'clock.c')

export class WallClock {
  constructor () {
    this.folder = mkdtempSync(join(tmpdir(), 'roundtable-clock-'))
    const library = join(this.folder, 'clock.so')
    // Where cargo can link, there is a C compiler.
    execFileSync(process.env.CC ?? 'cc', ['-O1', '-shared', '-fPIC', '-o', library, SOURCE])
    const moved = join(this.folder, 'moved')
    this.file = openSync(moved, 'w+')
    this.set(0)
    /** The environment of a program that lives by this clock. */
    this.env = { LD_PRELOAD: library, TEST_CLOCK_MOVED: moved }
  }

  /** The clock is so many seconds ahead of the system's, or behind it. */
  set (seconds) {
    this.seconds = seconds
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(seconds))
    writeSync(this.file, bytes, 0, 8, 0)
  }

  close () {
    closeSync(this.file)
    rmSync(this.folder, { recursive: true, force: true })
  }
}
