import Synchronization

/// An array in plain memory in place of a memory-mapped kernel array.
///
/// Entries begin as zeros, as the kernel's do. One lock guards them, so it may be used from any number of tasks; a
/// kernel array has no lock, and its readers may see half of a store (see ``ArrayStorage``).
public final class MemoryArray<Value: BitwiseCopyable & Sendable>: ArrayStorage, Sendable {
  /// The number of entries.
  public let count: Int
  private let values: Mutex<[Value]>

  /// An array of zeros.
  public init(count: Int) {
    precondition(count > 0, "an array has at least one entry")
    self.count = count
    values = Mutex(Array(repeating: zeroed(Value.self), count: count))
  }

  /// The entry at `index`. Precondition: `index` is within `0..<count`.
  public func read(_ index: Int) -> Value { values.withLock { $0[index] } }

  /// Stores `values` from `offset` on. Precondition: they fit.
  public func write(_ values: [Value], at offset: Int) {
    self.values.withLock { entries in
      entries.replaceSubrange(offset..<(offset + values.count), with: values)
    }
  }
}
