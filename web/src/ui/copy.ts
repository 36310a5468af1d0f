// Owns putting words on the clipboard, also where the page came without encryption.

export async function copy(words: string): Promise<boolean> {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(words)
      return true
    } catch {
      // Not allowed: the old way may be.
    }
  }
  const area = document.createElement('textarea')
  area.value = words
  area.className = 'unseen'
  document.body.append(area)
  area.select()
  const isDone = document.execCommand('copy')
  area.remove()
  return isDone
}
