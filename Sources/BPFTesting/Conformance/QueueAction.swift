import BPF

/// One operation on a queue or stack.
public enum QueueAction: Sendable, Equatable {
  /// `push`, with or without eviction.
  case push(UInt32, evictingOldest: Bool)
  /// `pop`.
  case pop
  /// `peek`.
  case peek

  /// A random operation.
  public static func random(using generator: inout SplitMix64) -> QueueAction {
    switch Int.random(in: 0..<10, using: &generator) {
    case 0..<4: .push(.random(in: 0..<1_000, using: &generator), evictingOldest: false)
    case 4: .push(.random(in: 0..<1_000, using: &generator), evictingOldest: true)
    case 5..<8: .pop
    default: .peek
    }
  }

  /// Runs `actions` on two fresh queues; returns the first difference.
  public static func compare<Model: QueueStorage<UInt32> & ~Copyable, Subject: QueueStorage<UInt32> & ~Copyable>(
    _ actions: [QueueAction], _ model: borrowing Model, _ subject: borrowing Subject
  ) -> LockStep<QueueAction>.Difference? {
    for (index, action) in actions.enumerated() {
      let expected = action.perform(on: model)
      let actual = action.perform(on: subject)
      guard expected != actual else { continue }
      return .init(index: index, description: "\(action) gave \(actual), expected \(expected)")
    }
    return nil
  }

  private func perform<Storage: QueueStorage<UInt32> & ~Copyable>(on queue: borrowing Storage) -> MapOutcome {
    MapOutcome { () throws(BPFError) in
      switch self {
      case .push(let value, let evictingOldest):
        try queue.push(value, evictingOldest: evictingOldest)
        return .done
      case .pop: return .value(try queue.pop().map { ByteString($0) })
      case .peek: return .value(try queue.peek().map { ByteString($0) })
      }
    }
  }
}
