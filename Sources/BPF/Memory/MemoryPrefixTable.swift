/// `BPF_MAP_TYPE_LPM_TRIE`: longest-prefix match. A key is its length in bits (32 bits, host order) and then the bytes
/// that are matched, most significant bit first.
///
/// Deliberately not a trie: one exact table per length that occurs, searched from the longest on. So a bug in the
/// kernel's trie, or in this, shows when the two are compared.
struct MemoryPrefixTable<Key: BitwiseCopyable, Value>: MemoryTable {
  private struct Entry {
    var key: Key
    var value: Value
  }

  private let capacity: Int
  private let maximumLength = (MemoryLayout<Key>.size - 4) * 8
  private var byLength: [UInt32: [KeyBytes<Key>: Entry]] = [:]
  private var lengths: [UInt32] = []  // those that occur, longest first
  private var count = 0

  init(capacity: Int) {
    precondition(MemoryLayout<Key>.size > 4, "a prefix is a UInt32 length and the bytes that are matched")
    self.capacity = capacity
  }

  func find(_ key: Key) -> Value? {
    let length = Self.length(key)
    guard length <= maximumLength else { return nil }
    for candidate in lengths where candidate <= length {
      if let entry = byLength[candidate]?[masked(key, to: candidate)] { return entry.value }
    }
    return nil
  }

  mutating func store(_ key: Key, _ value: Value, mode: UpdateMode) throws(TableFailure) {
    let length = Self.length(key)
    guard length <= maximumLength else { throw .invalid }
    let slot = masked(key, to: length)
    let present = byLength[length]?[slot] != nil
    try mode.check(present: present)
    if !present {
      guard count < capacity else { throw .noSpace }
      count += 1
      if byLength[length] == nil { insert(length: length) }
    }
    byLength[length, default: [:]][slot] = Entry(key: key, value: value)
  }

  mutating func remove(_ key: Key) throws(TableFailure) -> Value? {
    let length = Self.length(key)
    guard length <= maximumLength else { throw .invalid }
    let slot = masked(key, to: length)
    guard let entry = byLength[length]?.removeValue(forKey: slot) else { return nil }
    count -= 1
    if byLength[length]?.isEmpty == true {
      byLength[length] = nil
      lengths.removeAll { $0 == length }
    }
    return entry.value
  }

  var pairs: [(Key, Value)] { byLength.values.flatMap { $0.values.map { ($0.key, $0.value) } } }

  private mutating func insert(length: UInt32) {
    lengths.insert(length, at: lengths.firstIndex { $0 < length } ?? lengths.endIndex)
  }

  private static func length(_ key: Key) -> UInt32 {
    // SAFETY: `Key` has more than four bytes (checked by the initializer) and both types are bitwise copyable.
    withUnsafeBytes(of: key) { $0.loadUnaligned(as: UInt32.self) }
  }

  /// `key` with this length and with zeros in the bits beyond.
  private func masked(_ key: Key, to length: UInt32) -> KeyBytes<Key> {
    var key = key
    withUnsafeMutableBytes(of: &key) { bytes in
      bytes.storeBytes(of: length, as: UInt32.self)
      let whole = 4 + Int(length) / 8
      guard whole < bytes.count else { return }
      bytes[whole] &= ~(UInt8.max >> (length % 8))
      for index in (whole + 1)..<max(bytes.count, whole + 1) { bytes[index] = 0 }
    }
    return KeyBytes(key)
  }
}
