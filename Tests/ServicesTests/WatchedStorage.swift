import TableTesting

@testable import MartletServices

extension MemoryTables {
  /// The tables, with all writes to them in `log`.
  func maps(watchedBy log: WriteLog) -> ServiceMaps {
    ServiceMaps(
      frontends: WatchedMap(frontends, log), backends: WatchedArray(backends, log), maglev: WatchedArray(maglev, log),
      sourceRanges: WatchedMap(sourceRanges, log), affinity: WatchedMap(affinity, log),
      addresses: WatchedMap(addresses, log), prefixes: WatchedMap(prefixes, log))
  }
}
