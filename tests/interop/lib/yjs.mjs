// Owns nothing: the one copy of yjs, for tests in other folders than the packages.
export * from 'yjs'
