import CBPF

/// The reading end of a ring of records in shared memory: positions, record headers and wrap-around, and no system call.
///
/// The format is that of kernel/bpf/ringbuf.c: each record is an eight-byte header (length and two flags, and four
/// bytes that are the kernel's) and its payload, together rounded up to eight bytes. The data pages are mapped twice in a row, so that a
/// record never wraps.
struct RingBufferConsumer {
  /// The writer is not done with the record.
  private static let busy: UInt32 = 1 << 31
  /// The writer has given the record up.
  private static let discarded: UInt32 = 1 << 30
  private static let headerSize = 8

  /// Where the reader's position is published.
  private let consumerPosition: UnsafeMutableRawPointer
  /// Where the writers' position is found.
  private let producerPosition: UnsafeRawPointer
  private let data: UnsafeRawPointer
  /// Bytes, a power of two.
  let capacity: Int

  /// - Parameters:
  ///   - consumerPosition: eight bytes, writable.
  ///   - producerPosition: eight bytes.
  ///   - data: twice `capacity` bytes, the second half the same as the first.
  init(
    consumerPosition: UnsafeMutableRawPointer, producerPosition: UnsafeRawPointer, data: UnsafeRawPointer, capacity: Int
  ) {
    self.consumerPosition = consumerPosition
    self.producerPosition = producerPosition
    self.data = data
    self.capacity = capacity
  }

  /// Bytes written and not yet read, headers included.
  var fill: Int {
    // SAFETY: both pointers are to eight aligned bytes that live as long as the ring.
    let read = cbpf_load_acquire_64(consumerPosition)
    let written = cbpf_load_acquire_64(producerPosition)
    return Int(truncatingIfNeeded: written &- read)
  }

  /// What `next` found.
  enum Step: Equatable {
    /// Nothing, or a record that is still being written.
    case empty
    /// A record that its writer gave up; it has been passed over.
    case skipped
    /// A record; `body` has seen it.
    case record
  }

  /// Hands the next record to `body` and then gives its room back, also if `body` throws.
  func next<Failure: Error>(_ body: (RawSpan) throws(Failure) -> Void) throws(Failure) -> Step {
    // SAFETY: see `fill`; only this reader writes the consumer position.
    let read = cbpf_load_acquire_64(consumerPosition)
    guard read != cbpf_load_acquire_64(producerPosition) else { return .empty }
    // SAFETY: between the two positions there are whole records, and the second mapping covers a wrap.
    let header = data + Int(truncatingIfNeeded: read & UInt64(capacity - 1))
    let word = cbpf_load_acquire_32(header)
    guard word & Self.busy == 0 else { return .empty }
    let length = Int(word & ~(Self.busy | Self.discarded))
    defer { advance(from: read, by: length) }
    guard word & Self.discarded == 0 else { return .skipped }
    // SAFETY: the writer has committed `length` bytes after the header, and will not reuse them before `advance`.
    let payload = UnsafeRawBufferPointer(start: header + Self.headerSize, count: length)
    try body(payload.bytes)
    return .record
  }

  /// The fence keeps the new position from being overtaken by the look at the producer's that follows: else the writer
  /// could see an old position and not wake us, while we see its old position and go to sleep.
  private func advance(from read: UInt64, by length: Int) {
    let room = (Self.headerSize + length + 7) & ~7
    cbpf_store_release_64(consumerPosition, read &+ UInt64(room))
    cbpf_fence()
  }
}
