// Owns names that nobody had to think of: of rooms and of people.

const MOODS = [
  'amber',
  'brave',
  'bright',
  'calm',
  'clever',
  'coral',
  'eager',
  'gentle',
  'golden',
  'happy',
  'ivory',
  'jolly',
  'keen',
  'lively',
  'lucky',
  'mellow',
  'misty',
  'noble',
  'proud',
  'quick',
  'quiet',
  'rosy',
  'silver',
  'sunny',
  'swift',
  'tidy',
  'velvet',
  'warm',
  'wise',
  'witty'
]

const ANIMALS = [
  'badger',
  'beaver',
  'crane',
  'deer',
  'dolphin',
  'falcon',
  'finch',
  'fox',
  'gecko',
  'hare',
  'heron',
  'ibis',
  'koala',
  'lark',
  'lemur',
  'lynx',
  'marten',
  'mole',
  'otter',
  'owl',
  'panda',
  'puffin',
  'quail',
  'raven',
  'robin',
  'seal',
  'stork',
  'swan',
  'tapir',
  'wren'
]

function any<T>(choices: readonly T[]): T {
  const [dice = 0] = crypto.getRandomValues(new Uint32Array(1))
  return choices[dice % choices.length] as T
}

/** `amber-otter-k7q2m`: can be said aloud, and is not guessed by trying. */
export function anyRoom(): string {
  const tail = Array.from({ length: 5 }, () => any([...'23456789abcdefghjkmnpqrstuvwxyz'])).join('')
  return `${any(MOODS)}-${any(ANIMALS)}-${tail}`
}

/** `Swift Otter`. */
export function anyPerson(): string {
  const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)
  return `${capital(any(MOODS))} ${capital(any(ANIMALS))}`
}
