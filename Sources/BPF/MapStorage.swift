/// How an update treats a key that is, or is not, there already.
public enum UpdateMode: UInt64, Sendable, CaseIterable {
  /// Insert or replace (`BPF_ANY`).
  case set = 0
  /// Only if the key is absent (`BPF_NOEXIST`).
  case insert = 1
  /// Only if the key is present (`BPF_EXIST`).
  case replace = 2
}

/// A table from keys to values: a kernel map, or ``MemoryMap`` in tests and in the in-memory data plane.
///
/// This is the seam between what programs the data plane and what stores it: code that is generic over `MapStorage`
/// never sees a descriptor, and the same conformance suite holds for every implementation. A missing key is `nil` or
/// `false`, never an error.
public protocol MapStorage<Key, Value>: ~Copyable {
  associatedtype Key: BitwiseCopyable
  associatedtype Value: BitwiseCopyable

  /// The value of `key`, or `nil` if there is none.
  borrowing func get(_ key: Key) throws(BPFError) -> Value?
  /// Stores `value` under `key`. Throws ``BPFError/Kind-swift.struct/full`` when a new key does not fit, and
  /// `exists` or `notFound` when `mode` forbids the update.
  borrowing func update(_ key: Key, _ value: Value, mode: UpdateMode) throws(BPFError)
  /// Removes `key`; `false` if it was not there.
  @discardableResult
  borrowing func remove(_ key: Key) throws(BPFError) -> Bool
  /// Removes `key` and returns what it held.
  borrowing func take(_ key: Key) throws(BPFError) -> Value?
  /// Stores many pairs with as few calls as the storage allows.
  borrowing func update(keys: [Key], values: [Value], mode: UpdateMode) throws(BPFError)
  /// Removes many keys; returns how many of them were there.
  @discardableResult
  borrowing func remove(keys: [Key]) throws(BPFError) -> Int
  /// Calls `body` for each pair in no particular order. Pairs that are added or removed meanwhile may or may not be
  /// seen; a pair that stays is seen exactly once unless the table is being changed.
  borrowing func forEach(_ body: (Key, Value) throws(BPFError) -> Void) throws(BPFError)
}

extension MapStorage where Self: ~Copyable {
  /// Inserts or replaces.
  @inlinable
  public borrowing func set(_ key: Key, _ value: Value) throws(BPFError) { try update(key, value, mode: .set) }

  /// Stores `value` only if `key` is absent; throws `exists` otherwise.
  @inlinable
  public borrowing func insert(_ key: Key, _ value: Value) throws(BPFError) { try update(key, value, mode: .insert) }

  /// Stores `value` only if `key` is present; throws `notFound` otherwise.
  @inlinable
  public borrowing func replace(_ key: Key, _ value: Value) throws(BPFError) { try update(key, value, mode: .replace) }
}

/// A table of fixed length whose entries are written in place without system calls: a memory-mapped kernel array, or
/// ``MemoryArray``.
///
/// Stores are plain: a reader in the kernel may see half of one. So write entries that nothing refers to yet, and then
/// publish them by one update elsewhere.
public protocol ArrayStorage<Value>: ~Copyable {
  associatedtype Value: BitwiseCopyable

  /// The number of entries.
  var count: Int { get }
  /// The entry at `index`. Precondition: `index` is within `0..<count`.
  borrowing func read(_ index: Int) -> Value
  /// Stores `values` from `offset` on. Precondition: they fit.
  borrowing func write(_ values: [Value], at offset: Int)
}
