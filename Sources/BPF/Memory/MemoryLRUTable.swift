/// `BPF_MAP_TYPE_LRU_HASH`: exact match, makes room by dropping the entry that was updated longest ago.
///
/// Exact, where the kernel approximates: see ``LRUHashMap``. A look-up does not make an entry younger, as one by system
/// call does not in the kernel.
struct MemoryLRUTable<Key: BitwiseCopyable, Value>: MemoryTable {
  private struct Entry {
    var value: Value
    var age: UInt64
  }

  private let capacity: Int
  private var entries: [KeyBytes<Key>: Entry] = [:]
  // By age, oldest first. A slot whose entry has been updated or removed since is stale and skipped.
  private var ages: [(age: UInt64, key: Key)] = []
  private var oldest = 0
  private var now: UInt64 = 0

  init(capacity: Int) { self.capacity = capacity }

  func find(_ key: Key) -> Value? { entries[KeyBytes(key)]?.value }

  mutating func store(_ key: Key, _ value: Value, mode: UpdateMode) throws(TableFailure) {
    let present = entries[KeyBytes(key)] != nil
    try mode.check(present: present)
    if !present && entries.count == capacity { evict() }
    now += 1
    entries[KeyBytes(key)] = Entry(value: value, age: now)
    ages.append((now, key))
    compact()
  }

  mutating func remove(_ key: Key) -> Value? { entries.removeValue(forKey: KeyBytes(key))?.value }

  /// Makes `key` the youngest entry, as a program's look-up does.
  mutating func touch(_ key: Key) {
    guard entries[KeyBytes(key)] != nil else { return }
    now += 1
    entries[KeyBytes(key)]?.age = now
    ages.append((now, key))
    compact()
  }

  var pairs: [(Key, Value)] { entries.map { ($0.key.key, $0.value.value) } }

  private mutating func evict() {
    while oldest < ages.count {
      let (age, key) = ages[oldest]
      oldest += 1
      if entries[KeyBytes(key)]?.age == age {
        entries[KeyBytes(key)] = nil
        return
      }
    }
  }

  // At most half of the list is stale, so that the list stays proportional to the table at constant amortised cost.
  private mutating func compact() {
    guard ages.count > 2 * entries.count + 16 else { return }
    ages = ages[oldest...].filter { entries[KeyBytes($0.key)]?.age == $0.age }
    oldest = 0
  }
}
