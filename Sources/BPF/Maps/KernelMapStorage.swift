import CBPF
import Glibc

/// A kernel map with one value per key: how ``HashMap``, ``LRUHashMap``, ``LPMTrieMap`` and ``ArrayMap`` do what
/// ``MapStorage`` asks for.
public protocol KernelMapStorage: KernelMap, MapStorage, ~Copyable {}

extension KernelMapStorage where Self: ~Copyable {
  /// The value of `key`, or `nil` if there is none.
  ///
  /// The corresponding C function is `bpf_map_lookup_elem`.
  @inlinable
  public borrowing func get(_ key: Key) throws(BPFError) -> Value? {
    try raw.copyValue("look up", of: key) { bpf_map_lookup_elem($0, $1, $2) }
  }

  /// Stores `value` under `key`; see ``MapStorage/update(_:_:mode:)``.
  ///
  /// The corresponding C function is `bpf_map_update_elem`.
  @inlinable
  public borrowing func update(_ key: Key, _ value: Value, mode: UpdateMode) throws(BPFError) {
    // SAFETY: the kernel reads as many bytes as the types have; sizes were checked when the handle was made.
    let code = withUnsafePointer(to: key) { key in
      withUnsafePointer(to: value) { bpf_map_update_elem(raw.descriptor.rawValue, key, $0, mode.rawValue) }
    }
    if code != 0 { throw raw.failure(code, "update") }
  }

  /// Removes `key`; `false` if it was not there.
  ///
  /// The corresponding C function is `bpf_map_delete_elem`.
  @inlinable
  @discardableResult
  public borrowing func remove(_ key: Key) throws(BPFError) -> Bool { try raw.removeKey(key) }

  /// Removes `key` and returns what it held, in one step. Linux 5.14.
  ///
  /// The corresponding C function is `bpf_map_lookup_and_delete_elem`.
  @inlinable
  public borrowing func take(_ key: Key) throws(BPFError) -> Value? {
    try raw.copyValue("take", of: key) { bpf_map_lookup_and_delete_elem($0, $1, $2) }
  }

  /// Stores many pairs; one system call for ``UpdateMode/set``, one each for the other modes, which the kernel's batch
  /// does not have. See ``MapStorage/update(keys:values:mode:)``.
  ///
  /// The corresponding C function is `bpf_map_update_batch` (Linux 5.6).
  public borrowing func update(keys: [Key], values: [Value], mode: UpdateMode) throws(BPFError) {
    precondition(keys.count == values.count, "\(keys.count) keys and \(values.count) values")
    try keys.withUnsafeBufferPointer { (keys) throws(BPFError) in
      try values.withUnsafeBufferPointer { (values) throws(BPFError) in
        guard let key = keys.baseAddress, let value = values.baseAddress else { return }
        // SAFETY: both hold `count` elements, whose strides equal the kernel's sizes.
        try raw.updateBatch(keys: key, values: value, count: keys.count, mode: mode)
      }
    }
  }

  /// Removes many keys; one system call, and one more for each key that is not there.
  ///
  /// The corresponding C function is `bpf_map_delete_batch` (Linux 5.6).
  @discardableResult
  public borrowing func remove(keys: [Key]) throws(BPFError) -> Int { try raw.removeKeys(keys) }

  /// Calls `body` for each pair; see ``MapStorage/forEach(_:)``. Pairs are read in batches, so `body` may change the
  /// map.
  ///
  /// The corresponding C function is `bpf_map_lookup_batch` (Linux 5.6).
  @inlinable
  public borrowing func forEach(_ body: (Key, Value) throws(BPFError) -> Void) throws(BPFError) {
    try forEachBatch { (keys, values) throws(BPFError) in
      for index in keys.indices { try body(keys[index], values[index]) }
    }
  }

  /// Calls `body` with runs of pairs: the keys, and their values in the same order. The spans end with the call.
  @inlinable
  public borrowing func forEachBatch(_ body: (Span<Key>, Span<Value>) throws(BPFError) -> Void) throws(BPFError) {
    try raw.forEachBatch { (keys, values, count) throws(BPFError) in
      try Self.withSpans(keys, values, count, body)
    }
  }

  // SAFETY: the buffers hold `count` elements whose strides equal the kernel's sizes, are aligned for C structs, and
  // outlive the call.
  @inlinable
  static func withSpans(
    _ keys: UnsafeRawPointer, _ values: UnsafeRawPointer, _ count: Int,
    _ body: (Span<Key>, Span<Value>) throws(BPFError) -> Void
  ) throws(BPFError) {
    let keys = UnsafeBufferPointer(start: keys.assumingMemoryBound(to: Key.self), count: count)
    let values = UnsafeBufferPointer(start: values.assumingMemoryBound(to: Value.self), count: count)
    try body(keys.span, values.span)
  }
}

/// A kernel hash, whose entries can be taken out in batches.
public protocol DrainableMap: KernelMapStorage, ~Copyable {}

extension DrainableMap where Self: ~Copyable {
  /// Removes every pair, handing each to `body`. What is stored meanwhile may stay. If `body` throws, the rest of its
  /// batch is lost.
  ///
  /// The corresponding C function is `bpf_map_lookup_and_delete_batch` (Linux 5.6).
  @inlinable
  public borrowing func drain(_ body: (Key, Value) throws(BPFError) -> Void) throws(BPFError) {
    try raw.forEachBatch(taking: true) { (keys, values, count) throws(BPFError) in
      try Self.withSpans(keys, values, count) { (keys, values) throws(BPFError) in
        for index in keys.indices { try body(keys[index], values[index]) }
      }
    }
  }
}

extension RawMap {
  /// The value that `call` copies for `key`; `nil` if there is none.
  @inlinable
  borrowing func copyValue<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ operation: String, of key: Key, _ call: (Int32, UnsafeRawPointer?, UnsafeMutableRawPointer) -> Int32
  ) throws(BPFError) -> Value? {
    let descriptor = descriptor.rawValue
    var code: Int32 = 0
    let value: Value? = withUnsafeTemporaryAllocation(of: Value.self, capacity: 1) { slot in
      // SAFETY: the kernel copies as many bytes as the types have; sizes were checked when the handle was made. The
      // allocation of one element has a base address, and is initialized when the call succeeds.
      code = withUnsafePointer(to: key) { call(descriptor, $0, slot.baseAddress!) }
      return code == 0 ? slot[0] : nil
    }
    if code == 0 || code == -ENOENT { return value }
    throw failure(code, operation)
  }

  /// Removes `key`; `false` if it was not there.
  @inlinable
  borrowing func removeKey<Key: BitwiseCopyable>(_ key: Key) throws(BPFError) -> Bool {
    // SAFETY: the kernel reads as many bytes as the type has; the size was checked when the handle was made.
    let code = withUnsafePointer(to: key) { bpf_map_delete_elem(descriptor.rawValue, $0) }
    if code == 0 { return true }
    if code == -ENOENT { return false }
    throw failure(code, "remove")
  }

  /// Removes many keys; returns how many of them were there.
  borrowing func removeKeys<Key: BitwiseCopyable>(_ keys: [Key]) throws(BPFError) -> Int {
    try keys.withUnsafeBufferPointer { (keys) throws(BPFError) in
      guard let key = keys.baseAddress else { return 0 }
      // SAFETY: the buffer holds `count` keys, whose stride equals the kernel's key size.
      return try removeBatch(keys: key, count: keys.count)
    }
  }
}
