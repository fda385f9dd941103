import Glibc
import Synchronization

/// A queue or stack in plain memory that behaves as the kernel's do.
///
/// See ``MemoryMap`` for what "behaves as" means and how it is checked.
public final class MemoryQueue<Value: BitwiseCopyable & Sendable>: QueueStorage, Sendable {
  /// Which end values leave by.
  public enum Order: Sendable, CaseIterable {
    /// The oldest value first, as ``QueueMap``.
    case firstInFirstOut
    /// The newest value first, as ``StackMap``.
    case lastInFirstOut
  }

  private struct State {
    // Oldest first, in a ring: `head` is where the oldest is.
    var ring: [Value?]
    var head = 0
    var count = 0
    var faults = FaultScript()

    func slot(_ position: Int) -> Int { (head + position) % ring.count }

    func next(_ order: Order) -> Value? {
      guard count > 0 else { return nil }
      return ring[slot(order == .firstInFirstOut ? 0 : count - 1)]
    }

    mutating func removeOldest() {
      head = slot(1)
      count -= 1
    }
  }

  /// Which end values leave by.
  public let order: Order
  /// The most values there can be.
  public let capacity: Int
  /// The name that errors give.
  public let name: String
  private let state: Mutex<State>

  /// An empty queue or stack.
  public init(_ order: Order, name: String = "memory queue", capacity: Int) {
    precondition(capacity > 0, "a queue has room for at least one value")
    self.order = order
    self.name = name
    self.capacity = capacity
    state = Mutex(State(ring: Array(repeating: nil, count: capacity)))
  }

  /// Makes an operation to come fail.
  public func inject(_ fault: MemoryFault) { state.withLock { $0.faults.add(fault) } }

  /// Adds `value`; see ``QueueStorage/push(_:evictingOldest:)``.
  public func push(_ value: Value, evictingOldest: Bool) throws(BPFError) {
    try run("push", .update) { (state) throws(TableFailure) in
      if state.count == state.ring.count {
        guard evictingOldest else { throw .tooBig }
        state.removeOldest()
      }
      state.ring[state.slot(state.count)] = value
      state.count += 1
    }
  }

  /// Removes and returns the next value; `nil` if there is none.
  public func pop() throws(BPFError) -> Value? {
    try run("pop", .take) { [order] (state) throws(TableFailure) in
      guard let value = state.next(order) else { return nil }
      switch order {
      case .firstInFirstOut: state.removeOldest()
      case .lastInFirstOut: state.count -= 1
      }
      return value
    }
  }

  /// The value that ``pop()`` would return; `nil` if there is none.
  public func peek() throws(BPFError) -> Value? {
    try run("peek", .get) { [order] (state) throws(TableFailure) in state.next(order) }
  }

  private func run<Result: Sendable>(
    _ verb: String, _ operation: MemoryFault.Operation, _ body: (inout State) throws(TableFailure) -> Result
  ) throws(BPFError) -> Result {
    do throws(TableFailure) {
      return try state.withLock { (state) throws(TableFailure) in
        try state.faults.strike(operation)
        return try body(&state)
      }
    } catch {
      throw BPFError(errno: error.errno, operation: verb, object: name)
    }
  }
}
