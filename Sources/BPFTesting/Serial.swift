import Synchronization

/// Numbers that no other caller gets.
final class Serial: Sendable {
  private let last = Atomic<Int>(0)

  func next() -> Int { last.add(1, ordering: .relaxed).newValue }
}
