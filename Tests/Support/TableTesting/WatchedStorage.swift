import BPF

/// What was written, and who looks in between.
package final class WriteLog {
  /// Called after each write.
  package var reader: () -> Void = {}
  /// Writes that are system calls on a kernel map.
  package private(set) var updates = 0
  /// Plain stores.
  package private(set) var entries = 0
  /// Entries of arrays that were read back.
  package private(set) var entriesRead = 0
  /// Maps that were read as a whole.
  package private(set) var iterations = 0

  /// A log without any entry.
  package init() {}

  /// Forgets what was written so far.
  package func clear() {
    (updates, entries, entriesRead, iterations) = (0, 0, 0, 0)
  }

  fileprivate func noteUpdate() {
    updates += 1
    reader()
  }

  fileprivate func noteEntries(_ count: Int) {
    entries += count
    reader()
  }

  fileprivate func noteRead() { entriesRead += 1 }
  fileprivate func noteIteration() { iterations += 1 }
}

/// A map that lets a reader in after every single write, and counts the writes.
package final class WatchedMap<Key: BitwiseCopyable, Value: BitwiseCopyable>: MapStorage {
  private let map: any MapStorage<Key, Value>
  private let log: WriteLog

  /// `map`, with all writes to it in `log`.
  package init(_ map: any MapStorage<Key, Value>, _ log: WriteLog) {
    self.map = map
    self.log = log
  }

  package func get(_ key: Key) throws(BPFError) -> Value? { try map.get(key) }

  package func update(_ key: Key, _ value: Value, mode: UpdateMode) throws(BPFError) {
    try map.update(key, value, mode: mode)
    log.noteUpdate()
  }

  package func remove(_ key: Key) throws(BPFError) -> Bool {
    let result = try map.remove(key)
    log.noteUpdate()
    return result
  }

  package func take(_ key: Key) throws(BPFError) -> Value? {
    let result = try map.take(key)
    log.noteUpdate()
    return result
  }

  /// One by one, as the kernel does: a batch is not atomic.
  package func update(keys: [Key], values: [Value], mode: UpdateMode) throws(BPFError) {
    for (key, value) in zip(keys, values) { try update(key, value, mode: mode) }
  }

  package func remove(keys: [Key]) throws(BPFError) -> Int {
    var count = 0
    for key in keys where try remove(key) { count += 1 }
    return count
  }

  package func forEach(_ body: (Key, Value) throws(BPFError) -> Void) throws(BPFError) {
    log.noteIteration()
    try map.forEach(body)
  }
}

/// An array that lets a reader in after every entry, and counts them.
package final class WatchedArray<Value: BitwiseCopyable>: ArrayStorage {
  private let array: any ArrayStorage<Value>
  private let log: WriteLog
  private let stride: Int

  /// `array`, with all stores to it in `log`.
  ///
  /// - Parameter stride: how many entries are stored before the reader is let in. More than one only where readers find
  ///   the same whatever part has been stored, and looking each time would take too long.
  package init(_ array: any ArrayStorage<Value>, _ log: WriteLog, stride: Int = 1) {
    self.array = array
    self.log = log
    self.stride = stride
  }

  package var count: Int { array.count }

  package func read(_ index: Int) -> Value {
    log.noteRead()
    return array.read(index)
  }

  package func write(_ values: [Value], at offset: Int) {
    for start in Swift.stride(from: 0, to: values.count, by: stride) {
      let part = Array(values[start..<min(start + stride, values.count)])
      array.write(part, at: offset + start)
      log.noteEntries(part.count)
    }
  }
}
