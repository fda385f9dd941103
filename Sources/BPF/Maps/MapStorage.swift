/// A table from keys to values: a kernel map, or ``MemoryMap`` in tests and in the in-memory data plane.
///
/// This is the seam between what programs the data plane and what stores it: code that is generic over `MapStorage`
/// never sees a descriptor, and the same conformance suite (`MapRule` of `BPFTesting`) holds for every implementation.
/// A missing key is `nil` or `false`, never an error.
///
/// ```swift
/// func publish(_ service: Service, in frontends: borrowing some MapStorage<frontend_key, frontend> & ~Copyable)
///   throws(BPFError)
/// ```
public protocol MapStorage<Key, Value>: ~Copyable {
  /// What an entry is found by. Two keys are the same if all their bytes are, padding included.
  associatedtype Key: BitwiseCopyable
  /// What an entry holds.
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
  /// Stores many pairs, in order, with as few calls as the storage allows. Stops at the first that fails: those before
  /// it are stored, and the error's hint says how many they are.
  borrowing func update(keys: [Key], values: [Value], mode: UpdateMode) throws(BPFError)
  /// Removes many keys; returns how many of them were there.
  @discardableResult
  borrowing func remove(keys: [Key]) throws(BPFError) -> Int
  /// Calls `body` for each pair in no particular order. Pairs that are added or removed meanwhile, by `body` or by
  /// others, may or may not be seen; a pair that stays is seen exactly once. A storage that cannot keep this promise
  /// throws ``BPFError/Kind-swift.struct/stale`` instead of repeating or leaving out pairs.
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
