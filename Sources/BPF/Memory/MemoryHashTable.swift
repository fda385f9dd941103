/// `BPF_MAP_TYPE_HASH`: exact match, refuses what does not fit.
struct MemoryHashTable<Key: BitwiseCopyable, Value>: MemoryTable {
  private let capacity: Int
  private var entries: [KeyBytes<Key>: Value] = [:]

  init(capacity: Int) { self.capacity = capacity }

  func find(_ key: Key) -> Value? { entries[KeyBytes(key)] }

  mutating func store(_ key: Key, _ value: Value, mode: UpdateMode) throws(TableFailure) {
    let present = entries[KeyBytes(key)] != nil
    try mode.check(present: present)
    guard present || entries.count < capacity else { throw .tooBig }
    entries[KeyBytes(key)] = value
  }

  mutating func remove(_ key: Key) -> Value? { entries.removeValue(forKey: KeyBytes(key)) }

  var pairs: [(Key, Value)] { entries.map { ($0.key.key, $0.value) } }
}
