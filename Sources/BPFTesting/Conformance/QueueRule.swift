import BPF

/// What a ``QueueStorage`` has to do, a rule a case.
public enum QueueRule: String, Sendable, CaseIterable, CustomStringConvertible {
  /// Nothing to pop or peek is `nil`.
  case emptyIsNil = "an empty queue is nil"
  /// Values leave in the queue's order.
  case orderHolds = "values leave in order"
  /// `peek` returns what `pop` will, and leaves it.
  case peekLeavesValue = "peek leaves the value"
  /// A push beyond the capacity throws `full` and changes nothing.
  case fullRefuses = "a full queue refuses"
  /// A push that may evict drops the oldest value, whichever end values leave by.
  case evictionDropsOldest = "eviction drops the oldest"

  /// The sentence.
  public var description: String { rawValue }

  /// Checks the rule on an empty `queue` with room for four values.
  ///
  /// - Parameter newestFirst: whether it is a stack.
  public func verify<Storage: QueueStorage<UInt32> & ~Copyable>(
    _ queue: borrowing Storage, newestFirst: Bool
  ) throws {
    let verdict = Verdict(rule: rawValue)
    func expectLeaving(_ values: [UInt32]) throws {
      for value in newestFirst ? values.reversed() : values {
        let popped = try queue.pop()
        try verdict.expect(popped == value, "pop returned \(popped.map { "\($0)" } ?? "nil"), expected \(value)")
      }
      try verdict.expect(queue.pop() == nil, "there is more to pop")
    }
    switch self {
    case .emptyIsNil:
      try verdict.expect(queue.peek() == nil, "peek returned a value")
      try expectLeaving([])
    case .orderHolds:
      // Around the ring's end more than once.
      for base in stride(from: UInt32(0), to: 30, by: 3) {
        for value in base..<(base + 3) { try queue.push(value) }
        try expectLeaving(Array(base..<(base + 3)))
      }
    case .peekLeavesValue:
      try queue.push(1)
      try queue.push(2)
      let next: UInt32 = newestFirst ? 2 : 1
      try verdict.expect(queue.peek() == next && queue.peek() == next, "peek did not return \(next) twice")
      try expectLeaving([1, 2])
    case .fullRefuses:
      for value in 0..<4 { try queue.push(UInt32(value)) }
      try verdict.expect(.full, from: "the fifth push") { () throws(BPFError) in try queue.push(4) }
      try expectLeaving([0, 1, 2, 3])
    case .evictionDropsOldest:
      for value in 0..<6 { try queue.push(UInt32(value), evictingOldest: true) }
      try expectLeaving([2, 3, 4, 5])
    }
  }
}
