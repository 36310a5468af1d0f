// Owns a disk that can be full: a small file system of its own where the machine lets us mount one, else a limit on the
// files of the processes that write there.
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync, closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Runs a program for which a file over its limit is an error, as a full disk is, and not a signal. */
export const THROUGH = ['sh', '-c', "trap '' XFSZ; exec \"$0\" \"$@\""]

/** `bytes` is how large the file system is. */
export function openDisk (bytes) {
  const folder = mkdtempSync(join(tmpdir(), 'roundtable-disk-'))
  chmodSync(folder, 0o755)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=1777`, 'tmpfs', folder], { stdio: 'pipe' })
  } catch (error) {
    chmodSync(folder, 0o777)
    return new Limit(folder, String(error.stderr ?? error).trim())
  }
  return new Mounted(folder)
}

class Mounted {
  constructor (folder) {
    this.folder = folder
    this.how = 'a file system in memory, filled up'
    this.filler = join(folder, 'filler')
    process.on('exit', () => this.#unmount())
  }

  /** From here on nothing more fits. */
  fill () {
    const file = openSync(this.filler, 'w')
    // Ever smaller pieces, down to the last page.
    for (let bytes = 1 << 20; bytes >= 4096;) {
      try {
        if (writeSync(file, Buffer.alloc(bytes)) < bytes) bytes /= 2
      } catch (error) {
        if (error.code !== 'ENOSPC') throw error
        bytes /= 2
      }
    }
    closeSync(file)
  }

  makeRoom () { rmSync(this.filler) }

  #unmount () {
    try {
      execFileSync('umount', ['-l', this.folder], { stdio: 'ignore' })
      rmSync(this.folder, { recursive: true, force: true })
    } catch { /* it is gone already */ }
  }

  close () { this.#unmount() }
}

class Limit {
  constructor (folder, why) {
    this.folder = folder
    this.how = `a limit on file sizes, as nothing can be mounted here (${why})`
  }

  /** No file of the process and those it started grows beyond its first byte. */
  fill (pid) { this.#set(pid, '1:unlimited') }
  makeRoom (pid) { this.#set(pid, 'unlimited:unlimited') }

  #set (pid, limit) {
    for (const one of family(pid)) {
      // A process that ended meanwhile writes nothing either.
      if (!existsSync(`/proc/${one}`)) continue
      const { uid, gid } = statSync(`/proc/${one}`)
      const { stderr } = spawnSync('prlimit', ['--pid', one, `--fsize=${limit}`], { encoding: 'utf8', uid, gid })
      if (stderr && !/No such process/.test(stderr)) throw new Error(stderr)
    }
  }

  close () { rmSync(this.folder, { recursive: true, force: true }) }
}

/** A process and all that it started. */
function family (pid) {
  const parents = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map((name) => {
    try {
      return [name, readFileSync(`/proc/${name}/stat`, 'utf8').replace(/.*\) \S /s, '').split(' ')[0]]
    } catch {
      return [name, '']
    }
  })
  const found = [String(pid)]
  for (let at = 0; at < found.length; at++) {
    found.push(...parents.filter(([, parent]) => parent === found[at]).map(([name]) => name))
  }
  return found
}
