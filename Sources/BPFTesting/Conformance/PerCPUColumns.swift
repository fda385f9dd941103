import BPF

/// Lets a per-CPU storage pass for one with a single value per key, so that the same rules and the same random sequences
/// hold for it: value number `n` stands for `n` on processor 0, `n + 1` on processor 1, and so on.
///
/// A key whose processors do not hold such a series fails with `stale`.
public struct PerCPUColumns<Storage: PerCPUMapStorage<UInt32, UInt64> & ~Copyable>: ~Copyable, MapStorage {
  private let storage: Storage

  /// Stands for `storage`.
  public init(_ storage: consuming Storage) { self.storage = storage }

  /// The value of processor 0.
  public borrowing func get(_ key: UInt32) throws(BPFError) -> UInt64? { try first(storage.get(key)) }

  /// Stores the series that begins with `value`.
  public borrowing func update(_ key: UInt32, _ value: UInt64, mode: UpdateMode) throws(BPFError) {
    try storage.update(key, series(value), mode: mode)
  }

  /// Removes `key`.
  @discardableResult
  public borrowing func remove(_ key: UInt32) throws(BPFError) -> Bool { try storage.remove(key) }

  /// Removes `key` and returns the value of processor 0.
  public borrowing func take(_ key: UInt32) throws(BPFError) -> UInt64? { try first(storage.take(key)) }

  /// Stores the series of each value.
  public borrowing func update(keys: [UInt32], values: [UInt64], mode: UpdateMode) throws(BPFError) {
    try storage.update(keys: keys, values: values.map { series($0) }, mode: mode)
  }

  /// Removes many keys.
  @discardableResult
  public borrowing func remove(keys: [UInt32]) throws(BPFError) -> Int { try storage.remove(keys: keys) }

  /// Calls `body` with each key and the value of processor 0.
  public borrowing func forEach(_ body: (UInt32, UInt64) throws(BPFError) -> Void) throws(BPFError) {
    try storage.forEach { (key, values) throws(BPFError) in
      if let value = try first(values) { try body(key, value) }
    }
  }
}

private func series(_ value: UInt64) -> PerCPU<UInt64> {
  PerCPU((0..<PerCPU<UInt64>.possibleCPUs).map { value &+ UInt64($0) })
}

private func first(_ values: PerCPU<UInt64>?) throws(BPFError) -> UInt64? {
  guard let values else { return nil }
  // An array's entries that were never stored are zeros on all processors.
  let isUntouched = values.values.allSatisfy { $0 == 0 }
  guard isUntouched || values == series(values[0]) else {
    throw BPFError(.stale, operation: "read", object: "per-CPU values", hint: "\(values.values) is no series")
  }
  return values[0]
}
