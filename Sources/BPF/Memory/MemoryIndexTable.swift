/// `BPF_MAP_TYPE_ARRAY`: every index exists, holds zeros to begin with, and stays.
struct MemoryIndexTable<Key: BitwiseCopyable, Value>: MemoryTable {
  private var values: [Value]

  init(capacity: Int, zero: Value) {
    precondition(MemoryLayout<Key>.size == 4, "an array's key is a UInt32, not \(Key.self)")
    values = Array(repeating: zero, count: capacity)
  }

  func find(_ key: Key) -> Value? { values.indices.contains(index(key)) ? values[index(key)] : nil }

  mutating func store(_ key: Key, _ value: Value, mode: UpdateMode) throws(TableFailure) {
    guard values.indices.contains(index(key)) else { throw .tooBig }
    try mode.check(present: true)
    values[index(key)] = value
  }

  func remove(_ key: Key) throws(TableFailure) -> Value? { throw .invalid }

  var pairs: [(Key, Value)] { values.enumerated().map { (self.key($0.offset), $0.element) } }

  private func index(_ key: Key) -> Int { Int(bits(key)) }

  private func bits(_ key: Key) -> UInt32 {
    // SAFETY: `Key` has four bytes (checked by the initializer) and both types are bitwise copyable.
    withUnsafeBytes(of: key) { $0.loadUnaligned(as: UInt32.self) }
  }

  private func key(_ index: Int) -> Key {
    // SAFETY: as above.
    withUnsafeBytes(of: UInt32(index)) { $0.loadUnaligned(as: Key.self) }
  }
}
