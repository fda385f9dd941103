import BPF
import CBPFTesting
import Glibc

/// A thread that lives for one call.
///
/// Namespaces and cgroups belong to threads. A thread of a pool must never change them, since it serves everybody
/// afterwards; and a thread that has changed them must not hand work to a pool, since the pool may grow by a thread
/// that inherits what its creator had.
enum DedicatedThread {
  /// Runs `body` on a fresh thread and waits for it.
  static func run<Success: ~Copyable & Sendable>(_ body: @Sendable () throws -> Success) throws -> Success {
    let outcome = Outcome<Success>()
    try withoutActuallyEscaping(body) { body in
      let work = Work { outcome.result = Result { try body() } }
      var thread = pthread_t()
      let status = pthread_create(
        &thread, nil,
        { argument in
          // SAFETY: the argument is the object that was retained for this thread, and only here is it released.
          argument.map { Unmanaged<Work>.fromOpaque($0).takeRetainedValue().body() }
          return nil
        }, Unmanaged.passRetained(work).toOpaque())
      if status != 0 {
        // SAFETY: no thread was started that could release it.
        Unmanaged.passUnretained(work).release()
        throw BPFError(errno: status, operation: "create", object: "thread")
      }
      pthread_join(thread, nil)
    }
    guard let result = outcome.take() else { preconditionFailure("the thread ended without a result") }
    return try result.get()
  }

  private final class Work {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
  }

  /// SAFETY: the thread writes before it ends, and its creator reads after joining it.
  private final class Outcome<Success: ~Copyable>: @unchecked Sendable {
    var result: Result<Success, any Error>?

    func take() -> Result<Success, any Error>? { result.take() }
  }
}
