/// The order in which the kernel walks a trie: by address bits, and covering prefixes after those that they cover.
///
/// A walk goes on from the last key; if that has been removed meanwhile, the kernel silently starts again. As the order
/// is known, what has been handed over already can be told from what has not, without keeping all of it.
struct PrefixOrder {
  private let keySize: Int
  private var last: [UInt8] = []
  private var restarts = 0

  init(keySize: Int) { self.keySize = keySize }

  /// Drops from a batch the pairs that come no later than the last one handed over; returns how many are left.
  mutating func dropRepeated(_ buffer: inout BatchBuffer, count: Int, object: String) throws(BPFError) -> Int {
    var kept = 0
    var repeating = false
    for index in 0..<count {
      let key = UnsafeRawBufferPointer(start: buffer.keys + index * keySize, count: keySize)
      let isRepeated = !last.isEmpty && !last.withUnsafeBytes { Self.precedes($0, key) }
      if isRepeated && !repeating { restarts += 1 }
      repeating = isRepeated
      if isRepeated { continue }
      last = Array(key)
      buffer.move(index, to: kept)
      kept += 1
    }
    guard restarts <= Self.maximumRestarts else {
      throw BPFError(
        .stale, operation: "iterate", object: object,
        hint: "the trie was changed faster than it could be read: iterate once more, or stop the changes")
    }
    return kept
  }

  private static let maximumRestarts = 10_000

  /// Whether the kernel visits `left` before `right`. Both are a length in bits and the bytes.
  static func precedes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    let leftLength = Int(left.loadUnaligned(as: UInt32.self))
    let rightLength = Int(right.loadUnaligned(as: UInt32.self))
    let shorter = min(leftLength, rightLength)
    for byte in 0..<((shorter + 7) / 8) {
      let difference = left[4 + byte] ^ right[4 + byte]
      let bit = byte * 8 + difference.leadingZeroBitCount
      // The first bit in which they differ decides, if it counts for both.
      if difference != 0 && bit < shorter { return left[4 + byte] & (0x80 >> (bit % 8)) == 0 }
    }
    return leftLength > rightLength
  }
}
