import CBPF
import Glibc

/// A kernel map with one value per processor under each key: how ``PerCPUHashMap``, ``LRUPerCPUHashMap`` and
/// ``PerCPUArrayMap`` do what ``PerCPUMapStorage`` asks for.
public protocol KernelPerCPUMapStorage: KernelMap, PerCPUMapStorage, ~Copyable {}

extension KernelPerCPUMapStorage where Self: ~Copyable {
  /// The values of `key` on all processors, or `nil`.
  ///
  /// The corresponding C function is `bpf_map_lookup_elem`.
  @inlinable
  public borrowing func get(_ key: Key) throws(BPFError) -> PerCPU<Value>? {
    try raw.copyValues("look up", of: key) { bpf_map_lookup_elem($0, $1, $2) }
  }

  /// Stores `values` under `key`; see ``PerCPUMapStorage/update(_:_:mode:)``.
  ///
  /// The corresponding C function is `bpf_map_update_elem`.
  @inlinable
  public borrowing func update(_ key: Key, _ values: PerCPU<Value>, mode: UpdateMode) throws(BPFError) {
    try values.checkProcessors(operation: "update", object: raw.name)
    // SAFETY: the kernel reads a key and one stride for each possible processor, which is what the buffer holds.
    let code = withUnsafePointer(to: key) { key in
      values.words.withUnsafeBytes {
        bpf_map_update_elem(raw.descriptor.rawValue, key, $0.baseAddress, mode.rawValue)
      }
    }
    if code != 0 { throw raw.failure(code, "update") }
  }

  /// Removes `key`; `false` if it was not there.
  ///
  /// The corresponding C function is `bpf_map_delete_elem`.
  @inlinable
  @discardableResult
  public borrowing func remove(_ key: Key) throws(BPFError) -> Bool { try raw.removeKey(key) }

  /// Removes `key` and returns what it held. Linux 5.14.
  ///
  /// The corresponding C function is `bpf_map_lookup_and_delete_elem`.
  @inlinable
  public borrowing func take(_ key: Key) throws(BPFError) -> PerCPU<Value>? {
    try raw.copyValues("take", of: key) { bpf_map_lookup_and_delete_elem($0, $1, $2) }
  }

  /// Removes many keys; returns how many of them were there.
  ///
  /// The corresponding C function is `bpf_map_delete_batch` (Linux 5.6).
  @discardableResult
  public borrowing func remove(keys: [Key]) throws(BPFError) -> Int { try raw.removeKeys(keys) }

  /// Stores many keys' values in one system call. Stops at the first that fails.
  ///
  /// The corresponding C function is `bpf_map_update_batch` (Linux 5.6; for arrays 5.13).
  public borrowing func update(
    keys: [Key], values: [PerCPU<Value>], mode: UpdateMode
  ) throws(BPFError) {
    precondition(keys.count == values.count, "\(keys.count) keys and \(values.count) values")
    var words: [UInt64] = []
    words.reserveCapacity(values.count * raw.copiedValueSize / 8)
    for value in values {
      try value.checkProcessors(operation: "update", object: raw.name)
      words += value.words
    }
    try keys.withUnsafeBufferPointer { (keys) throws(BPFError) in
      try words.withUnsafeBufferPointer { (words) throws(BPFError) in
        guard let key = keys.baseAddress, let word = words.baseAddress else { return }
        // SAFETY: the key's stride is the kernel's key size, and `words` has one stride per processor for each key.
        try raw.updateBatch(keys: key, values: word, count: keys.count, mode: mode)
      }
    }
  }

  /// Calls `body` for each key; see ``MapStorage/forEach(_:)``.
  ///
  /// The corresponding C function is `bpf_map_lookup_batch` (Linux 5.6; for arrays 5.13).
  @inlinable
  public borrowing func forEach(_ body: (Key, PerCPU<Value>) throws(BPFError) -> Void) throws(BPFError) {
    let size = raw.copiedValueSize
    try raw.forEachBatch { (keys, values, count) throws(BPFError) in
      for index in 0..<count {
        // SAFETY: the batch holds `count` keys of this type, and `count` times the bytes of all processors.
        let key = keys.loadUnaligned(fromByteOffset: index * MemoryLayout<Key>.stride, as: Key.self)
        let value = try PerCPU<Value> { (buffer) throws(BPFError) in
          buffer.copyMemory(from: values + index * size, byteCount: size)
          return true
        }
        if let value { try body(key, value) }
      }
    }
  }
}

extension RawMap {
  /// The values that `call` copies for `key`; `nil` if there are none.
  @inlinable
  borrowing func copyValues<Key: BitwiseCopyable, Value: BitwiseCopyable>(
    _ operation: String, of key: Key, _ call: (Int32, UnsafeRawPointer?, UnsafeMutableRawPointer) -> Int32
  ) throws(BPFError) -> PerCPU<Value>? {
    let descriptor = descriptor.rawValue
    var code: Int32 = 0
    let values = try PerCPU<Value> { (buffer) throws(BPFError) in
      // SAFETY: the kernel writes one stride for each possible processor, which is what the buffer has.
      code = withUnsafePointer(to: key) { call(descriptor, $0, buffer) }
      return code == 0
    }
    if code == 0 || code == -ENOENT { return values }
    throw failure(code, operation)
  }
}
