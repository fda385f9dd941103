import BPF

@testable import Services

/// A map that lets a reader in after every single write, and counts the writes.
final class WatchedMap<Key: BitwiseCopyable, Value: BitwiseCopyable>: MapStorage {
  private let map: any MapStorage<Key, Value>
  private let log: WriteLog

  init(_ map: any MapStorage<Key, Value>, _ log: WriteLog) {
    self.map = map
    self.log = log
  }

  func get(_ key: Key) throws(BPFError) -> Value? { try map.get(key) }

  func update(_ key: Key, _ value: Value, mode: UpdateMode) throws(BPFError) {
    try map.update(key, value, mode: mode)
    log.note()
  }

  func remove(_ key: Key) throws(BPFError) -> Bool {
    let result = try map.remove(key)
    log.note()
    return result
  }

  func take(_ key: Key) throws(BPFError) -> Value? {
    let result = try map.take(key)
    log.note()
    return result
  }

  /// One by one, as the kernel does: a batch is not atomic.
  func update(keys: [Key], values: [Value], mode: UpdateMode) throws(BPFError) {
    for (key, value) in zip(keys, values) { try update(key, value, mode: mode) }
  }

  func remove(keys: [Key]) throws(BPFError) -> Int {
    var count = 0
    for key in keys where try remove(key) { count += 1 }
    return count
  }

  func forEach(_ body: (Key, Value) throws(BPFError) -> Void) throws(BPFError) {
    log.iterations += 1
    try map.forEach(body)
  }
}

/// An array that lets a reader in after every entry.
final class WatchedArray<Value: BitwiseCopyable>: ArrayStorage {
  private let array: any ArrayStorage<Value>
  private let log: WriteLog

  init(_ array: any ArrayStorage<Value>, _ log: WriteLog) {
    self.array = array
    self.log = log
  }

  var count: Int { array.count }

  func read(_ index: Int) -> Value {
    log.entriesRead += 1
    return array.read(index)
  }

  func write(_ values: [Value], at offset: Int) {
    for (index, value) in values.enumerated() {
      array.write([value], at: offset + index)
      log.noteEntry()
    }
  }
}

/// What was written, and who looks in between.
final class WriteLog {
  /// Called after each write.
  var reader: () -> Void = {}
  /// Writes that are system calls on a kernel map.
  var updates = 0
  /// Plain stores.
  var entries = 0
  var entriesRead = 0
  var iterations = 0

  func note() {
    updates += 1
    reader()
  }

  func noteEntry() {
    entries += 1
    reader()
  }

  func clear() {
    (updates, entries, entriesRead, iterations) = (0, 0, 0, 0)
  }
}

extension MemoryTables {
  /// The tables, with all writes to them in `log`.
  func maps(watchedBy log: WriteLog) -> ServiceMaps {
    ServiceMaps(
      frontends: WatchedMap(frontends, log), backends: WatchedArray(backends, log), maglev: WatchedArray(maglev, log),
      sourceRanges: WatchedMap(sourceRanges, log), affinity: WatchedMap(affinity, log),
      addresses: WatchedMap(addresses, log), prefixes: WatchedMap(prefixes, log))
  }
}
