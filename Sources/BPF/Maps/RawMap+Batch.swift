import CBPF
import Glibc

/// What a batch call hands over: keys, values, and how many of them.
@usableFromInline
typealias BatchBody = (UnsafeRawPointer, UnsafeRawPointer, Int) throws(BPFError) -> Void

extension RawMap {
  /// Stores `count` pairs in order; stops at the first that fails.
  ///
  /// `BPF_MAP_UPDATE_BATCH` (Linux 5.6) takes no mode, so only ``UpdateMode/set`` is one call.
  @usableFromInline
  borrowing func updateBatch(
    keys: UnsafeRawPointer, values: UnsafeRawPointer, count: Int, mode: UpdateMode
  ) throws(BPFError) {
    guard count > 0 else { return }
    if mode == .set {
      var done = UInt32(count)
      var request = bpf_map_batch_opts.plain
      let code = bpf_map_update_batch(descriptor.rawValue, keys, values, &done, &request)
      if code == 0 { return }
      // The kernel leaves the count alone when it fails before the first entry.
      let stored = Int(done) == count ? 0 : Int(done)
      guard lacksBatch(code, stored) else { throw failure(code, "update").inBatch(done: stored, of: count) }
    }
    let copied = copiedValueSize
    for index in 0..<count {
      let code = bpf_map_update_elem(
        descriptor.rawValue, keys + index * keySize, values + index * copied, mode.rawValue)
      if code != 0 { throw failure(code, "update").inBatch(done: index, of: count) }
    }
  }

  /// Removes `count` keys; returns how many of them were there.
  @usableFromInline
  borrowing func removeBatch(keys: UnsafeRawPointer, count: Int) throws(BPFError) -> Int {
    var (next, removed) = (0, 0)
    while next < count {
      var done = UInt32(count - next)
      var request = bpf_map_batch_opts.plain
      let code = bpf_map_delete_batch(descriptor.rawValue, keys + next * keySize, &done, &request)
      if code == 0 { return removed + count - next }
      let here = Int(done) == count - next ? 0 : Int(done)
      if lacksBatch(code, here) { return try removed + removeEach(keys: keys + next * keySize, count: count - next) }
      removed += here
      // The kernel stops at a key that is not there: go on behind it.
      guard code == -ENOENT else { throw failure(code, "remove").inBatch(done: next + here, of: count) }
      next += here + 1
    }
    return removed
  }

  private borrowing func removeEach(keys: UnsafeRawPointer, count: Int) throws(BPFError) -> Int {
    var removed = 0
    for index in 0..<count {
      let code = bpf_map_delete_elem(descriptor.rawValue, keys + index * keySize)
      if code == 0 {
        removed += 1
      } else if code != -ENOENT {
        throw failure(code, "remove").inBatch(done: index, of: count)
      }
    }
    return removed
  }

  /// Calls `body` with runs of pairs until all have been handed over. With `taking`, they are removed from the map.
  @usableFromInline
  borrowing func forEachBatch(taking: Bool = false, _ body: BatchBody) throws(BPFError) {
    let lookUp = taking ? bpf_map_lookup_and_delete_batch : bpf_map_lookup_batch
    let operation = taking ? "drain" : "iterate"
    var buffer = BatchBuffer(keySize: keySize, valueSize: copiedValueSize, capacity: capacity)
    var cursor = BatchCursor(keySize: keySize)
    var order = type == .lpmTrie ? PrefixOrder(keySize: keySize) : nil
    while true {
      var count = UInt32(buffer.capacity)
      var request = bpf_map_batch_opts.plain
      let code = lookUp(
        descriptor.rawValue, cursor.previous, cursor.next, buffer.keys, buffer.values, &count, &request)
      if code == -ENOSPC {
        // A hash bucket has more entries than the buffer: nothing was copied.
        buffer.double()
        continue
      }
      if cursor.isAtStart, lacksBatch(code, 0) { return try forEachByKey(taking: taking, body) }
      guard code == 0 || code == -ENOENT else { throw failure(code, operation) }
      let fresh = try order?.dropRepeated(&buffer, count: Int(count), object: name) ?? Int(count)
      if fresh > 0 { try body(buffer.keys, buffer.values, fresh) }
      if code == -ENOENT { return }
      cursor.advance()
    }
  }

  /// The same, one key at a time, for kinds and kernels without batches. The kernel starts again from the beginning
  /// when the key that it is to go on from has been removed; this throws `stale` then.
  borrowing func forEachByKey(taking: Bool = false, _ body: BatchBody) throws(BPFError) {
    let buffer = BatchBuffer(keySize: keySize, valueSize: copiedValueSize, capacity: 2)
    let (key, next) = (buffer.keys, buffer.keys + keySize)
    var seen: Set<[UInt8]> = []
    var code = bpf_map_get_next_key(descriptor.rawValue, nil, key)
    while code == 0 {
      let bytes = [UInt8](UnsafeRawBufferPointer(start: key, count: keySize))
      guard seen.insert(bytes).inserted else { throw restarted }
      // Ask for the successor first: `body` may remove this key.
      let following = bpf_map_get_next_key(descriptor.rawValue, key, next)
      let found =
        taking
        ? bpf_map_lookup_and_delete_elem(descriptor.rawValue, key, buffer.values)
        : bpf_map_lookup_elem(descriptor.rawValue, key, buffer.values)
      guard found == 0 || found == -ENOENT else { throw failure(found, taking ? "drain" : "iterate") }
      if found == 0 { try body(key, buffer.values, 1) }
      code = following
      key.copyMemory(from: next, byteCount: keySize)
    }
    guard code == -ENOENT else { throw failure(code, "iterate") }
  }

  private var restarted: BPFError {
    BPFError(
      .stale, operation: "iterate", object: name,
      hint: "an entry was removed while its successor was asked for, and the kernel started again: iterate once more")
  }

  /// Whether a batch call failed because this kind or kernel has none: EINVAL is what kernels before 5.6 say.
  private borrowing func lacksBatch(_ code: Int32, _ done: Int) -> Bool {
    guard done == 0 else { return false }
    switch -code {
    case EOPNOTSUPP, ErrorNumber.kernelNotSupported: return true
    case EINVAL: return (KernelVersion.running ?? KernelVersion(5, 6)) < KernelVersion(5, 6)
    default: return false
    }
  }
}

extension bpf_map_batch_opts {
  fileprivate static var plain: Self {
    Self(sz: MemoryLayout<Self>.size, elem_flags: 0, flags: 0)
  }
}
