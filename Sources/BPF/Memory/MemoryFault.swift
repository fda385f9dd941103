/// A failure that a memory storage is told to have: what code does when the kernel runs out of memory in the middle of
/// a change can be tested without a kernel.
///
/// ```swift
/// let frontends = MemoryMap<frontend_key, frontend>(capacity: 1_000)
/// frontends.inject(MemoryFault(in: .update, at: 3, errno: ENOMEM)) // the third update from now fails
/// ```
///
/// Every element of a batch counts as one operation, so that a fault can strike inside a batch.
public struct MemoryFault: Sendable, Equatable {
  /// What a fault can strike.
  public enum Operation: Sendable, Hashable, CaseIterable {
    /// `get`, `peek`.
    case get
    /// `update`, `set`, `insert`, `replace`, `push`.
    case update
    /// `remove`.
    case remove
    /// `take`, `pop`.
    case take
    /// `forEach`, once per call.
    case iterate
  }

  /// What fails.
  public var operation: Operation
  /// Which one of them fails, counted from when the fault is injected; the next is 1.
  public var occurrence: Int
  /// How often: `nil` means from then on.
  public var times: Int?
  /// The error number that the kernel would return.
  public var errno: Int32

  /// A fault that strikes the `occurrence`th `operation` from now, once unless `times` says otherwise.
  public init(in operation: Operation, at occurrence: Int, times: Int? = 1, errno: Int32) {
    precondition(occurrence > 0, "occurrences count from 1")
    self.operation = operation
    self.occurrence = occurrence
    self.times = times
    self.errno = errno
  }
}

/// The faults still to come.
struct FaultScript {
  private var pending: [MemoryFault] = []

  mutating func add(_ fault: MemoryFault) { pending.append(fault) }

  mutating func removeAll() { pending = [] }

  /// Counts one operation, and fails it if it is due to.
  mutating func strike(_ operation: MemoryFault.Operation) throws(TableFailure) {
    var failure: TableFailure?
    for index in pending.indices where pending[index].operation == operation {
      pending[index].occurrence -= 1
      guard pending[index].occurrence <= 0 else { continue }
      failure = failure ?? TableFailure(errno: pending[index].errno)
      pending[index].times = pending[index].times.map { $0 - 1 }
    }
    pending.removeAll { $0.times == 0 }
    if let failure { throw failure }
  }
}
