import Synchronization

/// Work that goes on beside a test until it is stopped.
final class Churn: Sendable {
  private let isStopped = Atomic(false)
  private let task = Mutex<Task<Void, any Error>?>(nil)

  /// Starts `body`, which goes on for as long as its argument says so.
  init(_ body: @escaping @Sendable (_ goesOn: () -> Bool) throws -> Void) {
    let started = Task { [weak self] in
      try body { self.map { !$0.isStopped.load(ordering: .relaxed) } ?? false }
    }
    task.withLock { $0 = started }
  }

  func stop() { isStopped.store(true, ordering: .relaxed) }
}
