// The door of the HTTP part.
export { RoundtableHttp, type RoundtableHttpOptions } from './client.js'
export { HttpRecords, HttpRoom } from './room.js'
export { HttpError, type Fetch } from './request.js'
export type { Exchange } from './sync.js'
export type * from './types.js'
