// Owns one HTTP request to the server: its token, its problem document, its headers.

/** What the server answered when it was not a success (RFC 9457). */
export class HttpError extends Error {
  readonly status: number
  /** Stable, to be compared: `forbidden`, `conflict`, `too_large` ... */
  readonly code: string
  /** The whole problem document, with what else it has. */
  readonly problem: Readonly<Record<string, unknown>>
  /** When to come back, if the server said so. */
  readonly retryAfterMs: number | undefined

  constructor(status: number, problem: Record<string, unknown>, retryAfterMs?: number) {
    const { code, detail, title } = problem
    super(String(detail ?? title ?? `status ${status}`))
    this.name = 'HttpError'
    this.status = status
    this.code = typeof code === 'string' ? code : 'internal'
    this.problem = problem
    this.retryAfterMs = retryAfterMs
  }
}

export type Fetch = (input: string, init?: RequestInit) => Promise<Response>

export interface Requester {
  /** `http://host:port`, without a slash at the end. */
  base: string
  fetch: Fetch
  token(): Promise<string> | string
}

export interface RequestOptions {
  method?: string
  query?: Record<string, string | number | boolean | undefined>
  headers?: Record<string, string>
  json?: unknown
  bytes?: Uint8Array
  signal?: AbortSignal | undefined
}

/** Throws an `HttpError` for an answer that is none, and what `fetch` throws for no answer. */
export async function request(
  to: Requester, path: string, options: RequestOptions = {}
): Promise<Response> {
  const { method = 'GET', query = {}, json, bytes, signal } = options
  const token = await to.token()
  const headers: Record<string, string> = { ...options.headers }
  if (token) headers.authorization = `Bearer ${token}`
  if (json !== undefined) headers['content-type'] = 'application/json'
  if (bytes) headers['content-type'] = 'application/octet-stream'
  const body = bytes ? (bytes as Uint8Array<ArrayBuffer>) : JSON.stringify(json)
  const response = await to.fetch(`${to.base}/api/v1${path}${queryOf(query)}`, {
    method, headers, ...(body === undefined ? {} : { body }), ...(signal ? { signal } : {})
  })
  if (!response.ok && response.status !== 304) throw await problemOf(response)
  return response
}

export async function requestJson<T>(
  to: Requester, path: string, options: RequestOptions = {}
): Promise<T> {
  return (await (await request(to, path, options)).json()) as T
}

export const segment = (name: string): string => encodeURIComponent(name)

function queryOf(query: NonNullable<RequestOptions['query']>): string {
  const parts = Object.entries(query)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`)
  return parts.length > 0 ? `?${parts.join('&')}` : ''
}

async function problemOf(response: Response): Promise<HttpError> {
  const text = await response.text()
  const seconds = Number(response.headers.get('retry-after'))
  let problem: Record<string, unknown> = { detail: text.slice(0, 500) }
  try {
    const read: unknown = JSON.parse(text)
    if (typeof read === 'object' && read !== null) problem = { ...read }
  } catch {
    // Something between us and the server answered, in its own words.
  }
  const code = problem.code ?? (response.status === 413 ? 'too_large' : undefined)
  return new HttpError(response.status, { ...problem, code }, seconds ? seconds * 1000 : undefined)
}
