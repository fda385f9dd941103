import BPF
import Glibc

/// Work on a thread of its own, so that load goes on while the test changes things.
///
/// Not a task: the pool that runs tasks has as few threads as the machine has processors, and load never waits.
final class BackgroundThread<Success: Sendable>: Sendable {
  /// SAFETY: the thread writes before it ends, and only who has joined it reads.
  private final class Outcome: @unchecked Sendable {
    var result: Result<Success, any Error>?
  }

  private let outcome = Outcome()
  private let thread: pthread_t

  /// Starts `body`.
  init(_ body: @escaping @Sendable () throws -> Success) throws {
    let outcome = outcome
    thread = try startThread(ThreadWork { outcome.result = Result { try body() } })
  }

  /// Waits for the end, and returns what came of it. Call it once.
  func join() throws -> Success {
    pthread_join(thread, nil)
    guard let result = outcome.result else { preconditionFailure("the thread ended without a result") }
    return try result.get()
  }
}

private final class ThreadWork {
  let body: () -> Void
  init(_ body: @escaping () -> Void) { self.body = body }
}

private func startThread(_ work: ThreadWork) throws -> pthread_t {
  var thread = pthread_t()
  let reference = Unmanaged.passRetained(work)
  let status = pthread_create(
    &thread, nil,
    { argument in
      // SAFETY: the argument is the object that was retained for this thread, and only here is it released.
      argument.map { Unmanaged<ThreadWork>.fromOpaque($0).takeRetainedValue().body() }
      return nil
    }, reference.toOpaque())
  guard status != 0 else { return thread }
  reference.release()
  throw BPFError(errno: status, operation: "create", object: "thread of a load test")
}
