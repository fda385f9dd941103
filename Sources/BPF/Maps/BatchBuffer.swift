/// Memory for the keys and values of one batch.
struct BatchBuffer: ~Copyable {
  private(set) var keys: UnsafeMutableRawPointer
  private(set) var values: UnsafeMutableRawPointer
  private(set) var capacity: Int
  private let keySize: Int
  private let valueSize: Int

  /// Room for a batch of a map of `capacity` entries: as many as fit in about a megabyte, at most 4,096. Larger batches
  /// were no faster.
  init(keySize: Int, valueSize: Int, capacity: Int) {
    self.keySize = keySize
    self.valueSize = valueSize
    self.capacity = max(1, min(capacity, 4_096, (1 << 20) / max(1, keySize + valueSize)))
    keys = Self.allocate(self.capacity * keySize)
    values = Self.allocate(self.capacity * valueSize)
  }

  deinit {
    keys.deallocate()
    values.deallocate()
  }

  /// Makes room for twice as many; what is in the buffer is lost.
  mutating func double() {
    keys.deallocate()
    values.deallocate()
    capacity *= 2
    keys = Self.allocate(capacity * keySize)
    values = Self.allocate(capacity * valueSize)
  }

  /// Copies pair `source` over pair `target`.
  func move(_ source: Int, to target: Int) {
    guard source != target else { return }
    (keys + target * keySize).copyMemory(from: keys + source * keySize, byteCount: keySize)
    (values + target * valueSize).copyMemory(from: values + source * valueSize, byteCount: valueSize)
  }

  private static func allocate(_ size: Int) -> UnsafeMutableRawPointer {
    // The kernel's per-CPU areas and C structs need no more than 16.
    .allocate(byteCount: max(size, 1), alignment: 16)
  }
}

/// Where a batched iteration stands: opaque to us, a bucket's number or a key to the kernel.
struct BatchCursor: ~Copyable {
  private var buffers: UnsafeMutableRawPointer
  private let size: Int
  private var steps = 0

  init(keySize: Int) {
    // A hash writes a bucket's number of four bytes however short the keys are.
    size = max(4, keySize)
    buffers = .allocate(byteCount: 2 * size, alignment: 8)
  }

  deinit { buffers.deallocate() }

  /// Whether nothing has been read yet.
  var isAtStart: Bool { steps == 0 }
  /// Where to go on from; `nil` is the start.
  var previous: UnsafeMutableRawPointer? { isAtStart ? nil : buffers + (steps + 1) % 2 * size }
  /// Where the kernel writes to go on from next.
  var next: UnsafeMutableRawPointer { buffers + steps % 2 * size }

  /// Goes on from where the kernel has written.
  mutating func advance() { steps += 1 }
}
