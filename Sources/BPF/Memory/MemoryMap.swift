import Glibc

/// A table in plain memory that behaves as a kernel map does: same results, same errors, same limits.
///
/// ```swift
/// let frontends = MemoryMap<frontend_key, frontend>(capacity: 65_536)
/// try frontends.set(key, entry)
/// ```
///
/// Tests of code that is generic over ``MapStorage`` run on it without root and without Linux's BPF; the in-memory data
/// plane keeps its tables in it. What holds for the kernel's maps holds here, because one suite and long random
/// sequences of operations run on both, in lock step:
///
/// - a full ``Kind/hash`` refuses new keys with ``BPFError/Kind-swift.struct/full``, and still replaces old ones;
/// - ``Kind/lruHash`` drops the entry updated longest ago instead (the kernel drops one that is *about* the oldest);
/// - ``Kind/lpmTrie`` finds the longest prefix, and removes only an exact one;
/// - ``Kind/array`` has every index from the start and removes none;
/// - keys are compared byte by byte, padding included.
///
/// What the kernel does only under pressure can be ordered: ``inject(_:)``.
///
/// One lock guards the table, so it may be used from any number of tasks; ``forEach(_:)`` reads a copy, so its body may
/// change the table.
///
/// **Cost**, as `MapCostTests` prints it: a look-up in a hash takes about a seventh of a kernel map's look-up by system
/// call. A look-up in a trie tries each prefix length that occurs. For tables that only one task uses a
/// dictionary is cheaper still; choose `MemoryMap` for what it refuses, not for speed.
public final class MemoryMap<Key: BitwiseCopyable & Sendable, Value: BitwiseCopyable & Sendable>: MapStorage, Sendable {
  /// The kinds of map that can be modelled.
  public enum Kind: Sendable, CaseIterable {
    /// As ``HashMap``.
    case hash
    /// As ``LRUHashMap``.
    case lruHash
    /// As ``ArrayMap``; the key has four bytes.
    case array
    /// As ``LPMTrieMap``; the key begins with its length in bits.
    case lpmTrie
  }

  /// What is modelled.
  public let kind: Kind
  /// The most entries there can be.
  public let capacity: Int
  private let table: LockedTable<Key, Value>

  /// The name that errors give.
  public var name: String { table.name }

  /// An empty table; for ``Kind/array``, one of zeros.
  public init(_ kind: Kind = .hash, name: String = "memory map", capacity: Int) {
    precondition(capacity > 0, "a map has room for at least one entry")
    self.kind = kind
    self.capacity = capacity
    table = LockedTable(name: name, table: Self.table(kind, capacity: capacity))
  }

  private static func table(_ kind: Kind, capacity: Int) -> any MemoryTable<Key, Value> {
    switch kind {
    case .hash: MemoryHashTable(capacity: capacity)
    case .lruHash: MemoryLRUTable(capacity: capacity)
    case .array: MemoryIndexTable(capacity: capacity, zero: zeroed(Value.self))
    case .lpmTrie: MemoryPrefixTable(capacity: capacity)
    }
  }

  /// Makes an operation to come fail.
  public func inject(_ fault: MemoryFault) { table.inject(fault) }

  /// Forgets all faults to come.
  public func removeFaults() { table.removeFaults() }

  /// The value of `key`, or `nil`; for ``Kind/lpmTrie`` that of the longest prefix that covers `key`.
  public func get(_ key: Key) throws(BPFError) -> Value? { try table.get(key) }

  /// Stores `value` under `key`; see ``MapStorage/update(_:_:mode:)``.
  public func update(_ key: Key, _ value: Value, mode: UpdateMode) throws(BPFError) {
    try table.update(key, value, mode: mode)
  }

  /// Removes `key`; `false` if it was not there. Throws `invalid` for ``Kind/array``.
  @discardableResult
  public func remove(_ key: Key) throws(BPFError) -> Bool { try table.remove(key) }

  /// Removes `key` and returns what it held. Throws `unsupported` for ``Kind/array``.
  public func take(_ key: Key) throws(BPFError) -> Value? {
    guard kind != .array else { throw BPFError(errno: EOPNOTSUPP, operation: "take", object: name) }
    return try table.take(key)
  }

  /// Stores many pairs in order, under one lock: nobody sees a part of them. Stops at the first that fails.
  public func update(keys: [Key], values: [Value], mode: UpdateMode) throws(BPFError) {
    try table.update(keys: keys, values: values, mode: mode)
  }

  /// Removes many keys under one lock; returns how many of them were there.
  @discardableResult
  public func remove(keys: [Key]) throws(BPFError) -> Int { try table.remove(keys: keys) }

  /// Calls `body` for each pair of a copy of the table, in no particular order.
  public func forEach(_ body: (Key, Value) throws(BPFError) -> Void) throws(BPFError) { try table.forEach(body) }
}

/// A value of zeros.
func zeroed<Value: BitwiseCopyable>(_ type: Value.Type) -> Value {
  withUnsafeTemporaryAllocation(byteCount: MemoryLayout<Value>.size, alignment: MemoryLayout<Value>.alignment) {
    bytes in
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
    // SAFETY: the buffer is as large as a `Value` and initialized; zeros are what the kernel gives a new array as well.
    return bytes.loadUnaligned(as: Value.self)
  }
}
