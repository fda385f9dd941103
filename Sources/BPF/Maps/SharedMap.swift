/// A map handle that several owners share: an ordinary object around a handle that cannot be copied.
///
/// ```swift
/// let flows = SharedMap(try HashMap<flow_tuple, flow>(pinned: path))
/// let storage: any MapStorage<flow_tuple, flow> = flows
/// ```
///
/// For what is kept in collections, captured by several closures, or handed on as `any MapStorage`. The descriptor is
/// closed when the last reference goes. Costs a reference count; in a loop, work on ``base``.
public final class SharedMap<Base: MapStorage & ~Copyable & Sendable>: MapStorage, Sendable {
  /// A key.
  public typealias Key = Base.Key
  /// A value.
  public typealias Value = Base.Value

  /// The map.
  public let base: Base

  /// Takes over `base`.
  public init(_ base: consuming Base) { self.base = base }

  /// The value of `key`, or `nil` if there is none.
  public func get(_ key: Key) throws(BPFError) -> Value? { try base.get(key) }

  /// Stores `value` under `key`.
  public func update(_ key: Key, _ value: Value, mode: UpdateMode) throws(BPFError) {
    try base.update(key, value, mode: mode)
  }

  /// Removes `key`; `false` if it was not there.
  @discardableResult
  public func remove(_ key: Key) throws(BPFError) -> Bool { try base.remove(key) }

  /// Removes `key` and returns what it held.
  public func take(_ key: Key) throws(BPFError) -> Value? { try base.take(key) }

  /// Stores many pairs.
  public func update(keys: [Key], values: [Value], mode: UpdateMode) throws(BPFError) {
    try base.update(keys: keys, values: values, mode: mode)
  }

  /// Removes many keys; returns how many of them were there.
  @discardableResult
  public func remove(keys: [Key]) throws(BPFError) -> Int { try base.remove(keys: keys) }

  /// Calls `body` for each pair.
  public func forEach(_ body: (Key, Value) throws(BPFError) -> Void) throws(BPFError) { try base.forEach(body) }
}

/// ``SharedMap`` for arrays that are written in place.
public final class SharedArray<Base: ArrayStorage & ~Copyable & Sendable>: ArrayStorage, Sendable {
  /// An entry.
  public typealias Value = Base.Value

  /// The array.
  public let base: Base

  /// Takes over `base`.
  public init(_ base: consuming Base) { self.base = base }

  /// The number of entries.
  public var count: Int { base.count }

  /// The entry at `index`.
  public func read(_ index: Int) -> Value { base.read(index) }

  /// Stores `values` from `offset` on.
  public func write(_ values: [Value], at offset: Int) { base.write(values, at: offset) }
}
