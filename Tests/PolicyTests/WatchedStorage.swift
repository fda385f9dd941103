import BPF
import Policy

/// Lets a reader in after every single store.
final class StoreWatch {
  /// Called after each store.
  var reader: () -> Void = {}
  /// Stores so far.
  private(set) var count = 0

  func note() {
    count += 1
    reader()
  }
}

private final class WatchedMap<Key: BitwiseCopyable, Value: BitwiseCopyable>: MapStorage {
  private let map: any MapStorage<Key, Value>
  private let watch: StoreWatch

  init(_ map: any MapStorage<Key, Value>, _ watch: StoreWatch) {
    self.map = map
    self.watch = watch
  }

  func get(_ key: Key) throws(BPFError) -> Value? { try map.get(key) }

  func update(_ key: Key, _ value: Value, mode: UpdateMode) throws(BPFError) {
    try map.update(key, value, mode: mode)
    watch.note()
  }

  func remove(_ key: Key) throws(BPFError) -> Bool {
    defer { watch.note() }
    return try map.remove(key)
  }

  func take(_ key: Key) throws(BPFError) -> Value? {
    defer { watch.note() }
    return try map.take(key)
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

  func forEach(_ body: (Key, Value) throws(BPFError) -> Void) throws(BPFError) { try map.forEach(body) }
}

private final class WatchedArray<Value: BitwiseCopyable>: ArrayStorage {
  private let array: any ArrayStorage<Value>
  private let watch: StoreWatch
  /// Entries that are stored before the reader is let in. More than one only where readers find the same whatever part
  /// has been stored, and looking each time would take too long.
  private let stride: Int

  init(_ array: any ArrayStorage<Value>, _ watch: StoreWatch, stride: Int = 1) {
    self.array = array
    self.watch = watch
    self.stride = stride
  }

  var count: Int { array.count }

  func read(_ index: Int) -> Value { array.read(index) }

  func write(_ values: [Value], at offset: Int) {
    for start in Swift.stride(from: 0, to: values.count, by: stride) {
      array.write(Array(values[start..<min(start + stride, values.count)]), at: offset + start)
      watch.note()
    }
  }
}

extension PolicyMaps {
  /// These tables, with all stores seen by `watch`.
  func watched(by watch: StoreWatch) -> PolicyMaps {
    PolicyMaps(
      words: WatchedArray(words, watch), headers: WatchedArray(headers, watch), sets: WatchedArray(sets, watch),
      ports: WatchedArray(ports, watch, stride: 4096), identities: WatchedMap(identities, watch),
      prefixes: WatchedMap(prefixes, watch), tuples: WatchedMap(tuples, watch), ruleNames: ruleNames)
  }
}
