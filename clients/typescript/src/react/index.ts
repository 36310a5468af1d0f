// The door of the React part.
export {
  RoundtableProvider, useClient, useRoom, type RoundtableProviderProps
} from './provider.js'
export {
  useConflicts, useOthers, usePending, usePresence, useRecord, useRecords, useRecordState,
  useRoomEvent, useStatus, useText, type UseRecords
} from './hooks.js'
export {
  SyncIndicator, adviceOf, lightOf, type Light, type SyncIndicatorLabels, type SyncIndicatorProps
} from './indicator.js'
