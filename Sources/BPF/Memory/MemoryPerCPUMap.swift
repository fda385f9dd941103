import Glibc

/// A table of per-processor values in plain memory that behaves as the kernel's per-CPU maps do.
///
/// See ``MemoryMap`` for what "behaves as" means and how it is checked; the values are ``PerCPU``.
public final class MemoryPerCPUMap<Key: BitwiseCopyable & Sendable, Value: BitwiseCopyable & Sendable>:
  PerCPUMapStorage, Sendable
{
  /// The kinds of map that can be modelled.
  public enum Kind: Sendable, CaseIterable {
    /// As ``PerCPUHashMap``.
    case hash
    /// As ``LRUPerCPUHashMap``.
    case lruHash
    /// As ``PerCPUArrayMap``; the key has four bytes.
    case array
  }

  /// What is modelled.
  public let kind: Kind
  /// The most entries there can be.
  public let capacity: Int
  private let table: LockedTable<Key, PerCPU<Value>>

  /// The name that errors give.
  public var name: String { table.name }

  /// An empty table; for ``Kind/array``, one of zeros.
  public init(_ kind: Kind = .hash, name: String = "memory per-CPU map", capacity: Int) {
    precondition(capacity > 0, "a map has room for at least one entry")
    self.kind = kind
    self.capacity = capacity
    table = LockedTable(name: name, table: Self.table(kind, capacity: capacity))
  }

  private static func table(_ kind: Kind, capacity: Int) -> any MemoryTable<Key, PerCPU<Value>> {
    switch kind {
    case .hash: MemoryHashTable(capacity: capacity)
    case .lruHash: MemoryLRUTable(capacity: capacity)
    case .array: MemoryIndexTable(capacity: capacity, zero: PerCPU(repeating: zeroed(Value.self)))
    }
  }

  /// Makes an operation to come fail.
  public func inject(_ fault: MemoryFault) { table.inject(fault) }

  /// Forgets all faults to come.
  public func removeFaults() { table.removeFaults() }

  /// The values of `key` on all processors, or `nil`.
  public func get(_ key: Key) throws(BPFError) -> PerCPU<Value>? { try table.get(key) }

  /// Stores `values` under `key`; see ``PerCPUMapStorage/update(_:_:mode:)``.
  public func update(_ key: Key, _ values: PerCPU<Value>, mode: UpdateMode) throws(BPFError) {
    try values.checkProcessors(operation: "update", object: name)
    try table.update(key, values, mode: mode)
  }

  /// Removes `key`; `false` if it was not there. Throws `invalid` for ``Kind/array``.
  @discardableResult
  public func remove(_ key: Key) throws(BPFError) -> Bool { try table.remove(key) }

  /// Removes `key` and returns what it held. Throws `unsupported` for ``Kind/array``.
  public func take(_ key: Key) throws(BPFError) -> PerCPU<Value>? {
    guard kind != .array else { throw BPFError(errno: EOPNOTSUPP, operation: "take", object: name) }
    return try table.take(key)
  }

  /// Stores many pairs in order, under one lock: nobody sees a part of them. Stops at the first that fails.
  public func update(keys: [Key], values: [PerCPU<Value>], mode: UpdateMode) throws(BPFError) {
    for value in values { try value.checkProcessors(operation: "update", object: name) }
    try table.update(keys: keys, values: values, mode: mode)
  }

  /// Removes many keys under one lock; returns how many of them were there.
  @discardableResult
  public func remove(keys: [Key]) throws(BPFError) -> Int { try table.remove(keys: keys) }

  /// Calls `body` for each pair of a copy of the table, in no particular order.
  public func forEach(_ body: (Key, PerCPU<Value>) throws(BPFError) -> Void) throws(BPFError) {
    try table.forEach(body)
  }
}
