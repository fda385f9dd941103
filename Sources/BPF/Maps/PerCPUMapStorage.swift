/// A table that holds one value per processor under each key: the per-CPU kernel maps, or ``MemoryPerCPUMap``.
///
/// Programs read and write the value of the processor they run on, without atomics and without sharing cache lines; user
/// space reads all of them. The rules are those of ``MapStorage``: a missing key is `nil` or `false`, never an error.
public protocol PerCPUMapStorage<Key, Value>: ~Copyable {
  /// What an entry is found by.
  associatedtype Key: BitwiseCopyable
  /// What each processor holds.
  associatedtype Value: BitwiseCopyable

  /// The values of `key` on all processors, or `nil` if there is no such key.
  borrowing func get(_ key: Key) throws(BPFError) -> PerCPU<Value>?
  /// Stores `values` under `key`. Throws ``BPFError/Kind-swift.struct/full`` when a new key does not fit, `exists` or
  /// `notFound` when `mode` forbids the update, `invalid` when `values` is not of ``PerCPU/possibleCPUs`` processors.
  borrowing func update(_ key: Key, _ values: PerCPU<Value>, mode: UpdateMode) throws(BPFError)
  /// Removes `key`; `false` if it was not there.
  @discardableResult
  borrowing func remove(_ key: Key) throws(BPFError) -> Bool
  /// Removes `key` and returns what it held.
  borrowing func take(_ key: Key) throws(BPFError) -> PerCPU<Value>?
  /// Stores many keys' values in order; see ``MapStorage/update(keys:values:mode:)``.
  borrowing func update(keys: [Key], values: [PerCPU<Value>], mode: UpdateMode) throws(BPFError)
  /// Removes many keys; returns how many of them were there.
  @discardableResult
  borrowing func remove(keys: [Key]) throws(BPFError) -> Int
  /// Calls `body` for each key in no particular order, as ``MapStorage/forEach(_:)`` does.
  borrowing func forEach(_ body: (Key, PerCPU<Value>) throws(BPFError) -> Void) throws(BPFError)
}

extension PerCPUMapStorage where Self: ~Copyable {
  /// Inserts or replaces.
  @inlinable
  public borrowing func set(_ key: Key, _ values: PerCPU<Value>) throws(BPFError) {
    try update(key, values, mode: .set)
  }

  /// Stores `values` only if `key` is absent; throws `exists` otherwise.
  @inlinable
  public borrowing func insert(_ key: Key, _ values: PerCPU<Value>) throws(BPFError) {
    try update(key, values, mode: .insert)
  }

  /// Stores `values` only if `key` is present; throws `notFound` otherwise.
  @inlinable
  public borrowing func replace(_ key: Key, _ values: PerCPU<Value>) throws(BPFError) {
    try update(key, values, mode: .replace)
  }
}
