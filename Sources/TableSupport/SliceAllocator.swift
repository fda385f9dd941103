/// Hands out runs of consecutive entries of a fixed array, of any length.
///
/// A two-level segregated fit (Masmano et al., *TLSF: a new dynamic memory allocator for real-time systems*, 2004): free
/// runs hang in lists by length, sixteen lists for each power of two, with a bitmap of the lists that are not empty.
/// Neighbours merge when they are freed. ``allocate(_:)`` and ``free(offset:count:)`` take constant time, whatever the
/// number of runs; only a request that no list of longer runs can serve looks through the one list where runs of about
/// its length are, so that a request fails only if no free run is long enough.
///
/// Bookkeeping lies in arrays beside the entries, never in them: they belong to the readers.
package struct SliceAllocator {
  /// No run; also marks the end of a list.
  private static let none = UInt32.max

  /// The number of entries, used or free.
  package let capacity: Int
  /// The number of free entries, in however many runs.
  package private(set) var freeCount = 0

  /// At the first and at the last entry of each run: its length, times two, plus one if it is free.
  private var tags: [UInt32]
  /// At the first entry of a free run: its neighbours in the list.
  private var next: [UInt32]
  private var previous: [UInt32]
  private var heads: [UInt32]
  /// Bit `c % 64` of word `c / 64` tells that list `c` has a run.
  private var occupied: [UInt64]

  /// An allocator over `capacity` entries of which `used` are taken already.
  ///
  /// - Precondition: `used` is sorted, within the capacity, and nothing in it overlaps.
  package init(capacity: Int, used: [Range<Int>] = []) {
    precondition((0..<Int(Int32.max)).contains(capacity), "an array of \(capacity) entries has no 31-bit offsets")
    self.capacity = capacity
    tags = Array(repeating: 0, count: capacity)
    next = Array(repeating: Self.none, count: capacity)
    previous = next
    let lists = Self.list(ofLength: max(capacity, 1)) + 1
    heads = Array(repeating: Self.none, count: lists)
    occupied = Array(repeating: 0, count: (lists + 63) / 64)
    var end = 0
    for run in used {
      precondition(run.lowerBound >= end && run.upperBound <= capacity, "runs in use overlap or exceed the array")
      if run.lowerBound > end { insert(end, run.lowerBound - end) }
      mark(run.lowerBound, run.count, isFree: false)
      end = run.upperBound
    }
    if end < capacity { insert(end, capacity - end) }
  }

  /// Takes a run of `count` entries and returns its offset, or `nil` if no free run is that long.
  package mutating func allocate(_ count: Int) -> Int? {
    precondition(count > 0, "an empty slice needs no room")
    guard let offset = findRun(ofAtLeast: count) else { return nil }
    let length = length(at: offset)
    remove(offset, length)
    if length > count { insert(offset + count, length - count) }
    mark(offset, count, isFree: false)
    return offset
  }

  /// Gives back a run that ``allocate(_:)`` returned, or that was in use from the start.
  package mutating func free(offset: Int, count: Int) {
    precondition(tags[offset] == UInt32(count) << 1, "entries \(offset)..<\(offset + count) are not a run in use")
    var start = offset
    var end = offset + count
    if start > 0, tags[start - 1] & 1 == 1 {
      let length = length(at: start - 1)
      start -= length
      remove(start, length)
    }
    if end < capacity, tags[end] & 1 == 1 {
      let length = length(at: end)
      remove(end, length)
      end += length
    }
    insert(start, end - start)
  }

  // MARK: - Lists

  /// The list for runs of `length` entries: one per length below 16, then 16 for each power of two.
  private static func list(ofLength length: Int) -> Int {
    guard length >= 16 else { return length }
    let exponent = Int.bitWidth - 1 - length.leadingZeroBitCount
    return (exponent - 3) * 16 + (length >> (exponent - 4)) & 15
  }

  private func findRun(ofAtLeast count: Int) -> Int? {
    guard count <= freeCount else { return nil }
    let own = Self.list(ofLength: count)
    // Below 16 every run of the own list fits; above, only those of the lists that follow surely do.
    if let list = firstOccupied(from: count < 16 ? own : own + 1) { return Int(heads[list]) }
    guard own < heads.count else { return nil }
    var run = heads[own]
    while run != Self.none {
      if length(at: Int(run)) >= count { return Int(run) }
      run = next[Int(run)]
    }
    return nil
  }

  private func firstOccupied(from list: Int) -> Int? {
    var word = list / 64
    guard word < occupied.count else { return nil }
    var bits = occupied[word] & (UInt64.max << UInt64(list % 64))
    while bits == 0 {
      word += 1
      guard word < occupied.count else { return nil }
      bits = occupied[word]
    }
    return word * 64 + bits.trailingZeroBitCount
  }

  private mutating func insert(_ offset: Int, _ length: Int) {
    let list = Self.list(ofLength: length)
    let head = heads[list]
    next[offset] = head
    previous[offset] = Self.none
    if head != Self.none { previous[Int(head)] = UInt32(offset) }
    heads[list] = UInt32(offset)
    occupied[list / 64] |= 1 << UInt64(list % 64)
    mark(offset, length, isFree: true)
    freeCount += length
  }

  private mutating func remove(_ offset: Int, _ length: Int) {
    let list = Self.list(ofLength: length)
    let (before, after) = (previous[offset], next[offset])
    if after != Self.none { previous[Int(after)] = before }
    if before != Self.none { next[Int(before)] = after } else { heads[list] = after }
    if heads[list] == Self.none { occupied[list / 64] &= ~(1 << UInt64(list % 64)) }
    freeCount -= length
  }

  private mutating func mark(_ offset: Int, _ length: Int, isFree: Bool) {
    let tag = UInt32(length) << 1 | (isFree ? 1 : 0)
    tags[offset] = tag
    tags[offset + length - 1] = tag
  }

  private func length(at edge: Int) -> Int { Int(tags[edge] >> 1) }
}
