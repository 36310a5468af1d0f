// The door of the testing part.
export { TestServer, type TestClientOptions } from './server.js'
