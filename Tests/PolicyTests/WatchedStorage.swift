import MartletPolicy
import TableTesting

extension PolicyMaps {
  /// These tables, with all writes to them in `log`.
  func watched(by log: WriteLog) -> PolicyMaps {
    PolicyMaps(
      words: WatchedArray(words, log), headers: WatchedArray(headers, log), sets: WatchedArray(sets, log),
      ports: WatchedArray(ports, log, stride: 4096), identities: WatchedMap(identities, log),
      prefixes: WatchedMap(prefixes, log), tuples: WatchedMap(tuples, log), ruleNames: ruleNames)
  }
}
